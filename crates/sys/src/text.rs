//! The code of this program, for one that forks often.
#![expect(
    unsafe_code,
    reason = "raw system calls on the program's own mapping, and a page in it"
)]

use std::ffi::{c_int, c_void};

/// `MADV_POPULATE_READ`, `MADV_COLLAPSE`, `MADV_GUARD_INSTALL` and `MADV_GUARD_REMOVE` of linux/mman.h.
const POPULATE_READ: c_int = 22;
const COLLAPSE: c_int = 25;
const GUARD_INSTALL: c_int = 102;
const GUARD_REMOVE: c_int = 103;

const PAGE: usize = 4096;
/// What one entry of the next level of a page table maps where pages are of that size.
const LARGE: usize = 2 << 20;

/// How the children of this process come by their code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// As large pages: by one fault for each.
    Large,
    /// They begin with it mapped.
    Copied,
    /// By a fault for each 64 KiB that they come by.
    Small,
}

// One page among the code that holds none, of instructions that nobody may execute.
#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".pushsection .text.portcullis_spare, \"ax\", @progbits",
    ".balign 4096, 0xcc",
    ".globl portcullis_spare",
    ".hidden portcullis_spare",
    "portcullis_spare:",
    ".fill 4096, 1, 0xcc",
    ".popsection",
);
#[cfg(target_arch = "aarch64")]
std::arch::global_asm!(
    ".pushsection .text.portcullis_spare, \"ax\", @progbits",
    ".balign 4096",
    ".globl portcullis_spare",
    ".hidden portcullis_spare",
    "portcullis_spare:",
    ".fill 1024, 4, 0xd4200000",
    ".popsection",
);

unsafe extern "C" {
    static portcullis_spare: [u8; PAGE];
}

/// Has what this process forks from now on find its code at less cost.
///
/// Fork copies the mapping of a file's pages only where it has to (`vma_needs_copy` of the kernel's memory.c), so that a
/// child finds the code of its program by one page fault for each 64 KiB that it comes by. That is least where the code is in
/// large pages, which the kernel makes of a file in memory when it is asked to (`MADV_COLLAPSE`, Linux 6.1) and the segment
/// has a whole one at its place. Else the mapping can be copied: fork has to where a guard is or was among the pages
/// (`MADV_GUARD_INSTALL`, of files since Linux 6.15: `anon_vma_prepare` in `madvise_guard_install`). What is copied, 4 KiB by
/// 4 KiB, is taken apart again when the child ends, which is why it comes second.
pub fn ease_forks() -> Found {
    let Some((begin, length)) = code() else {
        return Found::Small;
    };
    let advise = |address: *const c_void, length, advice| {
        // SAFETY: the range is of this program's code, which POPULATE_READ and COLLAPSE leave as it is, or it is the spare
        // page, which nobody executes or reads while a guard is there.
        unsafe { libc::madvise(address.cast_mut(), length, advice) == 0 }
    };
    if let Some((large, whole)) = large(begin.addr(), length)
        && advise(std::ptr::with_exposed_provenance(large), whole, COLLAPSE)
    {
        return Found::Large;
    }
    let spare = (&raw const portcullis_spare).cast();
    let copied = advise(spare, PAGE, GUARD_INSTALL)
        && advise(spare, PAGE, GUARD_REMOVE)
        && advise(begin, length, POPULATE_READ);
    match copied {
        true => Found::Copied,
        false => Found::Small,
    }
}

/// What of a range could be large pages, when that is most of it.
fn large(begin: usize, length: usize) -> Option<(usize, usize)> {
    let first = begin.next_multiple_of(LARGE);
    let whole = (begin + length).checked_sub(first)? / LARGE * LARGE;
    (whole > length / 2).then_some((first, whole))
}

