//! What can run from a point of the program on: the rest of the function, of its callers, and all that
//! they call.

use portcullis_abi::Mode;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{CallGraph, Shape};
use crate::image::Image;
use crate::isa::{Compare, Condition};
use crate::kernel::THREAD_FLAG;
use crate::solve::domain::{Domain, MOST_VALUES, decide};
use crate::solve::{FunctionId, InstanceId, Solution};
use crate::summary::{Exit, Graph, OUTCOME, Value, ValueId};

/// Points that a phase begins at.
#[derive(Clone, Default, Debug)]
pub(crate) struct Phase {
    /// Entered by the kernel or the loader; who they return to is nobody.
    pub(crate) roots: Vec<InstanceId>,
    /// Blocks of instances that run on, and then return to their callers.
    pub(crate) blocks: Vec<(InstanceId, u32)>,
    /// Where these instances return to besides their callers: blocks after calls that are known to
    /// enter them.
    pub(crate) returns: Vec<(InstanceId, InstanceId, u64)>,
    /// Begins on the new side of these calls of clone(2).
    pub(crate) clones: Vec<(InstanceId, u64)>,
}

/// What runs in a phase.
pub(crate) struct Covered {
    whole: Vec<bool>,
    /// Instances of which at least a part runs.
    runs: FxHashSet<InstanceId>,
    /// System calls of instances of which only a part runs.
    sites: FxHashSet<(InstanceId, u64)>,
    /// Calls of such instances that start threads.
    starts: FxHashSet<(InstanceId, u64)>,
    /// Control can go on where nothing is known of it.
    lost: bool,
}

impl Covered {
    /// Whether an instance makes its system call at `at`.
    pub(crate) fn makes(&self, id: InstanceId, at: u64) -> bool {
        self.whole[id.0 as usize] || self.sites.contains(&(id, at))
    }

    /// Whether nothing is known of where control can go on: it can do all that its thread can.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Whether an instance starts a thread at `at`, by a call or by clone(2).
    pub(crate) fn starts(&self, id: InstanceId, at: u64) -> bool {
        self.makes(id, at) || self.starts.contains(&(id, at))
    }

    /// Whether some part of an instance runs.
    pub(crate) fn runs(&self, id: InstanceId) -> bool {
        self.whole[id.0 as usize] || self.runs.contains(&id)
    }
}

/// What can run from the points of a phase on, in the thread that is there: what the threads do that it
/// starts is theirs. `within` is what the thread can do in all its life: it returns to nothing else.
pub(crate) fn continuation(
    graph: &CallGraph<'_>,
    phase: &Phase,
    mode: Mode,
    within: Option<&Covered>,
) -> Covered {
    let mut walk = Walk {
        graph,
        mode,
        clones: graph.clones(),
        covered: Covered {
            whole: vec![false; graph.solution.instances.len()],
            runs: FxHashSet::default(),
            sites: FxHashSet::default(),
            starts: FxHashSet::default(),
            lost: false,
        },
        shapes: FxHashSet::default(),
        pending: Vec::new(),
        parts: Vec::new(),
        seen: FxHashSet::default(),
        returned: FxHashSet::default(),
        unwound: FxHashSet::default(),
        ends: FxHashMap::default(),
        returns: &phase.returns,
        within,
    };
    for &root in &phase.roots {
        walk.enter(root);
    }
    for &(id, block) in &phase.blocks {
        walk.part(id, block, true);
    }
    for &(id, at) in &phase.clones {
        walk.new_side(id, at);
    }
    // A signal can come in any thread at any time.
    for shape in graph.handlers() {
        walk.open(shape);
    }
    walk.run();
    walk.covered
}

