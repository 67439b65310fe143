//! Which inputs and results tell contexts apart: those that flow into a system call's number,
//! a call's target or a branch.

use std::collections::BTreeSet;
use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Context, Entered, FunctionId, InstanceId, Matter, Solution, Solver};
use crate::image::{Addr, Image, ObjectId};
use crate::summary::{Call, Exit, Graph, Input, Value, ValueId};

impl Solver<'_> {
    /// Notes that something of a function matters, unless that is known.
    pub(super) fn discover(&mut self, function: FunctionId, matter: Matter) {
        if !self.knows(function, matter) {
            self.discovered.insert((function, matter));
        }
    }

    fn knows(&self, function: FunctionId, matter: Matter) -> bool {
        self.relevance.get(&function).is_some_and(|r| match matter {
            Matter::Exact(input) => r.exact.contains(&input),
            Matter::Argument(input) => r.keeps(&input),
            Matter::Pointer(input) => r.pointer.contains(&input) || r.keeps(&input),
            Matter::Guard(input) => r.guard.contains(&input) || r.keeps(&input),
            Matter::Result => r.result,
        })
    }

    /// The inputs that a call's target depends on matter, unless some target can never be told:
    /// then each function whose address is taken runs anyway, and telling others is no use.
    pub(super) fn target(&mut self, function: FunctionId, graph: &Graph, target: ValueId) {
        if !self.targets_matter || self.hopeless {
            return;
        }
        self.hopeless = self.sources.of(function, graph, target).is_empty();
        if !self.hopeless {
            let mut found = Vec::new();
            let sources = self.sources.of(function, graph, target);
            self.flows(function, &sources, &mut found);
            found.retain(|&(function, matter)| !self.knows(function, matter));
            self.discovered_for_targets.extend(found);
        }
    }

    /// The inputs that `value` depends on matter.
    pub(super) fn matters(&mut self, function: FunctionId, graph: &Graph, value: ValueId) {
        let mut found = Vec::new();
        let sources = self.sources.of(function, graph, value);
        self.flows(function, &sources, &mut found);
        for (function, matter) in found {
            self.discover(function, matter);
        }
    }

    /// The inputs that `value` of this graph of `function` depends on matter; whether that was not known.
    pub(super) fn would_matter(
        &mut self,
        function: FunctionId,
        graph: &Graph,
        value: ValueId,
    ) -> bool {
        let mut found = Vec::new();
        let (sources, _) = sources(graph, value, Choice::All);
        self.flows(function, &sources, &mut found);
        found.retain(|&(function, matter)| !self.knows(function, matter));
        self.discovered.extend(&found);
        !found.is_empty()
    }

    /// The inputs that `value` is made of matter as arguments of system calls. What it depends on
    /// through memory and through what other functions return does not: that leads far into programs
    /// (perl's open flags come from most of perl), and an argument that stays unknown is no residual.
    pub(super) fn argues(&mut self, function: FunctionId, graph: &Graph, value: ValueId) {
        let sources = self.sources.of(function, graph, value);
        for &own in &sources.inputs {
            self.discover(function, Matter::Argument(own));
        }
    }

    /// Of the inputs that `value` depends on, it matters which constant memory they point to.
    pub(super) fn points(&mut self, function: FunctionId, graph: &Graph, value: ValueId) {
        let sources = self.sources.of(function, graph, value);
        for &own in sources.inputs.iter().chain(&sources.pointers) {
            self.discover(function, Matter::Pointer(own));
        }
    }

    /// A branch that was not decided compares an input with a constant.
    pub(super) fn guard(&mut self, function: FunctionId, graph: &Graph, test: ValueId) {
        if self.functions.all[function.0 as usize].leaf {
            return;
        }
        if let Some(input) = compared_input(graph, test) {
            self.discover(function, Matter::Guard(input));
        }
    }

    /// An input that matters to the callee and that the caller passes on from its own inputs
    /// matters to the caller.
    pub(super) fn pass_on(
        &mut self,
        caller: FunctionId,
        callee: FunctionId,
        call: &Call,
        graph: &Graph,
        context: &Context,
    ) {
        let Some(relevance) = self.relevance.get(&callee).cloned() else {
            return;
        };
        let told = |input| {
            let mut known = context.iter();
            known.any(|(i, d)| *i == input && d.single().is_some())
        };
        for &input in &relevance.exact {
            if !told(input) {
                self.matters(caller, graph, call.passed(input));
            }
        }
        for &input in &relevance.argument {
            if !told(input) {
                self.argues(caller, graph, call.passed(input));
            }
        }
        for &input in &relevance.pointer {
            if !context.iter().any(|(i, _)| *i == input) {
                self.points(caller, graph, call.passed(input));
            }
        }
        for &input in &relevance.guard {
            if !context.iter().any(|(i, _)| *i == input)
                && let Some(own) = plain_input(graph, call.passed(input))
            {
                self.discover(caller, Matter::Guard(own));
            }
        }
    }

    /// Follows what was discovered through all calls that were seen, so that the next round
    /// need not find it level by level.
    pub(super) fn spread(&mut self) {
        let mut pending: Vec<_> = self.discovered.iter().copied().collect();
        let mut sources = std::mem::take(&mut self.sources);
        while let Some((function, matter)) = pending.pop() {
            for found in self.behind(function, matter, &mut sources) {
                let known = self.knows(found.0, found.1);
                if !known && self.discovered.insert(found) {
                    pending.push(found);
                }
            }
        }
    }

    /// What matters to others because `matter` does to `function`.
    fn behind(
        &self,
        function: FunctionId,
        matter: Matter,
        sources: &mut KnownSources,
    ) -> Vec<(FunctionId, Matter)> {
        let mut found = Vec::new();
        if let Matter::Result = matter {
            let summary = &self.functions.all[function.0 as usize].summary;
            for block in &summary.blocks {
                match &block.exit {
                    // Which of several values comes back is decided there.
                    Exit::Branch(test, ..) => {
                        let input = compared_input(&summary.graph, *test);
                        found.extend(input.map(|input| (function, Matter::Guard(input))));
                    }
                    Exit::Return(registers) => {
                        let value = registers[self.image.convention.results[0]];
                        let sources = sources.of(function, &summary.graph, value);
                        self.flows(function, &sources, &mut found);
                    }
                    Exit::TailCall(_) => {
                        let callees = self.callees.get(&block.last).into_iter().flatten();
                        found.extend(callees.map(|&callee| (callee, Matter::Result)));
                    }
                    _ => {}
                }
            }
            return found;
        }
        for &(caller, at) in self.callers.get(&function).into_iter().flatten() {
            let summary = &self.functions.all[caller.0 as usize].summary;
            let graph = &summary.graph;
            for call in summary.calls_at(at) {
                match matter {
                    Matter::Exact(input) => {
                        let sources = sources.of(caller, graph, call.passed(input));
                        self.flows(caller, &sources, &mut found);
                    }
                    Matter::Argument(input) => {
                        let sources = sources.of(caller, graph, call.passed(input));
                        let inputs = sources.inputs.iter();
                        found.extend(inputs.map(|&own| (caller, Matter::Argument(own))));
                    }
                    Matter::Pointer(input) => {
                        let sources = sources.of(caller, graph, call.passed(input));
                        let inputs = sources.inputs.iter().chain(&sources.pointers);
                        found.extend(inputs.map(|&own| (caller, Matter::Pointer(own))));
                    }
                    Matter::Guard(input) => {
                        let own = plain_input(graph, call.passed(input));
                        found.extend(own.map(|own| (caller, Matter::Guard(own))));
                    }
                    Matter::Result => {}
                }
            }
        }
        found
    }

    /// What matters when a value of `function` does that has these sources.
    fn flows(
        &self,
        function: FunctionId,
        sources: &Sources,
        found: &mut Vec<(FunctionId, Matter)>,
    ) {
        found.extend(sources.inputs.iter().map(|&i| (function, Matter::Exact(i))));
        found.extend(
            sources
                .pointers
                .iter()
                .map(|&i| (function, Matter::Pointer(i))),
        );
        for at in &sources.results {
            let callees = self.callees.get(at).into_iter().flatten();
            found.extend(callees.map(|&callee| (callee, Matter::Result)));
        }
    }
}

