//! The ELF header, segments and sections, checked: what comes out of here lies in the file and
//! does not overflow.

use object::elf;
use portcullis_abi::Arch;

use super::Malformed;
use super::memory::{Memory, Segment, text, word16, word32, word64};

/// Everything at and above is where other objects are placed ([`crate::link`]).
pub(crate) const FIRST_BASE: u64 = 0x7000_0000_0000;
/// The widest object: sixteen times the largest known one (a browser with its `.bss`).
const MOST_SPAN: u64 = 64 << 30;
/// The pages of x86_64, and the smallest of aarch64, whose kernels may have larger ones (16 or 64 KiB):
/// the kernel maps and protects by them. What is protected by small pages only, a program that runs
/// with those does not write to, and it is the same program where pages are larger.
pub(crate) const PAGE: u64 = 4096;

/// Bytes of an ELF file's header (`Elf64_Ehdr`).
const HEADER: u64 = 64;

/// What the headers say.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) arch: Arch,
    /// `ET_EXEC`: runs at the addresses in the file and nowhere else.
    pub(crate) fixed: bool,
    /// How many bytes the ELF header takes at the file's beginning, with the program headers when these
    /// follow it.
    pub(crate) head: u64,
    pub(crate) entry: u64,
    pub(crate) segments: Vec<Segment>,
    /// `PT_GNU_RELRO`, rounded to the pages that are protected.
    pub(crate) relro: std::ops::Range<u64>,
    /// It asks for stacks whose content can run: its `PT_GNU_STACK` says so, or is missing.
    pub(crate) executable_stack: bool,
    /// `PT_DYNAMIC`.
    pub(crate) dynamic: Option<u64>,
    /// `PT_GNU_EH_FRAME`.
    pub(crate) unwind_header: Option<u64>,
    /// `PT_TLS`: what every thread's block starts as.
    pub(crate) thread_template: Option<std::ops::Range<u64>>,
    pub(crate) interpreter: Option<Vec<u8>>,
    /// Empty where there are none, or none that can be trusted.
    pub(crate) sections: Vec<Section>,
}

/// A section that lies in the file (or takes no bytes of it).
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) name: Vec<u8>,
    pub(crate) kind: u32,
    pub(crate) flags: u64,
    pub(crate) address: u64,
    pub(crate) offset: usize,
    pub(crate) size: u64,
    pub(crate) link: u32,
}

impl Section {
    /// Its bytes; none for `SHT_NOBITS`.
    pub(crate) fn bytes<'a>(&self, file: &'a [u8]) -> &'a [u8] {
        if self.kind == elf::SHT_NOBITS.0 {
            return &[];
        }
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        file.get(self.offset..self.offset.saturating_add(size))
            .unwrap_or(&[])
    }
}

/// Reads the headers of `file`.
pub(crate) fn read(file: &[u8]) -> Result<Header, Malformed> {
    if !file.starts_with(&elf::ELFMAG) {
        return Err(Malformed::NotElf);
    }
    let truncated = || Malformed::Truncated("ELF header");
    let class = *file.get(4).ok_or_else(truncated)?;
    let order = *file.get(5).ok_or_else(truncated)?;
    let machine = word16(file, 18).ok_or_else(truncated)?;
    let foreign = || Malformed::Foreign { class, machine };
    if class != elf::ELFCLASS64.0 || order != elf::ELFDATA2LSB.0 {
        return Err(foreign());
    }
    let arch = match elf::Machine(machine) {
        elf::EM_X86_64 => Arch::X86_64,
        elf::EM_AARCH64 => Arch::Aarch64,
        _ => return Err(foreign()),
    };
    if file.len() < 64 {
        return Err(truncated());
    }
    let fixed = match word16(file, 16) {
        Some(t) if t == elf::ET_EXEC.0 => true,
        Some(t) if t == elf::ET_DYN.0 => false,
        Some(t) => return Err(Malformed::Kind(t)),
        None => return Err(truncated()),
    };
    let mut header = Header {
        arch,
        fixed,
        head: HEADER,
        entry: word64(file, 24).ok_or_else(truncated)?,
        segments: Vec::new(),
        relro: 0..0,
        executable_stack: true,
        dynamic: None,
        unwind_header: None,
        thread_template: None,
        interpreter: None,
        sections: Vec::new(),
    };
    header.program_headers(file)?;
    header.check_segments()?;
    header.sections = sections(file);
    Ok(header)
}

