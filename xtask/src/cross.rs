//! `cargo xtask cross`: the command, statically linked, for this machine's architecture and for others.
//!
//! What runs in an emulated machine, where there is nothing but a kernel, must bring its C library along.
//! It is glibc, on both architectures: the static command of x86_64 is audited as such (`dogfood`), so
//! that the other one differs in the architecture alone; and Debian's cross compiler links it as it is,
//! where musl would need the start files of a foreign package and a shim for GCC's unwinder
//! (`_dl_find_object`, which musl lacks).
//!
//! Rust's standard library for another architecture is a component of the toolchain. Where `rustup` cannot
//! add it, it is built from the sources of the same release: those of the toolchain (`rust-src`), or an
//! archive beside the checkout.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use portcullis_abi::Arch;
use serde_json::Value;

use crate::{needs, place, portcullis, process};

/// Sources of the standard library, beside the checkout: `library-VERSION.tar.zst`.
const ARCHIVES: &str = "../shared/rust-std";
/// Where sources lie below a sysroot, for cargo.
const SOURCES: &str = "lib/rustlib/src/rust";
/// Begins a frame of zstd (RFC 8878, 3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// An archive may have a line or a few of text before it.
const MOST_TEXT: usize = 4096;

/// The build directory of what is built with a standard library from sources.
const OWN: &str = "cross";

/// What commands are linked for.
pub(crate) const ARCHES: [Arch; 2] = [Arch::X86_64, Arch::Aarch64];

/// The target of the compiler.
fn triple(arch: Arch) -> String {
    format!("{arch}-unknown-linux-gnu")
}

/// The C compiler that links for `arch`: the machine's own one, or Debian's cross compiler.
pub(crate) fn compiler(arch: Arch) -> String {
    match arch == Arch::NATIVE {
        true => "cc".to_owned(),
        false => format!("{arch}-linux-gnu-gcc"),
    }
}

/// The packages of Debian that link for `arch` from another architecture.
fn packages(arch: Arch) -> [&'static str; 2] {
    match arch {
        Arch::Aarch64 => ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
        _ => ["gcc-x86-64-linux-gnu", "libc6-dev-amd64-cross"],
    }
}

/// `cargo xtask cross [--release] [ARCH…]`.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let (flags, names): (Vec<&String>, Vec<&String>) =
        words.iter().partition(|word| word.starts_with('-'));
    let profile = match flags.as_slice() {
        [] => place::PROFILE,
        [flag] if *flag == "--release" => "release",
        other => bail!("unknown: {other:?}"),
    };
    let mut wanted = ARCHES.to_vec();
    wanted.retain(|arch| names.is_empty() || names.iter().any(|name| **name == arch.to_string()));
    ensure!(
        names.is_empty() || names.len() == wanted.len(),
        "known are {}",
        ARCHES.map(|arch| arch.to_string()).join(", ")
    );
    for arch in wanted {
        println!("{}", portcullis_in(arch, profile)?.display());
    }
    Ok(())
}

/// The command in the profile that tests share, statically linked for `arch`. What is up to date is not
/// built again.
pub(crate) fn portcullis(arch: Arch) -> Result<PathBuf> {
    portcullis_in(arch, place::PROFILE)
}

/// The same in another profile.
pub(crate) fn portcullis_in(arch: Arch, profile: &str) -> Result<PathBuf> {
    if arch == Arch::NATIVE {
        return linked_anew(profile);
    }
    let build = ["build", "--bin", "portcullis"];
    only(built(arch, &build, "portcullis-cli", profile)?)
}

