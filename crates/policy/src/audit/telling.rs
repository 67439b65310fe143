//! The arguments that rules are written about, with the width that conditions on them have.

use portcullis_abi::{Arch, Sysno};

use crate::Width;

/// Those of the call `number`, ascending, and how wide the kernel declares them; none of a call that no
/// table names.
pub(crate) fn telling(arch: Arch, number: Sysno) -> impl Iterator<Item = (u8, Width)> {
    arch.deciding(number).map(|(place, argument)| {
        let width = match argument.width > 32 {
            true => Width::W64,
            false => Width::W32,
        };
        (place, width)
    })
}

/// The width of one of them.
pub(crate) fn width(arch: Arch, number: Sysno, index: u8) -> Option<Width> {
    let mut all = telling(arch, number);
    all.find(|(n, _)| *n == index).map(|(_, width)| width)
}
