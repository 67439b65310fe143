//! Which calls a program was seen to make: what `strace` writes, with or without `-f`, times and
//! results.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_abi::{Arch, Sysno};

/// Longer names are none of calls.
const LONGEST: usize = 40;

/// Calls that were seen, and how often each was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trace {
    /// The architecture that made them.
    pub arch: Arch,
    /// How often each was made.
    pub calls: BTreeMap<Sysno, u64>,
    /// Of those whose values are all known: index and value of the arguments that say what the call does, as
    /// they were seen. What `strace` shows is not read so far.
    pub values: BTreeMap<Sysno, BTreeSet<Vec<(u8, u64)>>>,
    /// Lines that tell of no call of the architecture; signals and ends of processes are none.
    pub unknown: usize,
}

impl Trace {
    /// Reads the text; `None` when no line of it is one of a trace.
    ///
    /// A call that is shown as unfinished and resumed counts once. What a trace does not show was not
    /// made in that run: nothing follows for another.
    pub fn read(text: &str, arch: Arch) -> Option<Trace> {
        let mut trace = Trace {
            arch,
            calls: BTreeMap::new(),
            values: BTreeMap::new(),
            unknown: 0,
        };
        for line in text.lines() {
            match name(line) {
                Line::Call(name) => match arch.number(name).or_else(|| unnamed(name)) {
                    Some(number) => *trace.calls.entry(number).or_default() += 1,
                    None => trace.unknown += 1,
                },
                Line::Other => {}
                Line::Unknown => trace.unknown += 1,
            }
        }
        let seen = trace.calls.len();
        (seen > 0 && trace.unknown <= seen).then_some(trace)
    }

    /// The calls, those that were made most often first.
    pub fn by_frequency(&self) -> Vec<Sysno> {
        let mut all: Vec<(&Sysno, &u64)> = self.calls.iter().collect();
        all.sort_by_key(|(number, count)| (std::cmp::Reverse(**count), **number));
        all.into_iter().map(|(number, _)| *number).collect()
    }
}

enum Line<'a> {
    Call(&'a str),
    /// The rest of a call, a signal, the end of a process, nothing.
    Other,
    Unknown,
}

fn name(line: &str) -> Line<'_> {
    let mut rest = line.trim();
    // `[pid 12]`, `12`, `12:34:56.789`, `1700000000.123456` stand before.
    while let Some((word, more)) = rest.split_once(' ') {
        let leads = match word {
            "[pid" => true,
            _ => word
                .trim_end_matches(']')
                .bytes()
                .all(|b| b.is_ascii_digit() || b == b':' || b == b'.'),
        };
        if !leads {
            break;
        }
        rest = more.trim_start();
    }
    if rest.is_empty()
        || ["<... ", "---", "+++", "> ", "strace: "]
            .iter()
            .any(|s| rest.starts_with(s))
    {
        return Line::Other;
    }
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match rest.split_once('(') {
        Some((name, _)) if !name.is_empty() && name.len() <= LONGEST && name.chars().all(word) => {
            Line::Call(name)
        }
        _ => Line::Unknown,
    }
}

/// A number for which strace has no name: `syscall_0x1d5`.
fn unnamed(name: &str) -> Option<Sysno> {
    let digits = name.strip_prefix("syscall_0x")?;
    u32::from_str_radix(digits, 16).ok().map(Sysno)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
execve(\"/bin/true\", [\"true\"], 0x7ffd) = 0
[pid  31] 12:00:01.5 read(3, \"read(4\", 100) = 6
32 write(1, \"x\", 1 <unfinished ...>
32 <... write resumed>) = 1
1700000000.123456 write(1, \"y\", 1) = 1
--- SIGCHLD {si_signo=SIGCHLD} ---
syscall_0x1d5(0x1) = -1 ENOSYS
 > /usr/lib/libc.so.6(read+0x10) [0x1]
+++ exited with 0 +++
";

    #[test]
    fn calls_are_counted() {
        let trace = Trace::read(TEXT, Arch::X86_64).expect("a trace");
        let calls: Vec<_> = trace.calls.iter().map(|(n, c)| (n.0, *c)).collect();
        assert_eq!(calls, [(0, 1), (1, 2), (59, 1), (0x1d5, 1)]);
        assert_eq!(trace.unknown, 0);
        assert_eq!(trace.by_frequency()[0], Sysno(1));
    }

    #[test]
    fn other_texts_are_no_traces() {
        for text in [
            "",
            "schema = \"x\"\n",
            "{\"a\": 1}",
            "read: 1\nwrite: 1\n",
            "a\nb\nread(1)\n",
        ] {
            assert_eq!(Trace::read(text, Arch::X86_64), None, "{text:?}");
        }
    }
}
