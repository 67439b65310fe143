//! Jumps that choose from the same targets, as an interpreter's instructions do.
//!
//! Each of them leads to each target: hundreds of jumps and of targets make tens of thousands
//! of edges, and each target a meeting place of hundreds of states. A hub is a block of no
//! instructions between them: states meet there once.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::explore::Tables;

/// Fewer edges than this are drawn one by one.
const FEW_EDGES: usize = 256;

/// Places between jumps and targets.
#[derive(Default)]
pub(super) struct Hubs {
    /// The hub of the jump at an address.
    by_jump: FxHashMap<u64, usize>,
    /// Per hub, its first jump and where it leads.
    all: Vec<(u64, Vec<u64>)>,
}

impl Hubs {
    /// The hubs that jumps with `tables` need.
    pub(super) fn find(tables: &Tables) -> Hubs {
        let mut same: BTreeMap<Vec<u64>, Vec<u64>> = BTreeMap::new();
        for (&jump, targets) in tables {
            let mut targets = targets.clone();
            targets.sort_unstable();
            same.entry(targets).or_default().push(jump);
        }
        let mut hubs = Hubs::default();
        for (targets, jumps) in same {
            if jumps.len() > 1 && jumps.len() * targets.len() > FEW_EDGES {
                let hub = hubs.all.len();
                hubs.by_jump.extend(jumps.iter().map(|&j| (j, hub)));
                hubs.all.push((jumps[0], targets));
            }
        }
        hubs
    }

    /// The hub that the jump at an address goes through.
    pub(super) fn of(&self, jump: u64) -> Option<usize> {
        self.by_jump.get(&jump).copied()
    }

    /// Where the hub leads.
    pub(super) fn targets(&self, hub: usize) -> &[u64] {
        &self.all[hub].1
    }

    /// Addresses to tell the hubs by, in order.
    pub(super) fn addresses(&self) -> impl Iterator<Item = u64> {
        self.all.iter().map(|(jump, _)| *jump)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_jumps_to_the_same_targets_share_a_hub_and_few_do_not() {
        let targets = |n: u64| (0..n).map(|t| 0x1000 + t).collect::<Vec<_>>();
        let mut tables: Tables = (0..20).map(|jump| (jump, targets(20))).collect();
        tables.insert(100, targets(300));
        tables.insert(101, targets(3));
        tables.insert(102, targets(3));
        let hubs = Hubs::find(&tables);
        assert_eq!(hubs.of(0), Some(0));
        assert_eq!(hubs.of(19), Some(0));
        assert_eq!(hubs.targets(0), targets(20));
        assert_eq!([100, 101, 102].map(|jump| hubs.of(jump)), [None; 3]);
    }
}
