//! Where functions begin, as far as the file itself tells.

use super::frames::Frames;
use super::memory::Memory;
use crate::image::Region;

/// Where functions begin, ascending.
#[derive(Debug)]
pub(crate) struct Starts {
    /// All: by symbols and unwind tables, and, in code that no unwind table covers, by direct
    /// calls: Debian's musl, hand-written assembly and stripped Go have no such tables.
    pub(crate) all: Vec<u64>,
    /// Starts of unwind entries that something calls: no parts of other functions.
    pub(crate) called: Vec<u64>,
}

impl Starts {
    /// Adds to the `known` starts what code and unwind tables tell.
    pub(crate) fn find(
        memory: &Memory,
        regions: &[Region],
        frames: &Frames,
        known: Vec<u64>,
    ) -> Starts {
        let mut starts = Starts {
            all: known,
            called: Vec::new(),
        };
        let entries = frames.0.iter().filter(|f| f.entry);
        starts.all.extend(entries.map(|f| f.start));
        for region in regions.iter().filter(|r| r.executable) {
            calls(memory, region, frames, &mut starts);
        }
        for list in [&mut starts.all, &mut starts.called] {
            list.sort_unstable();
            list.dedup();
        }
        starts
    }
}

/// Targets of everything that looks like `call rel32` (opcode 0xe8).
///
/// Bytes inside other instructions can look so too. A start that is none splits a function in
/// two that tail-call each other, which costs precision and no soundness.
fn calls(memory: &Memory, region: &Region, frames: &Frames, starts: &mut Starts) {
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
        // A call of the next instruction enters no function: code learns where it is.
        if target == after || !region.range.contains(&target) {
            continue;
        }
        match frames.covering(target) {
            None => starts.all.push(target),
            Some(frame) if frame.start == target => starts.called.push(target),
            Some(_) => {}
        }
    }
}
