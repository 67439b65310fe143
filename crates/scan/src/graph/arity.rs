//! How many arguments a call passes, and how many a function reads.
//!
//! By the calling convention the first are in registers. One that a call before has left undefined is
//! not passed; one that a function only passes on as it came is not read. Programs call functions with
//! more arguments than they read, and not with fewer.

use crate::isa::{Convention, Reg};
use crate::summary::{Call, Exit, Graph, Input, LEFT, OUTCOME, Summary, Value, ValueId};

/// Number of arguments in registers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Arity(u8);

impl Arity {
    pub(super) const ALL: Arity = Arity(u8::MAX);
    /// What the kernel passes to a signal handler: sigaction(2).
    pub(super) const HANDLER: Arity = Arity(3);

    /// So many that the last of those for which `is` holds is among them.
    fn until_last(convention: &Convention, is: impl Fn(Reg) -> bool) -> Arity {
        let last = convention.arguments.iter().rposition(|&reg| is(reg));
        Arity(last.map_or(0, |n| n as u8 + 1))
    }
}

/// How many arguments a call passes at most.
pub(super) fn supplied(convention: &Convention, graph: &Graph, call: &Call) -> Arity {
    let defined = |v: ValueId| match graph.get(v) {
        // What a call before left in a scratch register (`Lower::after_call`).
        Value::Opaque(_, n) => !(LEFT..OUTCOME).contains(&n),
        Value::Kept(_, reg, _) => !convention.caller_saved.contains(reg),
        _ => true,
    };
    Arity::until_last(convention, |reg| defined(call.registers[reg]))
}

/// How many arguments a function reads at least.
pub(super) fn needed(convention: &Convention, summary: &Summary) -> Arity {
    let is = |v: ValueId, reg: Reg| summary.graph.get(v) == Value::Entry(Input::Register(reg));
    let used = |reg: Reg| {
        summary.blocks.iter().any(|block| match &block.exit {
            Exit::Call(call, ..) | Exit::TailCall(call) => {
                let mut others = convention.arguments.iter().filter(|&&other| other != reg);
                is(call.target, reg) || others.any(|&other| is(call.registers[other], reg))
            }
            Exit::Syscall(entry, _) => {
                is(entry.number, reg) || entry.arguments.iter().any(|v| is(*v, reg))
            }
            _ => false,
        })
    };
    Arity::until_last(convention, |reg| summary.reads.contains(reg) || used(reg))
}
