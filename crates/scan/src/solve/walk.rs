//! One walk through the blocks of an instance that can run, as far as is known: which system
//! calls it makes, what it calls, what it returns.
//!
//! Blocks come in reverse postorder, so that what is asked of a value was found before; only
//! where a loop brings more than was known does the walk begin anew.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::rc::Rc;
use std::sync::Arc;

use super::call::Outcome;
use super::domain::Domain;
use super::evaluate::{Evaluator, Surroundings};
use super::instance::SiteCall;
use super::start::Start;
use super::{FunctionId, InstanceId, MOST_NUMBERS, Solver};
use crate::image::Addr;
use crate::isa::{Convention, RegSet};
use crate::kernel::MakesExecutable;
use crate::summary::{
    self, ANY, Above, Call, Entry, Exit, Lost, Reference, Registers, Summary, Trust, Value, ValueId,
};

/// Places that one access with an index is followed to; more are the whole section.
const MOST_INDEXED: u64 = 4096;
/// Memory of finished walks that is kept for the next.
const MOST_SCRATCH: usize = 64;

/// What one walk found.
#[derive(Default)]
pub(super) struct Pass {
    /// It can come back to its caller.
    pub returns: bool,
    /// With this.
    pub result: Domain,
    /// More than once.
    pub twice: bool,
    /// To its caller's caller instead.
    pub over: bool,
    /// Registers that it returns as it found them.
    pub kept: RegSet,
    /// What it, and what it calls, write of its caller's frame.
    pub above: Above,
    /// System calls by address.
    pub sites: BTreeMap<u64, SiteCall>,
    /// System calls by another convention, by address.
    pub foreign: BTreeMap<u64, &'static str>,
    /// Where control leaves what is understood, by address.
    pub lost: BTreeMap<u64, Lost>,
    /// Calls that look up a name that is not known, by address.
    pub lookups: BTreeSet<u64>,
    /// Calls that start something, by address.
    pub starts: BTreeMap<u64, Start>,
    /// Calls and jumps whose target may be any taken function, by address.
    pub unresolved: BTreeSet<u64>,
}

impl Pass {
    /// Of what comes back to nobody so far, and writes `above` itself.
    fn new(above: Above) -> Pass {
        Pass {
            kept: RegSet::ALL,
            above,
            ..Pass::default()
        }
    }
}

/// An instance on its way.
pub(super) struct Walk<'a> {
    pub id: InstanceId,
    pub function: FunctionId,
    pub body: &'a Summary,
    pub convention: &'static Convention,
    pub evaluator: Evaluator<'a>,
    pub pass: Pass,
    /// Blocks that were entered, in that order, and per block whether it was.
    entered: Vec<u32>,
    seen: Vec<bool>,
    /// Those of them to look at, by their place in reverse postorder.
    pending: BinaryHeap<Reverse<(u32, u32)>>,
}

impl Walk<'_> {
    /// Control can go on from one block to another.
    fn go(&mut self, from: u32, to: u32) {
        self.evaluator.take(from, to);
        self.enter(to);
    }

    fn enter(&mut self, block: u32) {
        if !std::mem::replace(&mut self.seen[block as usize], true) {
            self.entered.push(block);
            let place = self.body.places[block as usize];
            self.pending.push(Reverse((place, block)));
        }
    }

    fn restart(&mut self) {
        self.pass = Pass::new(self.body.above);
        self.entered.clear();
        self.seen.fill(false);
        self.evaluator.forget();
        self.enter(0);
    }

    /// Of the registers that it has not saved, it keeps those that hold what they held at entry.
    fn leave_with(&mut self, registers: &Registers) {
        let unsaved = self
            .convention
            .callee_saved
            .and(self.body.saved.complement());
        for reg in self.convention.caller_saved.iter().chain(unsaved.iter()) {
            if self.pass.kept.contains(reg) && !self.evaluator.preserved(registers[reg], reg) {
                self.pass.kept.remove(reg);
            }
        }
    }

    /// What is called writes so of this frame: some of it may lie in that of the caller.
    fn writes_above(&mut self, call: &Call, above: Above) {
        let top = self
            .body
            .graph
            .get(call.registers[self.convention.stack_pointer]);
        // Where the frame has parts of unknown size, the callee's is far from the caller's.
        if let Value::Frame(top) = top
            && i32::try_from(top).is_ok()
        {
            let own = above.moved(top).beyond(self.convention.pushed());
            self.pass.above = self.pass.above.join(own);
        }
    }

    /// It comes back in a way of which nothing is known.
    fn comes_back(&mut self) {
        self.pass.returns = true;
        self.pass.kept = self.pass.kept.and(self.convention.callee_saved);
        self.pass.result = Domain::Anything;
    }
}

