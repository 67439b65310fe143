//! What the kernel puts on the stack of a program that has executed nothing yet: one look tells how it was started,
//! and where its vdso is (the System V ABI's "initial process stack": number of arguments, their addresses, a zero,
//! those of the environment, a zero, the auxiliary vector).

use crate::memory::Memory;

/// Bytes of it that are looked at: the auxiliary vector lies behind an address for each argument and variable. The
/// first are enough for most; to look at all takes four times as long.
const LOOKED: [usize; 2] = [4096, 16384];
/// Bytes of an argument that are read.
const ARGUMENT: usize = 256;
/// `AT_SYSINFO_EHDR` and `AT_NULL` of `linux/auxvec.h`.
const AT_SYSINFO_EHDR: u64 = 33;
const AT_NULL: u64 = 0;

/// Of one program.
#[derive(Default)]
pub(super) struct FirstStack {
    /// Its name and its first argument.
    pub(super) words: Vec<Vec<u8>>,
    /// Where its vdso begins.
    pub(super) vdso: Option<u64>,
}

impl FirstStack {
    /// Of the native 64-bit task `tid` with the stack pointer `sp`; what is not found is not there.
    pub(super) fn of(tid: i32, sp: u64) -> FirstStack {
        let by_number = Memory::by_number(tid);
        let mut bytes = by_number.read_at(sp, LOOKED[0]);
        let opened = match bytes.is_empty() {
            true => Memory::open(tid).ok(),
            false => None,
        };
        let memory = opened.unwrap_or(by_number);
        if auxiliary(&words(&bytes)).is_none() {
            bytes = memory.read_at(sp, LOOKED[1]);
        }
        let words = words(&bytes);
        // The texts stand behind all that, as far as they are short.
        let text = |at: &u64| {
            let offset = usize::try_from(at.wrapping_sub(sp)).unwrap_or(usize::MAX);
            let near = bytes.get(offset..).unwrap_or_default();
            let until = near.iter().take(ARGUMENT).position(|b| *b == 0);
            match until {
                Some(end) => near[..end].to_vec(),
                None => memory.string(*at, ARGUMENT).unwrap_or_default(),
            }
        };
        let arguments = words.get(1..).unwrap_or_default();
        let arguments = arguments.iter().take_while(|at| **at != 0);
        let vector = auxiliary(&words).unwrap_or_default();
        FirstStack {
            words: arguments.take(2).map(text).collect(),
            vdso: vector
                .iter()
                .find(|[kind, _]| *kind == AT_SYSINFO_EHDR)
                .map(|[_, at]| *at),
        }
    }
}

fn words(bytes: &[u8]) -> Vec<u64> {
    let chunks = bytes.as_chunks().0.iter();
    chunks.map(|b| u64::from_le_bytes(*b)).collect()
}

/// The pairs of the auxiliary vector; `None` when it does not end in these words.
fn auxiliary(words: &[u64]) -> Option<&[[u64; 2]]> {
    let behind = words.get(1..)?.splitn(3, |word| *word == 0).nth(2)?;
    let pairs = behind.as_chunks().0;
    let end = pairs.iter().position(|[kind, _]| *kind == AT_NULL)?;
    Some(&pairs[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_and_the_vdso_are_found_and_nothing_ends_the_reader() {
        let of = |words: &[u64]| {
            let stack: Vec<u64> = words.iter().copied().chain([7; LOOKED[1] / 8]).collect();
            FirstStack::of(std::process::id().cast_signed(), stack.as_ptr() as u64)
        };
        let (name, argument) = (c"name".as_ptr() as u64, c"argument".as_ptr() as u64);
        let first = of(&[
            3, name, argument, 9, 0, 11, 12, 0, 6, 4096, 33, 0x7000, 0, 0,
        ]);
        assert_eq!(first.words, [b"name".to_vec(), b"argument".to_vec()]);
        assert_eq!(first.vdso, Some(0x7000));
        let first = of(&[1, name, 0, 0, 6, 4096, 0, 0, 33, 0x7000]);
        assert_eq!((first.words.len(), first.vdso), (1, None));
        assert_eq!(of(&[0, 0, 0, 0]).words.len(), 0);
        let variables = vec![9; LOOKED[0] / 8];
        let many = [&[1, name, 0], &variables[..], &[0, 33, 0x8000, 0, 0]].concat();
        let first = of(&many);
        assert_eq!((first.words.len(), first.vdso), (1, Some(0x8000)));
        assert_eq!(of(&[]).vdso, None);
        assert_eq!(
            FirstStack::of(std::process::id().cast_signed(), 8).vdso,
            None
        );
    }
}
