//! What is said of filters: `portcullis.verify`, `portcullis.diff`, `portcullis.explain` and
//! `portcullis.cost`, version 1. Text output is made from them, so that a person and a script are told
//! the same.

use std::collections::BTreeMap;

use portcullis_abi::{Arch, Sysno};
use portcullis_bpf::{Calls, Cost, Difference, NotEqual, Outcome};
use portcullis_policy::audit;
use portcullis_policy::{Action, Asked, Call, Class, Condition, Decision, Policy, Span, toml};
use serde::Serialize;

use super::audit::{Step, steps};

/// Whether a filter is equal to a policy.
#[derive(Serialize, Debug)]
pub(crate) struct Verified {
    schema: &'static str,
    version: u32,
    pub(crate) equal: bool,
    /// A call on which they differ.
    pub(crate) witness: Option<Witness>,
}

/// A call that gets two answers.
#[derive(Serialize, Debug)]
pub(crate) struct Witness {
    pub(crate) arch: String,
    pub(crate) call: String,
    pub(crate) policy: String,
    pub(crate) filter: String,
}

/// The document of `verify`.
pub(crate) fn verified(difference: Option<&NotEqual>) -> Verified {
    let witness = match difference {
        Some(NotEqual::Differ {
            call,
            filter,
            policy,
        }) => Some(Witness {
            arch: arch_name(call.arch),
            call: call_text(call),
            policy: policy.to_string(),
            filter: filter.to_string(),
        }),
        _ => None,
    };
    Verified {
        schema: "portcullis.verify",
        version: 1,
        equal: difference.is_none(),
        witness,
    }
}

/// On which calls two filters differ.
#[derive(Serialize, Debug)]
pub(crate) struct Differences {
    schema: &'static str,
    version: u32,
    pub(crate) first: String,
    pub(crate) second: String,
    pub(crate) equal: bool,
    /// There are more than are listed.
    pub(crate) cut: bool,
    pub(crate) differences: Vec<Differing>,
    /// Calls that only the second program makes; empty where the two are no programs.
    pub(crate) gained: Vec<Made>,
    /// Calls that only the first program makes.
    pub(crate) lost: Vec<Made>,
}

/// A call that a program makes.
#[derive(Serialize, Debug)]
pub(crate) struct Made {
    pub(crate) syscall: String,
    /// What is known of the arguments that say what the call does: `arg1 = 0x5401`.
    pub(crate) args: String,
    /// The threads, and the phases of each, in which it is new or gone: `THREAD/PHASE`.
    pub(crate) within: Vec<String>,
    /// A way to it.
    pub(crate) witness: Vec<Step>,
}

/// The calls of lines of a lock, `THREAD/PHASE CALL ARGUMENTS`; no name in them has blanks.
fn made(lines: Vec<(&str, &[audit::Step])>) -> Vec<Made> {
    let mut calls: BTreeMap<&str, Made> = BTreeMap::new();
    for (line, way) in lines {
        let (within, call) = line.split_once(' ').unwrap_or((line, ""));
        let (syscall, args) = call.split_once(' ').unwrap_or((call, ""));
        let made = calls.entry(call).or_insert_with(|| Made {
            syscall: syscall.to_owned(),
            args: args.to_owned(),
            within: Vec::new(),
            witness: steps(way),
        });
        made.within.push(within.to_owned());
    }
    calls.into_values().collect()
}

impl Differences {
    /// With the calls that only one of two programs makes.
    pub(crate) fn with_sites(
        mut self,
        gained: Vec<(&str, &[audit::Step])>,
        lost: Vec<(&str, &[audit::Step])>,
    ) -> Differences {
        self.gained = made(gained);
        self.lost = made(lost);
        self.equal = self.equal && self.gained.is_empty() && self.lost.is_empty();
        self
    }
}

/// Calls that get the same two answers.
#[derive(Serialize, Debug)]
pub(crate) struct Differing {
    pub(crate) arch: String,
    /// Names, numbers where no table has a name, and `FIRST..LAST`.
    pub(crate) calls: Vec<String>,
    /// Conditions in the language of policies; all of them hold.
    pub(crate) when: Vec<String>,
    pub(crate) first: String,
    pub(crate) second: String,
    /// One of the calls.
    pub(crate) witness: String,
}

