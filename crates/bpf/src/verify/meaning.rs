//! The policy's side of the proof: which answer it gives to which part of a region.

use portcullis_policy::{Action, Condition, Op, Policy, Segments, Width};

use super::{NotEqual, Unknown};
use crate::paths::Effort;
use crate::region::{ARCH, ARGUMENTS, NUMBER, Region, Test};

/// A policy, its rules by architecture and number.
pub(crate) struct Meaning<'a> {
    arches: Vec<(u32, Segments<'a>)>,
    foreign: Action,
}

impl<'a> Meaning<'a> {
    pub(crate) fn new(policy: &'a Policy) -> Meaning<'a> {
        let arches = policy.audit_arches().into_iter();
        Meaning {
            arches: arches.map(|a| (a, policy.segments(a))).collect(),
            foreign: policy.foreign,
        }
    }

    /// Whether the policy answers all calls of `region` by `filter`; if not, the error has one that it does not.
    pub(crate) fn holds(
        &self,
        region: &Region,
        filter: Action,
        effort: &mut Effort,
    ) -> Result<(), NotEqual> {
        self.answers(region, effort, &mut |part, answer| {
            if answer == filter {
                return Ok(());
            }
            match part.call().map_err(Unknown::from)? {
                None => Ok(()),
                Some(call) => Err(NotEqual::Differ {
                    call,
                    filter,
                    policy: answer,
                }),
            }
        })
    }

    /// Shows parts of `region`, together all of it, and the policy's answer to the calls of each. Parts
    /// may be empty.
    fn answers(
        &self,
        region: &Region,
        effort: &mut Effort,
        visit: &mut dyn FnMut(&Region, Action) -> Result<(), NotEqual>,
    ) -> Result<(), NotEqual> {
        let mut visit = |part: &Region, action| {
            effort.spend(part).map_err(Unknown::from)?;
            visit(part, action)
        };
        let mut rest = region.clone();
        for (arch, segments) in &self.arches {
            let this = Test::Masked(u32::MAX, *arch);
            let own = rest.cut(ARCH, this, true);
            rest = rest.cut(ARCH, this, false);
            let (low, high) = own.bounds(NUMBER);
            if !own.may_have(ARCH) {
                continue;
            }
            for segment in segments.between(low, high) {
                let within = own.cut(NUMBER, Test::AtLeast(segment.first), true);
                let within = match segment.last.checked_add(1) {
                    Some(next) => within.cut(NUMBER, Test::AtLeast(next), false),
                    None => within,
                };
                let mut open = vec![within];
                for rule in segments.rules(segment) {
                    let mut unfit = Vec::new();
                    for region in open {
                        effort.step().map_err(Unknown::from)?;
                        for part in fitting(region, &rule.conditions, &mut unfit) {
                            visit(&part, rule.action)?;
                        }
                    }
                    open = unfit;
                }
                for part in open {
                    visit(&part, segment.otherwise)?;
                }
            }
        }
        visit(&rest, self.foreign)
    }
}

/// The parts of `region` that fulfil all conditions; the others go to `unfit`, and all of it stays one
/// there when none does.
fn fitting(region: Region, conditions: &[Condition], unfit: &mut Vec<Region>) -> Vec<Region> {
    let mut fit = vec![region.clone()];
    let mut others = Vec::new();
    for condition in conditions {
        let low = ARGUMENTS + 2 * usize::from(condition.index.min(5));
        let may_be = |part: &Region| part.may_have(low) && part.may_have(low + 1);
        let cut =
            |region: &Region, wanted| parts(region, condition, wanted).into_iter().filter(may_be);
        let both: Vec<Region> = fit.iter().flat_map(|r| cut(r, true)).collect();
        if both.is_empty() {
            unfit.push(region);
            return both;
        }
        others.extend(fit.iter().flat_map(|r| cut(r, false)));
        fit = both;
    }
    unfit.extend(others);
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
        Op::NotMasked { mask, value } => masked(region, words, mask, value, !wanted),
        Op::In(ref ranges) => within(region, words, ranges, wanted),
        Op::NotIn(ref ranges) => within(region, words, ranges, !wanted),
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

/// The parts where the value is in one of the ranges, or in none.
fn within(region: &Region, words: Words, ranges: &[(u64, u64)], wanted: bool) -> Vec<Region> {
    // Parts without calls are dropped at once: carried on, their number would double with each range.
    let (word, upper) = words;
    let has_calls =
        |part: &Region| part.may_have(word) && upper.is_none_or(|upper| part.may_have(upper));
    let mut inside = Vec::new();
    let mut outside = vec![region.clone()];
    for &(low, high) in ranges.iter().filter(|(low, high)| low <= high) {
        let mut others = Vec::new();
        for part in outside {
            others.extend(at_least(&part, words, low, false));
            for upper in at_least(&part, words, low, true) {
                match high.checked_add(1) {
                    None => inside.push(upper),
                    Some(above) => {
                        inside.extend(at_least(&upper, words, above, false));
                        others.extend(at_least(&upper, words, above, true));
                    }
                }
            }
        }
        others.retain(has_calls);
        outside = others;
    }
    if wanted { inside } else { outside }
}
