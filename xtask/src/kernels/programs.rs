//! The programs of the machines: of `testdata/guest`, statically linked for an architecture.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use portcullis_abi::Arch;

use super::initramfs::Files;
use super::threads::with_musl;
use crate::{place, process};

/// `(program, its sources)`; a directory stands for the C files in it.
const PROGRAMS: &[(&str, &str)] = &[
    ("init", "init.c"),
    ("probe", "probe"),
    ("calls", "calls.c"),
    ("caller", "caller.c"),
    ("then_show", "then_show.c"),
    ("audited", "audited.c"),
    ("writer", "writer.c"),
];

/// One of them, linked with musl: to analyse glibc takes seconds on an emulated processor.
pub(crate) const SMALL_CALLER: &str = "small_caller";

/// Builds them all.
pub(crate) fn provide(arch: Arch) -> Result<Files> {
    let directory = place::target().join("guest").join(arch.to_string());
    fs::create_dir_all(&directory).with_context(|| format!("create {}", directory.display()))?;
    let mut files = Files::default();
    for (name, source) in PROGRAMS {
        let program = directory.join(name);
        build(
            arch,
            &place::root().join("testdata/guest").join(source),
            &program,
        )?;
        files.add(*name, read(&program)?);
    }
    let program = directory.join(SMALL_CALLER);
    let source = place::root().join("testdata/guest/caller.c");
    let mut compiler = with_musl(arch, &place::target(), &source);
    process::show(compiler.arg("-o").arg(&program))?;
    files.add(SMALL_CALLER, read(&program)?);
    Ok(files)
}

/// A program without what only debuggers read: a machine has to take it into its memory.
pub(crate) fn stripped(arch: Arch, program: &Path) -> Result<Vec<u8>> {
    let directory = place::target().join("guest").join(arch.to_string());
    let name = program.file_name().context("a program without a name")?;
    let to = directory.join(name);
    let mut strip = Command::new(match arch.to_string() == std::env::consts::ARCH {
        true => "strip".to_owned(),
        false => format!("{arch}-linux-gnu-strip"),
    });
    process::show(strip.arg("-o").arg(&to).arg(program))?;
    read(&to)
}

/// The content of a file.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("read {}", file.display()))
}

/// The C compiler that links for it: this machine's, or Debian's cross compiler.
fn compiler(arch: Arch) -> String {
    match arch.to_string() == std::env::consts::ARCH {
        true => "gcc".to_owned(),
        false => format!("{arch}-linux-gnu-gcc"),
    }
}

fn build(arch: Arch, source: &Path, program: &Path) -> Result<()> {
    let mut gcc = Command::new(compiler(arch));
    gcc.args(["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror"])
        .args(["-static", "-pthread", "-o"])
        .arg(program)
        .args(sources(source)?);
    process::show(&mut gcc)
}

fn sources(source: &Path) -> Result<Vec<PathBuf>> {
    if source.is_file() {
        return Ok(vec![source.to_owned()]);
    }
    let mut sources = Vec::new();
    for entry in fs::read_dir(source).with_context(|| format!("list {}", source.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "c") {
            sources.push(path);
        }
    }
    sources.sort();
    Ok(sources)
}
