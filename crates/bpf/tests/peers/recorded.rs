//! What a program asked libseccomp for, as the module in `recorder` tells it.

use std::path::Path;
use std::process::Command;

use portcullis_abi::Arch;
use portcullis_policy::Action;
use serde_json::{Map, Value};

/// A filter as it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    /// The answer where no rule fits.
    pub(crate) default: Action,
    /// The answer to architectures that are not listed.
    pub(crate) bad_arch: Action,
    /// Architectures that we know, in the order in which they were added.
    pub(crate) arches: Vec<Arch>,
    /// The rules.
    pub(crate) rules: Vec<Asked>,
}

/// A rule as it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) action: Action,
    pub(crate) call: Named,
    /// `(argument, comparison, constants)`.
    pub(crate) conditions: Vec<(u8, Comparison, u64, u64)>,
    /// The architectures that the filter had when the rule came.
    pub(crate) arches: Vec<Arch>,
}

/// How a rule names its call.
#[derive(Clone, Debug)]
pub(crate) enum Named {
    Name(String),
    /// A number of the native architecture.
    Number(i64),
}

/// `enum scmp_compare` of seccomp_rule_add(3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Comparison {
    NotEqual,
    Less,
    LessEqual,
    Equal,
    GreaterEqual,
    Greater,
    /// The first constant is the mask.
    Masked,
}

/// The architecture that libseccomp calls so, when there is a table of it here.
pub(crate) fn arch(name: &str) -> Option<Arch> {
    match name {
        "x86_64" => Some(Arch::X86_64),
        "x32" => Some(Arch::X32),
        "x86" => Some(Arch::I386),
        "aarch64" => Some(Arch::Aarch64),
        "arm" => Some(Arch::Arm),
        _ => None,
    }
}

/// And how it calls ours.
pub(crate) fn name(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "x86_64",
        Arch::X32 => "x32",
        Arch::I386 => "x86",
        Arch::Aarch64 => "aarch64",
        Arch::Arm => "arm",
    }
}

/// Runs one of the programs as on a machine of this architecture.
pub(crate) fn record(tests: &Path, program: &str, native: Arch) -> Recorded {
    let names = native
        .syscalls()
        .map(|(n, name)| (n.0.to_string(), Value::from(name)));
    let names = Value::Object(names.collect::<Map<_, _>>());
    let recorder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/recorder");
    let output = Command::new("python3")
        .args(["-B", &format!("{program}.py"), "-b"])
        .current_dir(tests)
        .env("PYTHONPATH", recorder)
        .env("RECORDER_NATIVE", name(native))
        .env("RECORDER_NAMES", names.to_string())
        .output()
        .expect("python3 starts");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {complaint}");
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let rules = document["rules"].as_array().expect("rules");
    Recorded {
        default: action(&document["default"]),
        bad_arch: action(&document["bad_arch"]),
        arches: arches(&document["arches"]),
        rules: rules.iter().map(asked).collect(),
    }
}

fn asked(rule: &Value) -> Asked {
    let call = &rule["call"];
    let conditions = rule["conditions"].as_array().expect("conditions");
    Asked {
        action: action(&rule["action"]),
        call: match call.as_str() {
            Some(name) => Named::Name(name.to_owned()),
            None => Named::Number(call.as_i64().expect("a number")),
        },
        conditions: conditions.iter().map(condition).collect(),
        arches: arches(&rule["arches"]),
    }
}

fn condition(value: &Value) -> (u8, Comparison, u64, u64) {
    let number = |n: usize| value[n].as_u64().expect("a number");
    let comparison = match value[1].as_str().expect("a comparison") {
        "ne" => Comparison::NotEqual,
        "lt" => Comparison::Less,
        "le" => Comparison::LessEqual,
        "eq" => Comparison::Equal,
        "ge" => Comparison::GreaterEqual,
        "gt" => Comparison::Greater,
        "masked" => Comparison::Masked,
        other => panic!("{other} is no comparison"),
    };
    (number(0) as u8, comparison, number(2), number(3))
}

fn arches(list: &Value) -> Vec<Arch> {
    let names = list.as_array().expect("architectures").iter();
    names
        .filter_map(|n| arch(n.as_str().expect("a name")))
        .collect()
}

fn action(value: &Value) -> Action {
    let word = value.as_str().expect("an action");
    let (kind, data) = word.split_once(':').unwrap_or((word, "0"));
    let data = data.parse().expect("16 bits");
    match kind {
        "KillThread" => Action::KillThread,
        "KillProcess" => Action::KillProcess,
        "Allow" => Action::Allow,
        "Log" => Action::Log,
        "Trap" => Action::Trap(0),
        "Notify" => Action::Notify,
        "Errno" => Action::Errno(data),
        "Trace" => Action::Trace(data),
        other => panic!("{other} is no action"),
    }
}
