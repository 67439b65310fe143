//! Constants of the kernel's headers, valued by a compiler.
//!
//! The headers are those of Debian's package for building modules: they have all architectures in
//! one version. The host's compiler reads each as the other architecture would: with its own
//! predefined macros, width of `long`, and alignment of 64-bit members, which the numbers of ioctls
//! depend on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::families::{FAMILIES, HEADERS, NAMES, STEMS, WRITTEN};
use super::inputs::{Inputs, compile};
use super::{PORTS, Port, head};

/// Names and values.
type Values = BTreeMap<String, u64>;

/// What the module's headers do without where they are installed for programs (`make
/// headers_install` removes these words).
const WORDS: &[&str] = &[
    "-D__user=",
    "-D__force=",
    "-D__bitwise=",
    "-D__attribute_const__=",
    "-D__always_inline=inline",
    "-D__counted_by(x)=",
];
/// Headers of the C library and of the kernel's inside that some uapi headers ask for: empty, or
/// what they need of it.
const STANDINS: &[(&str, &str)] = &[
    ("linux/compiler.h", ""),
    ("linux/compiler_types.h", ""),
    ("linux/unistd.h", ""),
    ("asm/unistd.h", ""),
    (
        "stdint.h",
        "#pragma once\ntypedef __SIZE_TYPE__ size_t;\ntypedef __UINTPTR_TYPE__ uintptr_t;\n\
         typedef __UINT8_TYPE__ uint8_t;\ntypedef __UINT16_TYPE__ uint16_t;\n\
         typedef __UINT32_TYPE__ uint32_t;\ntypedef __UINT64_TYPE__ uint64_t;\n\
         typedef __INT32_TYPE__ int32_t;\ntypedef __INT64_TYPE__ int64_t;\n",
    ),
    ("unistd.h", ""),
    ("string.h", ""),
    ("sys/ioctl.h", ""),
    ("sys/time.h", ""),
    ("sys/types.h", ""),
    (
        "sys/socket.h",
        "#pragma once\n#include <linux/socket.h>\ntypedef unsigned short sa_family_t;\n\
         struct sockaddr { unsigned short sa_family; char sa_data[14]; };\n",
    ),
];

/// The headers as one architecture sees them.
struct Headers {
    tree: PathBuf,
    own: PathBuf,
    flags: &'static [&'static str],
    directory: &'static str,
}

impl Headers {
    fn of(port: Port, inputs: &Inputs) -> Result<Headers> {
        let (directory, flags): (_, &[&str]) = match port {
            Port::X86_64 => ("x86", &["-m64"]),
            Port::X32 => ("x86", &["-mx32"]),
            Port::I386 => ("x86", &["-m32"]),
            Port::Aarch64 => ("arm64", &["-m64", "-U__x86_64__", "-D__aarch64__"]),
            // Members of 64 bits are aligned to 8 bytes by the EABI, to 4 on i386.
            Port::Arm => (
                "arm",
                &[
                    "-m32",
                    "-malign-double",
                    "-U__i386__",
                    "-D__arm__",
                    "-D__ARM_EABI__",
                ],
            ),
        };
        let headers = Headers {
            tree: inputs.kernel()?,
            own: inputs.own(port)?,
            flags,
            directory,
        };
        for (name, text) in STANDINS {
            put(&headers.own.join(name), text)?;
        }
        // What an architecture does not have itself is the generic one.
        let generic = headers.tree.join("include/uapi/asm-generic");
        for entry in fs::read_dir(&generic).with_context(|| format!("{}", generic.display()))? {
            let name = entry?.file_name();
            let asm = Path::new("asm").join(&name);
            let standin = STANDINS.iter().any(|(s, _)| Path::new(s) == asm);
            if !standin && !headers.arch().join(&asm).exists() {
                let text = format!("#include <asm-generic/{}>\n", name.display());
                put(&headers.own.join(asm), &text)?;
            }
        }
        Ok(headers)
    }

    fn arch(&self) -> PathBuf {
        let inside = format!("arch/{}/include/uapi", self.directory);
        self.tree.join(inside)
    }

    fn gcc(&self, mode: &[&str]) -> Command {
        let mut gcc = Command::new("gcc");
        gcc.args(self.flags).args(WORDS).args(mode);
        // An error in a macro is told at the line that uses it.
        gcc.args([
            "-w",
            "-nostdinc",
            "-ffreestanding",
            "-ftrack-macro-expansion=0",
        ]);
        let uapi = self.tree.join("include/uapi");
        for directory in [&self.own, &self.arch(), &uapi] {
            gcc.arg("-I").arg(directory);
        }
        gcc.args(["-xc", "-"]);
        gcc
    }

