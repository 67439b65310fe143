//! The whole program: which functions run, with what, and which system calls they make.
//!
//! One worklist over *instances*, a function under one context. A context holds what callers
//! pass in the inputs that matter: those that flow into a system call's number, a call's
//! target, or a branch. Which inputs matter is found while solving; when a round finds more,
//! the next begins anew with them, so that within a round facts are only added and the result
//! does not depend on the order of work.
//!
//! It ends: contexts per function are bounded, edges between blocks, results and reached data
//! only grow, and each round but the last adds an input of a function to a finite set.

mod ahead;
mod call;
mod data;
pub mod domain;
mod evaluate;
mod function;
mod instance;
mod lookup;
mod memory;
mod page;
mod reach;
mod relevance;
mod start;
mod track;
mod variable;
mod walk;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::image::{Addr, Image};
use crate::summary::{Exit, Input, Summary, ValueId};
use ahead::Ahead;
use data::Data;
use domain::Domain;
use evaluate::{Scratch, Surroundings};
use function::{Functions, Revision};

pub use crate::summary::Lost;
pub use function::Function;
pub use instance::{Instance, SiteCall};
pub use lookup::Lookups;
use memory::Memory;
use relevance::KnownSources;
use start::Starters;
pub use start::{Start, Starts};
use track::Wants;
use written::Written;

/// Contexts of one function that are told apart; callers beyond share one in which nothing is
/// known of the inputs.
const MOST_CONTEXTS: usize = 96;
/// Blocks of all contexts of one function, up to which more are told apart all the same: the few blocks through
/// which a Go program makes its calls.
const FEW_CONTEXT_BLOCKS: usize = 1024;
/// Blocks of all contexts of one function, beyond which no more are told apart by inputs that flow into
/// a number or a target either: one function of a few blocks makes most system calls of a Go program.
const MOST_CONTEXT_BLOCKS: usize = 4096;
/// The same for inputs that only decide branches.
const MOST_GUARD_CONTEXTS: usize = 12;
/// Numbers of one site that are told one by one.
const MOST_NUMBERS: u64 = 512;
/// How often, on average, blocks are visited in one round before no more contexts are told apart
/// and results that grow are given up: real programs stay below a quarter of it.
const MOST_VISITS: u64 = 100;
/// After the first round, another begins when this part of what matters is new: a tenth. (Of what
/// nine Debian programs find after the second round, nothing changes a set.)
const LEAST_SHARE: usize = 10;
/// Rounds in which new inputs may be found to matter.
const MOST_ROUNDS: usize = 24;
/// How often what is known of memory may be learnt or put right; the last times it is only given up.
const MOST_CORRECTIONS: usize = 16;

/// Index of a function in [`Solution::functions`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FunctionId(pub u32);

/// Index of an instance in [`Solution::instances`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct InstanceId(pub u32);

/// What callers pass in the inputs that matter, ascending by input.
pub type Context = Vec<(Input, Domain)>;

/// Inputs that matter, and how.
#[derive(Clone, Default, Debug)]
struct Relevance {
    /// Flow into a number or a target: contexts keep what is passed.
    exact: BTreeSet<Input>,
    /// Are passed on as they are, or with something added, to an argument that decides what a system
    /// call does: contexts keep what is passed.
    argument: BTreeSet<Input>,
    /// Are read through on the way to one: contexts keep addresses of constant memory.
    pointer: BTreeSet<Input>,
    /// Only decide branches.
    guard: BTreeSet<Input>,
    /// What it returns flows into a number or a target.
    result: bool,
}

impl Relevance {
    /// Inputs of which contexts keep what is passed, ascending.
    fn kept(&self) -> impl Iterator<Item = Input> {
        self.exact.union(&self.argument).copied()
    }

    /// Whether contexts keep what is passed.
    fn keeps(&self, input: &Input) -> bool {
        self.exact.contains(input) || self.argument.contains(input)
    }

    /// How much of it decides more than branches.
    fn len(&self) -> usize {
        self.exact.len() + self.argument.len() + self.pointer.len() + usize::from(self.result)
    }
}

/// Something that matters and was not known to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Matter {
    /// The input flows into a number or a target.
    Exact(Input),
    /// The input flows into a deciding argument.
    Argument(Input),
    /// What the input points to does.
    Pointer(Input),
    /// The input decides a branch.
    Guard(Input),
    /// The result flows into a number or a target.
    Result,
}

impl Matter {
    /// It only tells which branches are taken.
    fn is_guard(self) -> bool {
        matches!(self, Matter::Guard(_))
    }
}

