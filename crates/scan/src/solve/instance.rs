//! One function under one context: which blocks run, what they call, what they return.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::domain::{Domain, MOST_VALUES};
use super::evaluate::{Evaluator, Surroundings};
use super::{Context, Entered, FunctionId, InstanceId, Solver};
use crate::image::{Addr, Slot};
use crate::isa::Reg;
use crate::isa::x86_64::{CALLEE_SAVED, CALLER_SAVED, RAX};
use crate::kernel::{MAKES_EXECUTABLE, NO_RETURN, TAKES_HANDLER};
use crate::summary::{self, Call, Entry, Exit, Graph, Input, Reference, Trust, Value, ValueId};

/// Registers that functions preserve by convention, a bit each.
const CONVENTION: u16 = {
    let mut bits = 0;
    let mut n = 0;
    while n < CALLEE_SAVED.len() {
        bits |= 1 << CALLEE_SAVED[n].0;
        n += 1;
    }
    bits
};
/// Addresses below are never mapped (`CONFIG_DEFAULT_MMAP_MIN_ADDR`, at least a page).
const NEVER_MAPPED: u64 = 4096;
/// Numbers of one site that are told one by one.
const MOST_NUMBERS: u64 = 512;

/// Why code is not understood.
pub use summary::Lost;

/// A function under one context.
#[derive(Debug)]
pub struct Instance {
    /// Which function.
    pub function: FunctionId,
    /// What its callers pass.
    pub context: Context,
    /// Edges between blocks that can be taken.
    edges: FxHashSet<(u32, u32)>,
    /// Blocks that run.
    blocks: BTreeSet<u32>,
    /// It can come back to its caller.
    pub returns: bool,
    /// Scratch registers that it returns as it found them, a bit each: compilers rely on that
    /// between functions of one file (`-fipa-ra`).
    kept: u16,
    /// What it returns.
    pub(super) result: Domain,
    /// Its caller may see it return more than once.
    twice: bool,
    /// It can come back to its caller's caller instead.
    over: bool,
    /// Its result is a function that may be called from anywhere.
    pub(super) feeds_taken: bool,
    dependents: BTreeSet<InstanceId>,
    /// What its calls returned, by address.
    results: FxHashMap<u64, Domain>,
    /// Scratch registers that its calls keep, by address.
    keeps: FxHashMap<u64, u16>,
    /// System calls by address.
    pub sites: BTreeMap<u64, SiteCall>,
    /// System calls by another convention, by address.
    pub foreign: BTreeMap<u64, &'static str>,
    /// Where control leaves what is understood, by address.
    pub lost: BTreeMap<u64, Lost>,
    /// Calls and jumps whose target may be any taken function, by address.
    pub unresolved: BTreeSet<u64>,
}

/// What a system call can be.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct SiteCall {
    /// The number register.
    pub number: Domain,
    /// The argument registers.
    pub arguments: [Domain; 6],
}

impl Instance {
    pub(super) fn new(function: FunctionId, context: Context) -> Instance {
        Instance {
            function,
            context,
            edges: FxHashSet::default(),
            blocks: BTreeSet::new(),
            returns: false,
            kept: u16::MAX,
            result: Domain::Nothing,
            twice: false,
            over: false,
            feeds_taken: false,
            dependents: BTreeSet::new(),
            results: FxHashMap::default(),
            keeps: FxHashMap::default(),
            sites: BTreeMap::new(),
            foreign: BTreeMap::new(),
            lost: BTreeMap::new(),
            unresolved: BTreeSet::new(),
        }
    }
}

/// What one pass over an instance's blocks found.
#[derive(Default)]
struct Pass {
    returns: bool,
    result: Domain,
    twice: bool,
    over: bool,
    sites: BTreeMap<u64, SiteCall>,
    foreign: BTreeMap<u64, &'static str>,
    lost: BTreeMap<u64, Lost>,
    unresolved: BTreeSet<u64>,
    visited: BTreeSet<u32>,
    kept: u16,
}

/// What is known of a call's outcome.
struct Outcome {
    returns: bool,
    kept: u16,
    result: Domain,
    twice: bool,
    over: bool,
}

