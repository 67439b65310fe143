//! Where functions begin, as far as the file itself tells.

use super::frames::Frames;
use super::memory::Memory;
use crate::image::Region;

/// Starts by symbols and unwind tables, and, in code that no unwind table covers, by direct
/// calls: Debian's musl, hand-written assembly and stripped Go have no such tables.
pub(crate) fn find(
    memory: &Memory,
    regions: &[Region],
    frames: &Frames,
    mut starts: Vec<u64>,
) -> Vec<u64> {
    starts.extend(frames.0.iter().filter(|f| f.entry).map(|f| f.start));
    for region in regions.iter().filter(|r| r.executable) {
        called(memory, region, frames, &mut starts);
    }
    starts.sort_unstable();
    starts.dedup();
    starts
}

/// Targets of everything that looks like `call rel32` (opcode 0xe8).
///
/// Bytes inside other instructions can look so too. A start that is none splits a function in
/// two that tail-call each other, which costs precision and no soundness.
fn called(memory: &Memory, region: &Region, frames: &Frames, starts: &mut Vec<u64>) {
    let Some(code) = memory.from(region.range.start) else {
        return;
    };
    let size = usize::try_from(region.range.end - region.range.start).unwrap_or(usize::MAX);
    let code = &code[..code.len().min(size)];
    for (n, window) in code.windows(5).enumerate() {
        let [0xe8, a, b, c, d] = *window else {
            continue;
        };
        let offset = i64::from(i32::from_le_bytes([a, b, c, d]));
        let after = region.range.start + n as u64 + 5;
        let target = after.wrapping_add_signed(offset);
        if region.range.contains(&target) && frames.covering(target).is_none() {
            starts.push(target);
        }
    }
}
