//! Cuts the mapped memory into regions of one kind each.
//!
//! What is executable or writable comes from the segments, because they are what is mapped;
//! sections only cut finer and tell code from data inside one executable segment.

use object::elf;

use super::header::{Header, Section, agrees};
use super::memory::{Memory, Segment};
use super::relocations::{Kind, Relocation};
use crate::image::Region;

/// Regions at the file's own addresses, ascending, without overlap.
pub(crate) fn cut(memory: &Memory, header: &Header) -> Vec<Region> {
    let mut sections: Vec<&Section> = header
        .sections
        .iter()
        .filter(|s| s.flags & elf::SHF_ALLOC.0 != 0 && s.size > 0)
        // The zero part of the thread-local template takes no memory in the image.
        .filter(|s| !(s.flags & elf::SHF_TLS.0 != 0 && s.kind == elf::SHT_NOBITS.0))
        .filter(|s| agrees(memory, s))
        .collect();
    sections.sort_by_key(|s| (s.address, s.size));
    let mut regions = Vec::new();
    let mut sections = sections.into_iter().peekable();
    for segment in &memory.segments {
        let mut at = segment.address;
        while let Some(section) = sections.next_if(|s| s.address < segment.end()) {
            if section.address < at {
                // Overlaps what came before: one of the two lies, the cut before stands.
                continue;
            }
            gap(&mut regions, header, segment, at..section.address);
            let range = section.address..section.address + section.size;
            at = range.end;
            let code = section.flags & elf::SHF_EXECINSTR.0 != 0;
            regions.push(Region {
                executable: segment.executable && code,
                writable: writable(header, segment, &range),
                linkage: section.name.starts_with(b".got"),
                set: is_identifier(&section.name),
                mixed: false,
                range,
            });
        }
        gap(&mut regions, header, segment, at..segment.end());
    }
    regions
}

/// Whether the linker defines symbols for both ends of a section of this name, if anybody asks for them
/// (`__start_NAME`, `__stop_NAME`; ld(1)).
fn is_identifier(name: &[u8]) -> bool {
    let part = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    name.first().is_some_and(|b| !b.is_ascii_digit()) && name.iter().all(part)
}

/// Mapped bytes that no section claims. Without any sections that is the whole segment; with
/// them it is padding, headers, or something that hides, and then it counts as code if it can
/// run.
fn gap(
    regions: &mut Vec<Region>,
    header: &Header,
    segment: &Segment,
    mut range: std::ops::Range<u64>,
) {
    // The file's own header runs only in files that hide something there; control that goes there goes
    // where there is no code, and that is told.
    let heads = segment.executable && segment.offset == 0;
    if heads && range.start == segment.address {
        let end = segment.address.saturating_add(header.head).min(range.end);
        regions.push(Region {
            executable: false,
            writable: segment.writable,
            linkage: false,
            set: false,
            mixed: false,
            range: range.start..end,
        });
        range.start = end;
    }
    if range.is_empty() {
        return;
    }
    // A segment that begins with the file's header has constants too; without sections nothing tells
    // where.
    let mixed = heads && header.sections.is_empty();
    // Without sections the linkage table cannot be told from other protected data; both are
    // read-only once the loader is done, which is what counts.
    let protected = header.relro.start.clamp(range.start, range.end)
        ..header.relro.end.clamp(range.start, range.end);
    let mut push = |range: std::ops::Range<u64>| {
        if !range.is_empty() {
            regions.push(Region {
                executable: segment.executable,
                writable: writable(header, segment, &range),
                linkage: false,
                set: false,
                mixed,
                range,
            });
        }
    };
    push(range.start..protected.start);
    push(protected.clone());
    push(protected.end..range.end);
}

/// Without sections the linkage table is known by its relocations: the words of `DT_JMPREL`
/// stand next to each other, in a segment that stays writable unless everything is bound at once.
pub(crate) fn mark_linkage(regions: &mut Vec<Region>, relocations: &[Relocation]) {
    let words = relocations.iter();
    let words = words.filter(|r| r.kind == Kind::Call).map(|r| r.at);
    let (Some(first), Some(last)) = (words.clone().min(), words.clone().max()) else {
        return;
    };
    // A table with gaps is no linkage table.
    let end = last.saturating_add(8);
    if (end - first) / 8 > words.count() as u64 {
        return;
    }
    let whole = |r: &Region| r.range.start <= first && end <= r.range.end && r.writable;
    let Some(at) = regions.iter().position(whole) else {
        return;
    };
    let region = regions.remove(at);
    let parts = [
        (region.range.start..first, false),
        (first..end, true),
        (end..region.range.end, false),
    ];
    let parts = parts.into_iter().filter(|(range, _)| !range.is_empty());
    let parts = parts.map(|(range, linkage)| Region {
        range,
        linkage,
        ..region.clone()
    });
    regions.splice(at..at, parts);
}

fn writable(header: &Header, segment: &Segment, range: &std::ops::Range<u64>) -> bool {
    let protected = range.start >= header.relro.start && range.end <= header.relro.end;
    segment.writable && !protected
}
