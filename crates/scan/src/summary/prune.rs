//! What is left of a summary once it is made: only what somebody can still ask for. Most values
//! decide nothing.

use rustc_hash::FxHashSet;

use super::value::{ANY, Graph, OUTCOME, Value, ValueId};
use super::{Block, Exit, Reference, Traffic};

/// Values below a branch that are looked at to see whether it can be told.
const MOST_TOLD: usize = 64;

/// Forgets tests that nothing can tell, and all values that no block names.
pub(super) fn prune(graph: &mut Graph, blocks: &mut [Block], traffic: &mut [Traffic]) {
    for block in &mut *blocks {
        if let Exit::Branch(test, ..) = &mut block.exit
            && !tellable(graph, *test)
        {
            *test = ANY;
        }
    }
    let mut roots = Vec::new();
    for block in &mut *blocks {
        each_value(block, |v| roots.push(*v));
    }
    roots.extend(traffic.iter().flat_map(|t| [t.address, t.value]));
    let places = graph.seal(roots);
    let moved = |v: &mut ValueId| *v = places[v.0 as usize].unwrap_or(ANY);
    for block in blocks {
        each_value(block, moved);
    }
    for Traffic { address, value, .. } in traffic {
        moved(address);
        moved(value);
    }
}

fn each_value(block: &mut Block, mut f: impl FnMut(&mut ValueId)) {
    match &mut block.exit {
        Exit::Branch(test, ..) => f(test),
        Exit::Call(call, ..) | Exit::TailCall(call) => {
            f(&mut call.target);
            call.registers.0.iter_mut().for_each(&mut f);
            call.stack.iter_mut().for_each(|(_, v)| f(v));
        }
        Exit::Return(registers) => registers.0.iter_mut().for_each(&mut f),
        Exit::Syscall(entry, _) => {
            f(&mut entry.number);
            entry.arguments.iter_mut().for_each(&mut f);
        }
        Exit::Jump(_) | Exit::Switch(..) | Exit::Foreign(..) | Exit::Stop | Exit::Lost(_) => {}
    }
    for reference in &mut block.references {
        if let Reference::Indexed { address: value, .. }
        | Reference::Computed(value)
        | Reference::Assigned { value, .. }
        | Reference::Written { value, .. } = reference
        {
            f(value);
        }
    }
}

/// Whether evaluating `value` can tell anything: some way down leads to constants, inputs or
/// results only.
fn tellable(graph: &Graph, value: ValueId) -> bool {
    let mut pending = vec![value];
    let mut seen = FxHashSet::default();
    let mut told = false;
    while let Some(v) = pending.pop() {
        if !seen.insert(v) {
            continue;
        }
        if seen.len() > MOST_TOLD {
            return false;
        }
        match graph.get(v) {
            Value::Const(_) | Value::Entry(_) | Value::Ret(_) => told = true,
            // Which side of a clone(2) it is.
            Value::Opaque(_, OUTCOME) => told = true,
            Value::Any | Value::Opaque(..) | Value::Frame(_) => {}
            Value::Binary(_, a, b) => pending.extend([a, b]),
            Value::ZeroExtend(a, _) | Value::SignExtend(a, _) | Value::Refine(a, ..) => {
                pending.push(a);
            }
            Value::Load(a, ..) | Value::Kept(_, _, a) => pending.push(a),
            Value::Select(_, a, b) => pending.extend([a, b]),
            Value::Test(_, flags) => {
                let Value::Flags(_, _, a, b) = graph.get(flags) else {
                    return false;
                };
                // A compare tells nothing when either side is unknown for good.
                if [a, b].iter().any(|v| hopeless(graph, *v)) {
                    return false;
                }
                pending.extend([a, b]);
            }
            Value::Flags(..) => {}
            Value::Phi(index) => {
                pending.extend(graph.phis[index as usize].operands.iter().map(|o| o.1));
            }
        }
    }
    told
}

fn hopeless(graph: &Graph, value: ValueId) -> bool {
    match graph.get(value) {
        Value::Opaque(_, OUTCOME) => false,
        Value::Any | Value::Opaque(..) | Value::Frame(_) => true,
        Value::ZeroExtend(a, _) | Value::SignExtend(a, _) => hopeless(graph, a),
        Value::Load(a, ..) => !matches!(
            graph.get(a),
            Value::Const(_) | Value::Binary(..) | Value::Phi(_) | Value::Select(..)
        ),
        _ => false,
    }
}
