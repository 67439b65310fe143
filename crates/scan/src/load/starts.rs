//! Where functions begin, as far as the file itself tells.

use portcullis_abi::Arch;

use super::frames::Frames;
use super::go::Go;
use super::memory::{Memory, words};
use crate::image::Region;

/// Where functions begin, ascending.
#[derive(Debug)]
pub(crate) struct Starts {
    /// All: by symbols and unwind tables, and, in code that no unwind table covers, by direct
    /// calls: Debian's musl and hand-written assembly have no such tables, Go has one of its own.
    pub(crate) all: Vec<u64>,
    /// Starts of unwind entries that something calls: no parts of other functions.
    pub(crate) called: Vec<u64>,
}

impl Starts {
    /// Adds to the `known` starts what code and unwind tables tell.
    pub(crate) fn find(
        memory: &Memory,
        arch: Arch,
        regions: &[Region],
        frames: &Frames,
        go: Option<&Go>,
        known: Vec<u64>,
    ) -> Starts {
        let mut starts = Starts {
            all: known,
            called: Vec::new(),
        };
        if let Some(go) = go {
            starts.all.retain(|&at| go.covering(at).is_none());
            let functions = go.functions.iter().chain(&go.foreign);
            starts.all.extend(functions.map(|f| f.start));
        }
        let entries = frames.0.iter().filter(|f| f.entry);
        starts.all.extend(entries.map(|f| f.start));
        for region in regions.iter().filter(|r| r.executable) {
            let code = memory.code(region);
            let calls = match arch {
                Arch::Aarch64 => branches_with_link(code, region.range.start),
                _ => near_calls(code, region.range.start),
            };
            for (target, after) in calls {
                let own = go.is_some_and(|go| go.contains(target));
                if !own {
                    starts.called_at(region, frames, target, after);
                }
            }
        }
        for list in [&mut starts.all, &mut starts.called] {
            list.sort_unstable();
            list.dedup();
        }
        starts
    }

    /// Something in a region looks like a call of `target`, which ends at `after`.
    fn called_at(&mut self, region: &Region, frames: &Frames, target: u64, after: u64) {
        // A call of the next instruction enters no function: code learns where it is.
        if target == after || !region.range.contains(&target) {
            return;
        }
        match frames.covering(target) {
            None => self.all.push(target),
            Some(frame) if frame.start == target => self.called.push(target),
            Some(_) => {}
        }
    }
}

/// Everything in code at `start` that looks like `call rel32` (opcode 0xe8): its target, and where it
/// ends.
///
/// Bytes inside other instructions can look so too. A start that is none splits a function in
/// two that tail-call each other, which costs precision and no soundness.
fn near_calls(code: &[u8], start: u64) -> Vec<(u64, u64)> {
    let windows = (start + 5..).zip(code.windows(5));
    let calls = windows.filter_map(|(after, window)| match *window {
        [0xe8, a, b, c, d] => {
            let offset = i64::from(i32::from_le_bytes([a, b, c, d]));
            Some((after.wrapping_add_signed(offset), after))
        }
        _ => None,
    });
    calls.collect()
}

/// The same for `bl` (Arm ARM C6.2: 0b100101, and how many instructions away). Data among the code
/// can look so too.
fn branches_with_link(code: &[u8], start: u64) -> Vec<(u64, u64)> {
    let calls = words(code, start).filter(|(_, word)| word >> 26 == 0b10_0101);
    let calls = calls.map(|(at, word)| {
        // The sign is at bit 25.
        let instructions = i64::from((word << 6).cast_signed() >> 6);
        (at.wrapping_add_signed(instructions * 4), at + 4)
    });
    calls.collect()
}
