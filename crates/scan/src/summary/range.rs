//! Bounds of a value that hold whoever calls the function.

use super::value::{Graph, Value, ValueId};
use crate::isa::{Binary, Condition};

/// The lowest and highest that `value` can be, when something bounds it.
pub(super) fn bounds(graph: &Graph, value: ValueId) -> Option<(u64, u64)> {
    bounded(graph, value, 12)
}

fn bounded(graph: &Graph, value: ValueId, depth: u8) -> Option<(u64, u64)> {
    let depth = depth.checked_sub(1)?;
    match graph.get(value) {
        Value::Const(c) => Some((c, c)),
        Value::ZeroExtend(x, bits) => low(graph, x, bits, depth),
        Value::SignExtend(x, bits) => {
            let (lo, hi) = low(graph, x, bits, depth)?;
            (hi < 1 << (bits - 1)).then_some((lo, hi))
        }
        Value::Load(_, size, _) if size < 8 => Some((0, (1 << (size * 8)) - 1)),
        Value::Test(..) => Some((0, 1)),
        Value::Binary(Binary::And, x, mask) => {
            let mask = graph.constant_of(mask)?;
            let hi = bounded(graph, x, depth).map_or(mask, |(_, hi)| hi.min(mask));
            Some((0, hi))
        }
        Value::Binary(Binary::Add, x, c) if graph.constant_of(c).is_some() => {
            let c = graph.constant_of(c)?;
            let (lo, hi) = bounded(graph, x, depth)?;
            let (lo, hi) = (lo.wrapping_add(c), hi.wrapping_add(c));
            (lo <= hi).then_some((lo, hi))
        }
        Value::Binary(Binary::Add, x, y) => {
            let (a, b) = (bounded(graph, x, depth)?, bounded(graph, y, depth)?);
            Some((a.0.checked_add(b.0)?, a.1.checked_add(b.1)?))
        }
        Value::Binary(Binary::Sub, x, y) => {
            let (a, b) = (bounded(graph, x, depth)?, bounded(graph, y, depth)?);
            Some((a.0.checked_sub(b.1)?, a.1.checked_sub(b.0)?))
        }
        Value::Binary(Binary::Shr, x, by) => {
            let by = graph.constant_of(by)?;
            let (lo, hi) = bounded(graph, x, depth).unwrap_or((0, u64::MAX));
            Some((lo >> (by & 63), hi >> (by & 63)))
        }
        Value::Binary(Binary::Shl, x, by) => {
            let by = graph.constant_of(by)?;
            let (lo, hi) = bounded(graph, x, depth)?;
            (by < 64 && hi.leading_zeros() as u64 >= by).then_some((lo << by, hi << by))
        }
        Value::Refine(x, condition, bits, bound) => {
            let base = bounded(graph, x, depth);
            let fits = bits == 64 || base.is_some_and(|(_, hi)| hi < 1 << bits);
            if fits {
                let base = base.unwrap_or((0, u64::MAX));
                narrow(graph, base, condition, bits, bound).or(Some(base))
            } else {
                base
            }
        }
        Value::Select(_, a, b) => union(bounded(graph, a, depth)?, bounded(graph, b, depth)?),
        Value::Phi(index) => {
            let mut all: Option<(u64, u64)> = None;
            for &(_, operand) in &graph.phis[index as usize].operands {
                let one = bounded(graph, operand, depth.min(4))?;
                all = match all {
                    None => Some(one),
                    Some(sum) => union(sum, one),
                };
            }
            all
        }
        _ => None,
    }
}

fn union(a: (u64, u64), b: (u64, u64)) -> Option<(u64, u64)> {
    Some((a.0.min(b.0), a.1.max(b.1)))
}

/// Bounds of the low `bits` bits of `x`.
fn low(graph: &Graph, x: ValueId, bits: u8, depth: u8) -> Option<(u64, u64)> {
    let all = (0, (1u64 << bits) - 1);
    let depth = depth.checked_sub(1)?;
    if let Value::Refine(inner, condition, width, bound) = graph.get(x)
        && width == bits
    {
        let base = low(graph, inner, bits, depth).unwrap_or(all);
        return narrow(graph, base, condition, bits, bound).or(Some(base));
    }
    match bounded(graph, x, depth) {
        Some((lo, hi)) if hi <= all.1 => Some((lo, hi)),
        _ => Some(all),
    }
}

/// `base` cut to what compares so with `bound`; `None` when that cuts nothing.
fn narrow(
    graph: &Graph,
    (lo, hi): (u64, u64),
    condition: Condition,
    bits: u8,
    bound: ValueId,
) -> Option<(u64, u64)> {
    let c = graph.constant_of(bound)?;
    let sign = 1u64 << (bits - 1);
    // Signed compares bound only what both sides hold as non-negative numbers.
    let positive = hi < sign && c < sign;
    let cut = match condition {
        Condition::Eq => (c, c),
        Condition::Ne if c == lo && lo < hi => (lo + 1, hi),
        Condition::Ne if c == hi && lo < hi => (lo, hi - 1),
        Condition::Below => (lo, hi.min(c.checked_sub(1)?)),
        Condition::BelowEq => (lo, hi.min(c)),
        Condition::Above => (lo.max(c.checked_add(1)?), hi),
        Condition::AboveEq => (lo.max(c), hi),
        Condition::Less if positive => (lo, hi.min(c.checked_sub(1)?)),
        Condition::LessEq if positive => (lo, hi.min(c)),
        Condition::Greater if positive => (lo.max(c + 1), hi),
        Condition::GreaterEq if positive => (lo.max(c), hi),
        _ => return None,
    };
    (cut.0 <= cut.1).then_some(cut)
}
