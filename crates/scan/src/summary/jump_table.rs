//! Where a computed jump goes: a switch, a computed goto, a tail call by pointer, a return.
//!
//! A table is recognised by the form of the target's value, not by the compiler that made it:
//! an entry read at a constant base plus a scaled index, taken as an address (8 bytes) or as
//! an offset from a base: 4 bytes, sign-extended; on aarch64 also 1 or 2, of either sign, that count
//! instructions. The index's bounds end the table; without bounds it goes on while its words lead to
//! code.

use super::range::bounds;
use rustc_hash::FxHashSet;

use super::value::{Graph, Input, Value, ValueId, fold};
use crate::image::{Addr, Image, Slot};
use crate::isa::{Binary, Reg};

/// Bounds of more values may come from the width of what the index is read from.
const MOST_TRUSTED: u64 = 255;
/// Tables that one jump may choose from.
const MOST_BASES: usize = 8;
/// How deep the computation of a row's address is followed; a level is a number or an operation.
const ROW_DEPTH: u8 = 8;
/// A longer table than any compiler makes; unbounded ones end here at the latest.
const MOST_ENTRIES: u64 = 1 << 16;

/// The address that a computed jump reads its table at, when that is its form.
pub(super) fn table_address(graph: &Graph, target: ValueId) -> Option<ValueId> {
    match graph.get(target) {
        Value::Load(address, ..) => Some(address),
        Value::SignExtend(x, _) | Value::ZeroExtend(x, _) | Value::Binary(Binary::Shl, x, _) => {
            table_address(graph, x)
        }
        Value::Binary(Binary::Add, a, b) => {
            table_address(graph, a).or_else(|| table_address(graph, b))
        }
        _ => None,
    }
}

/// The place that a computed jump's entries count from, when that is a number.
pub(super) fn anchor(graph: &Graph, target: ValueId) -> Option<u64> {
    let Value::Binary(Binary::Add, a, b) = graph.get(target) else {
        return None;
    };
    graph.constant_of(a).or(graph.constant_of(b))
}

/// What a computed jump is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Target {
    /// One of these addresses.
    Table(Vec<u64>),
    /// A function by pointer: the solver knows which.
    Pointer,
    /// The caller.
    Return,
    /// A form that is not understood.
    Unknown,
}

/// The function whose jumps are looked at.
pub(super) struct Function<'a> {
    pub(super) image: &'a Image,
    pub(super) graph: &'a Graph,
    pub(super) entry: u64,
}

impl Function<'_> {
    /// The addresses of the image that `value` is when the calls before it keep the scratch
    /// registers that the function uses after them: the summary names these calls
    /// ([`trusted`]), and the solver checks them. A constant outside the image is none: reading
    /// a table there faults.
    fn bases(&self, value: ValueId) -> Option<Vec<u64>> {
        let mut found = Vec::new();
        let mut pending = vec![value];
        let mut seen = FxHashSet::default();
        while let Some(value) = pending.pop() {
            if !seen.insert(value) {
                continue;
            }
            if seen.len() > 512 || found.len() > MOST_BASES {
                return None;
            }
            match self.graph.get(value) {
                Value::Const(c) => {
                    if self.image.object_of(Addr(c)).is_some() && !found.contains(&c) {
                        found.push(c);
                    }
                }
                Value::Kept(_, _, before) => pending.push(before),
                Value::Phi(index) => {
                    let operands = &self.graph.phis[index as usize].operands;
                    pending.extend(operands.iter().map(|o| o.1));
                }
                _ => return None,
            }
        }
        (!found.is_empty()).then_some(found)
    }
}

/// Where a jump to `target` goes.
pub(super) fn resolve(function: &Function<'_>, target: ValueId) -> Target {
    let Function { image, graph, .. } = *function;
    match graph.get(target) {
        Value::Entry(Input::ReturnAddress) => Target::Return,
        Value::Load(address, 8, _) => absolute(function, address),
        Value::Binary(Binary::Add, a, b) => relative(function, a, b)
            .or_else(|| relative(function, b, a))
            .or_else(|| row(function, target).map(Target::Table))
            .unwrap_or_else(|| {
                if [a, b].iter().any(|v| code_constant(function, *v)) {
                    Target::Unknown
                } else {
                    Target::Pointer
                }
            }),
        Value::Const(_) => Target::Pointer,
        Value::Phi(_) | Value::Select(..) | Value::Refine(..) => {
            let mut all = Vec::new();
            match leaves(function, target, &mut all, 8) {
                Some(()) if !all.is_empty() => {
                    all.sort_unstable();
                    all.dedup();
                    if all.iter().all(|&a| image.function_start(Addr(a))) {
                        Target::Pointer
                    } else {
                        Target::Table(all)
                    }
                }
                _ => Target::Pointer,
            }
        }
        _ => Target::Pointer,
    }
}

