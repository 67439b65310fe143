//! Unwinds the stack of a stopped task by the unwind tables in its own memory, where these have nothing by
//! `.debug_frame` of the files, and where there is neither by the code itself.
//!
//! Tables and stack belong to a process that may be hostile: sizes, depth and steps are bounded,
//! and nothing is decided by the result.

mod code;
mod convention;

use std::collections::HashMap;

use gimli::{
    BaseAddresses, CfaRule, DebugFrame, EhFrame, EhFrameHdr, EndianSlice, EvaluationResult,
    Expression, FrameDescriptionEntry, LittleEndian, Location, ParsedEhFrameHdr, Register,
    RegisterRule, UnwindContext, UnwindOffset, UnwindSection, Value,
};
use object::read::elf::ElfFile64;
use object::{Endianness, Object as _, ObjectSection as _, ReadCache};
use portcullis_sys::registers::{Registers, SYSCALL_LENGTH};

use crate::denial::Frame;
use crate::files::Files;
use crate::image::{Image, Object};
use crate::memory::Memory;
use convention::{NATIVE, Row};

/// Most frames.
const DEPTH: usize = 64;
/// Largest `.debug_frame` that is read.
const DEBUG_FRAME: u64 = 64 << 20;
/// Most entries of one index; that of the largest browsers has about a million.
const ENTRIES: usize = 16 << 20;
/// Most operations of one expression.
const STEPS: u32 = 1000;
type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// The stack of a task that stands right after a system call instruction, that instruction first; the files of
/// its places are put into `files`.
pub(crate) fn walk(pid: i32, registers: &Registers, files: &mut Files) -> Vec<Frame> {
    let image = Image::of(pid);
    // The system call instruction itself.
    let first = registers.ip().wrapping_sub(SYSCALL_LENGTH);
    let Ok(memory) = Memory::open(pid) else {
        return vec![frame(&image, files, None, first, true)];
    };
    let signature = Registers::signature_bits(pid);
    let mut objects: HashMap<u64, Option<Loaded>> = HashMap::new();
    let mut frames = Vec::new();
    let mut row = Row::of(registers);
    // A return address may be the first byte of the next function: the call before it counts.
    let mut exact = false;
    let mut certain = true;
    while let (Some(pc), true) = (row.get(NATIVE.ip), frames.len() < DEPTH) {
        if pc == 0 || (!frames.is_empty() && !image.is_code(pc)) {
            break;
        }
        let looked_up = if exact { pc } else { pc.wrapping_sub(1) };
        let object = image.base(looked_up).and_then(|base| {
            objects
                .entry(base)
                .or_insert_with(|| load(&memory, &image, base))
                .as_ref()
        });
        let innermost = frames.is_empty();
        let shown = if innermost { first } else { pc };
        let loaded = object.map(|l| &l.object);
        frames.push(frame(&image, files, loaded, shown, certain));
        let next = (NATIVE.interrupted(&memory, &row).map(|next| (next, true)))
            .or_else(|| object.and_then(|loaded| by_table(&memory, loaded, &row, looked_up)));
        let next = next.map(|(next, signal)| (next, signal, true)).or_else(|| {
            let by_code = NATIVE.by_code(&memory, &image, &row);
            by_code.map(|(next, agreed)| (next, false, agreed))
        });
        let guessed = || {
            let caller = NATIVE.caller(&memory, &image, &row, innermost);
            caller.map(|next| (next, false, false))
        };
        let Some((mut next, signal, known)) = next.or_else(guessed) else {
            break;
        };
        certain &= known;
        let back = next.get(NATIVE.ip).map(|pc| pc & !signature);
        next.set(NATIVE.ip, back);
        // Each caller's frame lies higher, except behind a signal on a stack of its own, and of code
        // that had not made a frame.
        let (above, here) = (next.get(NATIVE.stack), row.get(NATIVE.stack));
        if !signal && (above < here || (above == here && !innermost && !exact)) {
            break;
        }
        exact = signal;
        row = next;
    }
    frames
}

fn frame(
    image: &Image,
    files: &mut Files,
    object: Option<&Object>,
    address: u64,
    certain: bool,
) -> Frame {
    Frame {
        address,
        object: image.name(address),
        file_address: object.map(|o| address.wrapping_sub(o.bias)),
        file: files.of(image, address),
        certain,
    }
}

/// An object and its unwind table.
struct Loaded {
    object: Object,
    /// Where `table` lies in the process.
    start: u64,
    /// `.eh_frame`, or from there to the end of its segment.
    table: Vec<u8>,
    /// `.debug_frame` of the file, whose addresses are not relocated.
    debug_frame: Vec<u8>,
}

