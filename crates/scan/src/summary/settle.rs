//! Phis that turn out to be one value.
//!
//! While a function's states grow towards their fixpoint, a place where two unlike values met
//! stays a [`Value::Phi`] even when later visits show that all ways bring the same. Phis of
//! loops refer to each other, so that is found for all of them at once, optimistically: each
//! starts as nothing, and only an operand that differs makes it more than one value (Wegman
//! and Zadeck, "Constant propagation with conditional branches", 1991).

use super::value::{Graph, Value, ValueId};

/// What a phi was found to be so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    One(ValueId),
    Several,
}

/// Per phi, the one value that it always is: a constant, a frame address or an input, which
/// are the same wherever in the function they are used.
pub(super) struct OneValue {
    phis: Vec<Option<ValueId>>,
}

impl OneValue {
    /// Looks at all phis of a function.
    pub(super) fn find(graph: &Graph) -> OneValue {
        let mut found = vec![Found::Nothing; graph.phis.len()];
        let mut pending: Vec<u32> = (0..graph.phis.len() as u32).collect();
        // Which phi is an operand of which, by the operand.
        let mut users: Vec<(u32, u32)> = Vec::new();
        for (phi, index) in graph.phis.iter().zip(0..) {
            let operands = phi.operands.iter().map(|o| graph.get(o.1));
            users.extend(operands.filter_map(|value| match value {
                Value::Phi(used) => Some((used, index)),
                _ => None,
            }));
        }
        users.sort_unstable();
        while let Some(index) = pending.pop() {
            let mut sum = Found::Nothing;
            for &(_, operand) in &graph.phis[index as usize].operands {
                let one = match graph.get(operand) {
                    Value::Phi(used) => found[used as usize],
                    Value::Const(_) | Value::Frame(_) | Value::Entry(_) => Found::One(operand),
                    _ => Found::Several,
                };
                sum = match (sum, one) {
                    (Found::Nothing, other) | (other, Found::Nothing) => other,
                    (Found::One(a), Found::One(b)) if a == b => sum,
                    _ => Found::Several,
                };
            }
            // Each phi changes at most twice.
            if sum != found[index as usize] {
                found[index as usize] = sum;
                let first = users.partition_point(|&(used, _)| used < index);
                let own = users[first..]
                    .iter()
                    .take_while(|&&(used, _)| used == index);
                pending.extend(own.map(|&(_, user)| user));
            }
        }
        let phis = found
            .into_iter()
            .map(|f| match f {
                Found::One(value) => Some(value),
                Found::Nothing | Found::Several => None,
            })
            .collect();
        OneValue { phis }
    }

    /// No phi is one value.
    pub(super) fn is_empty(&self) -> bool {
        self.phis.iter().all(Option::is_none)
    }

    /// The one value that `value` is, when it is a phi; else `value` itself.
    pub(super) fn resolve(&self, graph: &Graph, value: ValueId) -> Option<ValueId> {
        match graph.get(value) {
            Value::Phi(index) => *self.phis.get(index as usize)?,
            _ => Some(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::value::Phi;

    #[test]
    fn phis_of_a_loop_that_carry_one_constant_are_it() {
        let mut graph = Graph::default();
        let c = graph.constant(7);
        let (outer, inner, mixed) = (graph.phi(1), graph.phi(2), graph.phi(3));
        let other = graph.constant(8);
        graph.phis[0] = Phi {
            block: 1,
            operands: vec![(0, c), (2, inner)],
        };
        graph.phis[1] = Phi {
            block: 2,
            operands: vec![(1, outer), (3, inner)],
        };
        graph.phis[2] = Phi {
            block: 3,
            operands: vec![(1, outer), (2, other), (3, mixed)],
        };
        assert_eq!(OneValue::find(&graph).phis, [Some(c), Some(c), None]);
    }
}
