//! The loop that a server waits in: of those that lead to a call which waits for events, the one that
//! is nearest to it.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::CallGraph;
use crate::image::{Addr, Image, ObjectId};
use crate::solve::InstanceId;

/// Loops of larger functions are not looked for: servers' are not in them.
const MOST_BLOCKS: usize = 1 << 14;

impl CallGraph<'_> {
    /// The block that the event loop of a thread begins with, which runs these instances first.
    ///
    /// Calls of unknown target are not followed: whom they enter says too little. The loop is one of the
    /// program's own code: libraries wait for answers in loops as well.
    pub(crate) fn event_loop(
        &self,
        image: &Image,
        from: &[InstanceId],
    ) -> Option<(InstanceId, u32)> {
        let own =
            |id: InstanceId| image.object_of(Addr(self.solution.entry(id))) == Some(ObjectId(0));
        let mut waits = image.kernel().waits.iter();
        waits.find_map(|calls| self.loop_around(from, calls, &own))
    }

    fn loop_around(
        &self,
        from: &[InstanceId],
        calls: &[u64],
        own: &dyn Fn(InstanceId) -> bool,
    ) -> Option<(InstanceId, u32)> {
        let distances = self.distances(calls);
        let mut best: Option<(u32, InstanceId, u32)> = None;
        let mut seen = vec![false; self.solution.instances.len()];
        let mut queue: VecDeque<InstanceId> = from.iter().copied().collect();
        while let Some(id) = queue.pop_front() {
            if std::mem::replace(&mut seen[id.0 as usize], true) {
                continue;
            }
            // Only these lead there.
            if distances.contains_key(&id) {
                if own(id)
                    && let Some((distance, block)) = self.nearest_loop(id, calls, &distances)
                    && best.is_none_or(|(known, ..)| distance < known)
                {
                    best = Some((distance, id, block));
                }
                queue.extend(self.callees(id).iter().map(|c| c.1));
            }
        }
        best.map(|(_, id, block)| (id, block))
    }

    /// How many calls away each instance is from one that waits.
    fn distances(&self, calls: &[u64]) -> FxHashMap<InstanceId, u32> {
        let mut distances = FxHashMap::default();
        let mut queue = VecDeque::new();
        for (instance, n) in self.solution.instances.iter().zip(0..) {
            let mut numbers = instance.sites.values().filter_map(|s| s.number.single());
            if numbers.any(|number| calls.contains(&number)) {
                distances.insert(InstanceId(n), 0);
                queue.push_back(InstanceId(n));
            }
        }
        while let Some(id) = queue.pop_front() {
            let distance = distances[&id] + 1;
            for &(caller, _) in self.callers(id) {
                distances.entry(caller).or_insert_with(|| {
                    queue.push_back(caller);
                    distance
                });
            }
        }
        distances
    }

    /// The loop of an instance that is nearest to a call that waits: how near, and its first block.
    fn nearest_loop(
        &self,
        id: InstanceId,
        calls: &[u64],
        distances: &FxHashMap<InstanceId, u32>,
    ) -> Option<(u32, u32)> {
        let instance = &self.solution.instances[id.0 as usize];
        let summary = self.solution.summary(id);
        let mut best: Option<(u32, u32)> = None;
        if summary.blocks.len() > MOST_BLOCKS {
            return None;
        }
        for (body, block) in summary.blocks.iter().zip(0..) {
            let waits = instance
                .sites
                .get(&body.last)
                .and_then(|s| s.number.single())
                .is_some_and(|number| calls.contains(&number));
            let callees = self.callees_at(id, body.last);
            let near = callees.filter_map(|c| Some(distances.get(&c)? + 1)).min();
            let Some(distance) = (if waits { Some(0) } else { near }) else {
                continue;
            };
            if best.is_some_and(|(known, _)| known <= distance) {
                continue;
            }
            if let Some(first) = self.loop_of(id, block) {
                best = Some((distance, first));
            }
        }
        best
    }

    /// The first block of the loop that a block is in, in the order of control.
    fn loop_of(&self, id: InstanceId, block: u32) -> Option<u32> {
        let instance = &self.solution.instances[id.0 as usize];
        let summary = self.solution.summary(id);
        let blocks = &summary.blocks;
        let edges = |from: u32| {
            let all = blocks[from as usize].successors();
            all.filter(move |&to| instance.goes(from, to))
        };
        let mut backward: Vec<Vec<u32>> = vec![Vec::new(); blocks.len()];
        for from in 0..blocks.len() as u32 {
            for to in edges(from) {
                backward[to as usize].push(from);
            }
        }
        let reach = |next: &dyn Fn(u32) -> Vec<u32>| {
            let mut seen = vec![false; blocks.len()];
            let mut pending = next(block);
            while let Some(b) = pending.pop() {
                if !std::mem::replace(&mut seen[b as usize], true) {
                    pending.extend(next(b));
                }
            }
            seen
        };
        let after = reach(&|b| edges(b).collect());
        let before = reach(&|b| backward[b as usize].clone());
        let inside = (0..blocks.len()).filter(|&b| after[b] && before[b]);
        inside
            .min_by_key(|&b| summary.places[b])
            .map(|b| b as u32)
            .filter(|_| after[block as usize])
    }
}
