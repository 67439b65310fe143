//! What a computed address can point to.

use rustc_hash::FxHashSet;

use super::super::value::{Graph, Input, Value, ValueId};
use crate::image::{Addr, Image};
use crate::isa::Binary;

/// Whether `value` is the return address, as it is or veiled (`PTR_MANGLE` of glibc).
pub(super) fn holds_return_address(graph: &Graph, value: ValueId) -> bool {
    /// Values that are looked at: beyond, it may.
    const MOST_LOOKED_AT: usize = 4096;
    if graph.find(Value::Entry(Input::ReturnAddress)).is_none() {
        return false;
    }
    let mut pending = vec![value];
    let mut seen = FxHashSet::default();
    while let Some(v) = pending.pop() {
        if !seen.insert(v) {
            continue;
        }
        match graph.get(v) {
            Value::Entry(Input::ReturnAddress) => return true,
            Value::Binary(_, a, b) => pending.extend([a, b]),
            Value::ZeroExtend(a, _) | Value::SignExtend(a, _) | Value::Kept(_, _, a) => {
                pending.push(a);
            }
            _ => {}
        }
        if seen.len() > MOST_LOOKED_AT {
            return true;
        }
    }
    false
}

/// What a computed address can point to.
pub(super) enum Pointer {
    /// This place on the stack, with something added.
    Frame(i64),
    /// Surely not to the own frame: an object of the image, or one that the caller passed.
    Elsewhere,
    Unknown,
}

pub(super) fn pointer(image: &Image, graph: &Graph, address: ValueId) -> Pointer {
    let mut terms = vec![address];
    let mut found = Pointer::Unknown;
    let mut plain = true;
    for _ in 0..12 {
        let Some(term) = terms.pop() else { break };
        match graph.get(term) {
            Value::Binary(Binary::Add | Binary::Sub, a, b) => terms.extend([a, b]),
            Value::Frame(o) => return Pointer::Frame(o),
            Value::Const(c) if image.object_of(Addr(c)).is_some() => found = Pointer::Elsewhere,
            Value::Const(_) => {}
            Value::Entry(Input::Register(_)) => {
                if plain && matches!(found, Pointer::Unknown) {
                    found = Pointer::Elsewhere;
                }
            }
            _ => plain = false,
        }
    }
    match found {
        // An entry register beside a computed term may be the index and not the pointer.
        Pointer::Elsewhere if !plain && constant_base(image, graph, address).is_none() => {
            Pointer::Unknown
        }
        found => found,
    }
}

/// Whether a number is an address of the image, or one beside its data.
pub(super) fn is_address(image: &Image, number: u64) -> bool {
    image.object_of(Addr(number)).is_some() || image.beside(Addr(number)).is_some()
}

/// The image address in a sum.
pub(in super::super) fn constant_base(
    image: &Image,
    graph: &Graph,
    address: ValueId,
) -> Option<u64> {
    let mut terms = vec![address];
    for _ in 0..12 {
        match graph.get(terms.pop()?) {
            Value::Binary(Binary::Add, a, b) => terms.extend([a, b]),
            Value::Binary(Binary::Sub, a, _) => terms.push(a),
            Value::Const(c) if is_address(image, c) => return Some(c),
            _ => {}
        }
    }
    None
}
