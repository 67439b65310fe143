//! The packages that the tables are made of, unpacked under the build directory. Nothing is
//! installed: Debian's packages are downloaded and extracted.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::Port;
use crate::{place, process};

/// Numbers of every architecture, by the maintainer of the best list of them (MIT). Pinned: a
/// newer one may rename.
const WHEEL: &str = "system-calls==7.2";
/// The kernel's own prototypes; the first of these that Debian offers. The version is part of the
/// package's name and changes with each update, so the newest of the series is taken.
const HEADERS: &str = r"^linux-headers-6\.12\.[0-9]+\+deb[0-9]+-common$";
/// Packages by their own name: uapi headers of the other architectures, and syscalls(2).
const PACKAGES: &[&str] = &[
    "linux-libc-dev",
    "linux-libc-dev-arm64-cross",
    "linux-libc-dev-armhf-cross",
    "manpages-dev",
];
/// A download or a preprocessor run that takes longer has failed.
const LIMIT: Duration = Duration::from_secs(300);

/// Where the unpacked packages are.
pub(super) struct Inputs {
    root: PathBuf,
}

impl Inputs {
    /// Downloads and unpacks what is not there yet.
    pub(super) fn provide() -> Result<Inputs> {
        let root = place::target().join("tables");
        fs::create_dir_all(&root).with_context(|| format!("create {}", root.display()))?;
        let inputs = Inputs { root };
        inputs.wheel()?;
        for package in PACKAGES {
            inputs.debian(package, package)?;
        }
        let search = ["search", "--names-only", HEADERS];
        let found = output(Command::new("apt-cache").args(search))?;
        let versions = found.lines().filter_map(|l| l.split_whitespace().next());
        // 6.12.9 is before 6.12.10.
        let newest = versions.max_by_key(|name| {
            let digits = name.split(|c: char| !c.is_ascii_digit());
            digits.filter_map(|d| d.parse().ok()).collect::<Vec<u32>>()
        });
        let Some(newest) = newest else {
            bail!("no package is called {HEADERS}; run `apt-get update`");
        };
        inputs.debian(newest, "linux-headers-common")?;
        Ok(inputs)
    }

    /// The wheel is a zip file.
    fn wheel(&self) -> Result<()> {
        let to = self.root.join("system-calls");
        if to.exists() {
            return Ok(());
        }
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--dest"]);
        process::show(pip.arg(&self.root).arg(WHEEL))?;
        let wheel = self.only(&self.root, |name| name.ends_with(".whl"))?;
        let mut unpack = Command::new("python3");
        unpack.args(["-m", "zipfile", "-e"]);
        process::show(unpack.arg(wheel).arg(&to))
    }

    fn debian(&self, package: &str, name: &str) -> Result<()> {
        let to = self.root.join(name);
        if to.exists() {
            return Ok(());
        }
        let work = self.root.join(format!("{name}.download"));
        fs::create_dir_all(&work).with_context(|| format!("create {}", work.display()))?;
        let mut get = Command::new("apt-get");
        get.args(["download", "--quiet", package]);
        process::show(get.current_dir(&work))?;
        let archive = self.only(&work, |name| name.ends_with(".deb"))?;
        process::show(Command::new("dpkg").arg("-x").arg(archive).arg(&to))
    }

    /// The one entry of a directory whose name fits.
    fn only(&self, directory: &Path, fits: impl Fn(&str) -> bool) -> Result<PathBuf> {
        let entries = fs::read_dir(directory)
            .with_context(|| format!("list {}", directory.display()))?
            .collect::<Result<Vec<_>, _>>()?;
        let mut fitting = entries
            .iter()
            .filter(|e| e.file_name().to_str().is_some_and(&fits));
        match (fitting.next(), fitting.next()) {
            (Some(entry), None) => Ok(entry.path()),
            _ => bail!("{}: not one file that fits", directory.display()),
        }
    }

    /// Text of a file of the wheel.
    pub(super) fn wheel_table(&self, name: &str) -> Result<String> {
        let inside = format!("system-calls/system_calls/tables/{name}.py");
        read(&self.root.join(inside))
    }

