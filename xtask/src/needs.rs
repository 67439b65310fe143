//! What the tests need from Debian, and how it comes onto the machine.
//!
//! As root the packages are installed; otherwise what is missing is said. Debian starts services
//! when their packages are configured: a `policy-rc.d` that answers 101 (Debian Policy 9.3.3)
//! forbids that while we install, and whatever was there before is put back.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{libseccomp, musl, process};

/// `(a file that the package brings, the package)`.
const NEEDS: &[(&str, &str)] = &[
    ("/usr/bin/strace", "strace"),
    ("/usr/bin/qemu-system-x86_64", "qemu-system-x86"),
    ("/usr/bin/qemu-system-aarch64", "qemu-system-arm"),
    ("/usr/bin/aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
    ("/usr/aarch64-linux-gnu/lib/libc.a", "libc6-dev-arm64-cross"),
    ("/usr/bin/musl-gcc", "musl-tools"),
    ("/bin/busybox", "busybox-static"),
    ("/usr/bin/sqlite3", "sqlite3"),
    ("/usr/bin/memcached", "memcached"),
    ("/usr/bin/redis-server", "redis-server"),
    ("/usr/bin/redis-cli", "redis-tools"),
    ("/usr/sbin/nginx", "nginx-light"),
    ("/usr/sbin/lighttpd", "lighttpd"),
    ("/usr/sbin/haproxy", "haproxy"),
    ("/usr/bin/curl", "curl"),
    ("/usr/bin/xz", "xz-utils"),
    ("/usr/bin/openssl", "openssl"),
    ("/usr/bin/perl", "perl"),
    ("/usr/bin/git", "git"),
    ("/usr/bin/gcc", "gcc"),
    ("/usr/bin/clang", "clang"),
    ("/usr/bin/g++", "g++"),
    ("/usr/bin/aarch64-linux-gnu-g++", "g++-aarch64-linux-gnu"),
    ("/usr/bin/qemu-aarch64-static", "qemu-user-static"),
    ("/usr/bin/python3", "python3"),
    ("/usr/bin/node", "nodejs"),
    ("/usr/lib/lighttpd/mod_openssl.so", "lighttpd-mod-openssl"),
    ("/usr/lib/lighttpd/mod_deflate.so", "lighttpd-mod-deflate"),
    ("/bin/nc.openbsd", "netcat-openbsd"),
    ("/usr/bin/tinyproxy", "tinyproxy"),
    ("/usr/bin/socat", "socat"),
    ("/usr/bin/stunnel4", "stunnel4"),
    ("/usr/sbin/mosquitto", "mosquitto"),
    ("/usr/bin/mosquitto_sub", "mosquitto-clients"),
    ("/usr/sbin/dnsmasq", "dnsmasq-base"),
    ("/usr/bin/rsync", "rsync"),
    ("/bin/bzip2", "bzip2"),
    ("/usr/bin/patch", "patch"),
    ("/usr/bin/zip", "zip"),
    ("/usr/bin/unzip", "unzip"),
    ("/usr/bin/pigz", "pigz"),
    ("/usr/bin/zstd", "zstd"),
    ("/usr/bin/make", "make"),
    ("/usr/bin/ninja", "ninja-build"),
    ("/usr/bin/jq", "jq"),
    ("/usr/bin/rg", "ripgrep"),
    ("/usr/bin/fdfind", "fd-find"),
    ("/usr/bin/hyperfine", "hyperfine"),
    ("/usr/bin/age", "age"),
    ("/usr/bin/ssh-keygen", "openssh-client"),
    ("/usr/bin/wget", "wget"),
    ("/usr/include/seccomp.h", "libseccomp-dev"),
    ("/sbin/e2fsck.static", "e2fsck-static"),
    ("/usr/bin/tini-static", "tini"),
    ("/usr/bin/gawk", "gawk"),
    ("/usr/bin/mawk", "mawk"),
    ("/usr/bin/lua5.4", "lua5.4"),
    ("/usr/bin/tclsh8.6", "tcl8.6"),
    ("/bin/bash-static", "bash-static"),
    ("/bin/zsh-static", "zsh-static"),
    ("/bin/sash", "sash"),
    ("/usr/bin/go", "golang-go"),
    ("/usr/bin/fzf", "fzf"),
    ("/usr/sbin/nats-server", "nats-server"),
    ("/usr/bin/esbuild", "esbuild"),
    ("/usr/sbin/runc", "runc"),
    ("/bin/ip", "iproute2"),
    ("/usr/bin/newuidmap", "uidmap"),
    ("/usr/bin/file", "file"),
    (
        "/usr/lib/python3/dist-packages/numpy/__init__.py",
        "python3-numpy",
    ),
    ("/usr/bin/cargo", "cargo"),
    ("/usr/bin/wasm-ld", "lld"),
    ("/usr/lib/wasm32-wasi/libc.a", "wasi-libc"),
    (
        "/usr/lib/llvm-14/lib/clang/14.0.6/lib/wasi/libclang_rt.builtins-wasm32.a",
        "libclang-rt-dev-wasm32",
    ),
];

/// Where Debian's service scripts ask whether they may start.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// The packages whose file is not there.
pub(crate) fn missing() -> Vec<&'static str> {
    NEEDS
        .iter()
        .filter(|(file, _)| !Path::new(file).exists())
        .map(|&(_, package)| package)
        .collect()
}