struct Walk<'g, 'a> {
    graph: &'g CallGraph<'a>,
    mode: Mode,
    /// Calls of clone(2) that surely start threads, by instance.
    clones: &'g FxHashMap<InstanceId, Vec<u64>>,
    covered: Covered,
    /// Calls of unknown target that were followed.
    shapes: FxHashSet<Option<Shape>>,
    pending: Vec<InstanceId>,
    /// Blocks to look at, and whether the instance was entered before the phase began.
    parts: Vec<(InstanceId, u32, bool)>,
    seen: FxHashSet<(InstanceId, u32, bool)>,
    returned: FxHashSet<InstanceId>,
    unwound: FxHashSet<InstanceId>,
    /// Blocks by their last address, of functions that were returned to.
    ends: FxHashMap<FunctionId, FxHashMap<u64, Vec<u32>>>,
    returns: &'g [(InstanceId, InstanceId, u64)],
    within: Option<&'g Covered>,
}

impl Walk<'_, '_> {
    fn run(&mut self) {
        while !self.covered.lost {
            if let Some(id) = self.pending.pop() {
                for &(_, callee) in self.graph.callees(id) {
                    self.enter(callee);
                }
                for open in self.graph.open(id) {
                    self.open(open.shape);
                }
            } else if let Some((id, block, before)) = self.parts.pop() {
                self.step(id, block, before);
            } else {
                return;
            }
        }
    }

    /// An instance runs from its entry on.
    fn enter(&mut self, id: InstanceId) {
        if self.clones.contains_key(&id) {
            self.part(id, 0, false);
        } else if !std::mem::replace(&mut self.covered.whole[id.0 as usize], true) {
            self.pending.push(id);
        }
    }

    fn part(&mut self, id: InstanceId, block: u32, before: bool) {
        self.covered.runs.insert(id);
        if before {
            self.unwind(id);
        }
        if self.seen.insert((id, block, before)) {
            self.parts.push((id, block, before));
        }
    }

    /// An instance was entered before the phase began: its callers were as well. Exceptions lead into
    /// their landing pads, and jumps to where they saved their state, whether it returns or not.
    fn unwind(&mut self, id: InstanceId) {
        let mut pending = vec![id];
        while let Some(id) = pending.pop() {
            if !self.unwound.insert(id) || !self.may_run(id) {
                continue;
            }
            self.resume_saved(id);
            self.covered.lost |= self.is_called_by_unknown(id);
            for (caller, at) in self.callers(id) {
                if self.may_run(caller) {
                    self.catch(caller, at);
                    pending.push(caller);
                }
            }
        }
    }

    /// What follows calls in an instance that return more than once.
    fn resume_saved(&mut self, id: InstanceId) {
        let graph = self.graph;
        for &(at, callee) in graph.callees(id) {
            if graph.solution.instances[callee.0 as usize].returns_twice() {
                self.go_on_after(id, at);
            }
        }
    }

    /// Blocks of an instance that end at an address.
    fn blocks_at(&mut self, id: InstanceId, at: u64) -> Vec<u32> {
        let solution = self.graph.solution;
        let function = solution.instances[id.0 as usize].function;
        let ends = self.ends.entry(function).or_insert_with(|| {
            let mut ends: FxHashMap<u64, Vec<u32>> = FxHashMap::default();
            for (block, n) in solution.summary(id).blocks.iter().zip(0..) {
                ends.entry(block.last).or_default().push(n);
            }
            ends
        });
        ends.get(&at).cloned().unwrap_or_default()
    }

    /// The landing pads of the call at `at`.
    fn catch(&mut self, caller: InstanceId, at: u64) {
        let blocks = &self.graph.solution.summary(caller).blocks;
        let pads: Vec<u32> = self
            .blocks_at(caller, at)
            .into_iter()
            .filter_map(|n| match blocks[n as usize].exit {
                Exit::Call(_, _, pad) => pad,
                _ => None,
            })
            .collect();
        for pad in pads {
            self.part(caller, pad, true);
        }
    }

    /// Who entered an instance, as far as is known.
    fn callers(&self, id: InstanceId) -> Vec<(InstanceId, u64)> {
        let known = self.returns.iter().filter(|r| r.0 == id);
        let known = known.map(|r| (r.1, r.2));
        self.graph
            .callers(id)
            .iter()
            .copied()
            .chain(known)
            .collect()
    }

    /// Whether the thread can be in an instance.
    fn may_run(&self, id: InstanceId) -> bool {
        self.within.is_none_or(|within| within.runs(id))
    }