/// Rows of code of one length, entered at the start of one of them: the addresses that come of
/// every number that a mask or a compare leaves.
fn row(function: &Function<'_>, target: ValueId) -> Option<Vec<u64>> {
    let Function {
        image,
        graph,
        entry,
    } = *function;
    let index = only_index(graph, target)?;
    let (lo, hi) = bounds(image, graph, index)?;
    if hi - lo > MOST_TRUSTED {
        return None;
    }
    let starts = |&at: &u64| image.is_code(Addr(at)) && may_be_part(image, entry, at);
    (lo..=hi)
        .map(|n| with_index(graph, target, index, n, ROW_DEPTH).filter(starts))
        .collect()
}

/// The one masked or compared value that `target` is computed from, with constants alone.
fn only_index(graph: &Graph, target: ValueId) -> Option<ValueId> {
    let mut found = None;
    let mut pending = vec![target];
    for _ in 0..1 << ROW_DEPTH {
        let Some(v) = pending.pop() else {
            return found;
        };
        match graph.get(v) {
            Value::Const(_) => {}
            Value::Refine(..) | Value::Binary(Binary::And, ..) if is_bounded(graph, v) => {
                if found.is_some_and(|other| other != v) {
                    return None;
                }
                found = Some(v);
            }
            Value::Binary(_, a, b) => pending.extend([a, b]),
            Value::ZeroExtend(a, _) | Value::SignExtend(a, _) => pending.push(a),
            _ => return None,
        }
    }
    None
}

/// What `v` is when `index` is `n`.
fn with_index(graph: &Graph, v: ValueId, index: ValueId, n: u64, depth: u8) -> Option<u64> {
    if v == index {
        return Some(n);
    }
    let depth = depth.checked_sub(1)?;
    let of = |v| with_index(graph, v, index, n, depth);
    match graph.get(v) {
        Value::Const(c) => Some(c),
        Value::Binary(op, a, b) => Some(fold(op, of(a)?, of(b)?)),
        Value::ZeroExtend(a, bits) => Some(of(a)? & low_bits(bits)),
        Value::SignExtend(a, bits) => {
            let unused = 64 - u32::from(bits);
            Some(((of(a)? << unused) as i64 >> unused) as u64)
        }
        _ => None,
    }
}

fn low_bits(bits: u8) -> u64 {
    u64::MAX >> (64 - u32::from(bits))
}

fn code_constant(function: &Function<'_>, v: ValueId) -> bool {
    let graph = function.graph;
    graph
        .constant_of(v)
        .is_some_and(|c| function.image.is_code(Addr(c)))
}

/// The code addresses that a choice of constants and tables can be.
fn leaves(function: &Function<'_>, v: ValueId, all: &mut Vec<u64>, depth: u8) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    let Function { image, graph, .. } = *function;
    match graph.get(v) {
        Value::Const(c) => {
            if image.is_code(Addr(c)) {
                all.push(c);
            }
            Some(())
        }
        Value::Refine(x, ..) => leaves(function, x, all, depth),
        Value::Select(_, a, b) => {
            leaves(function, a, all, depth)?;
            leaves(function, b, all, depth)
        }
        Value::Phi(index) => {
            for &(_, operand) in &graph.phis[index as usize].operands {
                leaves(function, operand, all, depth)?;
            }
            Some(())
        }
        Value::Load(..) | Value::Binary(..) => match resolve(function, v) {
            Target::Table(more) => {
                all.extend(more);
                Some(())
            }
            _ => None,
        },
        _ => None,
    }
}

/// A table's place: the value and the addresses of its base, the index's value when it counts
/// entries, bytes between entries.
struct Table {
    base: ValueId,
    bases: Vec<u64>,
    index: Option<ValueId>,
    stride: u64,
}

