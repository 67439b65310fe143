//! Sets of calls in the words of policies.

use portcullis_abi::Sysno;
use portcullis_policy::{Condition, Op, Span, Width};

use crate::compare::Calls;
use crate::region::{ARCH, ARGUMENTS, NUMBER, Region, TooHard, WordSet};

/// Stretches of one word that are told one by one.
const MOST_RANGES: usize = 4096;
/// The lower word of the instruction pointer; the upper follows.
const POINTER: usize = 2;

/// The set in words; `None` when words of policies cannot say it: it depends on where the call is
/// made, or falls into too many pieces.
pub(crate) fn describe(region: &Region) -> Result<Option<Calls>, TooHard> {
    if (POINTER..POINTER + 2).any(|word| !is_any(region.word(word))) {
        return Ok(None);
    }
    let (Some(arches), Some(numbers)) = (
        region.word(ARCH).ranges(MOST_RANGES)?,
        region.word(NUMBER).ranges(MOST_RANGES)?,
    ) else {
        return Ok(None);
    };
    let mut conditions = Vec::new();
    for index in 0..6u8 {
        let low = ARGUMENTS + 2 * usize::from(index);
        argument(
            index,
            region.word(low),
            region.word(low + 1),
            &mut conditions,
        )?;
    }
    let span = |(first, last)| Span {
        first: Sysno(first),
        last: Sysno(last),
    };
    Ok(Some(Calls {
        arches,
        numbers: numbers.into_iter().map(span).collect(),
        conditions,
    }))
}

fn is_any(word: &WordSet) -> bool {
    let (mask, _, excluded) = word.bits();
    word.bounds() == (0, u32::MAX) && mask == 0 && excluded.is_empty()
}

/// What an argument's halves must be.
fn argument(
    index: u8,
    low: &WordSet,
    high: &WordSet,
    conditions: &mut Vec<Condition>,
) -> Result<(), TooHard> {
    let mut add = |width, op| conditions.push(Condition { index, width, op });
    let few = |word: &WordSet| {
        let ranges = word.ranges(FEW)?;
        Ok::<_, TooHard>(ranges.filter(|r| *r != [(0, u32::MAX)]))
    };
    let (lower, upper) = (few(low)?, few(high)?);
    // One upper half and the lower ones below it are 64-bit values.
    if let Some([(above, same)]) = upper.as_deref()
        && above == same
        && (is_any(low) || lower.is_some())
    {
        let whole = vec![(0, u32::MAX)];
        let wide = |half: u32| u64::from(*above) << 32 | u64::from(half);
        let ranges = lower.unwrap_or(whole);
        let ranges = ranges.into_iter().map(|(from, to)| (wide(from), wide(to)));
        add(Width::W64, said(ranges.collect()));
        return Ok(());
    }
    match upper {
        Some(ranges) => {
            let wide = |(from, to): (u32, u32)| {
                (
                    u64::from(from) << 32,
                    u64::from(to) << 32 | u64::from(u32::MAX),
                )
            };
            add(Width::W64, said(ranges.into_iter().map(wide).collect()));
        }
        None => masked(high, 32, Width::W64, &mut add),
    }
    match lower {
        Some(ranges) => {
            let wide = |(from, to): (u32, u32)| (u64::from(from), u64::from(to));
            add(Width::W32, said(ranges.into_iter().map(wide).collect()));
        }
        None => masked(low, 0, Width::W32, &mut add),
    }
    Ok(())
}

/// Ranges that are clearer than masks.
const FEW: usize = 16;

/// Ranges in the shortest form.
fn said(ranges: Vec<(u64, u64)>) -> Op {
    match *ranges.as_slice() {
        [(from, to)] if from == to => Op::Equal(from),
        _ => Op::In(ranges),
    }
}

/// A word by its bounds, its known bits and its exclusions.
fn masked(word: &WordSet, shift: u32, width: Width, add: &mut impl FnMut(Width, Op)) {
    let wide = |half: u32| u64::from(half) << shift;
    let whole = wide(u32::MAX);
    let (mask, value, excluded) = word.bits();
    let (low, high) = word.bounds();
    if (low, high) != (0, u32::MAX) {
        // All lower bits count as well: those of the upper half are bounds of the whole.
        let rest = (1u64 << shift) - 1;
        add(width, Op::In(vec![(wide(low), wide(high) | rest)]));
    }
    if mask != 0 {
        let (mask, value) = (wide(mask), wide(value));
        add(width, Op::Masked { mask, value });
    }
    for &(mask, value) in excluded {
        let (mask, value) = (wide(mask) & whole, wide(value));
        add(width, Op::NotMasked { mask, value });
    }
}
