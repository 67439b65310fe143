//! Programs for aarch64 that other people built: Debian's packages in a directory that stands in for
//! the root of such a machine, and statically linked Rust from Python's package index. They are
//! analysed here; the small ones are also traced, in an emulated machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::apt_root::{self, AptRoot};
use crate::{place, process};

/// Debian's name of the architecture.
const ARCHITECTURE: &str = "arm64";
/// The suite of this repository's other real programs.
const SUITE: &str = "bookworm";

/// The programs of the table, and where they are in the root.
pub(crate) const PROGRAMS: &[(&str, &str)] = &[
    ("sqlite3", "/usr/bin/sqlite3"),
    ("memcached", "/usr/bin/memcached"),
    ("redis", "/usr/bin/redis-check-rdb"),
    ("nginx", "/usr/sbin/nginx"),
    ("lighttpd", "/usr/sbin/lighttpd"),
    ("haproxy", "/usr/sbin/haproxy"),
    ("busybox", "/bin/busybox"),
    ("curl", "/usr/bin/curl"),
    ("git", "/usr/bin/git"),
    ("python3", "/usr/bin/python3.11"),
    ("ripgrep", "/usr/bin/rg"),
    // Go, with C libraries and without.
    ("fzf", "/usr/bin/fzf"),
    ("nats-server", "/usr/sbin/nats-server"),
    ("esbuild", "/usr/bin/esbuild"),
    // Static Rust with musl, the smallest first.
    ("uvx", "/opt/uvx"),
    ("uv", "/opt/uv"),
    ("ruff", "/opt/ruff"),
];

/// The packages that they are from, and some that bring many small programs.
const PACKAGES: &[&str] = &[
    "bash",
    "busybox-static",
    "coreutils",
    "curl",
    "dash",
    "diffutils",
    "dnsmasq-base",
    "esbuild",
    "findutils",
    "fzf",
    "gawk",
    "git",
    "grep",
    "gzip",
    "haproxy",
    "iproute2",
    "jq",
    "lighttpd",
    "lua5.4",
    "memcached",
    "mosquitto",
    "nats-server",
    "nginx-light",
    "openssh-client",
    "openssl",
    "perl",
    "procps",
    "python3.11",
    "redis-server",
    "redis-tools",
    "ripgrep",
    "rsync",
    "sed",
    "socat",
    "sqlite3",
    "stunnel4",
    "tar",
    "tini",
    "tinyproxy-bin",
    "util-linux",
    "xz-utils",
    "zstd",
];

/// What is statically linked with musl, as Python wheels: pinned, because releases change sets.
const WHEELS: &[&str] = &["ruff==0.17.6", "uv==0.13.9"];

/// The packages of the programs that are traced, with what traces them: few, because an emulated machine
/// holds all of it in its memory.
const TRACED: &[&str] = &[
    "busybox-static",
    "bzip2",
    "coreutils",
    "dash",
    "diffutils",
    "esbuild",
    "findutils",
    "fzf",
    "gawk",
    "grep",
    "gzip",
    "jq",
    "mawk",
    "nats-server",
    "patch",
    "sed",
    "sqlite3",
    "strace",
    "tar",
    "xz-utils",
    "zstd",
];

/// A directory with the root of a machine that has all of them.
pub(crate) fn root() -> Result<PathBuf> {
    made_of("root-arm64", PACKAGES, WHEELS)
}

/// A directory with the root of a machine in which small programs are traced.
pub(crate) fn traced_root() -> Result<PathBuf> {
    made_of("root-arm64-traced", TRACED, &[])
}

fn made_of(name: &str, packages: &[&str], of_python: &[&str]) -> Result<PathBuf> {
    let target = place::target();
    fs::create_dir_all(&target)?;
    let whole = fs::canonicalize(target)?.join(name);
    // The list is in the name of what is whole: another list makes another root.
    let wanted = [packages, of_python].concat().join("\n");
    let listed = whole.join(".made-of");
    if fs::read_to_string(&listed).is_ok_and(|made| made == wanted) {
        return Ok(whole);
    }
    if whole.exists() {
        fs::remove_dir_all(&whole).with_context(|| format!("remove {}", whole.display()))?;
    }
    for deb in AptRoot::provide()?.download_whole(packages, ARCHITECTURE, SUITE)? {
        apt_root::unpack(&deb, &whole)?;
    }
    if !of_python.is_empty() {
        wheels(of_python, &whole.join("opt"))?;
    }
    fs::write(&listed, wanted)?;
    Ok(whole)
}

/// Puts the programs of the wheels into `to`.
fn wheels(wanted: &[&str], to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let downloaded = tempfile::tempdir_in(place::target())?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps"])
        .args(["--only-binary=:all:", "--platform=musllinux_1_1_aarch64"])
        .args(["--platform=musllinux_1_2_aarch64", "--dest"]);
    process::show(pip.arg(downloaded.path()).args(wanted))?;
    for entry in fs::read_dir(downloaded.path())? {
        let wheel = entry?.path();
        if wheel.extension().is_none_or(|e| e != "whl") {
            continue;
        }
        let unpacked = wheel.with_extension("unpacked");
        let mut unpack = Command::new("python3");
        unpack.args(["-m", "zipfile", "-e"]);
        process::show(unpack.arg(&wheel).arg(&unpacked))?;
        programs_of(&unpacked, to)?;
    }
    Ok(())
}

/// Moves what is in a wheel's `NAME.data/scripts`, where programs are (PEP 427).
fn programs_of(wheel: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(wheel)? {
        let scripts = entry?.path().join("scripts");
        if !scripts.is_dir() {
            continue;
        }
        for program in fs::read_dir(&scripts)? {
            let program = program?;
            fs::rename(program.path(), to.join(program.file_name()))?;
        }
    }
    Ok(())
}
