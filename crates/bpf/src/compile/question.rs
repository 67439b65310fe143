//! What a rule asks of the arguments, and what is left of it once a word is known.

use portcullis_policy::{Condition, Op, Width};

/// Offset of the arguments in `struct seccomp_data`.
const ARGUMENTS: u32 = 16;

/// A word of `struct seccomp_data`, some of its bits cleared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Key {
    pub(super) offset: u32,
    pub(super) mask: u32,
}

impl Key {
    /// The whole word.
    pub(super) fn word(offset: u32) -> Key {
        Key {
            offset,
            mask: u32::MAX,
        }
    }
}

/// Something that must hold for a rule to fit.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Question {
    /// The word is in one of these ranges; ascending, apart.
    Word(Key, Vec<(u32, u32)>),
    /// The 64 bits whose lower half is at the offset are in one of these ranges; ascending, apart.
    Wide(u32, Vec<(u64, u64)>),
    /// The two words are not both what is said.
    NotBoth([(Key, u32); 2]),
}

/// What is known of a rule's fitting.
pub(super) enum Answer {
    Yes,
    No,
    /// These remain, all of them.
    Ask(Vec<Question>),
}

impl Question {
    /// The questions of a condition.
    pub(super) fn of(condition: &Condition) -> Answer {
        if condition.index > 5 {
            return Answer::No;
        }
        let low = ARGUMENTS + 8 * u32::from(condition.index);
        match &condition.op {
            Op::Masked { mask, value } => match halves(low, condition.width, *mask, *value) {
                None => Answer::No,
                Some(asked) if asked.is_empty() => Answer::Yes,
                Some(asked) => {
                    let word = |(key, value)| Question::Word(key, vec![(value, value)]);
                    Answer::Ask(asked.into_iter().map(word).collect())
                }
            },
            Op::NotMasked { mask, value } => {
                match halves(low, condition.width, *mask, *value).as_deref() {
                    None => Answer::Yes,
                    Some(&[high, low]) => Answer::Ask(vec![Question::NotBoth([high, low])]),
                    Some(&[(key, value)]) => Answer::Ask(vec![not(key, value)]),
                    Some(_) => Answer::No,
                }
            }
            _ => {
                let ranges = condition.ranges().unwrap_or_default();
                if ranges.is_empty() {
                    return Answer::No;
                }
                if ranges == [(0, condition.width.most())] {
                    return Answer::Yes;
                }
                Answer::Ask(vec![match condition.width {
                    Width::W64 => Question::Wide(low, ranges),
                    Width::W32 => Question::Word(Key::word(low), narrow(&ranges)),
                }])
            }
        }
    }

    /// The word that is asked for first.
    pub(super) fn key(&self) -> Key {
        match self {
            Question::Word(key, _) => *key,
            Question::Wide(low, _) => Key::word(low + 4),
            Question::NotBoth([(key, _), _]) => *key,
        }
    }

    /// Where the answer changes when the word of `key` does: the lowest values of the parts.
    pub(super) fn cuts(&self, key: Key, cuts: &mut Vec<u32>) {
        if self.key() != key {
            return;
        }
        let mut part = |low: u32, high: u32| {
            cuts.push(low);
            cuts.extend(high.checked_add(1));
        };
        match self {
            Question::Word(_, ranges) => ranges.iter().for_each(|(low, high)| part(*low, *high)),
            Question::NotBoth([(_, value), _]) => part(*value, *value),
            Question::Wide(_, ranges) => {
                for end in ranges.iter().flat_map(|(low, high)| [low, high]) {
                    let half = (end >> 32) as u32;
                    part(half, half);
                }
            }
        }
    }

    /// What is left when the word of `key` is between `low` and `high` and no cut is between them.
    pub(super) fn known(&self, key: Key, low: u32, high: u32) -> Answer {
        if self.key() != key {
            return Answer::Ask(vec![self.clone()]);
        }
        let answer = |yes: bool| if yes { Answer::Yes } else { Answer::No };
        match self {
            Question::Word(_, ranges) => {
                answer(ranges.iter().any(|(from, to)| *from <= low && high <= *to))
            }
            Question::NotBoth([(_, value), other]) if (low, high) == (*value, *value) => {
                Answer::Ask(vec![not(other.0, other.1)])
            }
            Question::NotBoth(_) => Answer::Yes,
            Question::Wide(offset, ranges) => {
                let first = u64::from(low) << 32;
                let last = u64::from(high) << 32 | u64::from(u32::MAX);
                let within: Vec<(u64, u64)> = ranges
                    .iter()
                    .filter(|(from, to)| *from <= last && first <= *to)
                    .map(|(from, to)| (*from.max(&first), *to.min(&last)))
                    .collect();
                match within.as_slice() {
                    [] => Answer::No,
                    [whole] if *whole == (first, last) => Answer::Yes,
                    // Between two cuts ranges only end where the upper half is one value.
                    _ => Answer::Ask(vec![Question::Word(Key::word(*offset), narrow(&within))]),
                }
            }
        }
    }
}

/// The lower halves of ranges.
fn narrow(ranges: &[(u64, u64)]) -> Vec<(u32, u32)> {
    let half = |v: u64| v as u32;
    ranges
        .iter()
        .map(|(low, high)| (half(*low), half(*high)))
        .collect()
}

/// Any value of the word but one.
fn not(key: Key, value: u32) -> Question {
    let below = value.checked_sub(1).map(|high| (0, high));
    let above = value.checked_add(1).map(|low| (low, u32::MAX));
    Question::Word(key, below.into_iter().chain(above).collect())
}

/// The words that `argument & mask == value` is about, the upper first; `None` when it never holds.
fn halves(low: u32, width: Width, mask: u64, value: u64) -> Option<Vec<(Key, u32)>> {
    let mask = mask & width.most();
    if value & !mask != 0 {
        return None;
    }
    let half = |offset: u32, shift: u32| {
        let key = Key {
            offset,
            mask: (mask >> shift) as u32,
        };
        (key.mask != 0).then_some((key, (value >> shift) as u32))
    };
    Some(
        [half(low + 4, 32), half(low, 0)]
            .into_iter()
            .flatten()
            .collect(),
    )
}