impl Solution {
    /// Whether what an instance's system call at `at` is passed in an argument was made up inside one
    /// object: by its own function, or by callers in it that pass nothing on from theirs.
    pub(crate) fn is_made_in(
        &self,
        image: &Image,
        object: ObjectId,
        id: InstanceId,
        at: u64,
        argument: usize,
    ) -> bool {
        let summary = self.summary(id);
        let mut entries = summary.blocks.iter().filter(|b| b.last == at);
        entries.all(|block| match &block.exit {
            Exit::Syscall(entry, _) => {
                self.is_own(image, object, id, entry.arguments[argument], MOST_CALLERS)
            }
            _ => false,
        })
    }

    fn is_own(
        &self,
        image: &Image,
        object: ObjectId,
        id: InstanceId,
        value: ValueId,
        depth: u8,
    ) -> bool {
        let summary = self.summary(id);
        let (sources, _) = sources(&summary.graph, value, Choice::Outcomes);
        if image.object_of(Addr(summary.entry)) != Some(object) || !sources.pointers.is_empty() {
            return false;
        }
        if sources.inputs.is_empty() {
            return true;
        }
        let Some(depth) = depth.checked_sub(1) else {
            return false;
        };
        let mut entered = self.entries.iter().filter(|(entered, _)| *entered == id);
        entered.all(|&(_, by)| {
            let Entered::From(caller, at) = by else {
                return false;
            };
            let blocks = self.summary(caller).blocks.iter();
            let mut calls = blocks.filter(|b| b.last == at);
            calls.all(|block| match &block.exit {
                Exit::Call(call, ..) | Exit::TailCall(call) => sources
                    .inputs
                    .iter()
                    .all(|&i| self.is_own(image, object, caller, call.passed(i), depth)),
                _ => false,
            })
        })
    }
}