/// Where an instance is entered from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Entered {
    /// The kernel or the loader.
    Root,
    /// A call or jump at this address of an instance.
    From(InstanceId, u64),
    /// Some call of unknown target, or the kernel: its address is taken.
    Taken,
}

/// All that was found.
pub struct Solution {
    /// Functions, by [`FunctionId`].
    pub functions: Vec<Function>,
    /// Instances of the last round, by [`InstanceId`].
    pub instances: Vec<Instance>,
    /// How instances are entered, in order of discovery.
    pub entries: Vec<(InstanceId, Entered)>,
    /// Calls whose target may be any function whose address is taken: instance and address;
    /// the first system call that registers a handler counts as one.
    pub open: Vec<(InstanceId, u64)>,
    /// Functions whose address somebody holds, and the first place that hands it out: code, or a
    /// word of data.
    pub taken: BTreeMap<u64, u64>,
    /// Those of them that more than one place hands out, or that are put into memory.
    pub shared: FxHashSet<u64>,
    /// Strings that reached code refers to and that announce something (see `data.rs`).
    pub strings: BTreeMap<String, (InstanceId, u64)>,
    /// Functions that look up names.
    pub lookups: Lookups,
    /// Data of the C library that is taken to be variables of their own.
    pub apart: BTreeSet<u64>,
    /// Rounds that were needed.
    pub rounds: usize,
    /// Not all inputs that matter were told apart in the end.
    pub unsettled: bool,
}

impl Solution {
    /// Where the function of an instance begins.
    pub fn entry(&self, id: InstanceId) -> u64 {
        self.summary(id).entry
    }

    /// What the function of an instance does.
    pub fn summary(&self, id: InstanceId) -> &Summary {
        let function = self.instances[id.0 as usize].function;
        &self.functions[function.0 as usize].summary
    }
}

/// Solves the program from its roots.
///
/// That happens in a thread whose stack is as deep as calls of the program are nested; what it will
/// come to is summarised beside it.
pub fn solve(image: &Image) -> Solution {
    let ahead = Ahead::new(image);
    thread::scope(|scope| {
        let others = thread::available_parallelism().map_or(0, |cores| cores.get() - 1);
        for _ in 0..others {
            scope.spawn(|| ahead.work(image));
        }
        let deep = thread::Builder::new().stack_size(DEEP.stack);
        match deep.spawn_scoped(scope, || solve_to(image, &ahead, DEEP.calls)) {
            Ok(solving) => solving
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            // No room for it: calls are followed later instead of at once.
            Err(_) => solve_to(image, &ahead, SHALLOW),
        }
    })
}

/// Ends the work of others, also when the solver panics.
struct Ends<'a>(&'a Ahead);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// How many calls deep callees are solved before their callers go on, and the stack for that: 16 KiB
/// a call.
struct Depth {
    calls: u32,
    stack: usize,
}

const DEEP: Depth = Depth {
    calls: 8192,
    stack: 8192 << 14,
};
/// The same on the stack of whoever asks.
const SHALLOW: u32 = 16;

