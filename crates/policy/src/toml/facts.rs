//! What the tables of `portcullis-abi` say of calls, as far as this form asks.

use portcullis_abi::{Arch, Argument, Sysno};

use crate::{Span, Width};

/// How much of an argument the kernel looks at; `None` when the call has no such argument, or is
/// not known, and for a range of calls, which differ in what they take.
pub(super) fn declared(arch: Arch, calls: Span, index: u8) -> Option<Width> {
    let argument = arguments(arch, calls.single()?).get(usize::from(index))?;
    Some(match argument.width {
        32 => Width::W32,
        _ => Width::W64,
    })
}

/// The arguments of a call that is known.
pub(super) fn arguments(arch: Arch, number: Sysno) -> &'static [Argument] {
    arch.arguments(number).unwrap_or_default()
}

/// The value of a constant of the kernel's headers; negative ones are extended to 64 bits.
pub(super) fn constant(arch: Arch, name: &str) -> Option<u64> {
    arch.constant(name)
}

/// The calls of a group, as `@file-system`; those that the architecture has.
pub(super) fn group(arch: Arch, name: &str) -> Option<Vec<Sysno>> {
    arch.group(name)
}

/// The names of all groups.
pub(super) fn groups() -> impl Iterator<Item = &'static str> {
    portcullis_abi::groups()
}