/// The command of this machine. Only the last crate is linked anew: whether a program is static is decided there,
/// so that nothing else is compiled twice.
fn linked_anew(profile: &str) -> Result<PathBuf> {
    process::show(
        Command::new("cargo")
            .args(["rustc", "--quiet", "--package", "portcullis-cli"])
            .args(["--bin", "portcullis", "--profile", profile])
            .args(["--", "-C", "target-feature=+crt-static"])
            .current_dir(place::root()),
    )?;
    let built = place::target().join(profile).join("portcullis");
    let own = place::target().join("cross/own").join(profile);
    fs::create_dir_all(&own).with_context(|| format!("create {}", own.display()))?;
    let own = own.join("portcullis");
    fs::copy(&built, &own).with_context(|| format!("copy {}", built.display()))?;
    // The same name in the build directory is the ordinary command again.
    portcullis::build(profile)?;
    Ok(own)
}

/// The tests of `package` (those in its sources, and each integration test), statically linked for `arch`.
pub(crate) fn tests(arch: Arch, package: &str) -> Result<Vec<PathBuf>> {
    built(arch, &["test", "--no-run"], package, place::PROFILE)
}

/// The tests of `host`, the program of their workers with the settings of those that the command carries, and the native
/// program of their jobs; statically linked for `arch`.
pub(crate) fn jobs(arch: Arch) -> Result<[PathBuf; 3]> {
    let host = "portcullis-host";
    let tests = ["test", "--no-run", "--test", "jobs"];
    let tests = only(built(arch, &tests, host, place::PROFILE)?)?;
    let worker = ["build", "--example", "puppet"];
    let worker = only(built(arch, &worker, host, "worker")?)?;
    let directory = place::target().join("cross/host").join(arch.to_string());
    fs::create_dir_all(&directory).with_context(|| format!("create {}", directory.display()))?;
    let native = directory.join("native");
    process::show(
        Command::new(compiler(arch))
            .args(["-O1", "-w", "-static", "-o"])
            .arg(&native)
            .arg(place::root().join("crates/host/tests/it/native.c")),
    )?;
    Ok([tests, worker, native])
}

/// The tests of `wasm` with the two programs that they carry, statically linked for `arch`.
pub(crate) fn engine(arch: Arch) -> Result<PathBuf> {
    let tests = ["test", "--no-run", "--test", "it", "--features", "carried"];
    only(built(arch, &tests, "portcullis-wasm", place::PROFILE)?)
}

/// Where the two are: they are built along with what carries them.
pub(crate) fn workers(arch: Arch) -> Result<PathBuf> {
    engine(arch)?;
    let target = match library(arch)? {
        Library::Installed => place::target(),
        Library::Sources(_) => place::target().join(OWN),
    };
    Ok(target.join("worker").join(triple(arch)).join("worker"))
}

fn only(mut built: Vec<PathBuf>) -> Result<PathBuf> {
    match (built.pop(), built.pop()) {
        (Some(only), None) => Ok(only),
        (last, _) => bail!("cargo built no single program: {last:?}"),
    }
}

/// The directory with the programs that the tests of `sandbox` start, made for `arch`: what
/// `PORTCULLIS_PREBUILT` has to name where no compiler is. All but the static ones need [`c_library`].
pub(crate) fn sandbox_programs(arch: Arch) -> Result<PathBuf> {
    provide_linker(arch)?;
    let sources = place::root().join("crates/sandbox/tests/it/programs");
    let built = place::target().join("cross/sandbox").join(arch.to_string());
    fs::create_dir_all(&built).with_context(|| format!("create {}", built.display()))?;
    let list = fs::read_to_string(sources.join("builds")).context("the list of programs")?;
    let mut lines = list.lines();
    let flags_of_all = lines.next().unwrap_or_default();
    for line in lines {
        let (name, flags) = line.split_once(' ').unwrap_or((line, ""));
        // A library; what is linked with it comes after it.
        let shared: &[&str] = match name.ends_with(".so") {
            true => &["-shared", "-fPIC"],
            false => &[],
        };
        let source = sources.join(name).with_extension("c");
        let program = built.join(line);
        let changed = |path: &Path| fs::metadata(path).and_then(|m| m.modified());
        if changed(&program).is_ok_and(|made| changed(&source).is_ok_and(|source| source < made)) {
            continue;
        }
        process::show(
            Command::new(compiler(arch))
                .args(flags_of_all.split_whitespace())
                .args(shared)
                .arg("-o")
                .arg(&program)
                .arg(&source)
                .args(flags.split_whitespace())
                .current_dir(&built),
        )?;
    }
    Ok(built)
}

