//! Unwind tables: where functions begin and end, and where exceptions land.

use gimli::{
    BaseAddresses, CallFrameInstruction, CfaRule, CieOrFde, CommonInformationEntry, EhFrame,
    EndianSlice, FrameDescriptionEntry, LittleEndian, Pointer, UnwindContext, UnwindSection,
    Vendor,
};
use portcullis_abi::Arch;
use rustc_hash::FxHashMap;

use super::memory::{Memory, text, word32};

/// Initial instructions of a common entry have a few bytes; each frame may run them again.
const MOST_COMMON: usize = 4096;

type Reader<'a> = EndianSlice<'a, LittleEndian>;

/// What one frame description entry covers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Frame {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Exception table of the range.
    pub(crate) exceptions: Option<u64>,
    /// At `start` nothing is on the stack but the return address, where a call puts it there: a
    /// function's entry. Parts split off to colder places start with their function's frame.
    pub(crate) entry: bool,
}

/// All frames of an object, ascending.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frames(pub(crate) Vec<Frame>);

impl Frames {
    /// Reads `.eh_frame` at `address` with content `bytes`.
    pub(crate) fn read(arch: Arch, bytes: &[u8], address: u64, text: u64) -> Frames {
        let plain = without_signatures(bytes);
        let mut section = EhFrame::new(plain.as_deref().unwrap_or(bytes), LittleEndian);
        // The number of the stack pointer, and how far below the canonical frame address it is when a
        // function is entered: the psABI of x86_64 (§3.6.2, §3.4), or `aadwarf64` (§4.1, §4.2).
        let entered = match arch {
            Arch::Aarch64 => {
                section.set_vendor(Vendor::AArch64);
                (31, 0)
            }
            _ => (7, 8),
        };
        let table = Table {
            entered,
            section,
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
    /// The canonical frame address where a function is entered: a register, and what is added.
    entered: (u16, i64),
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
                (register.0, *offset) == self.entered
            }
            CfaRule::Expression(_) => false,
        })
    }
}

/// The table with what its common entries say of signed return addresses and tagged stacks taken out:
/// `B` and `G` in their augmentation strings, which have no data (`aadwarf64` §4.3), and which the
/// reader does not know. Nothing where there is none, as everywhere but on aarch64.
fn without_signatures(bytes: &[u8]) -> Option<Vec<u8>> {
    /// Marks frames of signal handlers, of which nothing is asked here; it has no data either.
    const NEUTRAL: u8 = b'S';
    let mut plain: Option<Vec<u8>> = None;
    let mut at = 0;
    // Lengths of 64 bits, which no linker writes, end the walk, as the end of the table does.
    while let Some(length) = word32(bytes, at).filter(|n| !matches!(*n, 0 | u32::MAX)) {
        const STRING: usize = 9;
        let common = word32(bytes, at + 4) == Some(0);
        let string = text(bytes, at + STRING).filter(|s| common && s.len() < 16);
        for (n, _) in string
            .into_iter()
            .flat_map(|s| s.iter().enumerate())
            .filter(|(_, c)| b"BG".contains(c))
        {
            plain.get_or_insert_with(|| bytes.to_vec())[at + STRING + n] = NEUTRAL;
        }
        at = match at.checked_add(4 + length as usize) {
            Some(next) => next,
            None => break,
        };
    }
    plain
}
