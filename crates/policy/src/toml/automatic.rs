//! Rules that a file has without writing them.

use std::collections::BTreeSet;

use portcullis_abi::{Arch, Sysno};

use super::facts;
use crate::{Action, Condition, Op, Place, Provenance, Rule, Width};

/// The rules of one table, and where each stands.
pub(super) type Placed = (Vec<Rule>, Vec<Place>);

/// Puts before the rules of each call that compare 32-bit arguments one that answers dirty
/// upper halves by `default`: what is neither zero nor the sign's copy.
pub(super) fn strict_high(arch: Arch, default: Action, placed: &mut Placed) {
    if !arch.has_upper_halves() {
        return;
    }
    let (rules, places) = std::mem::take(placed);
    let mut done = BTreeSet::new();
    let (strict_rules, strict_places) = placed;
    for (rule, place) in rules.into_iter().zip(places) {
        for condition in &rule.conditions {
            let narrow = condition.width == Width::W32
                && facts::declared(arch, rule.calls, condition.index) != Some(Width::W64);
            if narrow && done.insert((rule.calls, condition.index)) {
                for conditions in dirty(condition.index) {
                    strict_rules.push(Rule {
                        calls: rule.calls,
                        conditions,
                        action: default,
                        provenance: vec![Provenance::Note("strict-high".into())],
                    });
                    strict_places.push(place);
                }
            }
        }
        strict_rules.push(rule);
        strict_places.push(place);
    }
}

/// `clone3` passes its flags behind a pointer: where `clone` is filtered by its flags, it would be
/// a way around. C libraries take ENOSYS as the sign to use `clone`.
pub(super) fn clone3(arch: Arch, (rules, places): &mut Placed) {
    let (Some(clone), Some(clone3)) = (arch.number("clone"), arch.number("clone3")) else {
        return;
    };
    if let Some(filtered) = by_argument(rules, clone, clone3) {
        places.push(places[filtered]);
        rules.push(Rule {
            calls: clone3.into(),
            conditions: Vec::new(),
            action: Action::ENOSYS,
            provenance: vec![Provenance::Note(
                "clone is filtered by its arguments, and those of clone3 cannot be seen".into(),
            )],
        });
    }
}

/// The first rule that filters `clone` by its arguments, when none is about `clone3`.
pub(super) fn by_argument(rules: &[Rule], clone: Sysno, clone3: Sysno) -> Option<usize> {
    let mentioned = rules.iter().any(|r| r.calls.contains(clone3.0));
    let filters = |r: &Rule| r.calls.contains(clone.0) && !r.conditions.is_empty();
    match mentioned {
        true => None,
        false => rules.iter().position(filters),
    }
}

/// The two ways in which the upper half of an argument can be dirty.
fn dirty(index: u8) -> [Vec<Condition>; 2] {
    let of = |op| Condition {
        index,
        width: Width::W64,
        op,
    };
    const HIGH: u64 = 0xffff_ffff_0000_0000;
    const HIGH_AND_SIGN: u64 = 0xffff_ffff_8000_0000;
    let not = |mask, value| of(Op::NotMasked { mask, value });
    [
        // Neither all zero nor all one.
        vec![not(HIGH, 0), not(HIGH, HIGH)],
        // All one above a number that is not negative.
        vec![of(Op::Masked {
            mask: HIGH_AND_SIGN,
            value: HIGH,
        })],
    ]
}