    fn open(&mut self, shape: Shape) {
        // In the sound answer all calls are alike.
        let kind = (self.mode == Mode::Tight).then_some(shape);
        if self.shapes.insert(kind) {
            let entered: Vec<InstanceId> = self.graph.enters(shape, self.mode).collect();
            for id in entered {
                self.enter(id);
            }
        }
    }

    /// What a block does at its end, and where it goes on.
    fn step(&mut self, id: InstanceId, block: u32, before: bool) {
        self.step_alone(id, block);
        let graph = self.graph;
        let body = &graph.solution.summary(id).blocks[block as usize];
        match &body.exit {
            Exit::Return(_) | Exit::TailCall(_) if before => self.leave(id),
            Exit::Lost(_) if before => self.covered.lost = true,
            _ => {}
        }
        for to in body.successors() {
            if graph.solution.instances[id.0 as usize].goes(block, to)
                && self.is_own_side(id, block, to)
            {
                self.part(id, to, before);
            }
        }
    }

    /// An instance that was entered before the phase began returns.
    fn leave(&mut self, id: InstanceId) {
        if !self.returned.insert(id) {
            return;
        }
        for (caller, at) in self.callers(id) {
            self.go_on_after(caller, at);
        }
    }

    /// Whether somebody can have called it who is not known: what comes then is anywhere.
    fn is_called_by_unknown(&self, id: InstanceId) -> bool {
        let known = self.returns.iter().any(|r| r.0 == id);
        !known && self.graph.is_entered_from_anywhere(id)
    }

    fn go_on_after(&mut self, caller: InstanceId, at: u64) {
        if !self.may_run(caller) {
            return;
        }
        let solution = self.graph.solution;
        let blocks = &solution.summary(caller).blocks;
        for n in self.blocks_at(caller, at) {
            let body = &blocks[n as usize];
            match &body.exit {
                Exit::Call(..) => {
                    for to in body.successors() {
                        if solution.instances[caller.0 as usize].goes(n, to) {
                            self.part(caller, to, true);
                        }
                    }
                }
                Exit::TailCall(_) => self.leave(caller),
                _ => {}
            }
        }
    }

    /// Whether control goes from block to block in the thread that calls clone(2), not only in the
    /// new one.
    fn is_own_side(&self, id: InstanceId, block: u32, to: u32) -> bool {
        let Some(clones) = self.clones.get(&id) else {
            return true;
        };
        // It is told the new thread's number, or an error: anything but zero.
        let summary = self.graph.solution.summary(id);
        let Exit::Branch(test, yes, no) = summary.blocks[block as usize].exit else {
            return true;
        };
        let asks = |&at: &u64| is_zero(&summary.graph, test, at);
        match clones.iter().find_map(asks) {
            Some(true) => to == no,
            Some(false) => to == yes,
            None => true,
        }
    }

    /// The new thread goes on after the clone(2) at `at`.
    fn new_side(&mut self, id: InstanceId, at: u64) {
        let solution = self.graph.solution;
        let summary = solution.summary(id);
        let starts = summary.blocks.iter().filter(|b| b.last == at);
        let mut pending: Vec<u32> = starts.flat_map(|b| b.successors()).collect();
        let mut seen = FxHashSet::default();
        while let Some(block) = pending.pop() {
            if !seen.insert(block) {
                continue;
            }
            for to in summary.blocks[block as usize].successors() {
                if solution.instances[id.0 as usize].goes(block, to)
                    && leads(solution, id, block, to, at, 0)
                {
                    pending.push(to);
                }
            }
        }
        self.covered.runs.insert(id);
        for block in seen {
            self.step_alone(id, block);
        }
    }

    /// What a block does at its end, but for where it goes on in its function.
    fn step_alone(&mut self, id: InstanceId, block: u32) {
        let graph = self.graph;
        let body = &graph.solution.summary(id).blocks[block as usize];
        for callee in graph.callees_at(id, body.last) {
            self.enter(callee);
        }
        for open in graph.open(id).iter().filter(|open| open.at == body.last) {
            self.open(open.shape);
        }
        if let Exit::Syscall(..) = body.exit {
            self.covered.sites.insert((id, body.last));
        }
        let instance = &graph.solution.instances[id.0 as usize];
        if instance.starts.contains_key(&body.last) {
            self.covered.starts.insert((id, body.last));
        }
    }
}