/// What dynamic programs of `arch` need at run time: files by their places there.
pub(crate) fn c_library(arch: Arch) -> Result<Vec<(&'static str, PathBuf)>> {
    provide_linker(arch)?;
    let loader = match arch {
        Arch::Aarch64 => "lib/ld-linux-aarch64.so.1",
        _ => "lib64/ld-linux-x86-64.so.2",
    };
    // The last is loaded by the first thread that ends itself (pthread_exit(3)).
    let all = [loader, "lib/libc.so.6", "lib/libgcc_s.so.1"];
    let file = |place: &'static str| {
        let name = place.rsplit('/').next().unwrap_or(place);
        let output = Command::new(compiler(arch))
            .arg(format!("-print-file-name={name}"))
            .output()
            .with_context(|| format!("start {}", compiler(arch)))?;
        let file = PathBuf::from(String::from_utf8(output.stdout)?.trim_end());
        ensure!(file.is_absolute(), "{} knows no {name}", compiler(arch));
        Ok((place, file))
    };
    all.into_iter().map(file).collect()
}

/// The executables that cargo makes of `words`.
fn built(arch: Arch, words: &[&str], package: &str, profile: &str) -> Result<Vec<PathBuf>> {
    provide_linker(arch)?;
    let mut cargo = Command::new("cargo");
    cargo
        .args(words)
        .args(["--quiet", "--package", package, "--profile", profile])
        // With a target named, the flags are not for build scripts and macros, which run here.
        .args(["--target", &triple(arch)])
        .args(["--message-format", "json-render-diagnostics"])
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            format!(
                "-Ctarget-feature=+crt-static\u{1f}-Clinker={}",
                compiler(arch)
            ),
        )
        .current_dir(place::root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    if let Library::Sources(compiler) = library(arch)? {
        cargo
            // Build scripts see what is set here, so that what they find is of no use to other builds; and one of
            // them builds workers, for the same target.
            .arg("--target-dir")
            .arg(place::target().join(OWN))
            .env("CARGO_UNSTABLE_BUILD_STD", "std,panic_unwind")
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTC", compiler);
    }
    let line = process::line_of(&cargo);
    println!("$ {line}");
    let output = cargo.output().with_context(|| format!("start {line}"))?;
    ensure!(output.status.success(), "{line}: {}", output.status);
    let messages = String::from_utf8(output.stdout).context("cargo's messages")?;
    let mut executables = Vec::new();
    for message in messages.lines() {
        let message: Value = serde_json::from_str(message).context("a message of cargo")?;
        executables.extend(message["executable"].as_str().map(PathBuf::from));
    }
    Ok(executables)
}

/// Installs the cross compiler when it is missing and this process may.
fn provide_linker(arch: Arch) -> Result<()> {
    let compiler = compiler(arch);
    let answers = Command::new(&compiler).arg("--version").output();
    if answers.is_ok_and(|answer| answer.status.success()) {
        return Ok(());
    }
    let install = || format!("{compiler} links for {arch}, and is missing");
    needs::install(&packages(arch)).with_context(install)
}

/// Where the standard library of an architecture comes from.
enum Library {
    /// It is part of the toolchain.
    Installed,
    /// From the sources that this compiler has in its sysroot.
    Sources(PathBuf),
}

