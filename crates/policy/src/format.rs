//! Foreign formats: what each says is read with its exact meaning, and written only where the format
//! can say it.

pub mod docker;
mod document;
mod edit;
pub mod firecracker;
mod formula;
mod json;
pub mod kafel;
pub mod kubernetes;
mod libseccomp;
pub mod minijail;
mod names;
pub mod oci;
mod repeated;
mod scmp;
mod spoken;
pub mod systemd;
mod token;
mod yaml;

use std::fmt;
use std::str::FromStr;

use portcullis_abi::Arch;

use crate::{Action, Filter, Mistake, Source, Table, Target, toml};
pub use edit::edit;
pub use repeated::without_repeated;

/// A form that a policy can have outside.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Format {
    /// Portcullis' own TOML.
    Native,
    /// `linux.seccomp` of the OCI runtime specification, also inside a `config.json`; what kubelet
    /// reads as a localhost profile.
    Oci,
    /// Docker's and moby's JSON.
    Docker,
    /// containers-common's JSON (podman, buildah, CRI-O): Docker's with names of error numbers.
    Containers,
    /// The `SeccompProfile` object of the security-profiles-operator.
    Kubernetes,
    /// Firecracker's JSON: a filter for each thread, compiled by its seccompiler-bin.
    Firecracker,
    /// The JSON of the crate `seccompiler`.
    Seccompiler,
    /// A drop-in of systemd units.
    Systemd,
    /// minijail's `.policy`.
    Minijail,
    /// kafel's language.
    Kafel,
    /// A filter program as the kernel takes it.
    Bpf,
    /// A filter program as an array in C.
    C,
    /// A filter program as a constant in Rust.
    Rust,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 13] = [
        Format::Native,
        Format::Oci,
        Format::Docker,
        Format::Containers,
        Format::Kubernetes,
        Format::Firecracker,
        Format::Seccompiler,
        Format::Systemd,
        Format::Minijail,
        Format::Kafel,
        Format::Bpf,
        Format::C,
        Format::Rust,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Native => "native",
            Format::Oci => "oci",
            Format::Docker => "docker",
            Format::Containers => "containers",
            Format::Kubernetes => "kubernetes",
            Format::Firecracker => "firecracker",
            Format::Seccompiler => "seccompiler",
            Format::Systemd => "systemd",
            Format::Minijail => "minijail",
            Format::Kafel => "kafel",
            Format::Bpf => "bpf",
            Format::C => "c",
            Format::Rust => "rust",
        }
    }

    /// What a file seems to be, by the words that only one format has. It reads nothing: a file that is
    /// broken is still of its format, whose reader then says what is wrong.
    pub fn detect(bytes: &[u8]) -> Option<Format> {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return program(bytes);
        };
        if text.contains('\0') {
            return program(bytes);
        }
        let any = |words: &[&str]| words.iter().any(|w| text.contains(w));
        let line = |test: &dyn Fn(&str) -> bool| text.lines().map(str::trim).any(test);
        let starts = |words: &[&str]| line(&|l| words.iter().any(|w| l.starts_with(w)));
        let json = text.trim_start().starts_with('{');
        Some(match () {
            () if json && any(&["\"apiVersion\""]) => Format::Kubernetes,
            () if json && any(&["\"mismatch_action\"", "\"match_action\""]) => Format::Seccompiler,
            () if json && any(&["\"default_action\"", "\"filter_action\""]) => Format::Firecracker,
            () if json && any(&["\"ociVersion\""]) => Format::Oci,
            () if json && any(&["\"defaultErrno\"", "\"errno\""]) => Format::Containers,
            () if json && any(&["\"archMap\"", "\"includes\"", "\"excludes\"", "\"name\""]) => {
                Format::Docker
            }
            () if json && any(&["\"defaultAction\"", "\"linux\""]) => Format::Oci,
            () if json => return None,
            () if any(&["portcullis.policy"]) => Format::Native,
            () if starts(&["apiVersion:"]) => Format::Kubernetes,
            () if any(&["struct sock_filter"]) => Format::C,
            () if any(&["sock_filter"]) => Format::Rust,
            () if starts(&["[Service]", "SystemCallFilter=", "SystemCallArchitectures="]) => {
                Format::Systemd
            }
            () if starts(&["POLICY ", "USE ", "DEFAULT "])
                || line(&|l| l.contains('{') && KAFEL.iter().any(|w| l.starts_with(w))) =>
            {
                Format::Kafel
            }
            () if starts(&["@include", "@default", "@frequency"]) || line(&is_minijail) => {
                Format::Minijail
            }
            () => return None,
        })
    }
}