    /// The lines that include every header that is there, and what no header defines.
    fn prelude(&self, sockets: &str) -> String {
        let places = [
            self.own.clone(),
            self.arch(),
            self.tree.join("include/uapi"),
        ];
        let mut text = "#include <stdint.h>\n".to_owned();
        let there = |file: &str| places.iter().any(|place| place.join(file).exists());
        for header in HEADERS {
            let file = format!("{header}.h");
            // The one is of no use without the other: arm has no virtual machines any more.
            let needed = if *header == "linux/kvm" {
                "asm/kvm.h"
            } else {
                &file
            };
            if there(&file) && there(needed) {
                let _ = writeln!(text, "#include <{file}>");
            }
        }
        let defined = sockets.lines().filter_map(|l| l.strip_prefix("#define"));
        let defined = defined.map(str::trim_start).filter_map(|l| {
            let (name, value) = l.split_once(char::is_whitespace)?;
            let value = value.split("/*").next()?.trim();
            let family = ["AF_", "PF_", "SOL_", "MSG_", "SCM_"];
            let whole = !value.is_empty() && !value.contains(['(', '\\']);
            (whole && family.iter().any(|f| name.starts_with(f))).then_some((name, value))
        });
        for (name, value) in defined.chain(WRITTEN.iter().copied()) {
            let _ = writeln!(text, "#ifndef {name}\n#define {name} {value}\n#endif");
        }
        text
    }

    /// The names that are worth a value: macros without parameters, and members of enumerations.
    fn names(&self, prelude: &str) -> Result<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        let macros = compile(self.gcc(&["-E", "-dM"]), prelude)?.1;
        for line in macros.lines().filter_map(|l| l.strip_prefix("#define ")) {
            let Some((name, value)) = line.split_once(' ') else {
                continue;
            };
            let ioctl = ["_IO(", "_IOR(", "_IOW(", "_IOWR("]
                .iter()
                .any(|i| value.starts_with(i));
            if !name.contains('(') && (ioctl || wanted(name)) {
                names.insert(name.to_owned());
            }
        }
        let text = compile(self.gcc(&["-E", "-P"]), prelude)?.1;
        for part in text.split("enum").skip(1) {
            let Some((tag, rest)) = part.split_once('{') else {
                continue;
            };
            if tag.contains([';', ')', '(', ',']) {
                continue;
            }
            let members = rest.split('}').next().unwrap_or_default().split(',');
            let members = members.filter_map(|m| m.split(['=', ' ', '\n']).find(|w| !w.is_empty()));
            names.extend(
                members
                    .map(str::trim)
                    .filter(|m| wanted(m))
                    .map(str::to_owned),
            );
        }
        Ok(names)
    }

    /// Values of those that are constants of integer type.
    fn values(&self, prelude: &str, mut names: Vec<String>) -> Result<Values> {
        let before = prelude.lines().count();
        loop {
            let mut source = prelude.to_owned();
            for name in &names {
                let _ = writeln!(
                    source,
                    "const unsigned long long value_of_{name} = (unsigned long long)({name});"
                );
            }
            let (failed, assembly) = compile(self.gcc(&["-S", "-o", "-"]), &source)?;
            let lines: BTreeSet<usize> = failed
                .lines()
                .filter(|l| l.contains(": error:"))
                .filter_map(|l| l.strip_prefix("<stdin>:")?.split(':').next()?.parse().ok())
                .collect();
            if failed.is_empty() {
                return Ok(assembled(&assembly));
            }
            let before_names = names.len();
            let mut line = before;
            names.retain(|_| {
                line += 1;
                !lines.contains(&line)
            });
            if names.len() == before_names {
                bail!("headers of {}: {failed}", self.directory);
            }
        }
    }
}

/// Numbers of errors, by the name that is no other's alias.
fn errors(headers: &Headers) -> Result<BTreeMap<u16, String>> {
    let macros = compile(headers.gcc(&["-E", "-dM"]), "#include <asm/errno.h>\n")?.1;
    let errors = macros.lines().filter_map(|line| {
        // `EWOULDBLOCK` is `EAGAIN`, not a number.
        let (name, value) = line.strip_prefix("#define E")?.split_once(' ')?;
        Some((value.parse().ok()?, format!("E{name}")))
    });
    Ok(errors.collect())
}

