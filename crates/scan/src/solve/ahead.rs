//! Functions that will probably be reached, summarised on the cores that the solver does not use.
//!
//! What the roots lead to, when every branch can be taken and every address that is named is
//! called, is only a guess: what it misses is summarised when it is reached, and what is too much
//! is never looked at. A summary depends on bytes alone, so it does not matter who makes it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rustc_hash::{FxHashMap, FxHashSet};

use super::data::Data;
use super::function::Function;
use super::lookup::Services;
use crate::image::{Addr, Image, Slot};
use crate::isa::Lifter;
use crate::summary::{Exit, Reference, Summary, Value};

/// Functions that are summarised ahead of the solver.
pub(super) struct Ahead {
    state: Mutex<State>,
    /// There is more to do, or nothing more will come.
    changed: Condvar,
}

struct State {
    named: Named,
    /// Functions that somebody summarises or has summarised.
    begun: FxHashSet<u64>,
    /// Those that the solver has not asked for yet.
    done: FxHashMap<u64, Function>,
    ended: bool,
}

impl Ahead {
    /// Begins with the roots.
    pub(super) fn new(image: &Image) -> Ahead {
        let mut named = Named {
            services: Services::new(image),
            seen: FxHashSet::default(),
            new: Vec::new(),
            data: Data::default(),
        };
        for root in image.roots() {
            named.code(image, root.at.0);
        }
        let state = State {
            named,
            begun: FxHashSet::default(),
            done: FxHashMap::default(),
            ended: false,
        };
        Ahead {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked ends the solver as well.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Summarises until [`Ahead::end`].
    pub(super) fn work(&self, image: &Image) {
        let mut lifter = Lifter::of(image.convention);
        let mut state = self.state();
        while !state.ended {
            let Some(entry) = state.named.new.pop() else {
                let waited = self.changed.wait(state);
                state = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            if !state.begun.insert(entry) {
                continue;
            }
            drop(state);
            let function = Function::trusting(image, &mut lifter, entry);
            state = self.state();
            state.named.by(image, &function.summary);
            state.done.insert(entry, function);
        }
    }

    /// The function at `entry`, if it is ready; else the solver makes it.
    pub(super) fn take(&self, entry: u64) -> Option<Function> {
        let mut state = self.state();
        state.begun.insert(entry);
        state.done.remove(&entry)
    }

    /// The solver made a summary itself.
    pub(super) fn tell(&self, image: &Image, summary: &Summary) {
        let mut state = self.state();
        if !state.ended {
            state.named.by(image, summary);
            self.changed.notify_all();
        }
    }

    /// Nobody needs more.
    pub(super) fn end(&self) {
        self.state().ended = true;
        self.changed.notify_all();
    }
}

/// What code names.
struct Named {
    services: Services,
    seen: FxHashSet<u64>,
    /// Functions that were not seen before.
    new: Vec<u64>,
    data: Data,
}

impl Named {
    fn code(&mut self, image: &Image, at: u64) {
        let starts = image.is_code(Addr(at)) && image.function_around(Addr(at)).is_none();
        if starts && self.seen.insert(at) {
            self.new.push(at);
        }
    }

    fn by(&mut self, image: &Image, summary: &Summary) {
        for block in &summary.blocks {
            if let Exit::Call(call, ..) | Exit::TailCall(call) = &block.exit {
                match summary.graph.get(call.target) {
                    Value::Const(at) => self.code(image, at),
                    Value::Load(address, 8, _) => {
                        let slot = summary.graph.constant_of(address);
                        let held = slot.and_then(|at| image.fixed_slot(Addr(at)));
                        self.slots(image, held.into_iter().collect());
                    }
                    _ => {}
                }
            }
            for reference in &block.references {
                match *reference {
                    Reference::Address(at) => self.slots(image, vec![Slot::Address(Addr(at))]),
                    Reference::Bytes { at, size } => {
                        let found = self.data.reach_bytes(image, at, u64::from(size));
                        self.slots(image, found.into_iter().map(|(_, slot)| slot).collect());
                    }
                    Reference::Stored(_)
                    | Reference::Written { .. }
                    | Reference::Assigned { .. }
                    | Reference::Indexed { .. }
                    | Reference::Computed(_) => {}
                }
            }
        }
    }

    fn slots(&mut self, image: &Image, mut pending: Vec<Slot>) {
        while let Some(slot) = pending.pop() {
            match slot {
                Slot::Address(at) | Slot::Resolver(at) if image.is_code(at) => {
                    self.code(image, at.0);
                    if image.is_mixed(at) {
                        let found = self.data.reach_object(image, at.0);
                        pending.extend(found.into_iter().map(|(_, slot)| slot));
                    }
                }
                Slot::Address(at) => {
                    let found = self.data.reach_object(image, at.0);
                    pending.extend(found.into_iter().map(|(_, slot)| slot));
                    for (service, exports) in self.services.exports(image, at.0) {
                        let roots = image.service_roots(service).into_iter().map(|r| r.at);
                        let named = exports.into_iter().map(|(at, _)| at);
                        pending.extend(roots.chain(named).map(Slot::Address));
                    }
                }
                Slot::Resolver(_) | Slot::Value(_) => {}
            }
        }
    }
}