impl Header {
    fn program_headers(&mut self, file: &[u8]) -> Result<(), Malformed> {
        let truncated = || Malformed::Truncated("program headers");
        let table = word64(file, 32).ok_or_else(truncated)?;
        let size = word16(file, 54).ok_or_else(truncated)?;
        let count = word16(file, 56).ok_or_else(truncated)?;
        // The kernel refuses any other size (`load_elf_phdrs`, fs/binfmt_elf.c).
        if size != 56 {
            return Err(Malformed::Field("e_phentsize"));
        }
        if count == 0 {
            return Err(Malformed::Field("e_phnum"));
        }
        if table == HEADER {
            self.head = HEADER + 56 * u64::from(count);
        }
        for n in 0..u64::from(count) {
            let at = table.checked_add(n * 56).ok_or_else(truncated)?;
            let at = usize::try_from(at).map_err(|_| truncated())?;
            let end = at.checked_add(56).ok_or_else(truncated)?;
            self.program_header(file, file.get(at..end).ok_or_else(truncated)?)?;
        }
        Ok(())
    }

    fn program_header(&mut self, file: &[u8], entry: &[u8]) -> Result<(), Malformed> {
        let field = |at| word64(entry, at).unwrap_or(0);
        let half = |at| word32(entry, at).unwrap_or(0);
        let (kind, flags) = (half(0), half(4));
        let (offset, address, from_file, size) = (field(8), field(16), field(32), field(40));
        let end = address.checked_add(size);
        match kind {
            k if k == elf::PT_LOAD.0 && size > 0 => {
                // What takes nothing from the file may lie behind its end.
                let past = offset.checked_add(from_file);
                if past.is_none_or(|end| end > file.len() as u64 && from_file > 0) {
                    return Err(Malformed::Truncated("segment"));
                }
                if end.is_none() || from_file > size {
                    return Err(Malformed::Field("p_memsz"));
                }
                if offset % PAGE != address % PAGE {
                    return Err(Malformed::Field("p_offset"));
                }
                self.segments.push(Segment {
                    address,
                    size,
                    offset: usize::try_from(offset).unwrap_or(usize::MAX),
                    from_file,
                    readable: flags & elf::PF_R.0 != 0,
                    writable: flags & elf::PF_W.0 != 0,
                    executable: flags & elf::PF_X.0 != 0,
                });
            }
            // The loader protects whole pages only, and rounds the end down
            // (`_dl_protect_relro`, elf/dl-reloc.c; the same in musl's `reloc_all`).
            k if k == elf::PT_GNU_RELRO.0 => {
                let end = end.ok_or(Malformed::Field("p_memsz"))?;
                self.relro = address & !(PAGE - 1)..end & !(PAGE - 1);
            }
            k if k == elf::PT_GNU_STACK.0 => self.executable_stack = flags & elf::PF_X.0 != 0,
            k if k == elf::PT_DYNAMIC.0 => self.dynamic = Some(address),
            k if k == elf::PT_GNU_EH_FRAME.0 => self.unwind_header = Some(address),
            k if k == elf::PT_TLS.0 => {
                let end = address.checked_add(from_file);
                self.thread_template = end.map(|end| address..end);
            }
            k if k == elf::PT_INTERP.0 => {
                // The kernel's own bounds: `PATH_MAX`, NUL-terminated.
                let start = usize::try_from(offset).ok();
                let path = start.and_then(|at| text(file, at));
                let path = path.filter(|p| !p.is_empty() && p.len() < 4096);
                self.interpreter = Some(path.ok_or(Malformed::Field("PT_INTERP"))?.to_vec());
            }
            _ => {}
        }
        Ok(())
    }

