//! What an audit says.

use std::fmt;

use portcullis_abi::{ArgValue, Confidence, Sysno};

use crate::{Place, Policy, Rule};

/// One thing that an audit found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What.
    pub code: Code,
    /// The filter that it is about: which of those that were audited.
    pub filter: Option<usize>,
    /// The threads that it is about, ascending; programs by their paths.
    pub threads: Vec<String>,
    /// The rule that it is about.
    pub rule: Option<RuleAt>,
    /// The call's number, when it is about one.
    pub number: Option<Sysno>,
    /// The call, or calls, by name.
    pub call: String,
    /// What is known of the arguments, where that matters.
    pub args: Vec<(u8, ArgValue)>,
    /// How sure it is that the call is made.
    pub confidence: Option<Confidence>,
    /// The way to it; empty when the finding is that there is none.
    pub witness: Vec<Step>,
    /// What leaves it open: ids of residuals, ascending.
    pub residuals: Vec<String>,
    /// What was found, in a sentence.
    pub message: String,
    /// What to do.
    pub suggestion: Option<Edit>,
}

/// A rule of one of the filters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct RuleAt {
    /// The filter.
    pub filter: usize,
    /// The table.
    pub table: usize,
    /// Its place in the table.
    pub rule: usize,
    /// The part of the file.
    pub place: Option<Place>,
    /// As a person reads it.
    pub text: String,
}

/// A step of the way to a call.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Step {
    /// The file.
    pub object: String,
    /// The function, when known.
    pub function: Option<String>,
    /// Virtual address in the file.
    pub address: u64,
}

/// A change of a filter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Edit {
    /// A rule goes.
    Remove {
        /// Table, and place there.
        rule: (usize, usize),
    },
    /// Others stand in its place.
    Replace {
        /// Table, and place there.
        rule: (usize, usize),
        /// These, in order; none has more than single values.
        by: Vec<Rule>,
    },
    /// More are tried before a rule, or after all of them.
    Insert {
        /// Table, and place there; the number of rules means the end.
        before: (usize, usize),
        /// These, in order.
        rules: Vec<Rule>,
    },
}

impl Edit {
    /// Makes several changes of one policy, each said of the policy as it is before.
    pub fn apply_all(changes: &[&Edit], policy: &mut Policy) {
        let mut order = changes.to_vec();
        // From the end, and what is before a rule after the rule itself: places stay what they are.
        order.sort_by_key(|change| {
            let (at, adds) = match change {
                Edit::Remove { rule } | Edit::Replace { rule, .. } => (*rule, false),
                Edit::Insert { before, .. } => (*before, true),
            };
            (std::cmp::Reverse(at), adds)
        });
        for change in order {
            change.apply(policy);
        }
    }

    /// Makes the change; one that is about another policy changes nothing.
    pub fn apply(&self, policy: &mut Policy) {
        let (&(table, at), gone, new): (_, usize, &[Rule]) = match self {
            Edit::Remove { rule } => (rule, 1, &[]),
            Edit::Replace { rule, by } => (rule, 1, by),
            Edit::Insert { before, rules } => (before, 0, rules),
        };
        if let Some(table) = policy.tables.get_mut(table)
            && at + gone <= table.rules.len()
        {
            table.rules.splice(at..at + gone, new.iter().cloned());
        }
    }
}

/// What kind of thing a finding is: stable.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Code {
    /// A call that the program makes is denied.
    Missing,
    /// The same of a call that the kernel makes on its behalf.
    MissingKernel,
    /// The same of one that the vDSO falls back on.
    MissingVdso,
    /// A rule that nothing needs.
    Redundant,
    /// A rule that allows more than what is needed of it.
    TooBroad,
    /// A rule that something unknown may need.
    PerhapsNeeded,
    /// A call that may be denied: its arguments are not known, or the filter need not be there.
    PerhapsMissing,
    /// A call, or a rule, with more cases than are looked at.
    TooManyCases,
    /// A filter of which it is not known who is under it.
    NoThread,
    /// A call that a rule denies in so many words.
    OnPurpose,
    /// An accepted finding that is none any more.
    Stale,
}

/// The kinds of findings.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// Something that is made is denied.
    Missing,
    /// A rule is not needed.
    Redundant,
    /// A rule is wider than what is needed.
    TooBroad,
    /// It cannot be told.
    Unknown,
    /// Denied by a rule that says so; no finding.
    Denied,
    /// An accepted finding does not occur.
    Stale,
}

impl Code {
    /// All of them.
    pub const ALL: [Code; 11] = [
        Code::Missing,
        Code::MissingKernel,
        Code::MissingVdso,
        Code::Redundant,
        Code::TooBroad,
        Code::PerhapsNeeded,
        Code::PerhapsMissing,
        Code::TooManyCases,
        Code::NoThread,
        Code::OnPurpose,
        Code::Stale,
    ];

    /// The name that stays: `PC0401`.
    pub fn name(self) -> &'static str {
        match self {
            Code::Missing => "PC0401",
            Code::MissingKernel => "PC0402",
            Code::MissingVdso => "PC0403",
            Code::Redundant => "PC0404",
            Code::TooBroad => "PC0405",
            Code::PerhapsNeeded => "PC0406",
            Code::PerhapsMissing => "PC0407",
            Code::TooManyCases => "PC0408",
            Code::NoThread => "PC0409",
            Code::OnPurpose => "PC0410",
            Code::Stale => "PC0411",
        }
    }

    /// What kind of finding it is.
    pub fn kind(self) -> Kind {
        match self {
            Code::Missing | Code::MissingKernel | Code::MissingVdso => Kind::Missing,
            Code::Redundant => Kind::Redundant,
            Code::TooBroad => Kind::TooBroad,
            Code::PerhapsNeeded | Code::PerhapsMissing | Code::TooManyCases | Code::NoThread => {
                Kind::Unknown
            }
            Code::OnPurpose => Kind::Denied,
            Code::Stale => Kind::Stale,
        }
    }
}

impl Kind {
    /// The name in JSON and text.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Missing => "missing",
            Kind::Redundant => "redundant",
            Kind::TooBroad => "too-broad",
            Kind::Unknown => "unknown",
            Kind::Denied => "denied",
            Kind::Stale => "stale",
        }
    }

    /// Whether somebody must do something; the rest is for reading.
    pub fn fails(self) -> bool {
        !matches!(self, Kind::Unknown | Kind::Denied)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_explained() {
        for code in Code::ALL {
            assert!(crate::codes::explain(code.name()).is_some(), "{code}");
        }
    }
}
