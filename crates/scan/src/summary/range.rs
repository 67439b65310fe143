//! Bounds of a value that hold whoever calls the function.

use rustc_hash::FxHashSet;

use super::value::{Graph, Value, ValueId};
use crate::image::{Addr, Image};
use crate::isa::{Binary, Condition};

struct Context<'a> {
    image: &'a Image,
    graph: &'a Graph,
}

/// The lowest and highest that `value` can be, when something bounds it.
pub(super) fn bounds(image: &Image, graph: &Graph, value: ValueId) -> Option<(u64, u64)> {
    bounded(&Context { image, graph }, value, DEPTH)
}

/// Longest stretch of a table whose content is read for its bounds.
const MOST_READ: u64 = 1024;
/// Values that are looked at to tell whether one fits.
const MOST_SEEN: usize = 1000;
/// How deep expressions are looked into; each compare on the way to a value is a level of its own.
const DEPTH: u8 = 200;
/// The same through phis, where ways multiply.
const PHI_DEPTH: u8 = 12;

fn bounded(context: &Context<'_>, value: ValueId, depth: u8) -> Option<(u64, u64)> {
    let depth = depth.checked_sub(1)?;
    let graph = context.graph;
    match graph.get(value) {
        Value::Const(c) => Some((c, c)),
        Value::ZeroExtend(x, bits) => low(context, x, bits, depth),
        Value::SignExtend(x, bits) => {
            let (lo, hi) = low(context, x, bits, depth)?;
            (hi < 1 << (bits - 1)).then_some((lo, hi))
        }
        Value::Load(address, size, _) if size < 8 => {
            let content = read(context, address, size, depth);
            content.or(Some((0, (1 << (size * 8)) - 1)))
        }
        Value::Test(..) => Some((0, 1)),
        Value::Binary(Binary::And, x, mask) => {
            let mask = graph.constant_of(mask)?;
            let hi = bounded(context, x, depth).map_or(mask, |(_, hi)| hi.min(mask));
            Some((0, hi))
        }
        Value::Binary(Binary::Add, x, c) if graph.constant_of(c).is_some() => {
            let c = graph.constant_of(c)?;
            let (lo, hi) = bounded(context, x, depth)?;
            let (lo, hi) = (lo.wrapping_add(c), hi.wrapping_add(c));
            (lo <= hi).then_some((lo, hi))
        }
        Value::Binary(Binary::Add, x, y) => {
            let (a, b) = (bounded(context, x, depth)?, bounded(context, y, depth)?);
            Some((a.0.checked_add(b.0)?, a.1.checked_add(b.1)?))
        }
        Value::Binary(Binary::Sub, x, y) => {
            let (a, b) = (bounded(context, x, depth)?, bounded(context, y, depth)?);
            Some((a.0.checked_sub(b.1)?, a.1.checked_sub(b.0)?))
        }
        Value::Binary(Binary::Shr, x, by) => {
            let by = graph.constant_of(by)?;
            let (lo, hi) = bounded(context, x, depth).unwrap_or((0, u64::MAX));
            Some((lo >> (by & 63), hi >> (by & 63)))
        }
        Value::Binary(Binary::Shl, x, by) => {
            let by = graph.constant_of(by)?;
            let (lo, hi) = bounded(context, x, depth)?;
            (by < 64 && hi.leading_zeros() as u64 >= by).then_some((lo << by, hi << by))
        }
        Value::Refine(x, condition, bits, bound) => {
            let base = bounded(context, x, depth);
            let whole = if bits < 64 && base.is_none_or(|(_, hi)| hi >> bits != 0) {
                // The compare says something of all of it if the upper bits are clear.
                if !fits(graph, x, bits) {
                    return base;
                }
                (0, (1 << bits) - 1)
            } else {
                base.unwrap_or((0, u64::MAX))
            };
            narrow(graph, whole, condition, bits, bound).or(Some(whole))
        }
        Value::Select(_, a, b) => union(bounded(context, a, depth)?, bounded(context, b, depth)?),
        Value::Phi(index) => {
            let mut all: Option<(u64, u64)> = None;
            for &(_, operand) in &graph.phis[index as usize].operands {
                let one = bounded(context, operand, depth.min(PHI_DEPTH) / 3)?;
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

/// Bounds of what a constant table holds, read at an index that has bounds.
fn read(context: &Context<'_>, address: ValueId, size: u8, depth: u8) -> Option<(u64, u64)> {
    let graph = context.graph;
    let Value::Binary(Binary::Add, a, b) = graph.get(address) else {
        return None;
    };
    let (base, index) = match (graph.constant_of(a), graph.constant_of(b)) {
        (Some(base), None) => (base, b),
        (None, Some(base)) => (base, a),
        _ => return None,
    };
    context.image.object_of(Addr(base))?;
    let (first, last) = bounded(context, index, depth)?;
    let mut content: Option<(u64, u64)> = None;
    if last.checked_sub(first)? > MOST_READ {
        return None;
    }
    // Every byte offset, whatever the index's step: a superset of what is read.
    for offset in first..=last {
        let at = Addr(base.wrapping_add(offset));
        let one = context.image.constant(at, size)?;
        content = union(content.unwrap_or((one, one)), (one, one));
    }
    content
}

/// Whether `value` surely has no bit above the low `bits`, also around loops: what a loop
/// carries from one turn to the next fits if all that enters it does.
fn fits(graph: &Graph, value: ValueId, bits: u8) -> bool {
    let mut pending = vec![value];
    let mut seen = FxHashSet::default();
    while let Some(v) = pending.pop() {
        if !seen.insert(v) {
            continue;
        }
        if seen.len() > MOST_SEEN {
            return false;
        }
        match graph.get(v) {
            Value::Const(c) if c >> bits == 0 => {}
            Value::ZeroExtend(_, n) if n <= bits => {}
            Value::Load(_, size, _) if size * 8 <= bits => {}
            Value::Test(..) => {}
            Value::Binary(Binary::And, a, mask) => {
                if graph.constant_of(mask).is_none_or(|m| m >> bits != 0) {
                    pending.push(a);
                }
            }
            Value::Refine(a, ..) => pending.push(a),
            Value::Select(_, a, b) => pending.extend([a, b]),
            Value::Phi(index) => {
                let operands = &graph.phis[index as usize].operands;
                pending.extend(operands.iter().map(|o| o.1));
            }
            _ => return false,
        }
    }
    true
}

fn union(a: (u64, u64), b: (u64, u64)) -> Option<(u64, u64)> {
    Some((a.0.min(b.0), a.1.max(b.1)))
}

/// Bounds of the low `bits` bits of `x`.
fn low(context: &Context<'_>, x: ValueId, bits: u8, depth: u8) -> Option<(u64, u64)> {
    let graph = context.graph;
    let all = (0, (1u64 << bits) - 1);
    let depth = depth.checked_sub(1)?;
    if let Value::Refine(inner, condition, width, bound) = graph.get(x)
        && width == bits
    {
        let base = low(context, inner, bits, depth).unwrap_or(all);
        return narrow(graph, base, condition, bits, bound).or(Some(base));
    }
    match bounded(context, x, depth) {
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
        // What is greater than a number without a sign has none either.
        Condition::Greater if c < sign => (lo.max(c + 1), hi.min(sign - 1)),
        Condition::GreaterEq if c < sign => (lo.max(c), hi.min(sign - 1)),
        _ => return None,
    };
    (cut.0 <= cut.1).then_some(cut)
}
