//! The native form on disk.
//!
//! ```toml
//! schema = "portcullis.policy"
//! version = 1
//! arch = "x86_64"
//! newest = 470
//! default = "kill"
//! newer = "errno:38"
//! foreign = "kill"
//!
//! [[rule]]
//! call = "ioctl"
//! when = ["arg1 as u32 == 0x5401"]
//! action = "allow"
//! from = ["site /usr/lib/x86_64-linux-gnu/libc.so.6 0x1234 tcgetattr"]
//!
//! [[phase]]
//! thread = "main"
//! phase = "loop"
//! calls = ["ioctl"]
//! ```
//!
//! A phase says which of the calls a thread still makes from some point on; the rules hold without it.
//! A call is written by its name, or by its number when no table knows it; what is left out of a
//! rule is empty, and `action` is `allow`. Unknown keys are errors: a misspelt condition must not
//! become no condition.

mod phrase;

use portcullis_abi::{Arch, Sysno};
use serde::{Deserialize, Serialize};

use crate::{Action, Phase, Policy, Rule};
use phrase::Phrase as _;

/// Larger files are no policies.
const MOST_BYTES: usize = 16 << 20;
const SCHEMA: &str = "portcullis.policy";
const VERSION: u32 = 1;

/// Why a text is no policy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no TOML, or has keys that do not belong there.
    #[error("the policy cannot be read: {0}")]
    Form(::toml::de::Error),
    /// It is another kind of document.
    #[error(
        "this is a `{schema}` document of version {version}, not {SCHEMA} of version {VERSION}"
    )]
    Schema {
        /// What it says it is.
        schema: String,
        /// Of which version.
        version: u32,
    },
    /// A word in it means nothing.
    #[error("{place}: {what} `{text}` is not understood; {advice}")]
    Word {
        /// `rule 3 (ioctl)`, or the key at the top.
        place: String,
        /// What kind of word.
        what: &'static str,
        /// The word.
        text: String,
        /// What would be.
        advice: &'static str,
    },
    /// It is too large.
    #[error("the policy has {0} bytes; at most {MOST_BYTES} are read")]
    TooLarge(usize),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: String,
    version: u32,
    arch: String,
    newest: u32,
    default: String,
    newer: String,
    foreign: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rule: Vec<RuleEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    phase: Vec<PhaseEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PhaseEntry {
    thread: String,
    phase: String,
    calls: Vec<CallName>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleEntry {
    call: CallName,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    when: Vec<String>,
    #[serde(default = "allow")]
    action: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    from: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum CallName {
    Name(String),
    Number(u32),
}

fn allow() -> String {
    Action::Allow.phrase()
}

/// Writes a policy; [`read`] gives back the same.
pub fn write(policy: &Policy) -> String {
    let document = Document {
        schema: SCHEMA.into(),
        version: VERSION,
        arch: policy.arch.to_string(),
        newest: policy.newest.0,
        default: policy.default.phrase(),
        newer: policy.newer.phrase(),
        foreign: policy.foreign.phrase(),
        rule: policy
            .rules
            .iter()
            .map(|rule| RuleEntry {
                call: call_name(policy.arch, rule.number),
                when: rule.conditions.iter().map(phrase::Phrase::phrase).collect(),
                action: rule.action.phrase(),
                from: rule.provenance.iter().map(phrase::Phrase::phrase).collect(),
            })
            .collect(),
        phase: policy
            .phases
            .iter()
            .map(|phase| PhaseEntry {
                thread: phase.thread.clone(),
                phase: phase.phase.clone(),
                calls: phase
                    .calls
                    .iter()
                    .map(|n| call_name(policy.arch, *n))
                    .collect(),
            })
            .collect(),
    };
    // Strings, numbers and lists of them have a TOML form whatever they hold.
    ::toml::to_string(&document).unwrap_or_default()
}

/// Reads a policy.
pub fn read(text: &str) -> Result<Policy, Error> {
    if text.len() > MOST_BYTES {
        return Err(Error::TooLarge(text.len()));
    }
    let document: Document = ::toml::from_str(text).map_err(Error::Form)?;
    if document.schema != SCHEMA || document.version != VERSION {
        return Err(Error::Schema {
            schema: document.schema,
            version: document.version,
        });
    }
    let top = |key: &str, text: &str| phrase::parse::<Action>(text, || key.to_owned());
    let arch = match document.arch.as_str() {
        "x86_64" => Arch::X86_64,
        _ => {
            return Err(Error::Word {
                place: "arch".into(),
                what: "the architecture",
                text: document.arch,
                advice: "known is: x86_64",
            });
        }
    };
    let mut rules = Vec::with_capacity(document.rule.len());
    for (index, entry) in document.rule.into_iter().enumerate() {
        rules.push(rule(arch, index, entry)?);
    }
    let mut phases = Vec::with_capacity(document.phase.len());
    for entry in document.phase {
        let place = || format!("phase {} of thread {}", entry.phase, entry.thread);
        let calls = entry
            .calls
            .into_iter()
            .map(|call| number(arch, call, place));
        let mut calls: Vec<Sysno> = calls.collect::<Result<_, _>>()?;
        calls.sort_unstable();
        calls.dedup();
        phases.push(Phase {
            calls,
            thread: entry.thread,
            phase: entry.phase,
        });
    }
    Ok(Policy {
        arch,
        phases,
        newest: Sysno(document.newest),
        rules,
        default: top("default", &document.default)?,
        newer: top("newer", &document.newer)?,
        foreign: top("foreign", &document.foreign)?,
    })
}

fn call_name(arch: Arch, number: Sysno) -> CallName {
    match arch.name(number) {
        Some(name) => CallName::Name(name.into()),
        None => CallName::Number(number.0),
    }
}

fn number(arch: Arch, call: CallName, place: impl Fn() -> String) -> Result<Sysno, Error> {
    match call {
        CallName::Number(number) => Ok(Sysno(number)),
        CallName::Name(name) => arch.number(&name).ok_or_else(|| Error::Word {
            place: place(),
            what: "the call",
            text: name.clone(),
            advice: "write a name of the architecture's table, or a number",
        }),
    }
}

fn rule(arch: Arch, index: usize, entry: RuleEntry) -> Result<Rule, Error> {
    let shown = match &entry.call {
        CallName::Number(number) => number.to_string(),
        CallName::Name(name) => name.clone(),
    };
    let place = || format!("rule {} ({shown})", index + 1);
    let number = number(arch, entry.call, place)?;
    let conditions = entry.when.iter().map(|w| phrase::parse(w, place));
    let provenance = entry.from.iter().map(|f| phrase::parse(f, place));
    Ok(Rule {
        number,
        conditions: conditions.collect::<Result<_, _>>()?,
        action: phrase::parse(&entry.action, place)?,
        provenance: provenance.collect::<Result<_, _>>()?,
    })
}