fn solve_to(image: &Image, ahead: &Ahead, depth: u32) -> Solution {
    let mut functions = Functions::new(image, ahead);
    let mut working = Some(Ends(ahead));
    let mut relevance: FxHashMap<FunctionId, Rc<Relevance>> = FxHashMap::default();
    let mut targets_matter = true;
    let mut written = Rc::new(Written::default());
    let mut memory = Rc::new(Memory::default());
    let mut wants = Wants::default();
    let mut corrections = 0;
    let mut variables = Memory::default();
    let mut variable_corrections = 0;
    for round in 1.. {
        let mut solver = Solver::new(
            image,
            functions,
            relevance,
            targets_matter,
            Rc::clone(&written),
            Rc::new(memory.with(&variables)),
        );
        solver.deeper = depth;
        solver.run();
        // What the first round did not come to is mostly not come to at all.
        drop(working.take());
        targets_matter &= !solver.hopeless;
        if targets_matter {
            solver.discovered.append(&mut solver.discovered_for_targets);
        }
        let mut revision = std::mem::take(&mut solver.revision);
        let more = solver.tells_more(round) || !solver.newly_written.is_empty();
        let again = more || !revision.is_empty();
        if again || round == 1 {
            revision.stops = solver.stops();
        }
        let mut again = again || !revision.stops.is_empty();
        // Functions that rely on something else than before are few after the first round. Memory does not wait until
        // they are solved: what is learnt of it must hold in a later round anyway.
        let settled = !again || (round > 1 && !more) || round >= MOST_ROUNDS;
        // What was relied on must hold in what came of it.
        let mut relies = false;
        if settled && corrections < MOST_CORRECTIONS {
            let more = solver.want(&mut wants) || wants.waits();
            if more || *memory != Memory::default() {
                let give_up = corrections > 2;
                let hopes = wants.hopes();
                let found = solver.track(&mut wants, !give_up);
                relies = Rc::make_mut(&mut memory).learn(found, give_up);
                // What was hoped must be seen.
                relies |= wants.hopes() != hopes;
                corrections += usize::from(relies);
                again |= wants.waits();
            }
            if corrections == MOST_CORRECTIONS {
                memory = Rc::default();
            }
        }
        let last = !again || round >= MOST_ROUNDS;
        if settled && !relies && last && variable_corrections < MOST_CORRECTIONS {
            // Each time takes another round, and the first tells most.
            let give_up = variable_corrections > 0;
            relies = variables.learn(solver.variables(&variables), give_up);
            variable_corrections += usize::from(relies);
            if variable_corrections == MOST_CORRECTIONS {
                variables = Memory::default();
            }
        }
        again |= relies;
        if relies || (again && round < MOST_ROUNDS) {
            solver.spread();
            Rc::make_mut(&mut written).add_all(&solver.newly_written);
            relevance = solver.relevance;
            for (function, matter) in solver.discovered {
                let known = Rc::make_mut(relevance.entry(function).or_default());
                match matter {
                    Matter::Exact(input) => _ = known.exact.insert(input),
                    Matter::Argument(input) => _ = known.argument.insert(input),
                    Matter::Pointer(input) => _ = known.pointer.insert(input),
                    Matter::Guard(input) => _ = known.guard.insert(input),
                    Matter::Result => known.result = true,
                }
            }
            functions = solver.functions;
            functions.revise(image, revision);
            continue;
        }
        let unsettled = again || solver.is_spent();
        return Solution {
            functions: solver.functions.all,
            instances: solver.instances,
            entries: solver.entries,
            open: solver.open,
            taken: solver.taken,
            shared: solver.shared,
            strings: solver.data.strings,
            lookups: solver.lookups,
            apart: memory.apart.clone(),
            rounds: round,
            unsettled,
        };
    }
    unreachable!("rounds are counted")
}

struct Solver<'a> {
    image: &'a Image,
    functions: Functions<'a>,
    relevance: FxHashMap<FunctionId, Rc<Relevance>>,
    instances: Vec<Instance>,
    by_context: FxHashMap<FunctionId, Vec<(Arc<Context>, InstanceId)>>,
    entries: Vec<(InstanceId, Entered)>,
    entered: FxHashSet<(InstanceId, Entered)>,
    /// Instances to run; later ones first, because they are callees of earlier ones. One that was
    /// never run is run when it is first called.
    pending: BTreeSet<InstanceId>,
    data: Data,
    /// Function addresses that reached code or data can hand to somebody, and the place that was the
    /// first to.
    taken: BTreeMap<u64, u64>,
    /// The first place that handed out each address of code, and the addresses that others do as well.
    holders: FxHashMap<u64, u64>,
    shared: FxHashSet<u64>,
    /// Addresses inside functions, on the way to be taken, and where they are handed out.
    labels: BTreeMap<u64, u64>,
    /// Functions whose frames callees write to without being handed an address there.
    written_from_below: FxHashSet<FunctionId>,
    /// Addresses inside functions that these functions have.
    parts: FxHashMap<u64, FunctionId>,
    /// Functions that come back to their callers by a part that is entered from elsewhere: the way there is
    /// not followed (`__builtin_setjmp` of LLVM).
    left_by_part: FxHashSet<FunctionId>,
    /// Resolvers whose results are taken.
    resolvers: BTreeSet<u64>,
    /// Blocks whose fixed references were followed.
    referred: FxHashSet<(FunctionId, u32)>,
    /// Where accesses with an index were followed to, by function and address.
    indexed: FxHashMap<(FunctionId, ValueId), Domain>,
    /// Functions that were entered with nothing known of their inputs.
    free: FxHashSet<FunctionId>,
    open: Vec<(InstanceId, u64)>,
    /// The same, to look one up.
    opened: FxHashSet<(InstanceId, u64)>,
    discovered: BTreeSet<(FunctionId, Matter)>,
    /// The same, of use only if all targets can be told in the end.
    discovered_for_targets: BTreeSet<(FunctionId, Matter)>,
    /// Calls that can enter a function: in which function, at which address.
    callers: FxHashMap<FunctionId, BTreeSet<(FunctionId, u64)>>,
    /// Functions that the call at an address can enter.
    callees: FxHashMap<u64, BTreeSet<FunctionId>>,
    /// Where calls of an address lead, through linkage stubs whose slots are fixed in this round.
    resolved: FxHashMap<u64, u64>,
    /// What was found of calls that summaries do not know.
    revision: Revision,
    /// Contexts that guards alone made, per function.
    guard_contexts: FxHashMap<FunctionId, usize>,
    /// Telling what calls through pointers reach can still shrink the set.
    targets_matter: bool,
    /// Words of protected data that earlier rounds saw written.
    written: Rc<Written>,
    /// Memory that earlier rounds found to be known.
    memory: Rc<Memory>,
    /// Data that lookups by name handed out.
    handed: BTreeSet<u64>,
    /// And this round, beyond those.
    newly_written: Written,
    /// Blocks that were visited, each as often as it was.
    visits: u64,
    /// Some call's target depends on nothing that callers or callees supply.
    hopeless: bool,
    /// Memory for walks to come.
    scratch: Vec<Scratch>,
    /// Calls that may still be followed at once.
    deeper: u32,
    lookups: Lookups,
    starters: Starters,
    /// Summaries stay as they are within a round.
    sources: KnownSources,
}

