//! Where a computed jump goes: a switch, a computed goto, a tail call by pointer, a return.
//!
//! A table is recognised by the form of the target's value, not by the compiler that made it:
//! an entry read at a constant base plus a scaled index, taken as an address (8 bytes) or as
//! an offset from a base (4 bytes, sign-extended). The index's bounds end the table; without
//! bounds it goes on while its words lead to code.

use super::range::bounds;
use super::value::{Graph, Input, Value, ValueId};
use crate::image::{Addr, Image, Slot};
use crate::isa::Binary;

/// A longer table than any compiler makes; unbounded ones end here at the latest.
const MOST_ENTRIES: u64 = 1 << 16;

/// The address that a computed jump reads its table at, when that is its form.
pub(super) fn table_address(graph: &Graph, target: ValueId) -> Option<ValueId> {
    match graph.get(target) {
        Value::Load(address, ..) => Some(address),
        Value::SignExtend(x, _) | Value::ZeroExtend(x, _) => table_address(graph, x),
        Value::Binary(Binary::Add, a, b) => {
            table_address(graph, a).or_else(|| table_address(graph, b))
        }
        _ => None,
    }
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

/// Where a jump to `target` goes.
pub(super) fn resolve(image: &Image, graph: &Graph, entry: u64, target: ValueId) -> Target {
    match graph.get(target) {
        Value::Entry(Input::Stack(0)) => Target::Return,
        Value::Load(address, 8, _) => absolute(image, graph, entry, address),
        Value::Binary(Binary::Add, a, b) => {
            relative(image, graph, entry, a, b)
                .or_else(|| relative(image, graph, entry, b, a))
                .unwrap_or_else(|| {
                    if [a, b].iter().any(|v| code_constant(image, graph, *v)) {
                        Target::Unknown
                    } else {
                        Target::Pointer
                    }
                })
        }
        Value::Const(_) => Target::Pointer,
        Value::Phi(_) | Value::Select(..) | Value::Refine(..) => {
            let mut all = Vec::new();
            match leaves(image, graph, entry, target, &mut all, 8) {
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

fn code_constant(image: &Image, graph: &Graph, v: ValueId) -> bool {
    graph
        .constant_of(v)
        .is_some_and(|c| image.is_code(Addr(c)))
}

/// The code addresses that a choice of constants and tables can be.
fn leaves(
    image: &Image,
    graph: &Graph,
    entry: u64,
    v: ValueId,
    all: &mut Vec<u64>,
    depth: u8,
) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    match graph.get(v) {
        Value::Const(c) => {
            if image.is_code(Addr(c)) {
                all.push(c);
            }
            Some(())
        }
        Value::Refine(x, ..) => leaves(image, graph, entry, x, all, depth),
        Value::Select(_, a, b) => {
            leaves(image, graph, entry, a, all, depth)?;
            leaves(image, graph, entry, b, all, depth)
        }
        Value::Phi(index) => {
            for &(_, operand) in &graph.phis[index as usize].operands {
                leaves(image, graph, entry, operand, all, depth)?;
            }
            Some(())
        }
        Value::Load(..) | Value::Binary(..) => match resolve(image, graph, entry, v) {
            Target::Table(more) => {
                all.extend(more);
                Some(())
            }
            _ => None,
        },
        _ => None,
    }
}

/// A table's place: base, the index's value when it counts entries, bytes between entries.
struct Table {
    base: u64,
    index: Option<ValueId>,
    stride: u64,
}

fn table(image: &Image, graph: &Graph, address: ValueId, size: u64) -> Option<Table> {
    let mut terms = vec![address];
    let mut base = None;
    let mut index = None;
    for _ in 0..8 {
        let Some(term) = terms.pop() else { break };
        match graph.get(term) {
            Value::Binary(Binary::Add, a, b) => terms.extend([a, b]),
            Value::Const(c) if base.is_none() => base = Some(c),
            _ if index.is_none() => index = Some(term),
            _ => return None,
        }
    }
    let base = base?;
    image.object_of(Addr(base))?;
    let term = index?;
    match graph.get(term) {
        Value::Binary(Binary::Shl, index, by) => {
            let by = graph.constant_of(by)?;
            (by < 8).then_some(Table {
                base,
                index: Some(index),
                stride: 1 << by,
            })
        }
        // An index that was scaled earlier: every aligned entry may be meant.
        _ => Some(Table {
            base,
            index: None,
            stride: size,
        }),
    }
}

fn absolute(image: &Image, graph: &Graph, entry: u64, address: ValueId) -> Target {
    let Some(table) = table(image, graph, address, 8) else {
        return Target::Pointer;
    };
    let word = |at: u64| match image.slot(Addr(at)) {
        Some(Slot::Address(a)) => Some(a.0),
        Some(_) => None,
        None => image.constant(Addr(at), 8),
    };
    match entries(image, graph, entry, &table, word) {
        all if all.is_empty() => Target::Pointer,
        all if all.iter().all(|&a| image.function_start(Addr(a))) => Target::Pointer,
        all => Target::Table(all),
    }
}

fn relative(
    image: &Image,
    graph: &Graph,
    entry: u64,
    base: ValueId,
    offset: ValueId,
) -> Option<Target> {
    let base = graph.constant_of(base)?;
    let Value::SignExtend(word, 32) = graph.get(offset) else {
        return None;
    };
    let Value::Load(address, 4, _) = graph.get(word) else {
        return None;
    };
    let table = table(image, graph, address, 4)?;
    let word = |at: u64| {
        let word = image.constant(Addr(at), 4)?;
        Some(base.wrapping_add(word as u32 as i32 as i64 as u64))
    };
    let all = entries(image, graph, entry, &table, word);
    Some(if all.is_empty() {
        Target::Unknown
    } else {
        Target::Table(all)
    })
}

fn entries(
    image: &Image,
    graph: &Graph,
    entry: u64,
    table: &Table,
    word: impl Fn(u64) -> Option<u64>,
) -> Vec<u64> {
    let bound = table
        .index
        .and_then(|index| bounds(graph, index))
        .filter(|(lo, hi)| hi - lo < MOST_ENTRIES);
    let (first, last) = bound.unwrap_or((0, MOST_ENTRIES));
    let mut all = Vec::new();
    for n in first..=last {
        let at = table.base.wrapping_add(n.wrapping_mul(table.stride));
        match word(at) {
            Some(target) if image.is_code(Addr(target)) => {
                if bound.is_some() || plausible(image, entry, target) {
                    all.push(target);
                }
            }
            _ if bound.is_some() => {}
            _ => break,
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// Whether a word beyond a table's unknown end may still be an entry of a table of the function
/// at `entry`: not when it leads into the middle of another function.
fn plausible(image: &Image, entry: u64, target: u64) -> bool {
    match image.fde_range(Addr(target)) {
        None => true,
        Some(range) => {
            range.contains(&entry)
                || range.start == target
                || !image.function_start(Addr(range.start))
        }
    }
}
