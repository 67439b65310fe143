//! Calls: which functions they enter, under which contexts, and what comes back.

use smallvec::SmallVec;

use super::domain::{Domain, MOST_VALUES};
use super::evaluate::{NEVER_MAPPED, fixed_slot};
use super::instance::SiteCall;
use super::walk::Walk;
use super::{Context, Entered, InstanceId, Solver};
use crate::image::{Addr, Slot};
use crate::isa::RegSet;
use crate::summary::{Above, Call, Value};

/// Linkage stubs that one call may lead through.
const MOST_STUBS: usize = 8;

/// Functions that a call enters, ascending, mostly one.
type Targets = SmallVec<[u64; 2]>;

fn add(targets: &mut Targets, address: u64) {
    if let Err(at) = targets.binary_search(&address) {
        targets.insert(at, address);
    }
}

/// What is known of a call's outcome.
pub(super) struct Outcome {
    /// It can come back.
    pub returns: bool,
    /// Registers that it keeps.
    pub kept: RegSet,
    /// What it returns.
    pub result: Domain,
    /// It may come back more than once.
    pub twice: bool,
    /// It may come back to the caller's caller.
    pub over: bool,
    /// What it writes of the caller's frame.
    pub above: Above,
}

impl Outcome {
    /// Of a call that enters nothing.
    fn none() -> Outcome {
        Outcome {
            returns: false,
            kept: RegSet::ALL,
            result: Domain::Nothing,
            twice: false,
            over: false,
            above: Above::NONE,
        }
    }

    /// Of a call of anything, which keeps what the convention says.
    fn unknown(kept: RegSet) -> Outcome {
        Outcome {
            returns: true,
            kept,
            result: Domain::Anything,
            ..Outcome::none()
        }
    }
}

impl Solver<'_> {
    /// Enters what the call at `at` can enter.
    pub(super) fn call(&mut self, walk: &mut Walk<'_>, at: u64, call: &Call) -> Outcome {
        let mut targets = Targets::new();
        let mut sum = Outcome::none();
        if !self.targets(walk, call, &mut targets) {
            walk.pass.unresolved.insert(at);
            self.open(walk.id, at);
            sum = Outcome::unknown(self.image.convention.callee_saved);
            if let Some(private) = self.memory.called.get(&at) {
                for &address in private {
                    add(&mut targets, address);
                }
            }
        }
        self.vsyscall(walk, at, call);
        for address in targets {
            if self.lookups.contains(address) {
                self.look_up(walk, at, call);
            }
            self.start(walk, at, address, call);
            let callee = self.functions.at(self.image, address);
            self.finish_pages(walk, callee, at, call);
            if self.callees.entry(at).or_default().insert(callee) {
                let callers = self.callers.entry(callee).or_default();
                callers.insert((walk.function, at));
            }
            let evaluator = &mut walk.evaluator;
            let Some(context) = self.context(callee, |input| evaluator.value(call.passed(input)))
            else {
                // Something that is passed has no value yet: the call is not reached yet.
                continue;
            };
            self.pass_on(walk.function, callee, call, &walk.body.graph, &context);
            let instance = self.instance(address, context);
            let new = self.enter(instance, Entered::From(walk.id, at));
            self.begin(instance);
            // Where functions of Go return things on the stack is known ([`Image::go_shares`]).
            let go = self.image.is_go(Addr(address));
            let found = &mut self.instances[instance.0 as usize];
            if new {
                found.dependents.insert(walk.id);
            }
            sum.returns |= found.returns;
            sum.kept = sum.kept.and(found.kept);
            sum.twice |= found.twice;
            sum.over |= found.over;
            if !go {
                sum.above = sum.above.join(found.above);
            }
            sum.result = sum.result.join(&found.result);
        }
        sum
    }

    /// Notes what the kernel serves where the call goes.
    fn vsyscall(&mut self, walk: &mut Walk<'_>, at: u64, call: &Call) {
        let served = &self.image.kernel().served;
        let constant = walk.body.graph.constant_of(call.target);
        if constant.is_some_and(|at| served.iter().all(|&(page, _)| page != at)) {
            return;
        }
        let target = walk.evaluator.value(call.target);
        let Some(all) = target.values(MOST_VALUES as u64) else {
            return;
        };
        let served = served.iter().filter(|(page, _)| all.contains(page));
        let number = Domain::of(served.map(|&(_, number)| number));
        if number != Domain::Nothing {
            let arguments = std::array::from_fn(|_| Domain::Anything);
            walk.pass.sites.insert(at, SiteCall { number, arguments });
        }
    }

    /// Adds the functions that a call enters; `false` when that is not known.
    fn targets(&mut self, walk: &mut Walk<'_>, call: &Call, targets: &mut Targets) -> bool {
        let graph = &walk.body.graph;
        match graph.get(call.target) {
            Value::Const(address) => self.resolve(walk.id, address, targets),
            Value::Load(address, 8, _)
                if let Some(slot) = graph.constant_of(address)
                    && let Some(held) = fixed_slot(self.image, &self.written, slot) =>
            {
                self.resolve_slot(walk.id, held, targets)
            }
            target => match walk.evaluator.value(call.target).values(MOST_VALUES as u64) {
                Some(all) => {
                    if let (Value::Ret(_), [_, _, ..]) = (target, &all[..]) {
                        // A callee that chooses, perhaps by what it is passed.
                        self.target(walk.function, graph, call.target);
                    }
                    all.into_iter().fold(true, |known, address| {
                        known & self.resolve(walk.id, address, targets)
                    })
                }
                None => {
                    if let Value::Load(address, ..) = target
                        && let Some(slot) = graph.constant_of(address)
                    {
                        // Written to before it is protected: what it held first is called too.
                        self.reach_bytes(slot, 8);
                    }
                    self.target(walk.function, graph, call.target);
                    false
                }
            },
        }
    }

    /// Adds the functions that a call of `address` enters; `false` when that is not known.
    fn resolve(&mut self, id: InstanceId, address: u64, targets: &mut Targets) -> bool {
        let called = address;
        if let Some(&end) = self.resolved.get(&called) {
            add(targets, end);
            return true;
        }
        let mut address = address;
        for _ in 0..MOST_STUBS {
            if !self.image.is_code(Addr(address)) {
                // A call of a null pointer faults (vm.mmap_min_addr); any other address that
                // holds no code is one that this analysis has wrong.
                return address < NEVER_MAPPED;
            }
            let function = self.functions.at(self.image, address);
            let Some(slot) = self.functions.all[function.0 as usize].trampoline else {
                self.resolved.insert(called, address);
                add(targets, address);
                return true;
            };
            match fixed_slot(self.image, &self.written, slot) {
                Some(Slot::Address(a)) => address = a.0,
                Some(held) => return self.resolve_slot(id, held, targets),
                None => break,
            }
        }
        self.resolved.insert(called, address);
        add(targets, address);
        true
    }

    fn resolve_slot(&mut self, id: InstanceId, slot: Slot, targets: &mut Targets) -> bool {
        match slot {
            Slot::Address(a) => self.resolve(id, a.0, targets),
            // Weak and undefined: the call faults.
            Slot::Value(0) => true,
            Slot::Value(_) => false,
            Slot::Resolver(r) => {
                let resolver = self.instance(r.0, Context::new());
                self.enter(resolver, Entered::Root);
                self.begin(resolver);
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