impl<'a> Solver<'a> {
    fn new(
        image: &'a Image,
        functions: Functions<'a>,
        relevance: FxHashMap<FunctionId, Rc<Relevance>>,
        targets_matter: bool,
        written: Rc<Written>,
        memory: Rc<Memory>,
    ) -> Self {
        let lookups = Lookups::new(image);
        Solver {
            image,
            functions,
            relevance,
            instances: Vec::new(),
            by_context: FxHashMap::default(),
            entries: Vec::new(),
            entered: FxHashSet::default(),
            pending: BTreeSet::new(),
            data: Data::default(),
            taken: BTreeMap::new(),
            holders: FxHashMap::default(),
            shared: FxHashSet::default(),
            labels: BTreeMap::new(),
            written_from_below: FxHashSet::default(),
            parts: FxHashMap::default(),
            left_by_part: FxHashSet::default(),
            resolvers: BTreeSet::new(),
            referred: FxHashSet::default(),
            indexed: FxHashMap::default(),
            free: FxHashSet::default(),
            open: Vec::new(),
            opened: FxHashSet::default(),
            discovered: BTreeSet::new(),
            discovered_for_targets: BTreeSet::new(),
            callers: FxHashMap::default(),
            callees: FxHashMap::default(),
            resolved: FxHashMap::default(),
            revision: Revision::default(),
            guard_contexts: FxHashMap::default(),
            targets_matter,
            written,
            memory,
            handed: BTreeSet::new(),
            newly_written: Written::default(),
            visits: 0,
            hopeless: false,
            scratch: Vec::new(),
            deeper: 0,
            starters: Starters::of(image, &lookups),
            lookups,
            sources: KnownSources::default(),
        }
    }

    fn run(&mut self) {
        for root in self.image.roots() {
            let id = self.instance(root.at.0, Context::new());
            self.enter(id, Entered::Root);
        }
        while !self.pending.is_empty() {
            while let Some(id) = self.pending.pop_last() {
                self.activate(id);
            }
            self.take_labels();
        }
    }

    /// Another round, with what was found to matter, is worth its time: each makes sets tighter,
    /// but by less than the one before, and by the least where only branches are decided.
    fn tells_more(&self, round: usize) -> bool {
        let found = self
            .discovered
            .iter()
            .filter(|(_, m)| !m.is_guard())
            .count();
        let known: usize = self.relevance.values().map(|r| r.len()).sum();
        match round {
            1 => !self.discovered.is_empty(),
            _ => found * LEAST_SHARE > known,
        }
    }

    /// In functions with jumps that are not understood: calls that do not return. What code would
    /// come after them is often what makes the jump hard to understand.
    fn stops(&self) -> BTreeMap<FunctionId, BTreeSet<u64>> {
        let puzzling = |id: FunctionId| {
            self.functions.all[id.0 as usize].puzzling && !self.functions.knows_stops(id)
        };
        let mut made: BTreeMap<FunctionId, BTreeSet<u64>> = BTreeMap::new();
        let mut returning = BTreeSet::new();
        for instance in self.instances.iter().filter(|i| puzzling(i.function)) {
            let summary = &self.functions.all[instance.function.0 as usize].summary;
            let made = made.entry(instance.function).or_default();
            for (block, n) in summary.blocks.iter().zip(0..) {
                let Exit::Call(_, Some(next), _) = block.exit else {
                    continue;
                };
                if instance.found.goes(n, next) {
                    returning.insert(block.last);
                } else if instance.found.comes_to(n) {
                    made.insert(block.last);
                }
            }
        }
        for calls in made.values_mut() {
            calls.retain(|at| !returning.contains(at));
        }
        made.retain(|_, calls| !calls.is_empty());
        made
    }