/// How sure it is that a call of clone(2) starts a thread, and no process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sure {
    /// Its flags say so.
    Certain,
    /// They can.
    Perhaps,
}

/// Calls of clone(2) that start threads, as sure as is asked. What a new process does is its parent's:
/// it has the same filter.
pub(super) fn clones(
    image: &Image,
    solution: &Solution,
    sure: Sure,
) -> FxHashMap<InstanceId, Vec<u64>> {
    let mut found: FxHashMap<InstanceId, Vec<u64>> = FxHashMap::default();
    for (instance, n) in solution.instances.iter().zip(0..) {
        for (&at, site) in &instance.sites {
            let starts = image.kernel().starts_thread.iter().any(|call| {
                let known = site.number.single() == Some(call.number);
                let flags = call.flags.map(|argument| &site.arguments[argument]);
                known
                    && match sure {
                        Sure::Perhaps => flags.is_none_or(|flags| flags.may_have(THREAD_FLAG)),
                        Sure::Certain => flags
                            .and_then(|flags| flags.values(MOST_VALUES as u64))
                            .is_some_and(|all| all.iter().all(|f| f & THREAD_FLAG != 0)),
                    }
            });
            if starts {
                found.entry(InstanceId(n)).or_default().push(at);
            }
        }
    }
    found
}

/// Whether control can go from block to block when the system call at `at` returned `outcome`.
fn leads(solution: &Solution, id: InstanceId, block: u32, to: u32, at: u64, outcome: u64) -> bool {
    let summary = solution.summary(id);
    let Exit::Branch(test, yes, no) = summary.blocks[block as usize].exit else {
        return true;
    };
    match holds(&summary.graph, test, at, outcome) {
        Some(true) => to == yes,
        Some(false) => to == no,
        None => true,
    }
}

/// Whether a test asks if the system call at `at` returned zero (`Some(true)`), or anything else.
fn is_zero(graph: &Graph, test: ValueId, at: u64) -> Option<bool> {
    let Value::Test(condition @ (Condition::Eq | Condition::Ne), flags) = graph.get(test) else {
        return None;
    };
    let Value::Flags(kind, _, a, b) = graph.get(flags) else {
        return None;
    };
    let own = given(graph, a, at, 1)? == 1 && given(graph, a, at, 0)? == 0;
    let with_zero = match kind {
        Compare::Difference => graph.constant_of(b) == Some(0),
        Compare::Conjunction | Compare::Bits => a == b,
        Compare::Result => true,
    };
    (own && with_zero).then_some(condition == Condition::Eq)
}

fn holds(graph: &Graph, test: ValueId, at: u64, outcome: u64) -> Option<bool> {
    let Value::Test(condition, flags) = graph.get(test) else {
        return None;
    };
    let Value::Flags(kind, bits, a, b) = graph.get(flags) else {
        return None;
    };
    let a = Domain::one(given(graph, a, at, outcome)?);
    let b = Domain::one(given(graph, b, at, outcome)?);
    decide(condition, kind, bits, &a, &b)
}

/// The value of a node that depends on nothing but what the system call at `at` returned.
fn given(graph: &Graph, v: ValueId, at: u64, outcome: u64) -> Option<u64> {
    match graph.get(v) {
        Value::Const(c) => Some(c),
        Value::Opaque(by, OUTCOME) if by == at => Some(outcome),
        Value::ZeroExtend(a, bits) => {
            let value = Domain::one(given(graph, a, at, outcome)?);
            value.zero_extend(bits).single()
        }
        Value::SignExtend(a, bits) => {
            let value = Domain::one(given(graph, a, at, outcome)?);
            value.sign_extend(bits).single()
        }
        Value::Refine(a, ..) => given(graph, a, at, outcome),
        _ => None,
    }
}