fn table(function: &Function<'_>, address: ValueId, size: u64) -> Option<Table> {
    let graph = function.graph;
    let mut terms = vec![address];
    let mut base = None;
    let mut index = None;
    for _ in 0..8 {
        let Some(term) = terms.pop() else { break };
        match graph.get(term) {
            Value::Binary(Binary::Add, a, b) => terms.extend([a, b]),
            _ if base.is_none()
                && let Some(bases) = function.bases(term) =>
            {
                base = Some((term, bases));
            }
            _ if index.is_none() => index = Some(term),
            _ => return None,
        }
    }
    let (base, bases) = base?;
    let term = index?;
    match graph.get(term) {
        Value::Binary(Binary::Shl, index, by) => {
            let by = graph.constant_of(by)?;
            (by < 8).then_some(Table {
                base,
                bases,
                index: Some(index),
                stride: 1 << by,
            })
        }
        // Bytes are counted as they are.
        _ if size == 1 => Some(Table {
            base,
            bases,
            index: Some(term),
            stride: 1,
        }),
        // An index that was scaled earlier: every aligned entry may be meant.
        _ => Some(Table {
            base,
            bases,
            index: None,
            stride: size,
        }),
    }
}

fn absolute(function: &Function<'_>, address: ValueId) -> Target {
    let image = function.image;
    let Some(table) = table(function, address, 8) else {
        return Target::Pointer;
    };
    let word = |at: u64| match image.slot(Addr(at)) {
        Some(Slot::Address(a)) => Some(a.0),
        Some(_) => None,
        None => image.constant(Addr(at), 8),
    };
    let mut all: Vec<u64> = table
        .bases
        .iter()
        .flat_map(|&base| {
            let before = entries_before(function, &table, base, word);
            let mut all = entries(function, &table, base, word);
            // Without what the base itself leads to it is no table of this function.
            if !all.is_empty() {
                all.extend(before);
            }
            all
        })
        .collect();
    all.sort_unstable();
    all.dedup();
    match all {
        all if all.is_empty() => Target::Pointer,
        all if all.iter().all(|&a| image.function_start(Addr(a))) => Target::Pointer,
        all => Target::Table(all),
    }
}

/// An entry that counts from some place on.
struct Offset {
    /// Where it is read.
    address: ValueId,
    /// Its bytes.
    size: u8,
    signed: bool,
    /// By how many bits it is shifted left.
    shift: u64,
}

impl Offset {
    fn of(graph: &Graph, v: ValueId) -> Option<Offset> {
        let (v, shift) = match graph.get(v) {
            Value::Binary(Binary::Shl, v, by) => (v, graph.constant_of(by)?),
            _ => (v, 0),
        };
        let (v, extended) = match graph.get(v) {
            Value::SignExtend(v, bits) => (v, Some(bits)),
            _ => (v, None),
        };
        let Value::Load(address, size, _) = graph.get(v) else {
            return None;
        };
        let signed = extended == Some(size * 8);
        // Others are numbers that are added to an address.
        let known = match size {
            1 | 2 => shift == 2 && (signed || extended.is_none()),
            4 => signed && shift <= 2,
            _ => false,
        };
        known.then_some(Offset {
            address,
            size,
            signed,
            shift,
        })
    }

    /// What an entry leads to.
    fn from(&self, place: u64, word: u64) -> u64 {
        let unused = 64 - u32::from(self.size) * 8;
        let word = match self.signed {
            true => ((word << unused) as i64 >> unused) as u64,
            false => word,
        };
        place.wrapping_add(word << self.shift)
    }
}

fn relative(function: &Function<'_>, base: ValueId, offset: ValueId) -> Option<Target> {
    let Function { image, graph, .. } = *function;
    let bases = function.bases(base)?;
    let offset = Offset::of(graph, offset)?;
    let table = table(function, offset.address, u64::from(offset.size))?;
    // Offsets count from the table itself, or from one place for all tables.
    let same = table.base == base;
    if !same && bases.len() > 1 {
        return None;
    }
    let mut all = Vec::new();
    for &at in &table.bases {
        let from = if same { at } else { bases[0] };
        let word = |at: u64| {
            let word = image.constant(Addr(at), offset.size)?;
            Some(offset.from(from, word))
        };
        all.extend(entries(function, &table, at, word));
    }
    Some(if all.is_empty() {
        Target::Unknown
    } else {
        all.sort_unstable();
        all.dedup();
        Target::Table(all)
    })
}