/// The actions that begin a block of kafel.
const KAFEL: [&str; 8] = [
    "ALLOW",
    "DENY",
    "KILL",
    "ERRNO",
    "TRAP",
    "TRACE",
    "LOG",
    "USER_NOTIF",
];

/// `name: expression`, which is what lines of minijail are.
fn is_minijail(line: &str) -> bool {
    let word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    line.split_once(':').is_some_and(|(name, expression)| {
        let first = expression.trim_start();
        let known = [
            "1",
            "allow",
            "kill",
            "trap",
            "trace",
            "log",
            "return",
            "arg",
            "user-notify",
        ];
        word(name.trim_end()) && known.iter().any(|k| first.starts_with(k))
    })
}

/// Programs are instructions of eight bytes.
fn program(bytes: &[u8]) -> Option<Format> {
    (!bytes.is_empty() && bytes.len().is_multiple_of(8)).then_some(Format::Bpf)
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no format.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no format `{0}`; known are {known}", known = known())]
pub struct UnknownFormat(pub String);

fn known() -> String {
    Format::ALL.map(Format::name).join(", ")
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Format, UnknownFormat> {
        let mut all = Format::ALL.into_iter();
        all.find(|f| f.name() == name)
            .ok_or_else(|| UnknownFormat(name.into()))
    }
}

/// What a runtime answers to calls that are newer than all that a profile names.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Newer {
    /// What it answers to all that the profile does not name: the meaning of the file itself.
    #[default]
    AsDefault,
    /// `ENOSYS` above the highest number that the profile names for an architecture it lists, unless
    /// the default is allow, log or trace: what runc puts before the filter
    /// (libcontainer/seccomp/patchbpf/enosys_linux.go).
    AsRunc,
}

/// Where a written file may differ from its policy. Without them a policy that answers newer or
/// foreign calls otherwise than the format's own machinery does is refused.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Concessions {
    /// Calls of other architectures and of x32 are answered as the format does.
    pub foreign: bool,
    /// Numbers that no rule is about and the policy counts as newer are answered as known ones; so are
    /// numbers that no kernel has.
    pub newer: bool,
}

/// Why a policy cannot be written: the first part of it that the format cannot say.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}{message}", place(.filter, .rule))]
pub struct Unsayable {
    /// The filter's name, when it has one.
    pub filter: Option<String>,
    /// The rule: its table, and its place there.
    pub rule: Option<(usize, usize)>,
    /// What the format cannot say.
    pub message: String,
}

fn place(filter: &Option<String>, rule: &Option<(usize, usize)>) -> String {
    let filter = filter.as_ref().map(|f| format!("filter {f}: "));
    let rule = rule.map(|(_, r)| format!("rule {}: ", r + 1));
    filter.unwrap_or_default() + &rule.unwrap_or_default()
}

impl Unsayable {
    pub(crate) fn whole(message: impl Into<String>) -> Unsayable {
        Unsayable {
            filter: None,
            rule: None,
            message: message.into(),
        }
    }

    /// The same, said of a filter.
    pub(crate) fn of(mut self, filter: &crate::Filter) -> Unsayable {
        self.filter.clone_from(&filter.name);
        self
    }

    pub(crate) fn rule(rule: (usize, usize), message: impl Into<String>) -> Unsayable {
        Unsayable {
            rule: Some(rule),
            ..Unsayable::whole(message)
        }
    }
}

