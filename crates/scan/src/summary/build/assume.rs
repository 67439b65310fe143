//! What a branch says of the values that it compares, on each of its ways.

use super::Builder;
use crate::isa::{Binary, Compare, Condition};
use crate::summary::state::State;
use crate::summary::value::{Graph, Value, ValueId};

impl Builder<'_> {
    /// Narrows `state` by the outcome of a test.
    pub(super) fn assume(&mut self, state: &mut State, test: ValueId, outcome: bool) {
        let (condition, flags) = match self.graph.get(test) {
            Value::Test(condition, flags) => (condition, flags),
            // One of two tests, of which one cannot come out so.
            Value::Select(which, a, b) => {
                let cannot = |v| self.graph.constant_of(v) == Some(u64::from(!outcome));
                let (a_cannot, b_cannot) = (cannot(a), cannot(b));
                let other = match (a_cannot, b_cannot) {
                    (false, true) => a,
                    (true, false) => b,
                    _ => return,
                };
                self.assume(state, which, b_cannot);
                return self.assume(state, other, outcome);
            }
            _ => return,
        };
        let condition = if outcome {
            condition
        } else {
            condition.negated()
        };
        let Value::Flags(kind, bits, a, b) = self.graph.get(flags) else {
            return;
        };
        let (value, bound) = match kind {
            Compare::Difference if self.graph.constant_of(b).is_some() => (a, b),
            Compare::Difference if self.graph.constant_of(a).is_some() => {
                let Some(swapped) = swapped(condition) else {
                    return;
                };
                return state.refine(&mut self.graph, b, swapped, bits, a);
            }
            Compare::Conjunction | Compare::Bits if a == b => {
                let zero = self.graph.constant(0);
                (a, zero)
            }
            _ => return,
        };
        // Sign tests say about `a - 0` what a compare with zero would.
        let condition = match (kind, condition) {
            (Compare::Conjunction | Compare::Bits, Condition::Negative) => Condition::Less,
            (Compare::Conjunction | Compare::Bits, Condition::NotNegative) => Condition::GreaterEq,
            (
                Compare::Bits,
                Condition::Below | Condition::AboveEq | Condition::BelowEq | Condition::Above,
            ) => return,
            (Compare::Conjunction, Condition::Above) => Condition::Ne,
            (Compare::Conjunction, Condition::BelowEq) => Condition::Eq,
            (_, Condition::Negative | Condition::NotNegative) => return,
            (_, condition) => condition,
        };
        state.refine(&mut self.graph, value, condition, bits, bound);
        self.assume_shifted(state, value, condition, bits, bound);
        if condition == Condition::Eq {
            self.assume_masked(state, value, bits, bound);
        }
    }

    /// What `x & mask == bound` says of `x`: it is the bound and some of the other bits.
    fn assume_masked(&mut self, state: &mut State, value: ValueId, bits: u8, bound: ValueId) {
        /// With more, there are too many numbers to tell.
        const MOST_OTHERS: u32 = 7;
        let masked = low_bits_of(&self.graph, value, bits);
        let Value::Binary(Binary::And, x, mask) = self.graph.get(masked) else {
            return;
        };
        let constant = |v| self.graph.constant_of(v);
        let (Some(mask), Some(bound)) = (constant(mask), constant(bound)) else {
            return;
        };
        let low = u64::MAX >> (64 - u32::from(bits));
        let others = !mask & low;
        if others.count_ones() > MOST_OTHERS {
            return;
        }
        let (others, bound) = (
            self.graph.constant(others),
            self.graph.constant(bound & low),
        );
        let rest = self.graph.binary(Binary::And, x, others);
        let all = self.graph.binary(Binary::Or, rest, bound);
        state.refine(&mut self.graph, x, Condition::Eq, bits, all);
    }

    /// What the outcome of comparing `x + c` says of `x`: a range that begins elsewhere.
    fn assume_shifted(
        &mut self,
        state: &mut State,
        value: ValueId,
        condition: Condition,
        bits: u8,
        bound: ValueId,
    ) {
        let mask = u64::MAX >> (64 - u32::from(bits));
        let Some(bound) = self.graph.constant_of(bound).map(|b| b & mask) else {
            return;
        };
        let (low, high) = match condition {
            Condition::Eq => (bound, bound),
            Condition::Below if bound > 0 => (0, bound - 1),
            Condition::BelowEq => (0, bound),
            Condition::Above if bound < mask => (bound + 1, mask),
            Condition::AboveEq => (bound, mask),
            _ => return,
        };
        let sum = low_bits_of(&self.graph, value, bits);
        let Value::Binary(Binary::Add, x, c) = self.graph.get(sum) else {
            return;
        };
        let Some(c) = self.graph.constant_of(c) else {
            return;
        };
        let low = low.wrapping_sub(c) & mask;
        let high = high.wrapping_sub(c) & mask;
        if low <= high {
            let low = self.graph.constant(low);
            let high = self.graph.constant(high);
            let before = x;
            state.refine(&mut self.graph, before, Condition::AboveEq, bits, low);
            let after = Value::Refine(before, Condition::AboveEq, bits, low);
            let after = self.graph.find(after).unwrap_or(before);
            state.refine(&mut self.graph, after, Condition::BelowEq, bits, high);
        }
    }
}

/// What has the same low `bits` bits, without what only changes others.
fn low_bits_of(graph: &Graph, mut value: ValueId, bits: u8) -> ValueId {
    while let Value::ZeroExtend(x, n) = graph.get(value)
        && n >= bits
    {
        value = x;
    }
    value
}

/// The condition on swapped operands.
fn swapped(condition: Condition) -> Option<Condition> {
    Some(match condition {
        Condition::Eq | Condition::Ne => condition,
        Condition::Below => Condition::Above,
        Condition::Above => Condition::Below,
        Condition::BelowEq => Condition::AboveEq,
        Condition::AboveEq => Condition::BelowEq,
        Condition::Less => Condition::Greater,
        Condition::Greater => Condition::Less,
        Condition::LessEq => Condition::GreaterEq,
        Condition::GreaterEq => Condition::LessEq,
        Condition::Negative | Condition::NotNegative | Condition::Unknown => return None,
    })
}