/// The document of `diff`.
pub(crate) fn differences(names: [String; 2], found: &[Difference], most: usize) -> Differences {
    // Ways through the filters are finer than what a reader wants to know: numbers with equal answers
    // under equal conditions are one.
    type Key = (u32, Vec<Condition>, Action, Action);
    let mut groups: BTreeMap<Key, (Vec<Span>, Call)> = BTreeMap::new();
    let mut others = Vec::new();
    for difference in found {
        let answers = (difference.first, difference.second);
        match &difference.all {
            Some(Calls {
                arches,
                numbers,
                conditions,
            }) if arches.iter().all(|(low, high)| low == high) => {
                let key = (
                    difference.call.arch,
                    conditions.clone(),
                    answers.0,
                    answers.1,
                );
                let group = groups
                    .entry(key)
                    .or_insert_with(|| (Vec::new(), difference.call));
                group.0.extend(numbers);
            }
            _ => others.push(Differing {
                arch: "others".into(),
                calls: vec!["0..4294967295".into()],
                when: Vec::new(),
                first: answers.0.to_string(),
                second: answers.1.to_string(),
                witness: call_text(&difference.call),
            }),
        }
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|((arch, ..), (spans, _))| (*arch, spans.iter().map(|s| s.first).min()));
    let grouped = groups
        .into_iter()
        .map(|((arch, conditions, first, second), group)| {
            let (spans, call) = group;
            let number = Sysno(call.number);
            let when = conditions
                .iter()
                .map(|c| toml::condition(arch_of(&call), number, c));
            Differing {
                arch: arch_name(arch),
                calls: calls(arch, spans),
                when: when.collect(),
                first: first.to_string(),
                second: second.to_string(),
                witness: call_text(&call),
            }
        });
    Differences {
        schema: "portcullis.diff",
        version: 1,
        equal: found.is_empty(),
        cut: found.len() >= most,
        differences: grouped.chain(others).collect(),
        first: names[0].clone(),
        second: names[1].clone(),
        gained: Vec::new(),
        lost: Vec::new(),
    }
}

/// What answers a call.
#[derive(Serialize, Debug)]
pub(crate) struct Explained {
    schema: &'static str,
    version: u32,
    pub(crate) arch: String,
    pub(crate) call: String,
    /// There are more ways to answers than were looked at.
    pub(crate) cut: bool,
    /// One when nothing depends on arguments that were left open.
    pub(crate) answers: Vec<Answered>,
}

/// One answer.
#[derive(Serialize, PartialEq, Debug)]
pub(crate) struct Answered {
    pub(crate) answer: String,
    /// What holds of the arguments that were left open: the conditions of each way to the answer, all
    /// of them together.
    pub(crate) when: Vec<Vec<String>>,
    /// The rule as policies write it.
    pub(crate) rule: Option<String>,
    /// Where it stands.
    pub(crate) place: Option<String>,
    /// Why there is none.
    pub(crate) unlisted: Option<&'static str>,
    /// The instructions that are run on the first way, by their place.
    pub(crate) path: Vec<usize>,
}

/// The document of `explain`.
pub(crate) fn explained(
    policy: Option<&Policy>,
    outcomes: &[Outcome],
    (asked, text): (&Asked, &str),
    cut: bool,
    place: impl Fn(Decision) -> Option<String>,
) -> Explained {
    let mut answers: Vec<Answered> = Vec::new();
    for outcome in outcomes {
        let call = &outcome.call;
        let decision = policy.map(|p| p.decide(call));
        let rule = decision.and_then(|d| d.rule);
        let rule = rule.and_then(|(t, r)| {
            let table = policy?.tables.get(t)?;
            Some((table.arch, table.rules.get(r)?))
        });
        let open = |c: &&Condition| {
            asked
                .args
                .get(usize::from(c.index))
                .is_some_and(Option::is_none)
        };
        let conditions = outcome.all.iter().flat_map(|all| &all.conditions);
        let way = conditions.filter(open);
        let way: Vec<String> = way
            .map(|c| toml::condition(arch_of(call), Sysno(call.number), c))
            .collect();
        let mut answered = Answered {
            answer: outcome.action.to_string(),
            when: Vec::new(),
            rule: rule.map(|(arch, rule)| toml::write_rule(arch, rule)),
            place: decision.and_then(&place),
            unlisted: match (rule, decision) {
                (None, Some(decision)) => Some(class_name(decision.class)),
                _ => None,
            },
            path: outcome.path.clone(),
        };
        let same = answers.iter_mut().find(|known| {
            (&known.answer, &known.rule, &known.place)
                == (&answered.answer, &answered.rule, &answered.place)
        });
        match same {
            Some(known) => known.when.push(way),
            None => {
                answered.when.push(way);
                answers.push(answered);
            }
        }
    }
    Explained {
        schema: "portcullis.explain",
        version: 1,
        arch: arch_name(asked.arch),
        call: text.to_owned(),
        cut,
        answers,
    }
}

