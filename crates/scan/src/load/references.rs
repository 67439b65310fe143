//! Which data of its own the code of a file takes the address of.

use super::memory::{Memory, word32};
use crate::image::Region;
use crate::load::region_of;

/// Targets of everything that looks like `lea disp(%rip), register`, ascending, as far as they are
/// no code. It does not matter whether that code can run.
///
/// Bytes inside other instructions can look so too: one in some ten thousand pairs of them, with an
/// address that is then anywhere within 2 GiB.
pub(crate) fn to_data(memory: &Memory, regions: &[Region]) -> Vec<u64> {
    let mut found = Vec::new();
    for region in regions.iter().filter(|r| r.executable) {
        let Some(code) = memory.from(region.range.start) else {
            continue;
        };
        let size = usize::try_from(region.range.end - region.range.start).unwrap_or(usize::MAX);
        let code = &code[..code.len().min(size)];
        for (n, window) in code.windows(6).enumerate() {
            // ModRM: no base, a 32-bit displacement from the next instruction.
            if window[0] != 0x8d || window[1] & 0xc7 != 0x05 {
                continue;
            }
            let Some(offset) = word32(window, 2) else {
                continue;
            };
            let after = region.range.start + n as u64 + 6;
            let target = after.wrapping_add_signed(i64::from(offset.cast_signed()));
            if region_of(regions, target).is_some_and(|r| !r.executable) {
                found.push(target);
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}