impl Solver<'_> {
    /// Runs an instance that was never run, unless calls are nested too deep: then it is run
    /// later, and its callers again after it.
    pub(super) fn begin(&mut self, id: InstanceId) {
        if !self.instances[id.0 as usize].begun && self.deeper > 0 {
            self.pending.remove(&id);
            self.deeper -= 1;
            self.activate(id);
            self.deeper += 1;
        }
    }

    /// Runs an instance's blocks as far as is known now.
    pub(super) fn activate(&mut self, id: InstanceId) {
        let instance = &mut self.instances[id.0 as usize];
        instance.begun = true;
        let function = instance.function;
        let context = Arc::clone(&instance.context);
        let found = std::mem::take(&mut instance.found);
        let body = Arc::clone(&self.functions.all[function.0 as usize].summary);
        let go = self.image.is_go(Addr(body.entry));
        let written = Rc::clone(&self.written);
        let memory = Rc::clone(&self.memory);
        let around = Surroundings {
            image: self.image,
            context: &context,
            written: &written,
            function,
            memory: &memory,
        };
        let scratch = self.scratch.pop().unwrap_or_default();
        let mut walk = Walk {
            id,
            function,
            body: &body,
            convention: self.image.convention,
            evaluator: Evaluator::new(&body.graph, around, found, scratch),
            pass: Pass::new(body.above),
            entered: Vec::new(),
            seen: vec![false; body.blocks.len()],
            pending: BinaryHeap::new(),
        };
        loop {
            walk.restart();
            while let Some(Reverse((_, block))) = walk.pending.pop() {
                self.visits += 1;
                self.step(&mut walk, block);
            }
            if !walk.evaluator.is_stale() {
                break;
            }
        }
        if self.left_by_part.contains(&function) {
            walk.comes_back();
        }
        let Walk {
            mut evaluator,
            mut pass,
            entered,
            ..
        } = walk;
        for block in entered {
            let first = self.referred.insert((function, block));
            let block = &body.blocks[block as usize];
            self.refer(id, block, first, &mut evaluator);
        }
        let (found, scratch) = evaluator.finish();
        if self.scratch.len() < MOST_SCRATCH {
            self.scratch.push(scratch);
        }
        self.instances[id.0 as usize].found = found;
        pass.twice |= body.keeps_return_address && pass.returns;
        if go && body.keeps_return_address && !pass.returns {
            // The runtime goes on there once it runs what waits (`gogo`).
            pass.returns = true;
            pass.kept = RegSet::NONE;
            pass.result = Domain::Anything;
        }
        pass.over |= body.replaces_return_address && pass.returns;
        self.conclude(id, pass);
    }

    /// What a block does to control at its end.
    fn step(&mut self, walk: &mut Walk<'_>, block: u32) {
        let (body, convention) = (walk.body, walk.convention);
        let at = body.blocks[block as usize].last;
        match &body.blocks[block as usize].exit {
            Exit::Jump(to) => walk.go(block, *to),
            Exit::Branch(test, yes, no) => self.branch(walk, block, *test, [*yes, *no]),
            Exit::Switch(all, trusted) => {
                for &to in all {
                    walk.go(block, to);
                }
                // A call that does not return, as far as is known, keeps all.
                let evaluator = &mut walk.evaluator;
                if !trusted.iter().all(|&(call, r)| evaluator.may_keep(call, r)) {
                    walk.pass.unresolved.insert(at);
                    self.open(walk.id, at);
                }
            }
            Exit::Call(call, next, pad) => {
                if let Some(pad) = pad {
                    walk.go(block, *pad);
                }
                let outcome = self.call(walk, at, call);
                // What it saves itself, and scratch registers, do not matter.
                let restored = body.saved.or(convention.callee_saved.complement());
                walk.pass.kept = walk.pass.kept.and(outcome.kept.or(restored));
                let trust = Trust {
                    frame: !outcome.twice,
                    saved: outcome.kept.contains_all(convention.callee_saved),
                    above: self.lost_to_callee(walk, call, outcome.above),
                };
                walk.writes_above(call, outcome.above.moved(-convention.pushed()));
                self.rely(walk.function, trust);
                if outcome.over {
                    walk.comes_back();
                }
                let result = match outcome.twice {
                    true => &Domain::Anything,
                    false => &outcome.result,
                };
                walk.evaluator.returned(at, result, outcome.kept);
                match next {
                    Some(next) if outcome.returns => walk.go(block, *next),
                    // It was found not to, in an earlier round.
                    None if outcome.returns && self.functions.stopped(walk.function, at) => {
                        self.revision.returned.insert((walk.function, at));
                    }
                    _ => {}
                }
            }
            Exit::TailCall(call) if self.begins_anew(walk, call) => {}
            Exit::TailCall(call) => {
                let Outcome {
                    returns,
                    kept,
                    result,
                    twice,
                    over,
                    above,
                } = self.call(walk, at, call);
                walk.writes_above(call, above);
                let restored = body.saved.and(convention.callee_saved);
                walk.pass.kept = walk.pass.kept.and(kept.or(restored));
                walk.leave_with(&call.registers);
                walk.pass.returns |= returns;
                walk.pass.twice |= twice;
                walk.pass.over |= over;
                walk.pass.result = walk.pass.result.join(&result);
            }
            Exit::Return(registers) => {
                walk.pass.returns = true;
                walk.leave_with(registers);
                let value = registers[convention.results[0]];
                let result = walk.evaluator.value(value);
                let relevance = self.relevance.get(&walk.function);
                if relevance.is_some_and(|r| r.result) && result.single().is_none() {
                    self.matters(walk.function, &body.graph, value);
                }
                walk.pass.result = walk.pass.result.join(&result);
            }
            Exit::Syscall(entry, next) => {
                let call = self.syscall(walk, entry);
                let returns = match call.number.values(MOST_NUMBERS) {
                    Some(all) => {
                        let no_return = &self.image.kernel().no_return;
                        all.iter().any(|n| !no_return.contains(&(n & 0xffff_ffff)))
                    }
                    None => true,
                };
                walk.pass.sites.insert(at, call);
                if returns && let Some(next) = next {
                    walk.go(block, *next);
                }
            }
            Exit::Foreign(kind, next) => {
                walk.pass.foreign.insert(at, *kind);
                if let Some(next) = next {
                    walk.go(block, *next);
                }
            }
            Exit::Stop => {}
            Exit::Lost(why) => {
                walk.pass.lost.insert(at, *why);
                // What is not understood may come back, whatever it changed.
                if *why != Lost::NotCode {
                    walk.comes_back();
                }
            }
        }
    }

    /// Whether a jump leads back to where the same instance begins: it adds nothing.
    fn begins_anew(&mut self, walk: &mut Walk<'_>, call: &Call) -> bool {
        if walk.body.graph.constant_of(call.target) != Some(walk.body.entry) {
            return false;
        }
        let evaluator = &mut walk.evaluator;
        let context = self.context(walk.function, |input| evaluator.value(call.passed(input)));
        context.is_some_and(|context| context == *self.instances[walk.id.0 as usize].context)
    }

    fn branch(&mut self, walk: &mut Walk<'_>, block: u32, test: ValueId, [yes, no]: [u32; 2]) {
        // Where it was seen to go both ways it always does: what is found of a function only grows.
        let both = walk.evaluator.goes(block, yes) && walk.evaluator.goes(block, no);
        if test == ANY || both {
            walk.go(block, yes);
            walk.go(block, no);
            return;
        }
        match walk.evaluator.value(test) {
            Domain::Nothing => {}
            d if d.single() == Some(0) => walk.go(block, no),
            d if d.single() == Some(1) => walk.go(block, yes),
            _ => {
                walk.go(block, yes);
                walk.go(block, no);
                self.guard(walk.function, &walk.body.graph, test);
            }
        }
    }

    /// What a call that writes `above` in the frame of its caller takes from this: nothing where it is never
    /// read again, as the words that arguments were passed in.
    fn lost_to_callee(&mut self, walk: &Walk<'_>, call: &Call, above: Above) -> Above {
        if above.is_none() {
            return above;
        }
        self.written_from_below.insert(walk.function);
        let top = walk
            .body
            .graph
            .get(call.registers[walk.convention.stack_pointer]);
        let read = match top {
            Value::Frame(top) => {
                let above = above.moved(top - walk.convention.pushed());
                walk.body.reads_frame(above.stretch())
            }
            _ => true,
        };
        match read {
            true => above,
            false => Above::NONE,
        }
    }

    /// Notes that a call in `function` leaves it no more than `trust` to rely on.
    fn rely(&mut self, function: FunctionId, trust: Trust) {
        let known = self.functions.trust(self.image, function);
        let above = known.above.join(trust.above);
        if (known.frame && !trust.frame) || (known.saved && !trust.saved) || above != known.above {
            let found = self.revision.distrusted.entry(function).or_insert(trust);
            found.frame &= trust.frame;
            found.saved &= trust.saved;
            found.above = found.above.join(trust.above);
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
                Reference::Address(_)
                | Reference::Stored(_)
                | Reference::Bytes { .. }
                | Reference::Written { .. }
                    if !first => {}
                Reference::Assigned { .. } => {}
                Reference::Stored(at) => {
                    self.note_part(id, at);
                    self.shared.insert(at);
                }
                Reference::Address(at) => {
                    self.hand_out(id, at, block.start);
                }
                Reference::Bytes { at, size } => self.reach_read(at, size, block.start),
                Reference::Written { at, size, .. } => self.write_early(at, size),
                Reference::Computed(value) => {
                    let all = evaluator.value(value).values(MOST_INDEXED);
                    let code = all.into_iter().flatten();
                    for at in code.filter(|&at| self.image.is_code(Addr(at))) {
                        self.shared.insert(at);
                        self.take(at, block.start);
                    }
                }
                Reference::Indexed {
                    base,
                    address,
                    size,
                } => {
                    let function = self.instances[id.0 as usize].function;
                    let known = self.indexed.get(&(function, address));
                    if known == Some(&Domain::Anything) || self.image.leads_nowhere(Addr(base)) {
                        continue;
                    }
                    let all = match evaluator.value(address) {
                        d if size > 0 && d.values(MOST_INDEXED).is_some() => d,
                        _ => Domain::Anything,
                    };
                    if known == Some(&all) {
                        continue;
                    }
                    match all.values(MOST_INDEXED) {
                        Some(all) => all
                            .into_iter()
                            .for_each(|at| self.reach_bytes(at, u64::from(size))),
                        None => self.reach_around(base),
                    }
                    self.indexed.insert((function, address), all);
                }
            }
        }
    }

    fn syscall(&mut self, walk: &mut Walk<'_>, entry: &Entry) -> SiteCall {
        let kernel = self.image.kernel();
        let graph = &walk.body.graph;
        let number = walk.evaluator.value(entry.number);
        if number.values(MOST_NUMBERS).is_none() || number.values(1).is_none() {
            self.matters(walk.function, graph, entry.number);
        }
        for number in number.values(MOST_NUMBERS).unwrap_or_default() {
            for decides in kernel.deciding(number) {
                let argument = entry.arguments[decides.argument];
                if walk.evaluator.value(argument).single().is_none() {
                    let makes = |call: &MakesExecutable| {
                        (call.number, call.argument) == (number, decides.argument)
                    };
                    // Where all kinds of calls are made, an argument of one is anything to the others.
                    let alone = graph.constant_of(entry.number).is_some();
                    match alone && kernel.makes_executable.iter().any(makes) {
                        true => self.matters(walk.function, graph, argument),
                        false => self.argues(walk.function, graph, argument),
                    }
                }
            }
        }
        SiteCall {
            number: number.number().zero_extend(32),
            arguments: entry.arguments.map(|a| walk.evaluator.value(a).number()),
        }
    }
}
