//! ELF files, and what tells a loader which of them a program consists of. Files are whoever's made them: a scan of them
//! ends, with a set or an error, and with the same one each time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_abi::SyscallSet;
use portcullis_policy::audit::lines;
use portcullis_scan::files::MemoryFiles;
use portcullis_scan::{Error, LinkRequest, link, scan};

use crate::seeds;
use written::{Elf, with_symbols};

#[path = "../../crates/scan/tests/load/elf.rs"]
mod written;

/// Bytes of a small program.
pub(crate) const LONGEST: usize = 16 << 10;
/// Small programs, and flags with which they get other tables: for unwinding, relocations, none at all.
const PROGRAMS: [(&str, &str); 10] = [
    ("direct.c", "gcc -O0 -static -no-pie"),
    ("callback.c", "gcc -O2 -static-pie -fPIE"),
    ("computed_goto.c", "gcc -O2 -static -no-pie -s"),
    (
        "cmov.c",
        "gcc -O1 -static-pie -fPIE -s -Wl,-z,pack-relative-relocs",
    ),
    (
        "aliases.c",
        "gcc -O2 -static -no-pie -Wl,-N,--no-warn-rwx-segments",
    ),
    (
        "choice.c",
        "gcc -Os -static -no-pie -fno-asynchronous-unwind-tables -g",
    ),
    ("constant_branch.c", "gcc -O2 -shared -fPIC"),
    (
        "cleanup.c",
        "gcc -O2 -static-pie -fPIE -Wl,-z,separate-code -s",
    ),
    (
        "computed_goto.c",
        "aarch64-linux-gnu-gcc -O2 -static -no-pie",
    ),
    (
        "callback.c",
        "aarch64-linux-gnu-gcc -O2 -static-pie -fPIE -s",
    ),
];

/// Asks of a file, as a program and as its library.
pub fn ask(bytes: &[u8]) {
    let mut files = system();
    files.insert("/program", bytes.to_vec());
    files.insert("/lib64/a.so", Elf::library("a.so", &["a.so"]).bytes());
    scanned(&files);
    files.insert("/program", Elf::program(&["a.so"]).bytes());
    files.insert("/lib64/a.so", bytes.to_vec());
    scanned(&files);
}

/// Small programs; files that no linker makes.
pub(crate) fn begin() -> Vec<Vec<u8>> {
    let compiled = PROGRAMS
        .iter()
        .map(|(source, words)| compiled(source, words));
    let symbol = [
        [1, 0, 0, 0, 0x12, 0, 1, 0].as_slice(),
        &0x1000_u64.to_le_bytes(),
        &16_u64.to_le_bytes(),
    ];
    let made = [
        Elf::program(&["a.so"]).bytes(),
        Elf::library("a.so", &["b.so"]).bytes(),
        Elf {
            rpath: Some("$ORIGIN/x:/y"),
            runpath: Some("/z"),
            ..Elf::program(&[])
        }
        .bytes(),
        with_symbols(
            Elf::program(&[]).bytes(),
            &[&[0; 24], symbol.concat().as_slice()].concat(),
            b"\0main\0",
        ),
        b"#!/program -x\n".to_vec(),
    ];
    compiled.chain(made).collect()
}

fn compiled(source: &str, words: &str) -> Vec<u8> {
    let directory = seeds::root().join("testdata/scan");
    let Ok(place) = tempfile::tempdir() else {
        panic!("no place for temporary files");
    };
    let program = place.path().join("program");
    let (compiler, flags) = words.split_once(' ').unwrap_or((words, ""));
    let status = Command::new(compiler)
        .args(["-nostdlib", "-ffreestanding", "-fno-stack-protector"])
        .args(["-Iinclude", "-Wl,-z,noseparate-code,--build-id=none"])
        .arg("-Wl,-z,max-page-size=4096")
        .args(flags.split(' '))
        .arg("-o")
        .arg(&program)
        .arg(source)
        .current_dir(directory)
        .status();
    let built = status.is_ok_and(|status| status.success());
    assert!(built, "{words} {source}");
    std::fs::read(program).unwrap_or_default()
}

/// Files by their paths.
#[derive(Default)]
pub(crate) struct Machine(BTreeMap<PathBuf, Vec<u8>>);

impl Machine {
    pub(crate) fn insert(&mut self, path: &str, bytes: Vec<u8>) {
        self.0.insert(path.into(), bytes);
    }
}

/// A loader and a C library, which do nothing.
pub(crate) fn system() -> Machine {
    let mut files = Machine::default();
    let loader = Elf::library("ld-linux-x86-64.so.2", &[]).bytes();
    files.insert("/lib64/ld-linux-x86-64.so.2", loader);
    files.insert("/lib64/libc.so.6", Elf::library("libc.so.6", &[]).bytes());
    files
}

/// A program that needs these libraries.
pub(crate) fn program(needed: &[&'static str]) -> Vec<u8> {
    Elf::program(needed).bytes()
}

/// A library.
pub(crate) fn library(name: &'static str) -> Vec<u8> {
    Elf::library(name, &[]).bytes()
}

/// The set of `/program`; errors are told to nobody here, but can be.
pub(crate) fn scanned(machine: &Machine) -> Option<SyscallSet> {
    let files = MemoryFiles {
        files: machine.0.clone(),
    };
    let request = LinkRequest {
        nsswitch: Some(link::NSSWITCH.into()),
        ..LinkRequest::default()
    };
    let again = || -> Result<SyscallSet, Error> {
        let scan = scan(&files, Path::new("/program"), &request)?;
        Ok(scan.set)
    };
    match again() {
        Ok(set) => {
            judge(&set);
            assert!(again().is_ok_and(|other| other == set), "it is another set");
            Some(set)
        }
        Err(error) => {
            let text = error.to_string();
            assert!(!text.chars().any(char::is_control), "{text:?}");
            None
        }
    }
}

/// What holds of a set whatever the files are.
fn judge(set: &SyscallSet) {
    let places = set.syscalls.iter().flat_map(|call| &call.sites);
    let places = places.map(|site| &site.at);
    let residuals = set.residuals.iter();
    let residuals = residuals.flat_map(|residual| residual.why.iter().chain([&residual.at]));
    for place in places.chain(residuals) {
        assert!(place.object < set.objects.len(), "{place:?}");
    }
    let ascending = set.syscalls.is_sorted_by(|a, b| a.number < b.number);
    assert!(
        ascending,
        "the calls are in no order, or one is there twice"
    );
    lines(set);
}