    fn check_segments(&mut self) -> Result<(), Malformed> {
        let (Some(first), Some(last)) = (self.segments.first(), self.segments.last()) else {
            return Err(Malformed::NoSegments);
        };
        let span = last.end().checked_sub(first.address & !(PAGE - 1));
        if span.is_none_or(|span| span > MOST_SPAN) || last.end() > FIRST_BASE {
            return Err(Malformed::Span);
        }
        for pair in self.segments.windows(2) {
            let [a, b] = pair else { continue };
            // Two mappings of one page show the later one's bytes, so they must agree.
            let shared = b.address & !(PAGE - 1) < a.end();
            let moved =
                a.address.wrapping_sub(a.offset as u64) != b.address.wrapping_sub(b.offset as u64);
            if b.address < a.end() || (shared && moved) {
                return Err(Malformed::Overlap);
            }
        }
        Ok(())
    }
}

/// The sections; none when the table is missing or wrong in any way, since nothing needs them.
fn sections(file: &[u8]) -> Vec<Section> {
    read_sections(file).unwrap_or_default()
}

fn read_sections(file: &[u8]) -> Option<Vec<Section>> {
    let table = usize::try_from(word64(file, 40)?).ok()?;
    if table == 0 || word16(file, 58)? != 64 {
        return None;
    }
    let entry = |n: usize| -> Option<&[u8]> {
        let at = table.checked_add(n.checked_mul(64)?)?;
        file.get(at..at.checked_add(64)?)
    };
    // More than 65279 sections: the first entry holds what the header's fields cannot.
    let count = match word16(file, 60)? {
        0 => usize::try_from(word64(entry(0)?, 32)?).ok()?,
        n => usize::from(n),
    };
    let names = match word16(file, 62)? {
        0xffff => usize::try_from(word32(entry(0)?, 40)?).ok()?,
        n => usize::from(n),
    };
    // Bounded by the file before anything is allocated.
    entry(count.checked_sub(1)?)?;
    let mut all = Vec::with_capacity(count);
    for n in 0..count {
        let e = entry(n)?;
        let section = Section {
            name: Vec::new(),
            kind: word32(e, 4)?,
            flags: word64(e, 8)?,
            address: word64(e, 16)?,
            offset: usize::try_from(word64(e, 24)?).ok()?,
            size: word64(e, 32)?,
            link: word32(e, 40)?,
        };
        section.address.checked_add(section.size)?;
        let end = (section.offset as u64).checked_add(section.size)?;
        if section.kind != elf::SHT_NOBITS.0 && n > 0 && end > file.len() as u64 {
            return None;
        }
        all.push((word32(e, 0)?, section));
    }
    let strings = all.get(names).map_or(&[][..], |(_, s)| s.bytes(file));
    let named = all.iter().map(|(name, section)| {
        // Only the start is looked at: strings of one table may overlap.
        let name = strings.get(*name as usize..).unwrap_or(b"");
        let name = &name[..name.len().min(64)];
        let end = name.iter().position(|&b| b == 0).unwrap_or(name.len());
        let name = name[..end].to_vec();
        Section {
            name,
            ..section.clone()
        }
    });
    Some(named.collect())
}

/// Whether a section's place agrees with the segment it claims to be part of: the segments are
/// what is mapped, so a section that says otherwise is not believed.
pub(crate) fn agrees(memory: &Memory, section: &Section) -> bool {
    let Some(segment) = memory.segment(section.address) else {
        return false;
    };
    let skip = section.address - segment.address;
    let inside = section.address + section.size <= segment.end();
    let same_bytes = section.kind == elf::SHT_NOBITS.0
        || (segment.offset as u64 + skip == section.offset as u64
            && skip + section.size <= segment.from_file);
    inside && same_bytes
}
