//! The answers of filters to all the calls that a place can make at once.
//!
//! The arguments that a place can pass are cut into areas that one rule, or one class, answers as a
//! whole. That is exact: each condition is a union of cubes, and a rule cuts an area into what it
//! answers and what it leaves to the next.

use portcullis_abi::{Arch, Sysno};

use super::cube::{Cube, Words, halves};
use crate::{Action, Class, Condition, Op, Policy, Width};

/// Areas of one call that are looked at; beyond that nothing is told of it.
const MOST_AREAS: usize = 4096;
/// Cubes of one argument of an area; the same.
const MOST_CUBES: usize = 4096;

/// What each of the arguments can be, independently of the others.
pub(crate) type Area = [Words; 6];

/// All calls.
pub(crate) fn everything() -> Area {
    std::array::from_fn(|_| Words::all())
}

/// Calls of more kinds than are looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TooMany;

/// Who answers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Decider {
    /// A rule: its table, and its place there.
    Rule(usize, usize),
    /// The class of what no rule fits.
    Class(Class),
}

/// An answer, and who gives it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Answer {
    pub(crate) by: Decider,
    pub(crate) action: Action,
}

/// A part of the calls of a place, and what each filter of a stack answers to it.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) area: Area,
    pub(crate) answers: Vec<Answer>,
}

/// What a filter says of one call.
#[derive(Debug)]
pub(crate) struct Rules {
    table: usize,
    /// Place in the table, conditions with both halves, answer.
    rules: Vec<(usize, Vec<Halves>, Action)>,
    otherwise: Answer,
}

#[derive(Debug)]
struct Halves {
    index: usize,
    holds: Vec<Cube>,
    fails: Vec<Cube>,
}

impl Halves {
    /// Whether it holds of some of the calls; an index that no call has never does (`Condition::holds`).
    fn meets(&self, area: &Area) -> bool {
        let own = area.get(self.index);
        own.is_some_and(|own| own.meets(&self.holds))
    }

    /// The part of an area whose argument is in one of `cubes`.
    fn part(&self, area: &Area, cubes: &[Cube]) -> Option<Area> {
        let own = area.get(self.index)?.meet(cubes)?;
        let mut part = area.clone();
        part[self.index] = own;
        Some(part)
    }
}

impl Rules {
    /// Of the call `number` of `arch`.
    pub(crate) fn of(policy: &Policy, arch: Arch, number: Sysno) -> Rules {
        let (table, action, class) = policy.unlisted(arch.audit_arch(), number.0);
        let otherwise = Answer {
            by: Decider::Class(class),
            action,
        };
        let all = table.map_or(&[][..], |t| &policy.tables[t].rules);
        let own = all.iter().enumerate();
        let own = own.filter(|(_, r)| r.calls.contains(number.0));
        let rules = own.map(|(n, r)| {
            let conditions = r.conditions.iter().map(|c| {
                let (holds, fails) = halves(c);
                Halves {
                    index: usize::from(c.index),
                    holds,
                    fails,
                }
            });
            (n, conditions.collect(), r.action)
        });
        Rules {
            table: table.unwrap_or(0),
            rules: rules.collect(),
            otherwise,
        }
    }

    /// The answers to the calls of `areas`, as if the rules at `removed` were not there.
    pub(crate) fn answers(
        &self,
        areas: &[Area],
        removed: &[usize],
    ) -> Result<Vec<(Area, Answer)>, TooMany> {
        let mut found = Vec::new();
        let mut left = areas.to_vec();
        for (place, conditions, action) in &self.rules {
            if removed.contains(place) {
                continue;
            }
            // What cannot fit as a whole stays whole: the halves would cut it for nothing.
            let meets = |area: &Area| conditions.iter().all(|halves| halves.meets(area));
            let (mut fits, others) = left.into_iter().partition(meets);
            left = others;
            for halves in conditions {
                let mut inside = Vec::new();
                for area in fits {
                    left.extend(halves.part(&area, &halves.fails));
                    inside.extend(halves.part(&area, &halves.holds));
                }
                fits = inside;
                let whole = |area: &Area| area.iter().all(|words| words.len() <= MOST_CUBES);
                if left.len() + fits.len() + found.len() > MOST_AREAS
                    || !left.iter().chain(&fits).all(whole)
                {
                    return Err(TooMany);
                }
            }
            let answer = Answer {
                by: Decider::Rule(self.table, *place),
                action: *action,
            };
            found.extend(fits.into_iter().map(|area| (area, answer)));
        }
        found.extend(left.into_iter().map(|area| (area, self.otherwise)));
        Ok(found)
    }
}