/// `cargo xtask needs`.
pub(crate) fn run(_: &[String]) -> Result<()> {
    let missing = provide()?;
    libseccomp::provide()?;
    musl::provide()?;
    if missing.is_empty() {
        println!("needs: everything is there");
        return Ok(());
    }
    bail!("missing: {}", missing.join(" "));
}

/// Installs what is missing when this process may, and gives back what is still missing.
pub(crate) fn provide() -> Result<Vec<&'static str>> {
    let wanted = missing();
    if wanted.is_empty() {
        return Ok(wanted);
    }
    if !may_install() {
        println!(
            "needs: missing, and only root on Debian can install it: apt-get install {}",
            wanted.join(" ")
        );
        return Ok(wanted);
    }
    install(&wanted)?;
    Ok(missing())
}

fn may_install() -> bool {
    rustix::process::geteuid().is_root() && Path::new("/usr/bin/apt-get").exists()
}

/// Installs packages; no service is started.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    if !may_install() {
        bail!(
            "only root on Debian can run: apt-get install {}",
            packages.join(" ")
        );
    }
    let _still = NoServices::begin()?;
    apt(&["update", "--quiet"])?;
    let mut install = vec!["install", "--quiet", "--yes", "--no-install-recommends"];
    install.extend(packages);
    apt(&install)
}

fn apt(words: &[&str]) -> Result<()> {
    process::show(
        Command::new("apt-get")
            .args(words)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

/// While this lives, Debian starts no service on installation.
struct NoServices {
    /// What was there before, with its mode.
    before: Option<(Vec<u8>, fs::Permissions)>,
}

impl NoServices {
    fn begin() -> Result<Self> {
        let before = match fs::read(POLICY) {
            Ok(text) => Some((text, fs::metadata(POLICY)?.permissions())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("read {POLICY}")),
        };
        let still = NoServices { before };
        fs::write(POLICY, "#!/bin/sh\nexit 101\n").with_context(|| format!("write {POLICY}"))?;
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))?;
        Ok(still)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        let restored = match &self.before {
            Some((text, mode)) => {
                fs::write(POLICY, text).and_then(|()| fs::set_permissions(POLICY, mode.clone()))
            }
            None => fs::remove_file(POLICY),
        };
        if let Err(error) = restored {
            eprintln!("needs: put {POLICY} back as it was: {error}");
        }
    }
}
