//! What the names in foreign policies stand for: the one place where the readers ask `abi`.

use portcullis_abi::{Arch, Sysno};

use crate::Width;

/// The value of a constant of the kernel's headers on an architecture, errors included.
pub(super) fn constant(arch: Arch, name: &str) -> Option<u64> {
    arch.constant(name).or_else(|| errno(name).map(u64::from))
}

/// The number of an error of errno(3).
pub(super) fn errno(name: &str) -> Option<u16> {
    portcullis_abi::errno(name)
}

/// Which argument of a call has this name in the kernel's source, and how much of it the kernel
/// looks at.
pub(super) fn argument(arch: Arch, number: Sysno, name: &str) -> Option<(u8, Width)> {
    let arguments = arch.arguments(number)?;
    let at = arguments.iter().position(|a| a.name() == name)?;
    let width = match arguments[at].width {
        64 => Width::W64,
        _ => Width::W32,
    };
    Some((u8::try_from(at).ok()?, width))
}

/// The calls of a group on an architecture.
pub(super) fn group(arch: Arch, name: &str) -> Option<Vec<Sysno>> {
    arch.group(name)
}