/// Gives the text of a file that another one includes, by the path that stands there; the error is
/// why there is none.
pub type Include<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// Larger texts are no policies; with all that they include.
const MOST_BYTES: usize = 4 << 20;
/// Policies with more rules are longer than any filter that the kernel takes.
const MOST_RULES: usize = 1 << 13;

/// Reads a text in a form; what it includes is given by `include`.
///
/// Filter programs are no texts: `portcullis_bpf::import` makes policies of them.
pub fn read(
    format: Format,
    text: &str,
    target: &Target,
    newer: Newer,
    include: Include<'_>,
) -> Result<Source, Mistake> {
    let source = match format {
        Format::Native => toml::source(text, &Included(include)),
        Format::Oci => oci::read(text, target, newer),
        Format::Docker | Format::Containers => docker::read(text, format, target, newer),
        Format::Kubernetes => kubernetes::read(text, target, newer),
        Format::Firecracker | Format::Seccompiler => firecracker::read(text, format, target),
        Format::Systemd => systemd::read(text, target),
        Format::Minijail => minijail::read(text, target, include),
        Format::Kafel => kafel::read(text, target, include),
        Format::Bpf | Format::C | Format::Rust => Err(Mistake::whole(format!(
            "`{format}` is a form of filter programs"
        ))),
    }?;
    if format == Format::Native {
        let mut filters = source.filters.iter();
        filters.try_for_each(|filter| repeated::check(text, filter))?;
    }
    let tables = source.filters.iter().flat_map(|f| &f.policy.tables);
    match tables.map(|t| t.rules.len()).max() {
        Some(count @ MOST_RULES..) => Err(Mistake::whole(format!(
            "there are {count} rules for one architecture; fewer than {MOST_RULES} are read"
        ))),
        _ => Ok(source),
    }
}

/// Writes filters in a form; a form that cannot say one of them refuses.
pub fn write(format: Format, source: &Source, conceded: Concessions) -> Result<String, Unsayable> {
    let filters = &source.filters;
    if format != Format::Native {
        filters.iter().try_for_each(plain_traps)?;
    }
    match format {
        Format::Native => Ok(toml::write_source(source)),
        Format::Oci => oci::write(filters, conceded),
        Format::Docker | Format::Containers => docker::write(filters, conceded),
        Format::Kubernetes => kubernetes::write(filters, conceded),
        Format::Firecracker | Format::Seccompiler => firecracker::write(filters, format, conceded),
        Format::Systemd => {
            let policy = &spoken::only(filters)?.policy;
            let native = policy.tables.first().map_or(Arch::X86_64, |t| t.arch);
            systemd::write(policy, native)
        }
        Format::Minijail => minijail::write(&spoken::only(filters)?.policy),
        Format::Kafel => Err(Unsayable::whole("kafel is only read, not written")),
        Format::Bpf | Format::C | Format::Rust => Err(Unsayable::whole(format!(
            "`{format}` is a form of filter programs"
        ))),
    }
}

/// No form but the native one says the number that a trap hands to the signal's handler.
fn plain_traps(filter: &Filter) -> Result<(), Unsayable> {
    let numbered = |action: Action| matches!(action, Action::Trap(1..));
    let message = "a trap with a number, which the format cannot say";
    let mut tables = filter.policy.tables.iter().enumerate();
    let rule = tables.find_map(|(at, table)| {
        let rule = table.rules.iter().position(|r| numbered(r.action));
        rule.map(|rule| (at, rule))
    });
    let unlisted = |t: &Table| numbered(t.default) || numbered(t.newer);
    match rule {
        Some(rule) => Err(Unsayable::rule(rule, message)),
        None if numbered(filter.policy.foreign) || filter.policy.tables.iter().any(unlisted) => {
            Err(Unsayable::whole(message))
        }
        None => Ok(()),
    }
}

/// Texts that are included, for the native form.
struct Included<'a>(Include<'a>);

impl toml::Includes for Included<'_> {
    fn text(&self, name: &str) -> Result<String, String> {
        (self.0)(name)
    }
}
