//! Addresses that are made in two steps, the page and the rest (`adrp`, then `add` or a load), when the steps
//! lie in two functions: LLVM's outliner makes functions of instructions that are repeated, whatever they
//! belong to.

use super::value::{Graph, Input, LEFT, OUTCOME, Value, ValueId};
use crate::isa::Reg;

/// Bytes of a page as instructions count them; the rest of an address is less.
const PAGE: u64 = 4096;

/// Where a function finds a page that another one has named.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Origin {
    /// In a register at entry.
    Passed(Reg),
    /// In a register that the call at this address left.
    Left(u64, Reg),
}

/// What a function adds to what may be the address of a page.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Rest {
    /// Where that comes from.
    pub origin: Origin,
    /// What is added.
    pub by: u64,
}

impl Rest {
    /// Of the sum of `value` and `by`, if `value` comes from outside; `result` is where calls leave results.
    pub(super) fn of(graph: &Graph, value: ValueId, by: u64, result: Reg) -> Option<Rest> {
        if by >= PAGE {
            return None;
        }
        let origin = match graph.get(value) {
            Value::Entry(Input::Register(reg)) => Origin::Passed(reg),
            Value::Kept(at, reg, _) => Origin::Left(at, reg),
            Value::Ret(at) => Origin::Left(at, result),
            Value::Opaque(at, index @ LEFT..OUTCOME) => Origin::Left(at, Reg(index - LEFT)),
            _ => return None,
        };
        Some(Rest { origin, by })
    }
}
