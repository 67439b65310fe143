//! The rows of libseccomp's `*.tests` files.
//!
//! A file has sections, `test type: NAME`. A row of `bpf-sim` says which program's filter, for which
//! architectures, which call with which arguments, and the answer; a row of `bpf-sim-fuzz` says which
//! program's filter and how many random calls.

use std::fs;
use std::path::Path;

/// A row.
pub(crate) struct Row {
    /// As written, for messages.
    pub(crate) text: String,
    /// The program that makes the filter.
    pub(crate) program: String,
    /// What is asked.
    pub(crate) asked: Asked,
}

/// What a row asks of the filter.
pub(crate) enum Asked {
    /// Calls that get one answer.
    Calls {
        /// Architectures, as written.
        arches: String,
        /// The call: a name, a number or a range of numbers.
        call: String,
        /// Values of each argument; `None` where none is put there.
        args: Box<[Option<(u64, u64)>; 6]>,
        /// The answer, as written.
        answer: String,
    },
    /// That many random calls are answered at all.
    Random(u32),
}

/// All rows that are about simulated calls.
pub(crate) fn read(tests: &Path) -> Vec<Row> {
    let entries = fs::read_dir(tests).unwrap_or_else(|e| {
        panic!(
            "{}: {e}; `cargo xtask needs` brings libseccomp's tests",
            tests.display()
        )
    });
    let paths = entries.map(|e| e.expect("an entry").path());
    let mut files: Vec<_> = paths
        .filter(|p| p.extension().is_some_and(|e| e == "tests"))
        .collect();
    files.sort();
    let mut rows = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a table");
        let name = file.file_stem().expect("a name").to_string_lossy();
        let mut kind = "";
        for line in text
            .lines()
            .map(str::trim)
            .filter(|l| !l.is_empty() && !l.starts_with('#'))
        {
            if let Some(named) = line.strip_prefix("test type:") {
                kind = named.trim();
                continue;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            let asked = match (kind, words.as_slice()) {
                ("bpf-sim", [_, arches, call, args @ .., answer]) => Asked::Calls {
                    arches: (*arches).to_owned(),
                    call: (*call).to_owned(),
                    args: Box::new(args_of(args, line)),
                    answer: (*answer).to_owned(),
                },
                ("bpf-sim-fuzz", [_, count]) => Asked::Random(count.parse().expect("a count")),
                ("basic" | "live" | "bpf-valgrind", _) => continue,
                _ => panic!("{name}: a row of an unknown form: {line}"),
            };
            rows.push(Row {
                text: words.join(" "),
                program: words[0].to_owned(),
                asked,
            });
        }
    }
    rows
}

fn args_of(words: &[&str], line: &str) -> [Option<(u64, u64)>; 6] {
    assert_eq!(words.len(), 6, "{line}");
    std::array::from_fn(|n| (words[n] != "N").then(|| range(words[n])))
}

/// `N` or `LOW-HIGH`, decimal or hexadecimal.
pub(crate) fn range(word: &str) -> (u64, u64) {
    match word.split_once('-') {
        Some((low, high)) => (number(low), number(high)),
        None => (number(word), number(word)),
    }
}

fn number(word: &str) -> u64 {
    let read = match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => word.parse(),
    };
    read.unwrap_or_else(|_| panic!("{word} is no number"))
}