impl Outcome {
    fn unknown() -> Outcome {
        Outcome {
            returns: true,
            kept: CONVENTION,
            result: Domain::Anything,
            twice: false,
            over: false,
        }
    }
}

impl Solver<'_> {
    /// Runs an instance's blocks as far as is known now.
    pub(super) fn activate(&mut self, id: InstanceId) {
        let function = self.instances[id.0 as usize].function;
        let body = Rc::clone(&self.functions.all[function.0 as usize].summary);
        let written = Rc::clone(&self.written);
        let mut edges = std::mem::take(&mut self.instances[id.0 as usize].edges);
        let context = self.instances[id.0 as usize].context.clone();
        let mut results = std::mem::take(&mut self.instances[id.0 as usize].results);
        let mut kept = std::mem::take(&mut self.instances[id.0 as usize].keeps);
        let mut pass = loop {
            let before = edges.len();
            let mut outcomes: Vec<(u64, Domain, u16)> = Vec::new();
            let mut pass = Pass {
                kept: u16::MAX,
                ..Pass::default()
            };
            let mut taken = Vec::new();
            {
                let mut evaluator = Evaluator::new(
                    &body.graph,
                    Surroundings {
                        image: self.image,
                        context: &context,
                        results: &results,
                        kept: &kept,
                        edges: &edges,
                        written: &written,
                    },
                );
                let mut pending = vec![0u32];
                pass.visited.insert(0);
                while let Some(block) = pending.pop() {
                    let mut go = |to: u32| {
                        taken.push((block, to));
                        if pass.visited.insert(to) {
                            pending.push(to);
                        }
                    };
                    let exit = &body.blocks[block as usize].exit;
                    let at = body.blocks[block as usize].last;
                    match exit {
                        Exit::Jump(to) => go(*to),
                        Exit::Branch(test, yes, no) => {
                            let told = self.functions.all[function.0 as usize]
                                .tellable
                                .contains(&block);
                            let d = if told {
                                evaluator.value(*test)
                            } else {
                                Domain::Anything
                            };
                            match d {
                                Domain::Nothing => {}
                                d if d.single() == Some(0) => go(*no),
                                d if d.single() == Some(1) => go(*yes),
                                _ => {
                                    go(*yes);
                                    go(*no);
                                    if told {
                                        self.guard(function, &body.graph, *test);
                                    }
                                }
                            }
                        }
                        Exit::Switch(all, trusted) => {
                            all.iter().for_each(|to| go(*to));
                            // A call that does not return, as far as is known, keeps all.
                            let broken = trusted.iter().any(|(call, reg)| {
                                kept.get(call).is_some_and(|k| k & (1 << reg.0) == 0)
                            });
                            if broken {
                                pass.unresolved.insert(at);
                                self.open(id, at);
                            }
                        }
                        Exit::Call(call, next, pad) => {
                            if let Some(pad) = pad {
                                go(*pad);
                            }
                            let outcome = self.call(
                                id,
                                function,
                                at,
                                call,
                                &body.graph,
                                &mut evaluator,
                                &mut pass.unresolved,
                            );
                            if outcome.returns
                                && let Some(next) = next
                            {
                                go(*next);
                            }
                            pass.kept &= outcome.kept | body.saved | !CONVENTION;
                            let trust = Trust {
                                frame: !outcome.twice,
                                saved: outcome.kept & CONVENTION == CONVENTION,
                            };
                            self.rely(function, trust);
                            if outcome.over {
                                pass.returns = true;
                                pass.kept &= CONVENTION;
                                pass.result = Domain::Anything;
                            }
                            let result = if outcome.twice {
                                Domain::Anything
                            } else {
                                outcome.result
                            };
                            outcomes.push((at, result, outcome.kept));
                        }
                        Exit::TailCall(call) => {
                            let outcome = self.call(
                                id,
                                function,
                                at,
                                call,
                                &body.graph,
                                &mut evaluator,
                                &mut pass.unresolved,
                            );
                            pass.kept &= outcome.kept | (body.saved & CONVENTION);
                            pass.kept &= !body.clobbered;
                            for reg in CALLER_SAVED {
                                if !preserved(
                                    &body.graph,
                                    call.registers[usize::from(reg.0)],
                                    reg,
                                    &kept,
                                ) {
                                    pass.kept &= !(1 << reg.0);
                                }
                            }
                            pass.returns |= outcome.returns;
                            pass.twice |= outcome.twice;
                            pass.over |= outcome.over;
                            pass.result = pass.result.join(&outcome.result);
                        }
                        Exit::Return(registers) => {
                            pass.returns = true;
                            pass.kept &= !body.clobbered;
                            let value = &registers[usize::from(RAX.0)];
                            let result = evaluator.value(*value);
                            for reg in CALLER_SAVED {
                                let bit = 1 << reg.0;
                                if pass.kept & bit != 0
                                    && !preserved(
                                        &body.graph,
                                        registers[usize::from(reg.0)],
                                        reg,
                                        &kept,
                                    )
                                {
                                    pass.kept &= !bit;
                                }
                            }
                            let wanted = self.relevance.get(&function).is_some_and(|r| r.result);
                            if wanted && result.single().is_none() {
                                self.matters(function, &body.graph, *value);
                            }
                            pass.result = pass.result.join(&result);
                        }
                        Exit::Syscall(entry, next) => {
                            let call = self.syscall(function, entry, &body.graph, &mut evaluator);
                            let returns = match call.number.values(MOST_NUMBERS) {
                                Some(all) => {
                                    all.iter().any(|n| !NO_RETURN.contains(&(n & 0xffff_ffff)))
                                }
                                None => true,
                            };
                            pass.sites.insert(at, call);
                            if returns && let Some(next) = next {
                                go(*next);
                            }
                        }
                        Exit::Foreign(kind, next) => {
                            pass.foreign.insert(at, *kind);
                            if let Some(next) = next {
                                go(*next);
                            }
                        }
                        Exit::Stop => {}
                        Exit::Lost(why) => {
                            pass.lost.insert(at, *why);
                            // What is not understood may come back, whatever it changed.
                            if *why != Lost::NotCode {
                                pass.returns = true;
                                pass.kept &= CONVENTION;
                                pass.result = Domain::Anything;
                            }
                        }
                    }
                }
            }
            edges.extend(taken);
            let mut changed = edges.len() != before;
            // Joined with what was known: a call can move on to another context of its callee,
            // of which less is known so far.
            for (at, result, keeps) in outcomes {
                let known = results.entry(at).or_default();
                let both = known.join(&result);
                if both != *known {
                    *known = both;
                    changed = true;
                }
                let known = kept.entry(at).or_insert(u16::MAX);
                changed |= *known & keeps != *known;
                *known &= keeps;
            }
            if !changed {
                break pass;
            }
        };
        let mut evaluator = Evaluator::new(
            &body.graph,
            Surroundings {
                image: self.image,
                context: &context,
                results: &results,
                kept: &kept,
                edges: &edges,
                written: &written,
            },
        );
        for &block in &pass.visited {
            let first = self.referred.insert((function, block));
            let block = &body.blocks[block as usize];
            self.refer(id, block, first, &mut evaluator);
        }
        self.instances[id.0 as usize].results = results;
        self.instances[id.0 as usize].keeps = kept;
        pass.over |= body.replaces_return_address && pass.returns;
        pass_into(self, id, pass, edges, body.keeps_return_address);
    }

    /// Notes that a call in `function` leaves it no more than `trust` to rely on.
    fn rely(&mut self, function: FunctionId, trust: Trust) {
        let known = self.functions.trust(function);
        if (known.frame && !trust.frame) || (known.saved && !trust.saved) {
            let found = self.distrusted.entry(function).or_insert(trust);
            found.frame &= trust.frame;
            found.saved &= trust.saved;
        }
    }

    /// Follows what a block uses of the image; unless this is the `first` time, only what
    /// depends on what is known now.
    fn refer(
        &mut self,
        id: InstanceId,
        block: &summary::Block,
        first: bool,
        evaluator: &mut Evaluator<'_>,
    ) {
        for reference in &block.references {
            match *reference {
                Reference::Address(_) | Reference::Bytes { .. } | Reference::Written { .. }
                    if !first => {}
                Reference::Address(at) => {
                    if self.image.is_code(Addr(at)) {
                        self.take(at);
                    } else {
                        self.data.string(self.image, at, (id, block.start));
                        self.reach_object(at);
                    }
                }
                Reference::Bytes { at, size } => self.reach_bytes(at, u64::from(size)),
                Reference::Written { at, size } => self.write_early(at, size),
                Reference::Indexed {
                    base,
                    address,
                    size,
                } => match evaluator.value(address).values(4096) {
                    Some(all) if size > 0 => {
                        for at in all {
                            self.reach_bytes(at, u64::from(size));
                        }
                    }
                    _ => self.reach_around(base),
                },
            }
        }
    }

    fn syscall(
        &mut self,
        function: FunctionId,
        entry: &Entry,
        graph: &Graph,
        evaluator: &mut Evaluator<'_>,
    ) -> SiteCall {
        let number = evaluator.value(entry.number);
        if number.values(MOST_NUMBERS).is_none() || number.values(1).is_none() {
            self.matters(function, graph, entry.number);
        }
        // Whether memory becomes executable is told per caller too.
        let numbers = number.values(MOST_NUMBERS).unwrap_or_default();
        for call in MAKES_EXECUTABLE {
            let argument = entry.arguments[call.argument];
            if numbers.contains(&call.number) && evaluator.value(argument).single().is_none() {
                self.matters(function, graph, argument);
            }
        }
        SiteCall {
            number: number.zero_extend(32),
            arguments: entry.arguments.map(|a| evaluator.value(a)),
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the state of one pass, borrowed apart"
    )]
    fn call(
        &mut self,
        id: InstanceId,
        function: FunctionId,
        at: u64,
        call: &Call,
        graph: &Graph,
        evaluator: &mut Evaluator<'_>,
        unresolved: &mut BTreeSet<u64>,
    ) -> Outcome {
        let mut targets = BTreeSet::new();
        let known = match graph.get(call.target) {
            Value::Const(address) => self.resolve(id, address, &mut targets),
            Value::Load(address, 8, _)
                if let Some(slot) = graph.constant_of(address)
                    && let Some(held) =
                        super::evaluate::fixed_slot(self.image, &self.written, slot) =>
            {
                self.resolve_slot(id, held, &mut targets)
            }
            _ => {
                let d = evaluator.value(call.target);
                match d.values(MOST_VALUES as u64) {
                    Some(all) => all.into_iter().fold(true, |known, address| {
                        known & self.resolve(id, address, &mut targets)
                    }),
                    None => {
                        self.target(function, graph, call.target);
                        false
                    }
                }
            }
        };
        let mut sum = Outcome {
            returns: false,
            kept: u16::MAX,
            result: Domain::Nothing,
            twice: false,
            over: false,
        };
        if !known {
            unresolved.insert(at);
            self.open(id, at);
            sum = Outcome::unknown();
        }
        for address in targets {
            let callee = self.functions.at(self.image, address);
            self.callees.entry(at).or_default().insert(callee);
            self.callers
                .entry(callee)
                .or_default()
                .insert((function, at));
            let Some(context) = self.context(callee, |input| evaluator.value(call.passed(input)))
            else {
                // Something that is passed has no value yet: the call is not reached yet.
                continue;
            };
            self.pass_on(function, callee, call, graph, &context);
            let instance = self.instance(address, context);
            self.enter(instance, Entered::From(id, at));
            let found = &mut self.instances[instance.0 as usize];
            found.dependents.insert(id);
            sum.returns |= found.returns;
            sum.kept &= found.kept;
            sum.twice |= found.twice;
            sum.over |= found.over;
            sum.result = sum.result.join(&found.result);
        }
        sum
    }

    /// Adds the functions that a call of `address` enters; `false` when that is not known.
    fn resolve(&mut self, id: InstanceId, address: u64, targets: &mut BTreeSet<u64>) -> bool {
        let mut address = address;
        for _ in 0..8 {
            if !self.image.is_code(Addr(address)) {
                // A call of a null pointer faults (vm.mmap_min_addr); any other address that
                // holds no code is one that this analysis has wrong.
                return address < NEVER_MAPPED;
            }
            let function = self.functions.at(self.image, address);
            let Some(slot) = self.functions.all[function.0 as usize].trampoline else {
                targets.insert(address);
                return true;
            };
            match super::evaluate::fixed_slot(self.image, &self.written, slot) {
                Some(Slot::Address(a)) => address = a.0,
                Some(held) => return self.resolve_slot(id, held, targets),
                None => {
                    targets.insert(address);
                    return true;
                }
            }
        }
        targets.insert(address);
        true
    }

    fn resolve_slot(&mut self, id: InstanceId, slot: Slot, targets: &mut BTreeSet<u64>) -> bool {
        match slot {
            Slot::Address(a) => self.resolve(id, a.0, targets),
            // Weak and undefined: the call faults.
            Slot::Value(0) => true,
            Slot::Value(_) => false,
            Slot::Resolver(r) => {
                let resolver = self.instance(r.0, Context::new());
                self.enter(resolver, Entered::Root);
                let found = &mut self.instances[resolver.0 as usize];
                found.dependents.insert(id);
                match found.result.values(MOST_VALUES as u64) {
                    Some(all) => all
                        .into_iter()
                        .fold(true, |known, a| known & self.resolve(id, a, targets)),
                    None => {
                        self.take_results(r.0);
                        false
                    }
                }
            }
        }
    }
}