fn load(memory: &Memory, image: &Image, base: u64) -> Option<Loaded> {
    let object = Image::object(memory, base)?;
    let bases = BaseAddresses::default().set_eh_frame_hdr(object.header);
    let header = EhFrameHdr::new(&object.header_bytes, LittleEndian).parse(&bases, 8);
    let (start, size) = match header.map(|h| h.eh_frame_ptr()) {
        Ok(gimli::Pointer::Direct(start)) => (start, object.segment_end.saturating_sub(start)),
        _ => image.table_section(base).map_or((0, 0), |(address, size)| {
            (object.bias.wrapping_add(address), size)
        }),
    };
    Some(Loaded {
        table: Image::table(memory, start, size),
        debug_frame: debug_frame(image, base).unwrap_or_default(),
        object,
        start,
    })
}

/// `.debug_frame` of the file that is mapped at `base`.
fn debug_frame(image: &Image, base: u64) -> Option<Vec<u8>> {
    let file = image.open(base)?;
    let cache = ReadCache::new(&file);
    let elf = ElfFile64::<Endianness, _>::parse(&cache).ok()?;
    let section = elf.section_by_name(".debug_frame")?;
    let size = section.compressed_file_range().ok()?.uncompressed_size;
    let bytes = (size <= DEBUG_FRAME).then(|| section.uncompressed_data())?;
    Some(bytes.ok()?.into_owned())
}

/// The caller's registers by the unwind tables, and whether this is a signal's frame.
fn by_table(memory: &Memory, loaded: &Loaded, row: &Row, pc: u64) -> Option<(Row, bool)> {
    let bases = BaseAddresses::default()
        .set_eh_frame_hdr(loaded.object.header)
        .set_eh_frame(loaded.start);
    let mut section = EhFrame::new(&loaded.table, LittleEndian);
    section.set_vendor(NATIVE.vendor);
    let header = EhFrameHdr::new(&loaded.object.header_bytes, LittleEndian).parse(&bases, 8);
    let header = header.ok();
    let entry = match header.as_ref().filter(|header| header.table().is_some()) {
        Some(header) => by_index(header, &section, &bases, pc),
        None => {
            let entry = section.fde_for_address(&bases, pc, EhFrame::cie_from_offset);
            entry.ok()
        }
    };
    let by_eh_frame = entry.and_then(|entry| {
        let next = by_entry(memory, &section, &bases, &entry, row, pc)?;
        Some((next, entry.is_signal_trampoline()))
    });
    by_eh_frame.or_else(|| {
        let bases = BaseAddresses::default();
        let mut section = DebugFrame::new(&loaded.debug_frame, LittleEndian);
        section.set_vendor(NATIVE.vendor);
        let pc = pc.wrapping_sub(loaded.object.bias);
        let entry = section.fde_for_address(&bases, pc, DebugFrame::cie_from_offset);
        let entry = entry.ok()?;
        let next = by_entry(memory, &section, &bases, &entry, row, pc)?;
        Some((next, entry.is_signal_trampoline()))
    })
}

/// The entry that the index of a table has for `pc`. How many there are and where they lie is what the file says, and gimli
/// computes with both.
fn by_index<'t>(
    header: &ParsedEhFrameHdr<Slice<'t>>,
    section: &EhFrame<Slice<'t>>,
    bases: &BaseAddresses,
    pc: u64,
) -> Option<FrameDescriptionEntry<Slice<'t>>> {
    let table = header.table()?;
    let (_, count) = table.iter(bases).size_hint();
    if count.is_none_or(|count| count > ENTRIES) {
        return None;
    }
    let found = table.lookup(pc, bases).ok()?;
    if found.direct().ok()? < header.eh_frame_ptr().direct().ok()? {
        return None;
    }
    let offset = table.pointer_to_offset(found).ok()?;
    let entry = section.fde_from_offset(bases, offset, EhFrame::cie_from_offset);
    entry.ok().filter(|entry| entry.contains(pc))
}