fn library(arch: Arch) -> Result<Library> {
    if is_installed(arch)? {
        return Ok(Library::Installed);
    }
    let prepared = prepared();
    if prepared.is_file() {
        return Ok(Library::Sources(prepared));
    }
    let added = Command::new("rustup")
        .args(["target", "add", &triple(arch)])
        .stdin(Stdio::null())
        .status();
    if added.is_ok_and(|status| status.success()) && is_installed(arch)? {
        return Ok(Library::Installed);
    }
    let sysroot = PathBuf::from(place::rustc(&["--print", "sysroot"])?);
    if sysroot.join(SOURCES).join("library/std").is_dir() {
        return Ok(Library::Sources(sysroot.join("bin/rustc")));
    }
    let version = place::rustc(&["--version"])?;
    let version = version
        .split(' ')
        .nth(1)
        .context("the compiler's version")?;
    let archive = place::root()
        .join(ARCHIVES)
        .join(format!("library-{version}.tar.zst"));
    if !archive.is_file() {
        bail!(
            "no standard library for {arch}: `rustup target add {}` failed, and neither does the toolchain have \
             the component rust-src nor is there {}",
            triple(arch),
            archive.display()
        );
    }
    prepare(&sysroot, &archive)?;
    Ok(Library::Sources(prepared))
}

fn is_installed(arch: Arch) -> Result<bool> {
    let directory = place::rustc(&["--print", "target-libdir", "--target", &triple(arch)])?;
    Ok(Path::new(&directory).is_dir())
}

/// The toolchain's compiler with a sysroot that has sources: the last thing that [`prepare`] makes.
fn prepared() -> PathBuf {
    place::target().join("cross/rustc")
}

/// Makes a sysroot of the toolchain's own libraries and the sources of `archive`; the toolchain itself is
/// not changed.
fn prepare(toolchain: &Path, archive: &Path) -> Result<()> {
    let sysroot = place::target().join("cross/sysroot");
    if sysroot.exists() {
        fs::remove_dir_all(&sysroot).with_context(|| format!("remove {}", sysroot.display()))?;
    }
    let sources = sysroot.join(SOURCES);
    fs::create_dir_all(&sources).with_context(|| format!("create {}", sources.display()))?;
    for entry in fs::read_dir(toolchain.join("lib/rustlib"))? {
        let entry = entry?;
        let own = sysroot.join("lib/rustlib").join(entry.file_name());
        if !own.exists() {
            symlink(entry.path(), &own).with_context(|| format!("link {}", own.display()))?;
        }
    }
    unpack(archive, &sources)?;
    let compiler = prepared();
    let script = format!(
        "#!/bin/sh\nexec '{}' --sysroot '{}' \"$@\"\n",
        toolchain.join("bin/rustc").display(),
        sysroot.display()
    );
    let part = compiler.with_extension("part");
    fs::write(&part, script).with_context(|| format!("write {}", part.display()))?;
    fs::set_permissions(&part, fs::Permissions::from_mode(0o755))?;
    fs::rename(&part, &compiler).with_context(|| format!("make {}", compiler.display()))
}

/// Unpacks a compressed archive whose first frame may have text before it.
fn unpack(archive: &Path, into: &Path) -> Result<()> {
    let reading = || archive.display().to_string();
    let bytes = fs::read(archive).with_context(reading)?;
    let begin = bytes.windows(ZSTD.len()).take(MOST_TEXT);
    let begin = begin
        .into_iter()
        .position(|window| window == ZSTD)
        .with_context(reading)
        .context("no archive of zstd")?;
    let mut tar = Command::new("tar")
        .args(["--extract", "--zstd", "--file", "-", "--directory"])
        .arg(into)
        .stdin(Stdio::piped())
        .spawn()
        .context("start tar")?;
    let written = match tar.stdin.take() {
        Some(mut pipe) => pipe.write_all(&bytes[begin..]),
        None => Ok(()),
    };
    let status = tar.wait()?;
    ensure!(status.success(), "tar {}: {status}", archive.display());
    written.with_context(reading)
}
