//! Where the code lies that a filter is about.
//!
//! What a program starts inherits its filters, and none can be taken away. A filter that looks at calls of the
//! program's own code alone lets all others pass: they are made by what was started, whose code lies elsewhere, and
//! which is under full tracing until it has a filter itself. (Where it lies in the same place by chance, its calls stop
//! once more often than they would.) It holds as long as the program has no other code than it had: calls that can add
//! some are never free under it, and end it.

use std::fs;

use portcullis_bpf::{Instruction, Program};
use portcullis_sys::seccomp;

use super::made::Made;
use crate::image::Image;
use crate::memory::Memory;

/// Most stretches of code: what is compared at each unknown call of everybody below, and reached by a jump of one byte.
const MOST: usize = 48;

/// Stretches of code, as the values of the instruction pointer that calls of it have: behind the instruction that makes
/// the call (`KSTK_EIP` in `populate_seccomp_data` of the kernel's `seccomp.c`). By upper words: first and last lower words.
pub(super) struct Bounds(Vec<(u32, Vec<(u32, u32)>)>);

impl Bounds {
    /// Of the code that `tid` has now; `None` when that cannot be told for good, or not by few comparisons.
    pub(super) fn of(tid: i32) -> Option<Bounds> {
        if maps_all_as_code(tid) {
            return None;
        }
        Bounds::around_code(&Image::of(tid).code()?)
    }

    /// Around stretches from their first byte to behind their last, in ascending order.
    fn around_code(code: &[(u64, u64)]) -> Option<Bounds> {
        let mut words: Vec<(u32, Vec<(u32, u32)>)> = Vec::new();
        let upper = |address: u64| (address >> 32) as u32;
        for (start, end) in code {
            let first = start.checked_add(1)?;
            for word in upper(first)..=upper(*end) {
                let from = if word == upper(first) {
                    first as u32
                } else {
                    0
                };
                let to = if word == upper(*end) {
                    *end as u32
                } else {
                    u32::MAX
                };
                match words.last_mut().filter(|(known, _)| *known == word) {
                    Some((_, stretches)) => stretches.push((from, to)),
                    None => words.push((word, vec![(from, to)])),
                }
                if words
                    .iter()
                    .map(|(_, stretches)| stretches.len())
                    .sum::<usize>()
                    > MOST
                {
                    return None;
                }
            }
        }
        Some(Bounds(words))
    }

    /// `filter` with what it asks about asked for calls of this code alone: of others it is allowed. `None` when that would
    /// be too long for a filter. Where the code lies is looked at last, so that the kernel still knows by its number that
    /// a call is always allowed (`seccomp_cache_prepare` of its `seccomp.c`), and does not run the filter for it.
    pub(super) fn around(&self, filter: &Program) -> Option<Program> {
        const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
        const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        const GREATER: u32 = libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K;
        const NOT_LESS: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
        const ALWAYS: u32 = libc::BPF_JMP | libc::BPF_JA;
        const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
        /// `instruction_pointer` of `struct seccomp_data`: its lower word; the upper follows.
        const POINTER: u32 = 8;
        // Goes on with the next one where it holds, and `otherwise` further on where it does not.
        let row = |code: u32, k, otherwise: usize| Instruction {
            code: code as u16,
            jt: 0,
            jf: otherwise as u8,
            k,
        };
        let (asks, allows) = (
            row(RETURN, seccomp::RET_TRACE, 0),
            row(RETURN, seccomp::RET_ALLOW, 0),
        );
        // The last comes first, so that it is known how far the end is.
        let mut reversed = vec![asks, allows];
        for (upper, stretches) in self.0.iter().rev() {
            let behind = reversed.len();
            reversed.push(allows);
            for (first, last) in stretches.iter().rev() {
                reversed.push(row(GREATER, *last, reversed.len() - 1));
                reversed.push(row(NOT_LESS, *first, 1));
            }
            reversed.push(row(LOAD, POINTER, 0));
            reversed.push(row(EQUAL, *upper, reversed.len() - behind));
        }
        reversed.push(row(LOAD, POINTER + 4, 0));
        let own = filter.instructions();
        let looked_up = |(at, instruction): (usize, &Instruction)| match *instruction == asks {
            true => row(ALWAYS, (own.len() - at - 1) as u32, 0),
            false => *instruction,
        };
        let all = own.iter().enumerate().map(looked_up);
        Program::new(all.chain(reversed.into_iter().rev()).collect()).ok()
    }

    /// Whether a call with this instruction pointer is of this code.
    pub(super) fn hold(&self, ip: u64) -> bool {
        let lower = ip as u32;
        let held = |(upper, stretches): &(u32, Vec<(u32, u32)>)| {
            u64::from(*upper) == ip >> 32
                && stretches
                    .iter()
                    .any(|(first, last)| (*first..=*last).contains(&lower))
        };
        self.0.iter().any(held)
    }

    /// Whether a call with these arguments ends them: it can add code, or begins a task that could.
    pub(super) fn end_by(&self, made: &Made, args: &[u64; 6]) -> bool {
        match made.name() {
            // What was not code before is none elsewhere.
            Some("mremap") if made.is_native() => self.touch(args[0], args[1]),
            _ => adds_code(made),
        }
    }

