//! Functions of the program, summarised when they are first reached, or before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use super::FunctionId;
use super::data::Data;
use super::lookup::Services;
use crate::image::{Addr, Image, Slot};
use crate::isa::x86_64::Lifter;
use crate::summary::{Exit, Lost, Reference, Summary, Trust, Value, ValueId, summarise};

/// What a function relies on until it is found to be wrong.
const TRUSTING: Trust = Trust {
    frame: true,
    saved: true,
};

/// A function that was reached in some round.
#[derive(Debug)]
pub struct Function {
    /// What it does.
    pub summary: Arc<Summary>,
    /// It does nothing but jump to what this linkage slot holds.
    pub trampoline: Option<u64>,
    /// It calls nothing, the kernel included: which of its branches are taken matters to nobody.
    pub(super) leaf: bool,
    /// It has a computed jump that looks like one through a table and was not understood.
    pub(super) puzzling: bool,
    /// Where its computed jumps lead.
    labels: FxHashSet<u64>,
    /// Where some of them lead is not known.
    jumps_anywhere: bool,
}

impl Function {
    fn new(
        image: &Image,
        lifter: &mut Lifter,
        entry: u64,
        trust: Trust,
        stops: &BTreeSet<u64>,
    ) -> Function {
        let summary = summarise(image, lifter, entry, trust, stops);
        let trampoline = match &summary.blocks[..] {
            [only] => match &only.exit {
                Exit::TailCall(call) => linkage_slot(image, &summary, call.target),
                _ => None,
            },
            _ => None,
        };
        let leaf = summary.blocks.iter().all(|b| {
            matches!(
                b.exit,
                Exit::Jump(_) | Exit::Branch(..) | Exit::Switch(..) | Exit::Return(_) | Exit::Stop
            )
        });
        let switches = summary.blocks.iter().filter_map(|b| match &b.exit {
            Exit::Switch(all, _) => Some(all),
            _ => None,
        });
        let labels = switches
            .flatten()
            .map(|&to| summary.blocks[to as usize].start);
        let jumps_anywhere = summary.blocks.iter().any(|b| match &b.exit {
            Exit::TailCall(call) => match summary.graph.constant_of(call.target) {
                // Into the middle of a function: what runs there is not part of this summary.
                Some(to) => image.function_around(Addr(to)).is_some(),
                None => linkage_slot(image, &summary, call.target).is_none(),
            },
            Exit::Lost(_) => true,
            _ => false,
        });
        let puzzling = summary.blocks.iter().any(|b| match &b.exit {
            Exit::TailCall(call) => matches!(
                summary.graph.get(call.target),
                Value::Binary(..) | Value::Phi(_) | Value::Select(..)
            ),
            Exit::Lost(why) => *why == Lost::Table,
            _ => false,
        });
        Function {
            puzzling,
            labels: labels.collect(),
            jumps_anywhere,
            summary: Arc::new(summary),
            leaf,
            trampoline,
        }
    }
}

impl Function {
    /// Whether an address inside it is for its own jumps alone, and they are known: a label may
    /// not be jumped to from another function (GCC manual, "Labels as Values").
    pub(super) fn owns(&self, image: &Image, label: u64) -> bool {
        // What nothing calls may be a part of a function whose jumps are elsewhere.
        let whole = image.called_start(Addr(self.summary.entry));
        !self.jumps_anywhere && (whole || self.labels.contains(&label))
    }
}

/// The linkage slot that `target` is loaded from.
fn linkage_slot(image: &Image, summary: &Summary, target: ValueId) -> Option<u64> {
    let Value::Load(address, 8, _) = summary.graph.get(target) else {
        return None;
    };
    let at = summary.graph.constant_of(address)?;
    image.fixed_slot(Addr(at))?;
    Some(at)
}

/// Functions by address.
#[derive(Default)]
pub(super) struct Functions {
    /// Those that were reached.
    pub(super) all: Vec<Function>,
    by_address: FxHashMap<u64, FunctionId>,
    /// Blocks of all of them.
    pub(super) blocks: u64,
    /// Those that were summarised and not reached yet.
    ahead: FxHashMap<u64, Function>,
    /// Functions that may not rely on everything that compilers rely on.
    distrusted: FxHashMap<FunctionId, Trust>,
    /// Calls that do not return, of functions that are easier to understand so.
    stops: FxHashMap<FunctionId, BTreeSet<u64>>,
    lifter: Lifter,
}