/// The caller's registers by one entry of a table.
fn by_entry<'t, S: UnwindSection<Slice<'t>>>(
    memory: &Memory,
    section: &S,
    bases: &BaseAddresses,
    entry: &FrameDescriptionEntry<Slice<'t>>,
    row: &Row,
    pc: u64,
) -> Option<Row>
where
    S::Offset: UnwindOffset<usize>,
{
    let mut context = UnwindContext::new();
    let rules = entry
        .unwind_info_for_address(section, bases, &mut context, pc)
        .ok()?;
    let encoding = entry.cie().encoding();
    let evaluate = |expression: Expression<Slice<'_>>, initial: Option<u64>| {
        expression_value(memory, row, expression, encoding, initial)
    };
    let cfa = match rules.cfa() {
        CfaRule::RegisterAndOffset { register, offset } => row
            .get(usize::from(register.0))?
            .wrapping_add_signed(*offset),
        CfaRule::Expression(e) => evaluate(e.get(section).ok()?, None)?,
    };
    let mut next = *row;
    for number in 0..NATIVE.registers {
        let register = Register(u16::try_from(number).ok()?);
        let value = match rules.register(register) {
            // Where the table is silent, registers that a callee saves keep their value (psABI),
            // and of the others nothing is known.
            None => row.get(number).filter(|_| NATIVE.saved.contains(&number)),
            // For the return address: this was the outermost frame.
            Some(RegisterRule::Undefined) => None,
            Some(RegisterRule::SameValue) => row.get(number),
            Some(RegisterRule::Offset(offset)) => memory.word(cfa.wrapping_add_signed(offset)),
            Some(RegisterRule::ValOffset(offset)) => Some(cfa.wrapping_add_signed(offset)),
            Some(RegisterRule::Register(other)) => row.get(usize::from(other.0)),
            Some(RegisterRule::Expression(e)) => e
                .get(section)
                .ok()
                .and_then(|e| evaluate(e, Some(cfa)))
                .and_then(|at| memory.word(at)),
            Some(RegisterRule::ValExpression(e)) => {
                e.get(section).ok().and_then(|e| evaluate(e, Some(cfa)))
            }
            Some(_) => None,
        };
        next.set(number, value);
    }
    let stack = Register(u16::try_from(NATIVE.stack).ok()?);
    if rules.register(stack).is_none() {
        next.set(NATIVE.stack, Some(cfa));
    }
    next.set(NATIVE.ip, next.get(NATIVE.return_address));
    Some(next)
}

/// Where the caller goes on and its stack, by table and by code, of the function at the entry point of a file that lies in
/// this process. Its stack is the file as well.
#[cfg(feature = "fuzz")]
pub(crate) fn by_memory(file: &[u8]) -> [Option<[Option<u64>; 2]>; 2] {
    let Ok(memory) = Memory::open(std::process::id().cast_signed()) else {
        return [None; 2];
    };
    // Of no process: nothing is mapped that was not given.
    let image = Image::of(-1);
    let base = file.as_ptr() as u64;
    let entry = file.get(24..32).and_then(|bytes| bytes.try_into().ok());
    let pc = base.wrapping_add(entry.map_or(0, u64::from_le_bytes));
    let mut row = Row::empty();
    for number in 0..NATIVE.registers {
        row.set(number, Some(base.wrapping_add(8 * number as u64)));
    }
    row.set(NATIVE.ip, Some(pc));
    let told = |row: &Row| [row.get(NATIVE.ip), row.get(NATIVE.stack)];
    let loaded = load(&memory, &image, base);
    let table = loaded.and_then(|loaded| by_table(&memory, &loaded, &row, pc));
    let code = NATIVE.by_code(&memory, &image, &row);
    [
        table.map(|(row, _)| told(&row)),
        code.map(|(row, _)| told(&row)),
    ]
}

fn expression_value(
    memory: &Memory,
    row: &Row,
    expression: Expression<Slice<'_>>,
    encoding: gimli::Encoding,
    initial: Option<u64>,
) -> Option<u64> {
    let mut evaluation = expression.evaluation(encoding);
    evaluation.set_max_iterations(STEPS);
    if let Some(value) = initial {
        evaluation.set_initial_value(value);
    }
    let mut result = evaluation.evaluate().ok()?;
    // Each answer below lets the evaluation take at least one more of its steps.
    for _ in 0..STEPS {
        result = match result {
            EvaluationResult::Complete => break,
            EvaluationResult::RequiresRegister { register, .. } => evaluation
                .resume_with_register(Value::Generic(row.get(usize::from(register.0))?))
                .ok()?,
            EvaluationResult::RequiresMemory { address, size, .. } => {
                let word = memory.word(address)?;
                let bits = u32::from(size).saturating_mul(8).min(64);
                let value = if bits == 64 {
                    word
                } else {
                    word & ((1 << bits) - 1)
                };
                evaluation.resume_with_memory(Value::Generic(value)).ok()?
            }
            _ => return None,
        };
    }
    match evaluation.result().first()?.location {
        Location::Address { address } => Some(address),
        Location::Value { value } => value.to_u64(u64::MAX).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an index of one entry finds, which says that there are so many, and where the entry is.
    fn found(count: u64, entry: u64) -> bool {
        // Words of eight bytes, not relative to anything (DW_EH_PE_udata8).
        let mut header = vec![1, 4, 4, 4];
        for word in [100, count, 0, entry] {
            header.extend_from_slice(&u64::to_le_bytes(word));
        }
        let bases = BaseAddresses::default().set_eh_frame(100);
        let header = EhFrameHdr::new(&header, LittleEndian).parse(&bases, 8);
        let section = EhFrame::new(&[0; 64], LittleEndian);
        by_index(&header.unwrap(), &section, &bases, 7).is_some()
    }

    #[test]
    fn an_index_that_lies_finds_nothing() {
        assert!(!found(1, 100));
        assert!(!found(1, 99));
        assert!(!found(u64::MAX, 100));
    }
}
