//! From prototypes to the arguments that `abi` tells: kind, width and sign.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Result, bail};

use super::prototype::{Parameter, Prototypes};
use super::{NEWEST, PORTS, Port, head};

/// One argument: its name, the variant of `ArgKind`, its bits, its sign.
type Argument = (String, &'static str, u8, bool);

/// Arguments of each call.
type Calls = BTreeMap<String, Vec<Argument>>;

/// Names of parameters that lead to a path.
const PATHS: &[&str] = &[
    "path",
    "pathname",
    "filename",
    "oldname",
    "newname",
    "dev_name",
    "dir_name",
    "new_root",
    "put_old",
    "from_pathname",
    "to_pathname",
    "specialfile",
    "library",
    "special",
    "old",
    "new",
];
/// Names of parameters that lead to another text.
const TEXTS: &[&str] = &[
    "name",
    "u_name",
    "name_user",
    "uname_ptr",
    "type",
    "_type",
    "_description",
    "_callout_info",
    "fs_name",
    "_fs_name",
    "key",
    "_key",
    "uargs",
    "u_msg_name",
    "cmdline_ptr",
];

/// The arguments of a call of `port`.
fn of(port: Port, call: &str, prototypes: &Prototypes) -> Result<Vec<Argument>> {
    let narrow = matches!(port, Port::I386 | Port::Arm);
    let mut arguments = Vec::new();
    for parameter in prototypes.of(port, call)? {
        let (kind, width, signed) = kind(call, &parameter, if narrow { 32 } else { 64 })?;
        if width == 64 && narrow {
            // Two registers; the EABI of arm begins such a pair at an even one.
            if port == Port::Arm && arguments.len() % 2 == 1 {
                arguments.push(("unused".to_owned(), "Unsigned", 32, false));
            }
            arguments.push((format!("{}_low", parameter.name), kind, 32, false));
            arguments.push((format!("{}_high", parameter.name), kind, 32, signed));
        } else {
            arguments.push((parameter.name, kind, width, signed));
        }
    }
    if arguments.len() > 6 {
        bail!("{}: {call} has {} arguments", port.name(), arguments.len());
    }
    Ok(arguments)
}

/// `(kind, bits, signed)`.
fn kind(call: &str, parameter: &Parameter, word: u8) -> Result<(&'static str, u8, bool)> {
    let Parameter {
        declared,
        name,
        constant,
    } = parameter;
    let name = name.as_str();
    if declared.ends_with('*')
        || matches!(
            &**declared,
            "cap_user_header_t" | "cap_user_data_t" | "__sighandler_t"
        )
    {
        let text = declared == "char *";
        let kind = match () {
            () if text && (PATHS.contains(&name) || call == "umount2" || call == "umount") => {
                "Path"
            }
            () if text && (*constant || call == "mount") && TEXTS.contains(&name) => {
                if call == "acct" { "Path" } else { "Text" }
            }
            () if declared.starts_with("struct ") || declared.starts_with("union ") => {
                if declared.matches('*').count() == 1 {
                    "Struct"
                } else {
                    "Pointer"
                }
            }
            () if declared.starts_with("cap_") => "Struct",
            () => "Pointer",
        };
        return Ok((kind, word, false));
    }
    let (kind, bits, signed) = match &**declared {
        "int" | "__s32" | "s32" | "key_t" | "timer_t" | "mqd_t" | "key_serial_t" | "rwf_t" => {
            ("Int", 32, true)
        }
        "unsigned int"
        | "unsigned"
        | "u32"
        | "__u32"
        | "uint32_t"
        | "qid_t"
        | "enum landlock_rule_type" => ("Unsigned", 32, false),
        "old_sigset_t" | "unsigned long" | "aio_context_t" => ("UnsignedLong", word, false),
        "long" => ("Long", word, true),
        "size_t" => ("Size", word, false),
        "off_t" => ("Offset", word, true),
        "loff_t" => ("Offset", 64, true),
        "u64" => ("UnsignedLong", 64, false),
        "pid_t" => ("Pid", 32, true),
        "clockid_t" => ("Clock", 32, true),
        "umode_t" => ("Mode", 32, false),
        "uid_t" => ("Uid", 32, false),
        "gid_t" => ("Gid", 32, false),
        "old_uid_t" => ("Uid16", 32, false),
        "old_gid_t" => ("Gid16", 32, false),
        other => bail!("{call}: a parameter of the unknown type `{other}`"),
    };
    let plain = matches!(kind, "Int" | "Unsigned" | "Long" | "UnsignedLong");
    let by_name = match name {
        "fd" | "fildes" | "oldfd" | "newfd" | "fd1" | "fd2" | "mqdes" | "u_fd" => "Fd",
        _ if name.ends_with("dfd") || name.ends_with("_fd") || name.starts_with("fd_") => "Fd",
        _ if matches!(
            name,
            "epfd" | "ufd" | "fdin" | "fdout" | "pidfd" | "out_fd" | "uffd"
        ) =>
        {
            "Fd"
        }
        "prot" | "at_flags" | "flag" | "oflag" | "mask" | "unshare_flags" | "clone_flags" => {
            "Flags"
        }
        _ if name.ends_with("flags") || name.ends_with("flg") => "Flags",
        // The signature of rseq(2) is no signal.
        "sig" if call != "rseq" => "Signal",
        "clockid" => "Clock",
        "pid" | "tgid" | "tid" | "pid1" | "pid2" => "Pid",
        _ => kind,
    };
    Ok((if plain { by_name } else { kind }, bits, signed))
}

/// The module with the arguments of all calls.
pub(super) fn module(
    calls: &BTreeMap<Port, BTreeMap<u32, String>>,
    prototypes: &Prototypes,
) -> Result<String> {
    let mut all: BTreeMap<Port, Calls> = BTreeMap::new();
    for port in PORTS {
        let own = all.entry(port).or_default();
        for name in calls.get(&port).into_iter().flat_map(BTreeMap::values) {
            own.insert(name.clone(), of(port, name, prototypes)?);
        }
    }
    // Most calls are declared alike on all architectures of one width: those are said once.
    let mut shared: BTreeMap<bool, Calls> = BTreeMap::new();
    let mut own: BTreeMap<Port, Calls> = BTreeMap::new();
    for (port, calls) in all {
        let width = shared
            .entry(matches!(port, Port::I386 | Port::Arm))
            .or_default();
        for (name, arguments) in calls {
            let first = width
                .entry(name.clone())
                .or_insert_with(|| arguments.clone());
            if *first != arguments {
                own.entry(port).or_default().insert(name, arguments);
            }
        }
    }
    let mut text = head(&format!(
        "What each call takes, by name, as of {}. Sources: the prototypes of the kernel's\n\
         include/linux/syscalls.h, and `written` of the task for what it lacks.",
        NEWEST.0
    ));
    text.push_str("use super::ArgKind::*;\nuse super::{Row, argument as a};\n");
    let mut list = |name: &str, about: &str, calls: &Calls| {
        let _ = write!(
            text,
            "\n/// {about}.\n#[rustfmt::skip]\npub(super) const {name}: &[Row] = &[\n"
        );
        for (call, arguments) in calls {
            let parts: Vec<String> = arguments
                .iter()
                .map(|(name, kind, bits, signed)| {
                    format!("a(\"{name}\", {kind}, {bits}, {signed})")
                })
                .collect();
            let _ = writeln!(text, "    (\"{call}\", &[{}]),", parts.join(", "));
        }
        text.push_str("];\n");
    };
    let none = Calls::new();
    let of = |port| own.get(&port).unwrap_or(&none);
    list("WIDE", "Where `unsigned long` has 64 bits", &shared[&false]);
    list("X32", "What x32 has otherwise", of(Port::X32));
    list("AARCH64", "What aarch64 has otherwise", of(Port::Aarch64));
    list(
        "NARROW",
        "Where `unsigned long` has 32 bits",
        &shared[&true],
    );
    list("ARM", "What arm has otherwise", of(Port::Arm));
    Ok(text)
}