impl Functions {
    /// Summarises, on all cores, what the roots lead to when every branch can be taken and every
    /// address that is named is called. It is only a guess at what will be reached: what it
    /// misses is summarised when it is, and what is too much is never looked at.
    pub(super) fn ahead(image: &Image) -> Functions {
        let mut functions = Functions::default();
        let mut named = Named {
            services: Services::new(image),
            seen: FxHashSet::default(),
            new: Vec::new(),
            data: Data::default(),
        };
        let roots = image.roots();
        roots.iter().for_each(|root| named.code(image, root.at.0));
        while !named.new.is_empty() {
            let entries = std::mem::take(&mut named.new);
            let summarised: Vec<Function> = entries
                .par_iter()
                .map_init(Lifter::default, |lifter, &entry| {
                    Function::new(image, lifter, entry, TRUSTING, &BTreeSet::new())
                })
                .collect();
            for (entry, function) in entries.into_iter().zip(summarised) {
                named.by(image, &function.summary);
                functions.ahead.insert(entry, function);
            }
        }
        functions
    }

    /// The function at `address`.
    pub(super) fn at(&mut self, image: &Image, address: u64) -> FunctionId {
        if let Some(&id) = self.by_address.get(&address) {
            return id;
        }
        let id = FunctionId(self.all.len() as u32);
        let function = match self.ahead.remove(&address) {
            Some(function) => function,
            None => Function::new(image, &mut self.lifter, address, TRUSTING, &BTreeSet::new()),
        };
        self.blocks += function.summary.blocks.len() as u64;
        self.all.push(function);
        self.by_address.insert(address, id);
        id
    }

    /// What the function may rely on.
    pub(super) fn trust(&self, id: FunctionId) -> Trust {
        self.distrusted.get(&id).copied().unwrap_or(TRUSTING)
    }

    /// Whether it was tried to understand the function better by which calls do not return.
    pub(super) fn knows_stops(&self, id: FunctionId) -> bool {
        self.stops.contains_key(&id)
    }

    /// Summarises functions anew that rely on something else than before.
    pub(super) fn revise(&mut self, image: &Image, revision: Revision) {
        let mut anew: BTreeSet<FunctionId> = revision.stops.keys().copied().collect();
        self.stops.extend(revision.stops);
        for (id, at) in revision.returned {
            anew.insert(id);
            self.stops.entry(id).or_default().remove(&at);
        }
        for (id, trust) in revision.distrusted {
            let known = self.trust(id);
            let both = Trust {
                frame: known.frame && trust.frame,
                saved: known.saved && trust.saved,
            };
            if both != known {
                self.distrusted.insert(id, both);
                anew.insert(id);
            }
        }
        let anew: Vec<FunctionId> = anew.into_iter().collect();
        let none = BTreeSet::new();
        let summarised: Vec<Function> = anew
            .par_iter()
            .map_init(Lifter::default, |lifter, &id| {
                let entry = self.all[id.0 as usize].summary.entry;
                let stops = self.stops.get(&id).unwrap_or(&none);
                Function::new(image, lifter, entry, self.trust(id), stops)
            })
            .collect();
        for (id, function) in anew.into_iter().zip(summarised) {
            self.all[id.0 as usize] = function;
        }
    }
}

/// What a round found of calls, beyond or against what summaries rely on.
#[derive(Default)]
pub(super) struct Revision {
    /// Functions whose calls break what they rely on.
    pub(super) distrusted: BTreeMap<FunctionId, Trust>,
    /// Calls that do not return, of functions that are better understood without what would come
    /// after them.
    pub(super) stops: BTreeMap<FunctionId, BTreeSet<u64>>,
    /// Calls that return although an earlier round found that they do not.
    pub(super) returned: BTreeSet<(FunctionId, u64)>,
}

impl Revision {
    pub(super) fn is_empty(&self) -> bool {
        self.distrusted.is_empty() && self.stops.is_empty() && self.returned.is_empty()
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
                        self.slots(image, found);
                    }
                    Reference::Written { .. } | Reference::Indexed { .. } => {}
                }
            }
        }
    }

    fn slots(&mut self, image: &Image, mut pending: Vec<Slot>) {
        while let Some(slot) = pending.pop() {
            match slot {
                Slot::Address(at) | Slot::Resolver(at) if image.is_code(at) => {
                    self.code(image, at.0);
                }
                Slot::Address(at) => {
                    pending.extend(self.data.reach_object(image, at.0));
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