    /// This round has taken so long that it must come to an end.
    fn is_spent(&self) -> bool {
        self.visits > MOST_VISITS * self.functions.blocks
    }

    /// What the outside supplies to a function.
    fn surroundings<'b>(&'b self, function: FunctionId, context: &'b Context) -> Surroundings<'b> {
        Surroundings {
            image: self.image,
            context,
            written: &self.written,
            function,
            memory: &self.memory,
        }
    }

    /// Notes where an instance is entered from; whether that was not known.
    fn enter(&mut self, id: InstanceId, entered: Entered) -> bool {
        let new = self.entered.insert((id, entered));
        if new {
            self.entries.push((id, entered));
        }
        new
    }

    /// The instance of the function at `address` under `context`.
    fn instance(&mut self, address: u64, context: Context) -> InstanceId {
        let function = self.functions.at(self.image, address);
        let known = self.by_context.entry(function).or_default();
        if let Some((_, id)) = known.iter().find(|(c, _)| **c == context) {
            return *id;
        }
        let id = InstanceId(self.instances.len() as u32);
        let context = Arc::new(context);
        known.push((Arc::clone(&context), id));
        self.instances.push(Instance::new(function, context));
        self.pending.insert(id);
        id
    }

    /// What of `passed` tells instances of the function apart; `None` while something that is
    /// passed has no value.
    fn context(
        &mut self,
        function: FunctionId,
        mut passed: impl FnMut(Input) -> Domain,
    ) -> Option<Context> {
        let Some(relevance) = self.relevance.get(&function) else {
            return Some(Context::new());
        };
        let mut context = Context::new();
        let mut guards = Context::new();
        for input in relevance.kept() {
            match passed(input) {
                Domain::Anything => {}
                Domain::Nothing => return None,
                d => context.push((input, d)),
            }
        }
        for &input in relevance.pointer.iter().filter(|i| !relevance.keeps(i)) {
            match passed(input) {
                Domain::Nothing => return None,
                d if self.points_to_constants(&d) || self.memory.knows(&d) => {
                    context.push((input, d));
                }
                _ => {}
            }
        }
        context.sort_by_key(|(i, _)| *i);
        for &input in relevance.guard.iter().filter(|i| !relevance.keeps(i)) {
            if let Some(c) = passed(input).single() {
                let d = if self.image.object_of(Addr(c)).is_some() {
                    // Which object it is decides no branch that matters; that it is one does.
                    Domain::Range(1, u64::MAX, 1)
                } else {
                    Domain::one(c)
                };
                guards.push((input, d));
            }
        }
        let known = self.by_context.get(&function).map_or(0, Vec::len);
        let blocks = self.functions.all[function.0 as usize].summary.blocks.len();
        let many = known >= MOST_CONTEXTS && known * blocks >= FEW_CONTEXT_BLOCKS;
        if many || self.is_spent() {
            let exact = &relevance.exact;
            let number =
                |(input, d): &(Input, Domain)| exact.contains(input) && d.single().is_some();
            let context = context.into_iter().filter(number).collect::<Context>();
            return Some(
                match known * blocks < MOST_CONTEXT_BLOCKS && !self.is_spent() {
                    true => context,
                    false => self.known_or_none(function, context),
                },
            );
        }
        // Who runs with anything runs all that a guard would leave out.
        if !guards.is_empty() && !self.free.contains(&function) {
            let mut both = context.clone();
            both.extend(guards);
            both.sort_by_key(|(i, _)| *i);
            both.dedup_by_key(|(i, _)| *i);
            let exists = self
                .by_context
                .get(&function)
                .is_some_and(|all| all.iter().any(|(c, _)| **c == both));
            let count = self.guard_contexts.entry(function).or_default();
            if exists || *count < MOST_GUARD_CONTEXTS {
                if !exists {
                    *count += 1;
                }
                return Some(both);
            }
        }
        Some(context)
    }

    fn points_to_constants(&self, pointer: &Domain) -> bool {
        pointer
            .values(domain::MOST_VALUES as u64)
            .is_some_and(|all| {
                all.iter().all(|&at| {
                    self.image
                        .region(Addr(at))
                        .is_some_and(|r| !r.writable && !r.executable)
                })
            })
    }

    fn known_or_none(&self, function: FunctionId, context: Context) -> Context {
        let known = self
            .by_context
            .get(&function)
            .is_some_and(|all| all.iter().any(|(c, _)| **c == context));
        if known { context } else { Context::new() }
    }
}