fn entries(
    function: &Function<'_>,
    table: &Table,
    base: u64,
    word: impl Fn(u64) -> Option<u64>,
) -> Vec<u64> {
    let Function {
        image,
        graph,
        entry,
        ..
    } = *function;
    let bound = table
        .index
        .and_then(|index| bounds(image, graph, index))
        .filter(|(lo, hi)| hi - lo < MOST_ENTRIES);
    // What only the width of the index bounds can end before, but not inside another table:
    // nothing else that the function names is inside this one, nor what other code refers to.
    let apart = || {
        let own = graph.next_constant(base).unwrap_or(u64::MAX);
        let others = image.next_reference(Addr(base)).map_or(u64::MAX, |a| a.0);
        let end = own.min(others);
        (((end - base) / table.stride).max(1) - 1).min(MOST_ENTRIES)
    };
    let (first, last, trusted) = match bound {
        Some((lo, hi)) if hi - lo < MOST_TRUSTED => {
            (lo, hi, table.index.is_some_and(|i| is_bounded(graph, i)))
        }
        Some((lo, hi)) => (lo, hi.min(apart().max(lo)), false),
        None => (0, apart(), false),
    };
    let mut all = Vec::new();
    for n in first..=last {
        let at = base.wrapping_add(n.wrapping_mul(table.stride));
        match word(at) {
            Some(target) if trusted => {
                // Compilers fill the places of values that cannot be.
                if image.is_code(Addr(target)) && may_be_part(image, entry, target) {
                    all.push(target);
                }
            }
            // A word that leads nowhere, or into another function, is behind the end.
            Some(target) if image.is_code(Addr(target)) && is_part(image, entry, target) => {
                all.push(target);
            }
            _ => break,
        }
    }
    all
}

/// The entries before a table's base: nothing says that an index without bounds, or with a bound as
/// a signed number, is not negative.
fn entries_before(
    function: &Function<'_>,
    table: &Table,
    base: u64,
    word: impl Fn(u64) -> Option<u64>,
) -> Vec<u64> {
    /// Labels before the one that a table is named by.
    const MOST_BEFORE: u64 = 256;
    let Function {
        image,
        graph,
        entry,
        ..
    } = *function;
    let bound = table.index.and_then(|index| bounds(image, graph, index));
    if bound.is_some_and(|(lo, hi)| hi - lo < MOST_ENTRIES) {
        return Vec::new();
    }
    let before = (1..=MOST_BEFORE).map(|n| base.wrapping_sub(n * table.stride));
    let leads = |&target: &u64| {
        let inside = image.is_code(Addr(target)) && !image.function_start(Addr(target));
        inside && is_part(image, entry, target)
    };
    before.map_while(|at| word(at).filter(leads)).collect()
}

/// Whether a compare or a mask was meant to bound the index: what it says is the table's length,
/// not just some number that its length is below.
fn is_bounded(graph: &Graph, index: ValueId) -> bool {
    match graph.get(index) {
        Value::Refine(..) => true,
        Value::Binary(Binary::And, _, mask) => graph
            .constant_of(mask)
            .is_some_and(|mask| mask.wrapping_add(1).is_power_of_two()),
        Value::ZeroExtend(x, _) | Value::SignExtend(x, _) => is_bounded(graph, x),
        Value::Binary(Binary::Add, x, c) => graph.constant_of(c).is_some() && is_bounded(graph, x),
        Value::Phi(_) | Value::Select(..) => true,
        _ => false,
    }
}

/// Whether a word beyond a table's unknown end may still be an entry of a table of the function
/// at `entry`: not when it leads into the middle of another function.
fn is_part(image: &Image, entry: u64, target: u64) -> bool {
    match image.fde_range(Addr(target)) {
        None => true,
        Some(range) => {
            range.contains(&entry)
                || range.start == target
                || !image.function_start(Addr(range.start))
        }
    }
}

/// The same for a word inside a table: it may lead into the middle of a cold part, which has an
/// unwind entry of its own. Nothing calls a part.
fn may_be_part(image: &Image, entry: u64, target: u64) -> bool {
    match image.fde_range(Addr(target)) {
        None => true,
        Some(range) => is_part(image, entry, target) || !image.called_start(Addr(range.start)),
    }
}

/// The calls, and the registers that they must keep for a jump to `target` to be understood.
pub(super) fn trusted(graph: &Graph, target: ValueId) -> Vec<(u64, Reg)> {
    let mut found = Vec::new();
    let mut pending = vec![target];
    let mut seen = FxHashSet::default();
    while let Some(value) = pending.pop() {
        if !seen.insert(value) {
            continue;
        }
        match graph.get(value) {
            Value::Kept(at, reg, before) => {
                found.push((at, reg));
                pending.push(before);
            }
            Value::Phi(index) => {
                pending.extend(graph.phis[index as usize].operands.iter().map(|o| o.1));
            }
            Value::Binary(_, a, b) => pending.extend([a, b]),
            Value::SignExtend(a, _) | Value::ZeroExtend(a, _) | Value::Load(a, ..) => {
                pending.push(a);
            }
            _ => {}
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}
