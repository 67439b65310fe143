//! How much of an argument a rule looks at, and how much the kernel does.

use portcullis_abi::Argument;

use super::view::View;
use super::{Code, Finding};
use crate::{Condition, Op, Provenance, Rule, Width};

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    for (index, rule) in view.table.rules.iter().enumerate() {
        // The launch asks for a secret in a register that the call does not use.
        if rule.provenance == [Provenance::Launch] {
            continue;
        }
        let Some(arguments) = view.table.arch.arguments(rule.calls.first) else {
            continue;
        };
        for condition in &rule.conditions {
            let place = usize::from(condition.index);
            match arguments.get(place) {
                Some(argument) => {
                    let found = about(view, index, rule, condition, argument);
                    findings.extend(found);
                }
                // A table without arguments is of a call that kernels no longer have.
                None if arguments.is_empty() => {}
                None => findings.push(view.finding(
                    Code::NoArgument,
                    Some(index),
                    format!(
                        "{} takes {} arguments: the register of argument {place} holds what the \
                         program left there",
                        view.shown(rule),
                        arguments.len()
                    ),
                    "count from 0, and remove the condition",
                )),
            }
        }
    }
}

fn about(
    view: &View<'_>,
    index: usize,
    rule: &Rule,
    condition: &Condition,
    argument: &Argument,
) -> Option<Finding> {
    let call = view.shown(rule);
    let name = argument.name();
    if argument.kind.is_pointer() && !is_null_test(&condition.op) {
        return Some(view.finding(
            Code::Address,
            Some(index),
            format!("`{name}` of {call} is an address; what it leads to is not seen by a filter"),
            "compare it with 0 at most; a path or a structure cannot be filtered here",
        ));
    }
    if !view.table.arch.has_upper_halves() {
        return None;
    }
    match (condition.width, argument.width) {
        (Width::W64, 32) => {
            // What a set bit in the upper half makes of the condition.
            let dirty_holds = match &condition.op {
                Op::Masked { mask, .. } | Op::NotMasked { mask, .. } if mask >> 32 == 0 => {
                    return None;
                }
                Op::NotEqual(_) | Op::Greater(_) | Op::GreaterEqual(_) => true,
                Op::NotMasked { .. } | Op::NotIn(_) => true,
                _ => false,
            };
            let effect = match dirty_holds == rule.action.permits() {
                true => "whoever sets a bit there passes the filter with the same call",
                false => "a call with bits set there is the same call and is denied",
            };
            Some(view.finding(
                Code::UpperHalf,
                Some(index),
                format!(
                    "the rule compares 64 bits of `{name}` of {call}, of which the kernel reads \
                     32: {effect}"
                ),
                "compare 32 bits",
            ))
        }
        (Width::W32, 64) => {
            let masked = matches!(condition.op, Op::Masked { .. } | Op::NotMasked { .. });
            // kernel/fork.c: `lower_32_bits(clone_flags)`.
            if masked || name == "clone_flags" {
                return None;
            }
            Some(view.finding(
                Code::LowerHalf,
                Some(index),
                format!(
                    "the rule compares 32 bits of `{name}` of {call}, of which the kernel reads \
                     64: values that differ in the upper half count as the same"
                ),
                "compare 64 bits",
            ))
        }
        _ => None,
    }
}

/// Whether it only tells a null pointer from others.
fn is_null_test(op: &Op) -> bool {
    match op {
        Op::Equal(v) | Op::NotEqual(v) | Op::Greater(v) => *v == 0,
        Op::Masked { mask: _, value } | Op::NotMasked { mask: _, value } => *value == 0,
        _ => false,
    }
}
