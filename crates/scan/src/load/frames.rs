//! Unwind tables: where functions begin and end, and where exceptions land.

use gimli::{BaseAddresses, CfaRule, CieOrFde, EhFrame, Pointer, UnwindContext, UnwindSection};

use super::memory::Memory;

/// DWARF's number of the stack pointer on x86_64.
const STACK_POINTER: u16 = 7;

/// What one frame description entry covers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Frame {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Exception table of the range.
    pub(crate) exceptions: Option<u64>,
    /// At `start` nothing but the return address is on the stack: a function's entry. Parts
    /// split off to colder places start with their function's frame.
    pub(crate) entry: bool,
}

/// All frames of an object, ascending.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frames(pub(crate) Vec<Frame>);

impl Frames {
    /// Reads `.eh_frame` at `address` with content `bytes`.
    pub(crate) fn read(bytes: &[u8], address: u64, text: u64) -> Frames {
        let section = EhFrame::new(bytes, gimli::LittleEndian);
        let bases = BaseAddresses::default()
            .set_eh_frame(address)
            .set_text(text);
        let mut context = UnwindContext::new();
        let mut frames = Vec::new();
        let mut entries = section.entries(&bases);
        // An entry that cannot be read ends the table: nothing says where the next one is.
        while let Ok(Some(entry)) = entries.next() {
            let CieOrFde::Fde(partial) = entry else {
                continue;
            };
            let Ok(frame) = partial.parse(|_, bases, at| section.cie_from_offset(bases, at)) else {
                continue;
            };
            let start = frame.initial_address();
            let Some(end) = start.checked_add(frame.len()).filter(|&end| end > start) else {
                continue;
            };
            let exceptions = match frame.lsda() {
                Some(Pointer::Direct(at)) => Some(at),
                _ => None,
            };
            let entry = match first_row_is_common(&frame) {
                // The row of the common entry, which many frames share.
                true => {
                    let cie = frame.cie().offset();
                    *common.entry(cie).or_insert_with(|| entry_row(&frame, &section, &bases, &mut context))
                }
                false => entry_row(&frame, &section, &bases, &mut context),
            };
            frames.push(Frame {
                start,
                end,
                exceptions,
                entry,
            });
        }
        frames.sort_unstable_by_key(|f| (f.start, f.end));
        frames.dedup_by_key(|f| f.start);
        Frames(frames)
    }

    /// Where `.eh_frame` is when no section says so: `.eh_frame_hdr` points to it.
    pub(crate) fn find(memory: &Memory, header: u64) -> Option<u64> {
        let bytes = memory.from(header)?;
        // Version 1 and the one encoding that linkers use: pc-relative signed 32 bits.
        let [1, 0x1b, ..] = bytes else { return None };
        let offset = memory.u32(header.checked_add(4)?)?.cast_signed();
        header.checked_add(4)?.checked_add_signed(offset.into())
    }

    /// The frame that covers `address`.
    pub(crate) fn covering(&self, address: u64) -> Option<&Frame> {
        let after = self.0.partition_point(|f| f.start <= address);
        let frame = &self.0[after.checked_sub(1)?];
        (address < frame.end).then_some(frame)
    }
}