/// The answers of a whole stack of filters to the calls of `areas`.
pub(crate) fn pieces<'a>(
    areas: &[Area],
    stack: impl Iterator<Item = (&'a Rules, &'a [usize])>,
) -> Result<Vec<Piece>, TooMany> {
    let mut pieces: Vec<Piece> = areas
        .iter()
        .map(|area| Piece {
            area: area.clone(),
            answers: Vec::new(),
        })
        .collect();
    for (rules, removed) in stack {
        let mut finer = Vec::new();
        for piece in pieces {
            for (area, answer) in rules.answers(std::slice::from_ref(&piece.area), removed)? {
                let mut answers = piece.answers.clone();
                answers.push(answer);
                finer.push(Piece { area, answers });
            }
            if finer.len() > MOST_AREAS {
                return Err(TooMany);
            }
        }
        pieces = finer;
    }
    Ok(pieces)
}

/// How an answer stands among those of several filters: the lowest is taken (`SECCOMP_RET_*`,
/// seccomp(2)); error numbers and the like do not count.
pub(crate) fn rank(action: Action) -> u8 {
    match action {
        Action::KillProcess => 0,
        Action::KillThread => 1,
        Action::Trap(_) => 2,
        Action::Errno(_) => 3,
        Action::Notify => 4,
        Action::Trace(_) => 5,
        Action::Log => 6,
        Action::Allow => 7,
    }
}

/// The answer that the kernel takes of those of several filters: of equal ones that of the filter that
/// was loaded last (`seccomp_run_filters`, kernel/seccomp.c). `answers` are in the order of loading.
pub(crate) fn strictest(answers: &[Answer]) -> Option<(usize, Answer)> {
    let all = answers.iter().copied().enumerate().rev();
    all.min_by_key(|(_, a)| rank(a.action))
}

/// Arguments by which calls are told apart, and how much of each is looked at.
pub(crate) type Looked = [Option<Width>; 6];

/// How much of its argument a condition looks at.
pub(crate) fn looks(condition: &Condition) -> Width {
    match condition.op {
        Op::Masked { mask, .. } | Op::NotMasked { mask, .. } if mask >> 32 == 0 => Width::W32,
        _ => condition.width,
    }
}

/// The same with more of them.
pub(crate) fn asked(mut asked: Looked, more: impl Iterator<Item = (u8, Width)>) -> Looked {
    for (index, width) in more {
        if let Some(own) = asked.get_mut(usize::from(index)) {
            *own = (*own).max(Some(width));
        }
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Baseline, Call, Rule, Table};
    use proptest::prelude::*;

    fn rules() -> impl Strategy<Value = Vec<Rule>> {
        let op = prop_oneof![
            (0u64..6).prop_map(Op::Equal),
            (0u64..6).prop_map(Op::NotEqual),
            (0u64..6).prop_map(Op::Greater),
            (0u64..8, 0u64..8).prop_map(|(mask, value)| Op::Masked { mask, value }),
            (0u64..4, 0u64..4).prop_map(|(a, b)| Op::In(vec![(a, a + b)])),
        ];
        let condition = (0u8..2, prop::bool::ANY, op).prop_map(|(index, wide, op)| Condition {
            index,
            width: if wide { Width::W64 } else { Width::W32 },
            op,
        });
        let conditions = prop::collection::vec(condition, 0..3);
        let rule = (conditions, 0u16..4).prop_map(|(conditions, errno)| Rule {
            calls: Sysno(16).into(),
            conditions,
            action: Action::Errno(errno),
            provenance: vec![],
        });
        prop::collection::vec(rule, 0..5)
    }

    proptest! {
        #[test]
        fn each_call_is_answered_once_and_as_the_policy_says(
            rules in rules(),
            words in prop::collection::vec((0u64..8, 0u64..3), 2),
        ) {
            let table = Table {
                arch: Arch::X86_64,
                rules,
                baseline: Baseline::All,
                default: Action::KillProcess,
                newer: Action::ENOSYS,
                x32_is_native: false,
            };
            let policy = Policy::of(table, Action::KillProcess);
            let own = Rules::of(&policy, Arch::X86_64, Sysno(16));
            let mut args = [0; 6];
            for (arg, (low, high)) in args.iter_mut().zip(words) {
                *arg = high << 32 | low;
            }
            let call = |args| Call { arch: Arch::X86_64.audit_arch(), number: 16, ip: 0, args };
            let point = args.map(|v| Words::of(vec![Cube::word(v)]));
            let decided = policy.decide(&call(args));
            let answers = own.answers(&[point], &[]).unwrap();
            prop_assert_eq!(answers.len(), 1);
            prop_assert_eq!(answers[0].1.action, decided.action);
            // Of everything, each area is answered as one of its calls.
            for (area, answer) in own.answers(&[everything()], &[]).unwrap() {
                prop_assert_eq!(policy.decide(&call(area.map(|w| w.some()))).action, answer.action);
            }
        }
    }

    #[test]
    fn of_equal_answers_the_last_filter_speaks() {
        let answer = |errno| Answer {
            by: Decider::Class(Class::Known),
            action: Action::Errno(errno),
        };
        let (at, last) = strictest(&[answer(1), answer(2)]).unwrap();
        assert_eq!((at, last.action), (1, Action::Errno(2)));
    }
}
