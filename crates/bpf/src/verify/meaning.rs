//! The policy's side of the proof: which answer it gives to which part of a region.

use std::collections::BTreeMap;

use portcullis_policy::{Action, Call, Class, Condition, Op, Policy, Rule, Width};

use super::NotEqual;
use crate::region::{Region, Test, WORDS};

const NUMBER: usize = 0;
const ARCH: usize = 1;
/// The low word of the first argument.
const ARGUMENTS: usize = 4;

/// A policy, its rules by number.
pub(super) struct Meaning<'a> {
    policy: &'a Policy,
    rules: BTreeMap<u32, Vec<&'a Rule>>,
}

impl<'a> Meaning<'a> {
    pub(super) fn new(policy: &'a Policy) -> Meaning<'a> {
        let native = policy.arch.audit_arch();
        let mut rules: BTreeMap<u32, Vec<&Rule>> = BTreeMap::new();
        for rule in &policy.rules {
            if policy.class(native, rule.number.0) != Class::Foreign {
                rules.entry(rule.number.0).or_default().push(rule);
            }
        }
        Meaning { policy, rules }
    }

    /// Whether the policy's answer to every call of `region` is `answer`.
    pub(super) fn compare(
        &self,
        region: &Region,
        answer: Action,
        left: &mut u32,
    ) -> Result<(), NotEqual> {
        let native = Test::Masked(u32::MAX, self.policy.arch.audit_arch());
        let mut agree = |part: &Region, action: Action| agree(part, answer, action, left);
        agree(&region.cut(ARCH, native, false), self.policy.foreign)?;
        let mut rest = region.cut(ARCH, native, true);
        let (low, high) = rest.bounds(NUMBER);
        if low > high {
            return Ok(());
        }
        for (&number, rules) in self.rules.range(low..=high) {
            let this = Test::Masked(u32::MAX, number);
            let mut open = vec![rest.cut(NUMBER, this, true)];
            rest = rest.cut(NUMBER, this, false);
            for rule in rules {
                let mut unfit = Vec::new();
                for region in open {
                    let fit = fitting(region, &rule.conditions, &mut unfit);
                    for part in fit {
                        agree(&part, rule.action)?;
                    }
                }
                open = unfit;
            }
            let class = self.policy.class(self.policy.arch.audit_arch(), number);
            for part in open {
                agree(&part, self.policy.unlisted(class))?;
            }
        }
        let classes = self.policy.classes();
        for (index, &(from, class)) in classes.iter().enumerate() {
            let mut part = rest.cut(NUMBER, Test::AtLeast(from), true);
            if let Some(&(next, _)) = classes.get(index + 1) {
                part = part.cut(NUMBER, Test::AtLeast(next), false);
            }
            agree(&part, self.policy.unlisted(class))?;
        }
        Ok(())
    }
}

fn agree(part: &Region, filter: Action, policy: Action, left: &mut u32) -> Result<(), NotEqual> {
    *left = left.checked_sub(1).ok_or(NotEqual::TooHard)?;
    if filter == policy {
        return Ok(());
    }
    match part.member()? {
        None => Ok(()),
        Some(words) => Err(NotEqual::Differ {
            call: call(&words),
            filter,
            policy,
        }),
    }
}

/// The parts of `region` that fulfil all conditions; the others go to `unfit`.
fn fitting(region: Region, conditions: &[Condition], unfit: &mut Vec<Region>) -> Vec<Region> {
    let mut fit = vec![region];
    for condition in conditions {
        let mut both = Vec::new();
        for region in &fit {
            both.extend(parts(region, condition, true));
            unfit.extend(parts(region, condition, false));
        }
        fit = both;
    }
    fit
}

/// The disjoint parts of `region` where `condition` is `wanted`.
fn parts(region: &Region, condition: &Condition, wanted: bool) -> Vec<Region> {
    let never = || if wanted { vec![] } else { vec![region.clone()] };
    let argument = usize::from(condition.index);
    if argument > 5 {
        return never();
    }
    let low = ARGUMENTS + 2 * argument;
    let words = match condition.width {
        Width::W32 => (low, None),
        Width::W64 => (low, Some(low + 1)),
    };
    match condition.op {
        Op::Equal(v) => masked(region, words, u64::MAX, v, wanted),
        Op::NotEqual(v) => masked(region, words, u64::MAX, v, !wanted),
        Op::Masked { mask, value } => masked(region, words, mask, value, wanted),
        Op::GreaterEqual(v) => at_least(region, words, v, wanted),
        Op::Less(v) => at_least(region, words, v, !wanted),
        Op::Greater(v) | Op::LessEqual(v) => {
            let wanted = wanted == matches!(condition.op, Op::Greater(_));
            match v.checked_add(1) {
                Some(v) => at_least(region, words, v, wanted),
                None if wanted => vec![],
                None => vec![region.clone()],
            }
        }
    }
}

type Words = (usize, Option<usize>);

fn masked(region: &Region, (low, high): Words, mask: u64, value: u64, wanted: bool) -> Vec<Region> {
    let halves = |v: u64| (v as u32, (v >> 32) as u32);
    let ((mask_low, mask_high), (value_low, value_high)) = (halves(mask), halves(value));
    let low_test = Test::Masked(mask_low, value_low);
    match high {
        // A 32-bit argument has no upper half.
        None if value_high != 0 => {
            if wanted {
                vec![]
            } else {
                vec![region.clone()]
            }
        }
        None => vec![region.cut(low, low_test, wanted)],
        Some(high) => {
            let high_test = Test::Masked(mask_high, value_high);
            let same = region.cut(high, high_test, true);
            if wanted {
                vec![same.cut(low, low_test, true)]
            } else {
                vec![
                    region.cut(high, high_test, false),
                    same.cut(low, low_test, false),
                ]
            }
        }
    }
}

fn at_least(region: &Region, (low, high): Words, bound: u64, wanted: bool) -> Vec<Region> {
    let (bound_low, bound_high) = (bound as u32, (bound >> 32) as u32);
    let low_test = Test::AtLeast(bound_low);
    match high {
        None if bound_high != 0 => {
            if wanted {
                vec![]
            } else {
                vec![region.clone()]
            }
        }
        None => vec![region.cut(low, low_test, wanted)],
        Some(high) => {
            let same = region.cut(high, Test::Masked(u32::MAX, bound_high), true);
            let mut parts = vec![same.cut(low, low_test, wanted)];
            if !wanted {
                parts.push(region.cut(high, Test::AtLeast(bound_high), false));
            } else if let Some(above) = bound_high.checked_add(1) {
                parts.push(region.cut(high, Test::AtLeast(above), true));
            }
            parts
        }
    }
}

fn call(words: &[u32; WORDS]) -> Call {
    let wide = |at: usize| u64::from(words[at]) | u64::from(words[at + 1]) << 32;
    Call {
        number: words[NUMBER],
        arch: words[ARCH],
        ip: wide(2),
        args: std::array::from_fn(|n| wide(ARGUMENTS + 2 * n)),
    }
}
