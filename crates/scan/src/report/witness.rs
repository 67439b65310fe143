//! Who reached what first: shortest ways from the roots, by direct calls before others.

use std::collections::{BTreeMap, VecDeque};

use portcullis_abi::{Confidence, Location};

use super::location;
use crate::image::Image;
use crate::solve::{Entered, InstanceId, Solution};

/// Shortest ways to every instance.
pub(super) struct Witness<'a> {
    image: &'a Image,
    solution: &'a Solution,
    /// The step that led to each instance, and how many steps it took.
    steps: Vec<Option<(Step, u32)>>,
}

#[derive(Clone, Copy)]
enum Step {
    Root,
    /// From an instance at an address.
    Call(InstanceId, u64),
    /// From a call of unknown target there.
    Open(InstanceId, u64),
}

impl<'a> Witness<'a> {
    pub(super) fn new(image: &'a Image, solution: &'a Solution) -> Self {
        let mut callees: BTreeMap<InstanceId, Vec<(u64, InstanceId)>> = BTreeMap::new();
        let mut taken = Vec::new();
        let mut queue = VecDeque::new();
        let mut steps: Vec<Option<(Step, u32)>> = vec![None; solution.instances.len()];
        for &(id, entered) in &solution.entries {
            match entered {
                Entered::Root => {
                    if steps[id.0 as usize].is_none() {
                        steps[id.0 as usize] = Some((Step::Root, 0));
                        queue.push_back(id);
                    }
                }
                Entered::From(caller, at) => callees.entry(caller).or_default().push((at, id)),
                Entered::Taken => taken.push(id),
            }
        }
        let mut witness = Witness {
            image,
            solution,
            steps,
        };
        witness.walk(&mut queue, &callees);
        // What only a call of unknown target reaches comes after all that direct calls reach.
        let first = solution
            .open
            .iter()
            .filter_map(|&(id, at)| Some((witness.steps[id.0 as usize]?.1, id, at)))
            .min();
        if let Some((distance, id, at)) = first {
            for callee in taken {
                let step = &mut witness.steps[callee.0 as usize];
                if step.is_none() {
                    *step = Some((Step::Open(id, at), distance + 1));
                    queue.push_back(callee);
                }
            }
            witness.walk(&mut queue, &callees);
        }
        witness
    }

    fn walk(
        &mut self,
        queue: &mut VecDeque<InstanceId>,
        callees: &BTreeMap<InstanceId, Vec<(u64, InstanceId)>>,
    ) {
        while let Some(id) = queue.pop_front() {
            let Some((_, distance)) = self.steps[id.0 as usize] else {
                continue;
            };
            for &(at, callee) in callees.get(&id).into_iter().flatten() {
                let step = &mut self.steps[callee.0 as usize];
                if step.is_none() {
                    *step = Some((Step::Call(id, at), distance + 1));
                    queue.push_back(callee);
                }
            }
        }
    }

    /// Whether a way leads to the instance.
    pub(super) fn reached(&self, id: InstanceId) -> bool {
        self.steps[id.0 as usize].is_some()
    }

    /// The instance on the way there that is entered only because its address is taken, the last one.
    pub(super) fn taken_root(&self, id: InstanceId) -> Option<InstanceId> {
        let mut current = id;
        loop {
            match self.steps[current.0 as usize]?.0 {
                Step::Root => return None,
                Step::Call(from, _) => current = from,
                Step::Open(..) => return Some(current),
            }
        }
    }

    /// Orders instances: direct before others, near before far.
    pub(super) fn rank(&self, id: InstanceId) -> (bool, u32) {
        let (_, confidence) = self.trail(id);
        let distance = self.steps[id.0 as usize].map_or(u32::MAX, |s| s.1);
        (confidence != Confidence::Direct, distance)
    }

    /// The call that distinguishes an instance from its siblings.
    pub(super) fn via(&self, id: InstanceId) -> Vec<Location> {
        match self.steps[id.0 as usize] {
            Some((Step::Call(_, at) | Step::Open(_, at), _)) => vec![self.location(at)],
            _ => Vec::new(),
        }
    }

    /// The way to `at` in an instance: the root's entry, each call, the place itself.
    pub(super) fn path(&self, id: InstanceId, at: u64) -> (Vec<Location>, Confidence) {
        let (mut places, confidence) = self.trail(id);
        places.reverse();
        places.push(at);
        let path = places.into_iter().map(|a| self.location(a)).collect();
        (path, confidence)
    }

    /// Addresses from the instance up to its root.
    fn trail(&self, id: InstanceId) -> (Vec<u64>, Confidence) {
        let mut places = Vec::new();
        let mut confidence = Confidence::Direct;
        let mut current = id;
        while let Some((step, _)) = self.steps[current.0 as usize] {
            match step {
                Step::Root => {
                    let function = self.solution.instances[current.0 as usize].function;
                    places.push(self.solution.functions[function.0 as usize].summary.entry);
                    break;
                }
                Step::Call(from, at) => {
                    places.push(at);
                    current = from;
                }
                Step::Open(from, at) => {
                    places.push(at);
                    confidence = Confidence::Sound;
                    current = from;
                }
            }
        }
        (places, confidence)
    }

    pub(super) fn location(&self, at: u64) -> Location {
        location(self.image, at)
    }
}