/// Where the segment of the spare page is, whole pages.
fn code() -> Option<(*const c_void, usize)> {
    // SAFETY: asks for a number.
    let auxiliary = |kind| unsafe { libc::getauxval(kind) } as usize;
    let (headers, count) = (auxiliary(libc::AT_PHDR), auxiliary(libc::AT_PHNUM));
    let headers = std::ptr::with_exposed_provenance::<libc::Elf64_Phdr>(headers);
    if headers.is_null() || auxiliary(libc::AT_PAGESZ) != PAGE {
        return None;
    }
    // SAFETY: the kernel says that the program's headers are there, so many; they are mapped as long as it runs, read-only.
    let all = unsafe { std::slice::from_raw_parts(headers, count) };
    // They say themselves where they would be if the program were at 0.
    let own = all.iter().find(|header| header.p_type == libc::PT_PHDR);
    let moved = own.map_or(0, |own| headers.addr().wrapping_sub(own.p_vaddr as usize));
    let spare = (&raw const portcullis_spare).addr();
    all.iter().find_map(|header| {
        let begin = moved.wrapping_add(header.p_vaddr as usize);
        let end = begin.wrapping_add(header.p_filesz as usize);
        let is_there = header.p_type == libc::PT_LOAD && (begin..end).contains(&spare);
        let first = begin - begin % PAGE;
        is_there.then(|| {
            let length = (end - first).next_multiple_of(PAGE);
            (std::ptr::with_exposed_provenance(first), length)
        })
    })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;
    use crate::namespace::Namespaces;
    use crate::spawn::{self, Side};
    use crate::{process, wait};

    /// Of the code, in KiB, what a process has mapped.
    fn mapped(pid: i32) -> u64 {
        let begin = code().unwrap().0.addr();
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
        let mut lines = text.lines();
        lines
            .find(|line| line.starts_with(&format!("{begin:x}-")))
            .unwrap();
        let size = lines.find_map(|line| line.strip_prefix("Rss:")).unwrap();
        size.trim().trim_end_matches(" kB").parse().unwrap()
    }

    fn of_a_child() -> u64 {
        // SAFETY: the child does nothing until it is killed.
        let (pid, handle) = match unsafe { spawn::clone_process(Namespaces::NONE) }.unwrap() {
            Side::Child => loop {
                std::hint::spin_loop();
            },
            Side::Parent(pid, handle) => (pid, handle),
        };
        let mapped = mapped(pid);
        process::signal_process(handle.as_fd(), libc::SIGKILL).unwrap();
        wait::next_of(pid).unwrap();
        mapped
    }

    /// Of the kernel.
    fn release() -> (u32, u32) {
        let text = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let mut numbers = text.split(['.', '-']).map(|number| number.parse().unwrap());
        (numbers.next().unwrap(), numbers.next().unwrap())
    }

    #[test]
    fn a_child_has_what_its_parent_has() {
        let own = || mapped(i32::try_from(std::process::id()).unwrap());
        let before = of_a_child();
        assert!(before < own(), "{before} {}", own());
        let whole = code().unwrap().1 as u64 >> 10;
        match ease_forks() {
            Found::Copied => {
                assert!(release() >= (6, 15));
                assert_eq!((of_a_child(), own()), (whole, whole));
            }
            Found::Small => {
                assert!(release() < (6, 15));
                assert!(of_a_child() < own());
            }
            // This file may happen to lie so that it can be, and its file system may have such pages.
            Found::Large => assert_eq!(own(), whole),
        }
    }

    #[test]
    fn large_pages_are_whole_and_most_of_it() {
        assert_eq!(large(0, LARGE), Some((0, LARGE)));
        assert_eq!(large(LARGE, LARGE + PAGE), Some((LARGE, LARGE)));
        assert_eq!(large(LARGE - PAGE, LARGE + 2 * PAGE), Some((LARGE, LARGE)));
        assert_eq!(large(LARGE, LARGE - PAGE), None);
        assert_eq!(large(PAGE, LARGE), None);
        assert_eq!(large(PAGE, 2 * LARGE), None);
    }
}