fn class_name(class: Class) -> &'static str {
    match class {
        Class::Known => "the default",
        Class::Newer => "newer than the policy",
        Class::Foreign => "another architecture",
    }
}

/// What a filter costs.
#[derive(Serialize, Debug)]
pub(crate) struct Costs {
    schema: &'static str,
    version: u32,
    pub(crate) instructions: usize,
    pub(crate) longest_path: usize,
    /// How many such filters the kernel takes, one upon the other.
    pub(crate) most_stacked: usize,
    /// Calls that the kernel allows without running the filter.
    pub(crate) cached: Vec<Cached>,
}

/// Calls of one architecture.
#[derive(Serialize, Debug)]
pub(crate) struct Cached {
    pub(crate) arch: String,
    pub(crate) calls: Vec<String>,
}

/// The document of `cost`.
pub(crate) fn costs(cost: &Cost, cached: impl Iterator<Item = (Arch, Vec<Sysno>)>) -> Costs {
    let cached = cached.filter(|(_, calls)| !calls.is_empty());
    Costs {
        schema: "portcullis.cost",
        version: 1,
        instructions: cost.instructions,
        longest_path: cost.longest,
        most_stacked: cost.most_stacked(),
        cached: cached
            .map(|(arch, numbers)| Cached {
                arch: arch.to_string(),
                calls: numbers.into_iter().map(|n| number_name(arch, n)).collect(),
            })
            .collect(),
    }
}

/// The architecture of a call, x32 told by its bit; that of this machine when no table is of it.
fn arch_of(call: &Call) -> Arch {
    let mut own = Arch::of_audit(call.arch);
    let named = own.clone().find(|a| a.name(Sysno(call.number)).is_some());
    named.or_else(|| own.next()).unwrap_or(Arch::X86_64)
}

fn arch_name(audit_arch: u32) -> String {
    match Arch::of_audit(audit_arch).next() {
        Some(arch) => arch.to_string(),
        None => format!("{audit_arch:#x}"),
    }
}

fn number_name(arch: Arch, number: Sysno) -> String {
    arch.name(number)
        .map_or_else(|| number.0.to_string(), str::to_owned)
}

/// Numbers by their names, and what lies between as ranges.
fn calls(audit_arch: u32, mut spans: Vec<Span>) -> Vec<String> {
    let own = Arch::of_audit(audit_arch);
    let named = own.flat_map(|arch| arch.syscalls().map(move |(n, name)| (n, arch, name)));
    let mut named: Vec<(Sysno, Arch, &str)> = named.collect();
    named.sort_unstable();
    spans.sort_unstable();
    let mut all = Vec::new();
    for span in spans {
        let mut next = Some(span.first.0);
        let from = named.partition_point(|(n, ..)| *n < span.first);
        let within = named[from..].iter().take_while(|(n, ..)| *n <= span.last);
        for (number, arch, name) in within {
            all.extend(
                next.filter(|n| *n < number.0)
                    .map(|n| range(n, number.0 - 1)),
            );
            all.push(match arch {
                Arch::X32 => format!("x32:{name}"),
                _ => (*name).to_owned(),
            });
            next = number.0.checked_add(1);
        }
        all.extend(
            next.filter(|n| *n <= span.last.0)
                .map(|n| range(n, span.last.0)),
        );
    }
    all
}

fn range(first: u32, last: u32) -> String {
    match first == last {
        true => first.to_string(),
        false => format!("{first}..{last}"),
    }
}

/// A call as somebody would write it.
fn call_text(call: &Call) -> String {
    let arch = arch_of(call);
    let number = Sysno(call.number);
    let known = arch.arguments(number).map_or(6, <[_]>::len);
    // Arguments behind the last that counts are not shown unless a filter looks at them.
    let used = call
        .args
        .iter()
        .rposition(|a| *a != 0)
        .map_or(0, |at| at + 1);
    let args = call
        .args
        .iter()
        .take(known.max(used))
        .map(|a| format!("{a:#x}"));
    let args: Vec<String> = args.collect();
    format!("{}({})", number_name(arch, number), args.join(", "))
}
