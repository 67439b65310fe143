//! Unwind tables: where functions begin and end, and where exceptions land.

use gimli::{
    BaseAddresses, CallFrameInstruction, CfaRule, CieOrFde, CommonInformationEntry, EhFrame,
    EndianSlice, FrameDescriptionEntry, LittleEndian, Pointer, UnwindContext, UnwindSection,
};
use rustc_hash::FxHashMap;

use super::memory::Memory;

/// Initial instructions of a common entry have a few bytes; each frame may run them again.
const MOST_COMMON: usize = 4096;
/// DWARF's number of the stack pointer on x86_64.
const STACK_POINTER: u16 = 7;

type Reader<'a> = EndianSlice<'a, LittleEndian>;

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
        let table = Table {
            section: EhFrame::new(bytes, LittleEndian),
            bases: BaseAddresses::default()
                .set_eh_frame(address)
                .set_text(text),
        };
        let mut context = UnwindContext::new();
        let mut frames = Vec::new();
        // Most frames share one of a few common entries, and start as it says.
        let mut commons: FxHashMap<usize, CommonInformationEntry<Reader>> = FxHashMap::default();
        let mut rows: FxHashMap<usize, bool> = FxHashMap::default();
        let mut entries = table.section.entries(&table.bases);
        // An entry that cannot be read ends the table: nothing says where the next one is.
        while let Ok(Some(entry)) = entries.next() {
            let CieOrFde::Fde(partial) = entry else {
                continue;
            };
            let frame = partial.parse(|section, bases, at| {
                if let Some(common) = commons.get(&at.0) {
                    return Ok(common.clone());
                }
                let common = section.cie_from_offset(bases, at)?;
                commons.insert(at.0, common.clone());
                Ok(common)
            });
            let Ok(frame) = frame else {
                continue;
            };
            let start = frame.initial_address();
            let end = start.checked_add(frame.len());
            let Some(end) = end.filter(|&end| end > start) else {
                continue;
            };
            let exceptions = match frame.lsda() {
                Some(Pointer::Direct(at)) => Some(at),
                _ => None,
            };
            let mut row = || table.starts_function(&frame, &mut context);
            let entry = if table.starts_as_common(&frame) {
                *rows.entry(frame.cie().offset()).or_insert_with(row)
            } else {
                row()
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

struct Table<'a> {
    section: EhFrame<Reader<'a>>,
    bases: BaseAddresses,
}

impl<'a> Table<'a> {
    /// Whether nothing but the common entry's rules holds at the first address.
    fn starts_as_common(&self, frame: &FrameDescriptionEntry<Reader<'a>>) -> bool {
        let mut instructions = frame.instructions(&self.section, &self.bases);
        match instructions.next() {
            Ok(None) => true,
            Ok(Some(CallFrameInstruction::AdvanceLoc { delta })) => delta > 0,
            _ => false,
        }
    }

    /// Whether only the return address is on the stack at the first address.
    fn starts_function(
        &self,
        frame: &FrameDescriptionEntry<Reader<'a>>,
        context: &mut UnwindContext<usize>,
    ) -> bool {
        let start = frame.initial_address();
        if frame.cie().entry_len() > MOST_COMMON {
            return true;
        }
        let row = frame.unwind_info_for_address(&self.section, &self.bases, context, start);
        // Rules that cannot be read do not hide a start.
        row.map_or(true, |row| match row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } => {
                register.0 == STACK_POINTER && *offset == 8
            }
            CfaRule::Expression(_) => false,
        })
    }
}