    /// Whether any of it lies in `size` bytes from `start` on.
    fn touch(&self, start: u64, size: u64) -> bool {
        // Nothing may mean all that is mapped there (mremap(2)).
        let end = start.saturating_add(size.max(1));
        self.0.iter().any(|(upper, stretches)| {
            let whole = |lower: u32| u64::from(*upper) << 32 | u64::from(lower);
            // Behind its first byte to its end.
            let mut all = stretches
                .iter()
                .map(|(from, to)| (whole(*from), whole(*to)));
            all.any(|(from, to)| from <= end && start < to)
        })
    }
}

/// Whether what can be read can be executed as well in `tid` (personality(2)): then each mapping may add code.
fn maps_all_as_code(tid: i32) -> bool {
    let text = fs::read_to_string(format!("/proc/{tid}/personality"));
    let persona = text
        .ok()
        .and_then(|text| u32::from_str_radix(text.trim(), 16).ok());
    persona.is_none_or(|persona| persona & libc::READ_IMPLIES_EXEC as u32 != 0)
}

/// Whether a call can add code to a program, or begins a task that shares its memory and could. The flags of `clone3` lie
/// in memory ([`begins_sharer`]).
pub(super) fn adds_code(made: &Made) -> bool {
    let (Some(name), true) = (made.name(), made.is_native()) else {
        return true;
    };
    let argument = |index| {
        let mut all = made.arguments();
        all.find_map(|(place, value)| (place.index == index).then_some(value))
    };
    match name {
        "mmap" | "mprotect" | "pkey_mprotect" => {
            argument(2).is_none_or(|protection| protection & libc::PROT_EXEC as u64 != 0)
        }
        "clone" => argument(0).is_none_or(are_of_sharer),
        // Some operations of the last map a vdso (ARCH_MAP_VDSO_64 of `asm/prctl.h`).
        "mremap" | "remap_file_pages" | "shmat" | "uselib" | "personality" | "arch_prctl" => true,
        _ => false,
    }
}

/// Whether `clone3`, which finds its flags at `address` (the first field of `struct clone_args`), begins such a task.
pub(super) fn begins_sharer(tid: i32, address: u64) -> bool {
    let flags = Memory::open(tid)
        .ok()
        .and_then(|memory| memory.word(address));
    flags.is_none_or(are_of_sharer)
}

/// Flags of a task that runs in the memory of its creator while that runs too.
fn are_of_sharer(flags: u64) -> bool {
    flags & libc::CLONE_VM as u64 != 0 && flags & libc::CLONE_VFORK as u64 == 0
}

#[cfg(test)]
mod tests {
    use portcullis_bpf::run;
    use portcullis_policy::Call;
    use proptest::prelude::*;

    use super::*;

    /// The call that the filter within knows.
    const KNOWN: u32 = 7;

    fn answer(bounds: &Bounds, number: u32, ip: u64) -> u32 {
        let row = |code, jf, k| Instruction {
            code: code as u16,
            jt: 0,
            jf,
            k,
        };
        let within = Program::new(vec![
            row(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
            row(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, KNOWN),
            row(libc::BPF_RET | libc::BPF_K, 0, seccomp::RET_ALLOW),
            row(libc::BPF_RET | libc::BPF_K, 0, seccomp::RET_TRACE),
        ]);
        let call = Call {
            arch: 0,
            number,
            ip,
            args: [0; 6],
        };
        run(&bounds.around(&within.unwrap()).unwrap(), &call)
    }

    fn asks(bounds: &Bounds, ip: u64) -> bool {
        assert_eq!(answer(bounds, KNOWN, ip), seccomp::RET_ALLOW);
        answer(bounds, KNOWN + 1, ip) == seccomp::RET_TRACE
    }

    proptest! {
        #[test]
        fn unknown_calls_of_the_code_are_asked_about_and_others_are_not(
            edges in prop::collection::btree_set(0_u64..16 << 30, 2..=2 * MOST),
            near in prop::collection::vec((any::<prop::sample::Index>(), -1_i64..=1), 32),
        ) {
            let edges: Vec<u64> = edges.into_iter().collect();
            let code: Vec<(u64, u64)> = edges.as_chunks::<2>().0.iter().map(|[a, b]| (*a, *b)).collect();
            let Some(bounds) = Bounds::around_code(&code) else {
                // Stretches that cross a multiple of 4 GiB are several.
                return Ok(());
            };
            for (edge, away) in near {
                let Some(ip) = edge.get(&edges).checked_add_signed(away) else { continue };
                let inside = code.iter().any(|(start, end)| *start < ip && ip <= *end);
                prop_assert_eq!(asks(&bounds, ip), inside, "{:#x} {:x?}", ip, &code);
                prop_assert_eq!(bounds.hold(ip), inside, "{:#x} {:x?}", ip, &code);
                let page = code.iter().any(|(start, end)| *start <= ip && ip < *end);
                prop_assert_eq!(bounds.touch(ip, 0), page, "{:#x} {:x?}", ip, &code);
            }
        }
    }

    #[test]
    fn a_program_has_bounds_unless_its_code_can_be_written() {
        let own = Bounds::of(std::process::id().cast_signed()).unwrap();
        let here = a_program_has_bounds_unless_its_code_can_be_written as fn() as usize as u64;
        assert!(asks(&own, here + 1));
        assert!(!asks(&own, &raw const own as u64));
        assert!(Bounds::around_code(&[(0, 1 << 40)]).is_none());
    }
}