fn pass_into(
    solver: &mut Solver<'_>,
    id: InstanceId,
    pass: Pass,
    edges: FxHashSet<(u32, u32)>,
    keeps_return_address: bool,
) {
    let takes_handler = pass.sites.iter().find(|(_, site)| {
        site.number
            .values(MOST_NUMBERS)
            .is_none_or(|all| all.contains(&TAKES_HANDLER))
    });
    let takes_handler = takes_handler.map(|(at, _)| *at);
    let instance = &mut solver.instances[id.0 as usize];
    instance.edges = edges;
    instance.blocks = pass.visited;
    instance.sites = pass.sites;
    instance.foreign = pass.foreign;
    instance.lost = pass.lost;
    instance.unresolved = pass.unresolved;
    let result = instance.result.join(&pass.result);
    let twice = pass.twice || (keeps_return_address && pass.returns);
    let kept = if twice { CONVENTION } else { pass.kept };
    let changed = (pass.returns && !instance.returns)
        || result != instance.result
        || (twice && !instance.twice)
        || (pass.over && !instance.over)
        || instance.kept & kept != instance.kept;
    instance.kept &= kept;
    instance.returns |= pass.returns;
    instance.twice |= twice;
    instance.over |= pass.over;
    instance.result = if twice { Domain::Anything } else { result };
    let dependents: Vec<_> = instance.dependents.iter().copied().collect();
    let feeds_taken = instance.feeds_taken;
    if changed {
        for dependent in dependents {
            solver.queue(dependent);
        }
        if feeds_taken {
            solver.take_result_of(id);
        }
    }
    if let Some(at) = takes_handler {
        solver.open(id, at);
    }
}

/// Whether `value` is what the register held at entry.
fn preserved(graph: &Graph, value: ValueId, reg: Reg, kept: &FxHashMap<u64, u16>) -> bool {
    let mut pending = vec![value];
    let mut seen = FxHashSet::default();
    while let Some(v) = pending.pop() {
        if !seen.insert(v) {
            continue;
        }
        match graph.get(v) {
            Value::Entry(Input::Register(r)) if r == reg => {}
            Value::Kept(at, r, before)
                if r == reg && kept.get(&at).is_none_or(|k| k & (1 << reg.0) != 0) =>
            {
                pending.push(before);
            }
            Value::Phi(index) => {
                pending.extend(graph.phis[index as usize].operands.iter().map(|o| o.1));
            }
            Value::Refine(a, ..) => pending.push(a),
            _ => return false,
        }
    }
    true
}
