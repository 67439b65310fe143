//! Conditions that hold together, and what a format can say of them.

use crate::ranges::{Ranges, complement, intersection};
use crate::{Condition, Op, Width};

/// A rule that needs more entries is refused: nobody would read them.
const MOST_TERMS: usize = 64;

/// What a format can compare.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    /// 32 bits.
    pub(super) narrow: bool,
    /// 64 bits.
    pub(super) wide: bool,
    /// One argument several times in one rule.
    pub(super) repeated: bool,
}

/// The terms where not all of `conditions` hold.
pub(super) fn without(
    terms: Vec<Vec<Condition>>,
    conditions: &[Condition],
) -> Result<Vec<Vec<Condition>>, String> {
    let mut all = Vec::new();
    for term in terms {
        // Nothing is taken from what cannot be fulfilled at the same time.
        let mut both = term.clone();
        both.extend(conditions.iter().cloned());
        if matches!(merged(&both), Ok(None)) {
            all.push(term);
            continue;
        }
        for condition in conditions {
            let mut one = term.clone();
            one.push(Condition {
                op: condition.op.clone().opposite(),
                ..condition.clone()
            });
            all.push(one);
        }
        if all.len() > MOST_TERMS {
            return Err("earlier rules with other answers take too much from it".into());
        }
    }
    Ok(all)
}

/// The terms in the words of a format; any of them suffices.
pub(super) fn said(
    terms: Vec<Vec<Condition>>,
    words: Words,
) -> Result<Vec<Vec<Condition>>, String> {
    let mut all = Vec::new();
    for term in terms {
        let conditions = match merged(&term) {
            Ok(None) => continue,
            Ok(Some(conditions)) => conditions,
            Err(_) if words.repeated => term,
            Err(message) => return Err(message),
        };
        let mut own: Vec<Vec<Condition>> = vec![Vec::new()];
        for condition in &conditions {
            let alternatives = alternatives(condition, words)?;
            if own.len().saturating_mul(alternatives.len()) > MOST_TERMS {
                return Err(format!(
                    "what it asks of argument {} takes more than {MOST_TERMS} entries to say",
                    condition.index
                ));
            }
            let with = |o: &Vec<Condition>| {
                let o = o.clone();
                alternatives.iter().map(move |a| [&o[..], a].concat())
            };
            own = own.iter().flat_map(with).collect();
        }
        all.extend(own);
        if all.len() > MOST_TERMS {
            return Err(format!("it takes more than {MOST_TERMS} entries to say"));
        }
    }
    Ok(all)
}

/// The same with one condition for each argument, in the order of arguments; `None` when they cannot
/// hold together.
fn merged(term: &[Condition]) -> Result<Option<Vec<Condition>>, String> {
    let mut all: Vec<Condition> = Vec::new();
    for condition in term {
        let most = condition.width.most();
        let op = match ranges(condition) {
            Some(r) if r.is_empty() => return Ok(None),
            Some(r) if r == [(0, most)] => continue,
            _ => condition.op.clone(),
        };
        let Some(own) = all.iter_mut().find(|c| c.index == condition.index) else {
            all.push(Condition {
                op,
                ..condition.clone()
            });
            continue;
        };
        let index = own.index;
        let unclear =
            || format!("argument {index} has several conditions, which the format cannot join");
        if own.width != condition.width {
            return Err(unclear());
        }
        own.op = match (ranges(own), ranges(condition), &own.op, &op) {
            (Some(a), Some(b), ..) => {
                let both = intersection(&a, &b);
                if both.is_empty() {
                    return Ok(None);
                }
                Op::In(both)
            }
            (_, _, Op::Masked { mask: m, value: v }, Op::Masked { mask, value }) => {
                if v & m & mask != value & m & mask {
                    return Ok(None);
                }
                Op::Masked {
                    mask: m | mask,
                    value: v | value,
                }
            }
            _ => return Err(unclear()),
        };
    }
    all.sort_by_key(|c| c.index);
    Ok(Some(all))
}

/// The values that fulfil it, ascending and apart; `None` when they are not few ranges.
fn ranges(condition: &Condition) -> Option<Ranges> {
    let most = condition.width.most();
    match condition.op {
        Op::Masked { mask, value } => masked(mask & most, value, most),
        Op::NotMasked { mask, value } => Some(complement(&masked(mask & most, value, most)?, most)),
        _ => condition.ranges(),
    }
}

/// Those whose bits of `mask` are `value`; `None` when the other bits are not the lowest.
fn masked(mask: u64, value: u64, most: u64) -> Option<Ranges> {
    let free = !mask & most;
    match () {
        () if value & mask != value => Some(Vec::new()),
        () if free & free.wrapping_add(1) != 0 => None,
        () => Some(vec![(value, value | free)]),
    }
}