/// Callers of callers that a value is followed through.
const MOST_CALLERS: u8 = 4;

/// The sources of values that are asked for at each visit of a call and take long to collect: in
/// one Go program of 33 MB collecting them anew was five sixths of all time.
#[derive(Default)]
pub(super) struct KnownSources(FxHashMap<(FunctionId, ValueId), Rc<Sources>>);

impl KnownSources {
    fn of(&mut self, function: FunctionId, graph: &Graph, value: ValueId) -> Rc<Sources> {
        if let Some(known) = self.0.get(&(function, value)) {
            return Rc::clone(known);
        }
        let (found, steps) = sources(graph, value, Choice::All);
        let found = Rc::new(found);
        if steps >= LONG {
            self.0.insert((function, value), Rc::clone(&found));
        }
        found
    }
}

/// From so many values below one on its sources are kept.
const LONG: usize = 32;

/// What a value depends on.
#[derive(Default)]
pub(super) struct Sources {
    /// Inputs.
    pub(super) inputs: BTreeSet<Input>,
    /// Inputs that something is read through.
    pub(super) pointers: BTreeSet<Input>,
    /// Calls whose results are used.
    results: BTreeSet<u64>,
}

impl Sources {
    fn is_empty(&self) -> bool {
        self.inputs.is_empty() && self.pointers.is_empty() && self.results.is_empty()
    }
}

/// What of a choice between values counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// What it is decided by, too.
    All,
    /// The values alone.
    Outcomes,
}

/// What `value` can be depends on these, whatever chooses between them.
pub(super) fn sources_of_outcomes(graph: &Graph, value: ValueId) -> Sources {
    sources(graph, value, Choice::Outcomes).0
}

/// What is below `value`, and how many values were looked at. What a call returns is not read
/// through: memory that a callee names is its own.
fn sources(graph: &Graph, value: ValueId, choice: Choice) -> (Sources, usize) {
    let mut found = Sources::default();
    let mut pending = vec![(value, false)];
    let mut seen = FxHashSet::default();
    while let Some((v, read)) = pending.pop() {
        if !seen.insert((v, read)) || seen.len() > 4000 {
            continue;
        }
        let mut below = |v: ValueId| pending.push((v, read));
        match graph.get(v) {
            Value::Entry(Input::ReturnAddress) => {}
            Value::Entry(input) => {
                if read {
                    found.pointers.insert(input);
                } else {
                    found.inputs.insert(input);
                }
            }
            Value::Ret(at) if !read => {
                found.results.insert(at);
            }
            Value::Binary(_, a, b) => {
                below(a);
                below(b);
            }
            Value::ZeroExtend(a, _)
            | Value::SignExtend(a, _)
            | Value::Refine(a, ..)
            | Value::Kept(_, _, a) => below(a),
            Value::Load(a, ..) => pending.push((a, true)),
            Value::Select(t, a, b) => {
                if choice == Choice::All {
                    below(t);
                }
                below(a);
                below(b);
            }
            Value::Test(_, flags) => below(flags),
            Value::Flags(_, _, a, b) => {
                below(a);
                below(b);
            }
            Value::Phi(index) => {
                let operands = &graph.phis[index as usize].operands;
                operands.iter().for_each(|o| below(o.1));
            }
            _ => {}
        }
    }
    (found, seen.len())
}

/// The input that a test compares with a constant.
fn compared_input(graph: &Graph, test: ValueId) -> Option<Input> {
    let Value::Test(_, flags) = graph.get(test) else {
        return None;
    };
    let Value::Flags(_, _, a, b) = graph.get(flags) else {
        return None;
    };
    let constant = a == b || graph.constant_of(b).is_some();
    constant.then(|| plain_input(graph, a)).flatten()
}

/// The input that `value` is, widened or narrowed at most.
fn plain_input(graph: &Graph, value: ValueId) -> Option<Input> {
    match graph.get(value) {
        Value::Entry(Input::ReturnAddress) => None,
        Value::Entry(input) => Some(input),
        Value::ZeroExtend(a, _) | Value::SignExtend(a, _) | Value::Refine(a, ..) => {
            plain_input(graph, a)
        }
        _ => None,
    }
}
