//! The verdict of a run as a document.

use std::collections::BTreeMap;

use portcullis_abi::{Arch, ResidualKind, SyscallSet, Sysno};
use portcullis_bpf::Program;
use portcullis_policy::{Action, ActionMap};
use portcullis_sandbox::{Mode, Outcome, Plan, Verdict};
use portcullis_watch::{Omitted, Record, Sources, Unread};

use super::audited;
use super::chosen::Chosen;
use super::denied::{self, Explaining};
use super::patch;
use super::phases::Phases;
use crate::json::verdict as json;

/// Why a program was ended whose limits nothing kept any more.
pub(super) const UNBOUNDED: &str =
    "somebody took it out of its control group, so its limits could not be kept";

/// The document of a finished run; `named`: with functions and lines, for which files are read that the program
/// can have made.
pub(super) fn document(
    (set, chosen, plan, phases): (&SyscallSet, &Chosen, &Plan, Option<&Phases>),
    (filter, map): (&Program, &ActionMap),
    verdict: &Verdict<Record>,
    late: Option<&json::Late>,
    unread: Option<&Unread>,
    named: bool,
) -> json::Document {
    let mut explaining = Explaining {
        set,
        chosen,
        filter,
        map,
        plan,
        phases,
        sources: named.then(|| Sources::new(&verdict.report.files)),
    };
    let denials = verdict.report.denials.iter();
    let mut denials: Vec<_> = denials.map(|d| explaining.denial(d)).collect();
    let audited = verdict.report.audited.as_ref();
    if let Some(audited) = audited {
        audited::join(&mut denials, audited);
    }
    denials.extend(verdict.reached.iter().map(audited::by_a_limit));
    let (outcome, exit_code, signal, failure) = match &verdict.outcome {
        Outcome::Exited(code) => ("exited", Some(*code), None, None),
        Outcome::Signaled(signal) => ("signaled", None, Some(*signal), None),
        Outcome::Denied => ("denied", None, None, None),
        Outcome::OwnFilter => ("own-filter", None, None, None),
        Outcome::Limit(_) => ("limit", None, None, None),
        Outcome::Failed(reason) => ("failed", None, None, Some(reason.clone())),
        Outcome::Unbounded => ("failed", None, None, Some(UNBOUNDED.to_owned())),
    };
    json::Document {
        schema: "portcullis.verdict",
        version: 1,
        program: json::Program {
            path: set.binary.path.clone(),
            script: set.binary.script.as_ref().map(|(path, _)| path.clone()),
        },
        mode: match verdict.mode {
            Mode::Enforce => "enforce",
            Mode::Observe => "observe",
        },
        outcome,
        exit_code,
        signal,
        limit: match &verdict.outcome {
            Outcome::Limit(limit) => Some((*limit).to_owned()),
            _ => None,
        },
        failure,
        enforced: verdict.enforced.iter().map(layer).collect(),
        not_enforced: verdict
            .not_enforced
            .iter()
            .map(|m| json::Missing {
                layer: m.layer.into(),
                reason: m.reason.clone(),
            })
            .collect(),
        policy: chosen.file().map(str::to_owned),
        map: mapped(chosen, map),
        denials,
        audit: audited::state(unread, audited),
        omitted: verdict.report.omitted.iter().map(omitted).collect(),
        patch: patch::of(
            &verdict.report.denials,
            &verdict.report.omitted,
            &set.binary.path,
            chosen.file(),
        ),
        late: late.cloned(),
        residuals: residuals(set),
        usage: json::Usage {
            cpu_ns: verdict.usage.cpu_ns,
            wall_ns: verdict.usage.wall_ns,
            peak_memory_bytes: verdict.usage.peak_memory_bytes,
        },
    }
}

fn layer(layer: &portcullis_sandbox::Layer) -> json::Layer {
    json::Layer {
        layer: layer.layer.into(),
        mechanism: layer.mechanism.into(),
        scope: layer.scope.into(),
        detail: layer.detail.clone(),
    }
}

fn residuals(set: &SyscallSet) -> Vec<json::ResidualCount> {
    let mut counts: BTreeMap<ResidualKind, usize> = BTreeMap::new();
    for residual in &set.residuals {
        *counts.entry(residual.kind).or_default() += 1;
    }
    let counts = counts.into_iter();
    let count = |(kind, count): (ResidualKind, usize)| json::ResidualCount {
        kind: kind.name(),
        count,
    };
    counts.map(count).collect()
}

/// The answers of the policy that the filter leaves to the tracer.
fn mapped(chosen: &Chosen, map: &ActionMap) -> Vec<json::Mapped> {
    let tables = chosen.policy.tables.iter();
    let of_rules = chosen.policy.rules().map(|rule| rule.action);
    let unlisted = tables.flat_map(|table| [table.default, table.newer]);
    let mut all: Vec<Action> = of_rules.chain(unlisted).collect();
    all.sort_by_key(|action| action.code());
    all.dedup();
    let differ = all
        .into_iter()
        .filter(|action| map.answer(*action) != *action);
    let one = |action: Action| json::Mapped {
        policy: action.to_string(),
        filter: map.answer(action).to_string(),
    };
    differ.map(one).collect()
}

fn omitted(omitted: &Omitted) -> json::Omitted {
    let name = |number: u32| {
        let arch = Arch::of_call(omitted.arch, number);
        arch.and_then(|arch| arch.name(Sysno(number)))
    };
    json::Omitted {
        syscall: omitted.number.and_then(name),
        answer: denied::answer(omitted.answer),
        count: omitted.count,
    }
}
