//! Who reached what first: shortest ways from the roots, by direct calls before others.

use std::collections::{BTreeSet, VecDeque};

use portcullis_abi::{Confidence, Location, Mode};

use super::location;
use crate::graph::CallGraph;
use crate::image::Image;
use crate::solve::{InstanceId, Solution};

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
    Open(InstanceId, u64, Mode),
}

impl<'a> Witness<'a> {
    pub(super) fn new(image: &'a Image, graph: &CallGraph<'a>) -> Self {
        let mut witness = Witness {
            image,
            solution: graph.solution,
            steps: vec![None; graph.solution.instances.len()],
        };
        let mut queue = VecDeque::new();
        for &root in &graph.roots {
            witness.step(root, Step::Root, 0, &mut queue);
        }
        witness.walk(graph, &mut queue, None);
        // What only calls of unknown target reach comes after all that others reach, and what only the
        // sound answer reaches comes last.
        for mode in [Mode::Tight, Mode::Sound] {
            let mut reached: Vec<(u32, InstanceId)> = Vec::new();
            for (step, n) in witness.steps.iter().zip(0..) {
                reached.extend(step.map(|(_, distance)| (distance, InstanceId(n))));
            }
            reached.sort_unstable();
            queue.extend(reached.into_iter().map(|r| r.1));
            witness.walk(graph, &mut queue, Some(mode));
        }
        witness
    }

    /// Follows calls of known target, and those of unknown target in one of the answers.
    fn walk(
        &mut self,
        graph: &CallGraph<'_>,
        queue: &mut VecDeque<InstanceId>,
        mode: Option<Mode>,
    ) {
        let mut followed = BTreeSet::new();
        while let Some(id) = queue.pop_front() {
            let Some((_, distance)) = self.steps[id.0 as usize] else {
                continue;
            };
            for &(at, callee) in graph.callees(id) {
                self.step(callee, Step::Call(id, at), distance + 1, queue);
            }
            for &(_, at, routine) in graph.starts(id) {
                self.step(routine, Step::Call(id, at), distance + 1, queue);
            }
            let Some(mode) = mode else { continue };
            for open in graph.open(id) {
                let shape = (mode == Mode::Tight).then_some(open.shape);
                if followed.insert(shape) {
                    for callee in graph.enters(open.shape, mode) {
                        let step = Step::Open(id, open.at, mode);
                        self.step(callee, step, distance + 1, queue);
                    }
                }
            }
        }
    }

    fn step(
        &mut self,
        id: InstanceId,
        step: Step,
        distance: u32,
        queue: &mut VecDeque<InstanceId>,
    ) {
        let known = &mut self.steps[id.0 as usize];
        if known.is_none() {
            *known = Some((step, distance));
            queue.push_back(id);
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

    /// The tightest answer in which an instance runs.
    pub(super) fn mode(&self, id: InstanceId) -> Mode {
        match self.trail(id).1 {
            Confidence::Direct | Confidence::Tight => Mode::Tight,
            Confidence::Sound => Mode::Sound,
        }
    }

    /// Orders instances: direct before others, near before far.
    pub(super) fn rank(&self, id: InstanceId) -> (Confidence, u32) {
        let (_, confidence) = self.trail(id);
        let distance = self.steps[id.0 as usize].map_or(u32::MAX, |s| s.1);
        (confidence, distance)
    }

    /// The call that distinguishes an instance from its siblings.
    pub(super) fn via(&self, id: InstanceId) -> Vec<Location> {
        match self.steps[id.0 as usize] {
            Some((Step::Call(_, at) | Step::Open(_, at, _), _)) => vec![self.location(at)],
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
                Step::Open(from, at, mode) => {
                    places.push(at);
                    confidence = confidence.max(match mode {
                        Mode::Sound => Confidence::Sound,
                        Mode::Tight => Confidence::Tight,
                    });
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
