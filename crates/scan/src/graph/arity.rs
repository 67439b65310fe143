//! How many arguments a call passes, and how many a function reads.
//!
//! By the calling convention the first are in registers. One that a call before has left undefined is
//! not passed; one that a function only passes on as it came is not read. Programs call functions with
//! more arguments than they read, and not with fewer.

use crate::isa::x86_64::{ARGUMENTS, CALLER_SAVED};
use crate::summary::{Call, Exit, Graph, Input, Summary, Value, ValueId};

/// Number of arguments in registers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Arity(u8);

impl Arity {
    pub(super) const ALL: Arity = Arity(ARGUMENTS.len() as u8);
    /// What the kernel passes to a signal handler: sigaction(2).
    pub(super) const HANDLER: Arity = Arity(3);

    /// So many that the last of those for which `is` holds is among them.
    fn until_last(is: impl Fn(usize) -> bool) -> Arity {
        let last = (0..ARGUMENTS.len()).rev().find(|&n| is(n));
        Arity(last.map_or(0, |n| n as u8 + 1))
    }
}

/// How many arguments a call passes at most.
pub(super) fn supplied(graph: &Graph, call: &Call) -> Arity {
    let defined = |v: ValueId| match graph.get(v) {
        // What a call before left in a scratch register (`Lower::after_call`).
        Value::Opaque(_, n) => !(32..48).contains(&n),
        Value::Kept(_, reg, _) => !CALLER_SAVED.contains(&reg),
        _ => true,
    };
    Arity::until_last(|n| defined(call.registers[usize::from(ARGUMENTS[n].0)]))
}

/// How many arguments a function reads at least.
pub(super) fn needed(summary: &Summary) -> Arity {
    let is =
        |v: ValueId, n: usize| summary.graph.get(v) == Value::Entry(Input::Register(ARGUMENTS[n]));
    let used = |n: usize| {
        summary.blocks.iter().any(|block| match &block.exit {
            Exit::Call(call, ..) | Exit::TailCall(call) => {
                let mut others = ARGUMENTS
                    .iter()
                    .enumerate()
                    .filter(|(other, _)| *other != n);
                is(call.target, n)
                    || others.any(|(_, reg)| is(call.registers[usize::from(reg.0)], n))
            }
            Exit::Syscall(entry, _) => {
                is(entry.number, n) || entry.arguments.iter().any(|v| is(*v, n))
            }
            _ => false,
        })
    };
    Arity::until_last(|n| summary.reads & (1 << ARGUMENTS[n].0) != 0 || used(n))
}