    /// The source of syscalls(2).
    pub(super) fn syscalls_page(&self) -> Result<String> {
        let page = "manpages-dev/usr/share/man/man2/syscalls.2.gz";
        output(Command::new("gzip").arg("-dc").arg(self.root.join(page)))
    }

    /// The kernel's headers for modules.
    pub(super) fn kernel(&self) -> Result<PathBuf> {
        let sources = self.root.join("linux-headers-common/usr/src");
        self.only(&sources, |name| name.ends_with("-common"))
    }

    /// A directory for headers that one architecture is given in addition.
    pub(super) fn own(&self, port: Port) -> Result<PathBuf> {
        let own = self.root.join("own").join(port.name());
        fs::create_dir_all(&own).with_context(|| format!("create {}", own.display()))?;
        Ok(own)
    }

    /// The header with the families of sockets, which no uapi header has.
    pub(super) fn sockets(&self) -> Result<String> {
        read(&self.kernel()?.join("include/linux/socket.h"))
    }

    /// The prototypes of the kernel's functions that answer calls.
    pub(super) fn prototypes(&self) -> Result<String> {
        let tree = self.kernel()?;
        let texts = ["include/linux/syscalls.h", "include/asm-generic/syscalls.h"]
            .map(|header| read(&tree.join(header)));
        let [calls, generic] = texts;
        Ok(format!("{}\n{}", calls?, generic?))
    }

    /// The macros that `source` defines in the end, read with the headers of one architecture.
    /// The host's preprocessor reads them all: it is told which macros the other's would predefine.
    pub(super) fn macros(&self, port: Port, source: &str) -> Result<BTreeMap<String, String>> {
        let mut gcc = self.preprocessor(port);
        let out = process::take(gcc.args(["-E", "-dM", "-"]), source.as_bytes(), LIMIT)?;
        if !out.status.success() {
            bail!("read headers of {}: {}", port.name(), out.complaint());
        }
        let text = String::from_utf8(out.stdout).context("macros are not UTF-8")?;
        Ok(text
            .lines()
            .filter_map(|l| l.strip_prefix("#define ")?.split_once(' '))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }

    /// `gcc` with nothing but the kernel's uapi headers of one architecture.
    pub(super) fn preprocessor(&self, port: Port) -> Command {
        let (flags, own): (&[&str], &str) = match port {
            Port::X86_64 => (&["-m64"], "linux-libc-dev/usr/include/x86_64-linux-gnu"),
            Port::X32 => (&["-mx32"], "linux-libc-dev/usr/include/x86_64-linux-gnu"),
            Port::I386 => (&["-m32"], "linux-libc-dev/usr/include/x86_64-linux-gnu"),
            Port::Aarch64 => (
                &["-U__x86_64__", "-D__aarch64__"],
                "linux-libc-dev-arm64-cross/usr/aarch64-linux-gnu/include",
            ),
            Port::Arm => (
                &["-m32", "-U__i386__", "-D__arm__", "-D__ARM_EABI__"],
                "linux-libc-dev-armhf-cross/usr/arm-linux-gnueabihf/include",
            ),
        };
        let mut gcc = Command::new("gcc");
        gcc.args(flags).arg("-nostdinc");
        for directory in [own, "linux-libc-dev/usr/include"] {
            gcc.arg("-isystem").arg(self.root.join(directory));
        }
        gcc
    }
}

/// Runs a compiler on `source`: what it complains about (empty when it succeeded), and its output.
pub(super) fn compile(mut gcc: Command, source: &str) -> Result<(String, String)> {
    let out = process::take(&mut gcc, source.as_bytes(), LIMIT)?;
    let complaint = match out.status.success() {
        true => String::new(),
        false => String::from_utf8_lossy(&out.stderr).into_owned() + "\n",
    };
    let text = String::from_utf8(out.stdout).context("the compiler's output is not UTF-8")?;
    Ok((complaint, text))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

fn output(command: &mut Command) -> Result<String> {
    let out = process::take(command, b"", LIMIT)?;
    if !out.status.success() {
        bail!("{command:?}: {}", out.complaint());
    }
    String::from_utf8(out.stdout).with_context(|| format!("{command:?}"))
}
