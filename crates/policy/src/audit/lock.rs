//! What programs do as lines: to be committed, compared, and followed over builds.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_abi::{ArgValue, Mode, SyscallSet};

use super::finding::Step;
use super::subject::Subject;
use super::{Audit, Code, phrase, telling};
use crate::Filter;

/// The first line of a lock.
const HEAD: &str = "# portcullis syscalls 1: THREAD/PHASE CALL ARGUMENTS";

/// What changed from one program to another.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Drift {
    /// Lines that only the new one has.
    pub gained: Vec<String>,
    /// Lines that only the old one has.
    pub lost: Vec<String>,
}

/// A build of a program.
#[derive(Clone, Debug)]
pub struct Build {
    /// What it is called.
    pub name: String,
    /// What it does: [`lines`].
    pub lines: BTreeMap<String, Vec<Step>>,
    /// What the audit of it found.
    pub audit: Audit,
}

/// Something that happened in a build.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Which of the builds, as it was named.
    pub build: String,
    /// What.
    pub what: Happened,
}

/// What can happen in a build.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Happened {
    /// A line appeared; the way to the call.
    Gained(String, Vec<Step>),
    /// A line went away.
    Lost(String),
    /// A rule, as text, became redundant.
    Redundant(String),
    /// A rule that was redundant is needed, or gone.
    NoLongerRedundant(String),
}

/// What a program does, a line for each thread, phase, call and combination of the arguments that say
/// what the call does; with a way to each. Addresses and the like, which change with each build, are
/// left out.
pub fn lines(set: &SyscallSet) -> BTreeMap<String, Vec<Step>> {
    let mut lines = BTreeMap::new();
    for thread in set.sets.iter().filter(|t| t.mode == Mode::Sound) {
        let subject = Subject::thread(set, thread, Vec::new());
        for made in subject.calls() {
            let number = made.call.number;
            let told = telling::telling(set.binary.arch, number);
            let args: Vec<(u8, ArgValue)> = told
                .map(|(index, _)| {
                    (
                        index,
                        made.argument(index).cloned().unwrap_or(ArgValue::Any),
                    )
                })
                .collect();
            let call = phrase::call(set.binary.arch, number);
            let args = phrase::arguments(&args);
            let thread = format!("{}/{}", plain(&thread.thread), plain(&thread.phase));
            let line = format!("{thread} {call} {args}").trim_end().to_owned();
            lines
                .entry(line)
                .or_insert_with(|| subject.steps(&made.way()));
        }
    }
    lines
}

/// Names have no blanks and no control characters in a lock.
fn plain(name: &str) -> String {
    let one = |c: char| {
        if c.is_whitespace() || c.is_control() {
            '_'
        } else {
            c
        }
    };
    name.chars().map(one).collect()
}

/// The text of a lock: the same for the same calls.
pub fn lock(set: &SyscallSet) -> String {
    let mut text = format!("{HEAD}\n");
    for line in lines(set).keys() {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// What changed from one lock to another.
pub fn drift(old: &str, new: &str) -> Drift {
    let lines = |text: &'_ str| -> BTreeSet<String> {
        let all = text.lines().map(str::trim_end);
        let all = all.filter(|l| !l.is_empty() && !l.starts_with('#'));
        all.map(str::to_owned).collect()
    };
    let (old, new) = (lines(old), lines(new));
    Drift {
        gained: new.difference(&old).cloned().collect(),
        lost: old.difference(&new).cloned().collect(),
    }
}

/// What happened over builds, in their order, under the same filters.
pub fn history(builds: &[Build], filters: &[Filter]) -> Vec<Event> {
    let redundant = |audit: &Audit| -> BTreeSet<String> {
        let all = audit.findings.iter().filter(|f| f.code == Code::Redundant);
        let rules = all.filter_map(|f| {
            let rule = f.rule.as_ref()?;
            // Not the threads: a program is called by its path, which each build has its own.
            let name = filters.get(rule.filter).and_then(|f| f.name.as_deref());
            let name = name.map_or(String::new(), |name| format!("[{name}] "));
            Some(format!("{name}{}", rule.text))
        });
        rules.collect()
    };
    let mut events = Vec::new();
    for pair in builds.windows(2) {
        let [before, after] = pair else { continue };
        let (old, new) = (&before.lines, &after.lines);
        let mut happened = Vec::new();
        for (line, way) in new.iter().filter(|(line, _)| !old.contains_key(*line)) {
            happened.push(Happened::Gained(line.clone(), way.clone()));
        }
        for line in old.keys().filter(|line| !new.contains_key(*line)) {
            happened.push(Happened::Lost(line.clone()));
        }
        let was = redundant(&before.audit);
        let is = redundant(&after.audit);
        let became = is.difference(&was).cloned();
        happened.extend(became.map(Happened::Redundant));
        let ended = was.difference(&is).cloned();
        happened.extend(ended.map(Happened::NoLongerRedundant));
        events.extend(happened.into_iter().map(|what| Event {
            build: after.name.clone(),
            what,
        }));
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_is_what_one_has_alone() {
        let drift = drift(
            "# x\na/main read\na/main write\n",
            "a/main read\nb/main read\n",
        );
        assert_eq!(drift.gained, ["b/main read"]);
        assert_eq!(drift.lost, ["a/main write"]);
    }

    #[test]
    fn names_cannot_make_lines() {
        assert_eq!(plain("a b\nc"), "a_b_c");
    }
}