/// A condition in the words of a format: any of the results suffices.
fn alternatives(condition: &Condition, words: Words) -> Result<Vec<Vec<Condition>>, String> {
    let most = condition.width.most();
    let direct = match condition.width {
        Width::W32 => words.narrow,
        Width::W64 => words.wide,
    };
    if !direct && condition.width == Width::W64 {
        return Err(format!(
            "it asks for 64 bits of argument {}; the format's compiler looks at 32 here",
            condition.index
        ));
    }
    let one = |op| Condition {
        op,
        // What libseccomp compares is said to be of 64 bits even where it looks at 32.
        width: if words.repeated {
            condition.width
        } else {
            Width::W64
        },
        index: condition.index,
    };
    let sayable = match &condition.op {
        Op::NotMasked { .. } | Op::In(_) | Op::NotIn(_) => false,
        Op::Masked { mask, value } => value & mask == *value && *mask <= most,
        Op::Equal(v) | Op::NotEqual(v) => *v <= most,
        Op::Less(v) | Op::LessEqual(v) | Op::Greater(v) | Op::GreaterEqual(v) => *v <= most,
    };
    let low = Width::W32.most();
    if let (Op::Masked { mask, value }, true) = (&condition.op, words.narrow && words.wide)
        && *mask == low
        && *value <= low
    {
        return Ok(vec![vec![Condition {
            index: condition.index,
            width: Width::W32,
            op: Op::Equal(*value),
        }]]);
    }
    if direct && sayable {
        return Ok(vec![vec![one(condition.op.clone())]]);
    }
    if let Some(ranges) = ranges(condition) {
        let hole = complement(&ranges, most);
        if let ([(low, high)], true) = (&hole[..], direct)
            && low == high
            && *low != 0
            && *high != most
        {
            return Ok(vec![vec![one(Op::NotEqual(*low))]]);
        }
        let mut all = Vec::new();
        for (low, high) in ranges {
            match (low, high) {
                (0, high) if high == most => all.push(Vec::new()),
                (low, high) if direct && low == high => all.push(vec![one(Op::Equal(low))]),
                (0, high) if direct => all.push(vec![one(Op::LessEqual(high))]),
                (low, high) if direct && high == most => all.push(vec![one(Op::GreaterEqual(low))]),
                (low, high) if words.repeated => {
                    all.push(vec![one(Op::GreaterEqual(low)), one(Op::LessEqual(high))]);
                }
                (low, high) => {
                    let blocks = blocks(low, high, most).into_iter();
                    all.extend(blocks.map(|block| vec![one(block)]));
                }
            }
        }
        return Ok(all);
    }
    Ok(match &condition.op {
        Op::Masked { mask, value } => vec![vec![one(Op::Masked {
            mask: mask & most,
            value: *value,
        })]],
        Op::NotMasked { mask, value } => {
            let bits = (0..64).map(|b| 1u64 << b).filter(|b| b & mask & most != 0);
            let other = |bit| {
                one(Op::Masked {
                    mask: bit,
                    value: !value & bit,
                })
            };
            bits.map(|bit| vec![other(bit)]).collect()
        }
        // All others are ranges.
        _ => return Err("it cannot be said".into()),
    })
}

/// Aligned powers of two that make up a range: each is a comparison of the upper bits.
fn blocks(mut low: u64, high: u64, most: u64) -> Vec<Op> {
    let mut all = Vec::new();
    loop {
        let mut size_less_one = 0u64;
        loop {
            let next = size_less_one << 1 | 1;
            if next == size_less_one || low & next != 0 || next > high - low {
                break;
            }
            size_less_one = next;
        }
        all.push(Op::Masked {
            mask: !size_less_one & most,
            value: low,
        });
        match low.checked_add(size_less_one).filter(|last| *last < high) {
            Some(last) => low = last + 1,
            None => return all,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_low_half_that_is_not_a_value_takes_one_entry_for_each_bit() {
        let unequal = Condition {
            index: 0,
            width: Width::W32,
            op: Op::NotEqual(40),
        };
        let words = Words {
            narrow: false,
            wide: true,
            repeated: false,
        };
        let said = said(vec![vec![unequal]], words).expect("it can be said");
        assert_eq!(said.len(), 32);
    }

    fn bounds() -> impl Strategy<Value = (u64, u64)> {
        let value = prop_oneof![0u64..64, Just(u64::MAX), any::<u64>()];
        (value.clone(), value).prop_map(|(a, b)| (a.min(b), a.max(b)))
    }

    proptest! {
        #[test]
        fn blocks_are_the_range((low, high) in bounds(), other in any::<u64>()) {
            let blocks = blocks(low, high, u64::MAX);
            prop_assert!(blocks.len() <= 126);
            let beside = [low, high, low.wrapping_sub(1), high.wrapping_add(1), other];
            for value in beside {
                let fits = |op: &Op| match op {
                    Op::Masked { mask, value: v } => value & mask == *v,
                    _ => false,
                };
                let count = blocks.iter().filter(|b| fits(b)).count();
                prop_assert_eq!(count, usize::from((low..=high).contains(&value)));
            }
        }

        #[test]
        fn ranges_are_what_holds(
            all in prop::collection::vec(bounds(), 0..4),
            value in prop_oneof![0u64..64, any::<u64>()],
        ) {
            let asked = |op| Condition { index: 0, width: Width::W64, op };
            let holds = |condition: &Condition| condition.holds(&[value, 0, 0, 0, 0, 0]);
            let low_bits = Op::Masked { mask: !7, value: value & !15 };
            for op in [Op::In(all.clone()), Op::NotIn(all), low_bits.clone(), low_bits.opposite()] {
                let condition = asked(op.clone());
                let ranges = ranges(&condition).expect("it is ranges");
                let inside = ranges.iter().any(|(l, h)| (*l..=*h).contains(&value));
                prop_assert_eq!(inside, holds(&condition));
                prop_assert_eq!(holds(&asked(op.opposite())), !inside);
            }
        }
    }
}