/// `value_of_NAME:` and the data after it.
fn assembled(text: &str) -> Values {
    let mut values = Values::new();
    let mut name = None;
    let mut low: Option<u64> = None;
    for line in text.lines() {
        if let Some(label) = line
            .strip_prefix("value_of_")
            .and_then(|l| l.strip_suffix(':'))
        {
            name = Some(label.to_owned());
            low = None;
            continue;
        }
        let mut words = line.split_whitespace();
        // A text has a label where a number would be, and is no constant.
        let number = |word: Option<&str>| word.and_then(|w| w.parse::<i64>().ok());
        let (Some(kind), Some(number)) = (words.next(), number(words.next())) else {
            continue;
        };
        let value = match (kind, low) {
            (".quad", _) => number as u64,
            (".zero", None) => 0,
            (".long", None) => {
                low = Some(number as u64 & 0xffff_ffff);
                continue;
            }
            (".long", Some(low)) => ((number as u64) << 32) | low,
            (".zero", Some(low)) => low,
            _ => continue,
        };
        if let Some(name) = name.take() {
            values.insert(name, value);
        }
    }
    values
}

fn wanted(name: &str) -> bool {
    let capitals = |rest: &str| {
        rest.bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    let family = |family: &str| {
        let rest = name.strip_prefix(family);
        rest.is_some_and(|r| r.starts_with('_') && r.len() > 1)
    };
    let stem = |stem: &str| {
        name.strip_prefix(stem)
            .is_some_and(|r| !r.is_empty() && !r.contains('_'))
    };
    let errno = name.len() > 2
        && name.strip_prefix('E').is_some_and(|r| !r.contains('_'))
        && !name.starts_with("EXT")
        && !name.starts_with("EV")
        && name != "EPOLLEXCLUSIVE";
    NAMES.contains(&name)
        || capitals(name.trim_start_matches('_'))
            && !name.starts_with('_')
            && (FAMILIES.iter().any(|f| family(f)) || STEMS.iter().any(|s| stem(s)) || errno)
}

/// Every constant of every architecture, as the module of them.
pub(super) fn module(inputs: &Inputs) -> Result<String> {
    let sockets = inputs.sockets()?;
    let mut all: BTreeMap<Port, Values> = BTreeMap::new();
    let mut numbers = BTreeMap::new();
    for port in PORTS {
        let headers = Headers::of(port, inputs)?;
        let own = errors(&headers)?;
        if port != PORTS[0] && own != numbers {
            bail!("{} numbers its errors otherwise", port.name());
        }
        numbers = own;
        let prelude = headers.prelude(&sockets);
        let names = headers.names(&prelude)?;
        all.insert(port, headers.values(&prelude, names.into_iter().collect())?);
    }
    let first = &all[&Port::X86_64];
    let shared: Values = first
        .iter()
        .filter(|(name, value)| all.values().all(|own| own.get(*name) == Some(value)))
        .map(|(name, value)| (name.clone(), *value))
        .collect();
    let mut text = head(
        "Constants by name: those with one value on all architectures, and for each architecture\n\
         those that it has otherwise or alone. Negative values are extended to 64 bits. Source: the\n\
         uapi headers of Linux 6.12, compiled; `families` of the task says which.",
    );
    let mut list = |name: &str, about: &str, values: &Values| {
        let _ = write!(
            text,
            "/// {about}.\n#[rustfmt::skip]\npub(super) const {name}: &[(&str, u64)] = &[\n"
        );
        for (name, value) in values {
            let _ = match value {
                0..10 => writeln!(text, "    (\"{name}\", {value}),"),
                _ => writeln!(text, "    (\"{name}\", 0x{value:x}),"),
            };
        }
        text.push_str("];\n\n");
    };
    list("SHARED", "The same everywhere", &shared);
    for (port, values) in &all {
        let own = values
            .iter()
            .filter(|(name, _)| !shared.contains_key(*name));
        let own = own.map(|(name, value)| (name.clone(), *value)).collect();
        let name = port.name();
        list(&name.to_uppercase(), &format!("Of {name}"), &own);
    }
    text.push_str("/// Errors by number, the same everywhere.\n");
    text.push_str("#[rustfmt::skip]\npub(super) const ERRORS: &[(u16, &str)] = &[\n");
    for (number, name) in &numbers {
        let _ = writeln!(text, "    ({number}, \"{name}\"),");
    }
    text.push_str("];\n");
    Ok(text)
}

fn put(path: &Path, text: &str) -> Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).with_context(|| format!("{}", directory.display()))?;
    }
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}
