//! Rules that decide nothing, or not what they seem to.

use super::satisfy::{Budget, exists};
use super::view::View;
use super::{Code, Finding};
use crate::{Action, Condition, Place, Rule};

pub(super) fn check(view: &View<'_>, budget: &mut Budget, findings: &mut Vec<Finding>) {
    let mut decided = Vec::new();
    for (index, rule) in view.table.rules.iter().enumerate() {
        conditions(view, index, rule, findings);
        if let Action::Errno(number @ 4096..) = rule.action {
            let message = format!("the rule for {} answers {number}", view.shown(rule));
            findings.push(errno(view, Some(index), message));
        }
        if exists(&rule.conditions, &[], budget) == Some(false) {
            findings.push(view.finding(
                Code::Contradiction,
                Some(index),
                format!("no arguments fulfil all conditions on {}", view.shown(rule)),
                "correct the conditions, or remove the rule",
            ));
            continue;
        }
        decided.push((index, decides(view, index, rule, budget)));
    }
    // A group or list behind rules for some of its calls is how exceptions are written.
    let of_use = |place: Place| {
        let beside = |(index, decides): &(usize, Decides)| {
            view.place(Some(*index)) == place && !matches!(decides, Decides::Nothing(_))
        };
        place != Place::default() && decided.iter().any(beside)
    };
    for (index, decides) in &decided {
        let rule = &view.table.rules[*index];
        match decides {
            Decides::Nothing(_) if of_use(view.place(Some(*index))) => {}
            Decides::Nothing(before) => {
                let message = format!(
                    "this rule for {} can decide no call: {before} answers all of them",
                    view.shown(rule)
                );
                let advice = "remove it, or put it before what answers its calls";
                findings.push(view.finding(Code::Shadowed, Some(*index), message, advice));
            }
            Decides::Same => {
                let message = format!(
                    "without this rule {} would be answered alike, with {}",
                    view.shown(rule),
                    said(rule.action)
                );
                let advice = "remove it; libseccomp refuses such rules, and runtimes skip them";
                findings.push(view.finding(Code::NoEffect, Some(*index), message, advice));
            }
            Decides::Something => {}
        }
    }
    alternatives(view, findings);
    for (what, action) in [("default", view.table.default), ("newer", view.table.newer)] {
        if let Action::Errno(number @ 4096..) = action {
            let message = format!("the answer `{what}` is {number}");
            findings.push(errno(view, None, message));
        }
    }
}

enum Decides {
    /// No call reaches the rule.
    Nothing(&'static str),
    /// Every call that it decides would get the same answer without it.
    Same,
    Something,
}

/// What a rule decides, looked at for each part of its numbers. What takes too long to say counts as
/// something.
fn decides(view: &View<'_>, index: usize, rule: &Rule, budget: &mut Budget) -> Decides {
    let Some(parts) = view.parts(rule.calls).filter(|_| !budget.is_spent()) else {
        return Decides::Something;
    };
    let (mut reached, mut same) = (false, true);
    let mut nobody = "its numbers are of another table, which";
    for number in parts.into_iter().filter(|n| view.is_asked(*n)) {
        let all = view.rules(number);
        let Some(position) = all.iter().position(|at| *at == index) else {
            nobody = "a rule before it without conditions";
            continue;
        };
        let at = |index: &usize| &view.table.rules[*index];
        let before: Vec<&Rule> = all[..position].iter().map(at).collect();
        if exists(&rule.conditions, &before, budget) == Some(false) {
            nobody = "the rules before it together";
            continue;
        }
        reached = true;
        same = same && without(view, number, index, &before, budget);
    }
    match (reached, same) {
        (false, _) => Decides::Nothing(nobody),
        (true, true) => Decides::Same,
        (true, false) => Decides::Something,
    }
}

/// Whether what the rule `index` decides after the rules `before` gets the same answer from what is
/// behind it.
fn without(
    view: &View<'_>,
    number: u32,
    index: usize,
    before: &[&Rule],
    budget: &mut Budget,
) -> bool {
    let rule = &view.table.rules[index];
    let behind = view.all_rules(number).into_iter().filter(|at| *at > index);
    let mut tried = before.to_vec();
    for at in behind {
        if budget.is_spent() {
            return false;
        }
        let next = &view.table.rules[at];
        if next.action != rule.action {
            let both: Vec<&Condition> = rule.conditions.iter().chain(&next.conditions).collect();
            if exists(both, &tried, budget) != Some(false) {
                return false;
            }
        }
        tried.push(next);
        if next.conditions.is_empty() {
            return true;
        }
    }
    view.otherwise(number) == rule.action || exists(&rule.conditions, &tried, budget) == Some(false)
}

/// Several conditions on one argument.
fn conditions(view: &View<'_>, index: usize, rule: &Rule, findings: &mut Vec<Finding>) {
    let twice = |argument: &u8| {
        let on = rule.conditions.iter().filter(|c| c.index == *argument);
        on.count() > 1
    };
    if let Some(argument) = (0..6).find(twice) {
        findings.push(view.finding(
            Code::ArgumentTwice,
            Some(index),
            format!(
                "argument {argument} of {} has several conditions: here all must hold",
                view.shown(rule)
            ),
            "say it by one range or mask; runc and youki make alternatives of such conditions, \
             and libseccomp takes one for each argument",
        ));
    }
}

/// Rules for one call that stand apart, each with a condition on another argument: either is enough,
/// where both may have been meant.
fn alternatives(view: &View<'_>, findings: &mut Vec<Finding>) {
    let mut last: std::collections::BTreeMap<u32, usize> = std::collections::BTreeMap::new();
    for (index, rule) in view.table.rules.iter().enumerate() {
        let (Some(number), [one]) = (rule.calls.single(), rule.conditions.as_slice()) else {
            continue;
        };
        if let Some(before) = last.insert(number.0, index) {
            let other = &view.table.rules[before];
            let differs = other.conditions.iter().all(|c| c.index != one.index);
            let apart = view.place(Some(before)) != view.place(Some(index));
            if differs && apart && other.action == rule.action && rule.action.permits() {
                findings.push(view.finding(
                    Code::Alternatives,
                    Some(index),
                    format!(
                        "{} is allowed when either this condition or that of an earlier rule \
                         holds, each on another argument",
                        view.shown(rule)
                    ),
                    "where both must hold, put both conditions in one rule",
                ));
            }
        }
    }
}

fn errno(view: &View<'_>, rule: Option<usize>, message: String) -> Finding {
    let message = format!("{message}; the kernel returns at most 4095");
    view.finding(
        Code::ErrnoTooLarge,
        rule,
        message,
        "choose a number of errno(3)",
    )
}

/// An answer for people.
pub(super) fn said(action: Action) -> String {
    match action {
        Action::KillProcess => "the end of the process".into(),
        Action::KillThread => "the end of the thread".into(),
        Action::Trap(_) => "a signal".into(),
        Action::Errno(number) => match portcullis_abi::errno_name(number) {
            Some(name) => name.into(),
            None => format!("the error {number}"),
        },
        Action::Notify => "what a supervisor says".into(),
        Action::Trace(_) => "what the tracer says".into(),
        Action::Log => "permission, and a line in the log".into(),
        Action::Allow => "permission".into(),
    }
}
