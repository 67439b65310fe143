//! Functions of the program that were reached.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use super::FunctionId;
use super::ahead::Ahead;
use crate::image::{Addr, Image};
use crate::isa::Lifter;
use crate::summary::{
    Above, Exit, Lost, Summary, Trust, Value, ValueId, begins_in, summarise, watch,
};

/// What a function relies on until it is found to be wrong.
fn trusting(image: &Image, entry: u64) -> Trust {
    Trust {
        frame: true,
        // Functions of Go preserve no registers ("Go internal ABI specification").
        saved: !image.is_go(Addr(entry)),
        above: Above::NONE,
    }
}

/// A function that was reached in some round.
#[derive(Debug)]
pub struct Function {
    /// What it does.
    pub summary: Arc<Summary>,
    /// The same with what it does to memory, once somebody asked.
    watched: Option<Arc<Summary>>,
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
    /// The function at `entry` as it is if all that it calls keeps to the conventions.
    pub(super) fn trusting(image: &Image, lifter: &mut Lifter, entry: u64) -> Function {
        let trust = trusting(image, entry);
        Function::new(image, lifter, entry, trust, &BTreeSet::new())
    }

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
            watched: None,
            leaf,
            trampoline,
        }
    }
}

impl Function {
    /// Whether an address inside it is for its own jumps alone, and they are known: a label may
    /// not be jumped to from another function (GCC manual, "Labels as Values"). One that none of them
    /// leads to is for somebody else: `__builtin_longjmp`, a part of the function elsewhere.
    pub(super) fn owns(&self, label: u64) -> bool {
        !self.jumps_anywhere && self.labels.contains(&label)
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
pub(super) struct Functions<'a> {
    /// Those that were reached.
    pub(super) all: Vec<Function>,
    by_address: FxHashMap<u64, FunctionId>,
    /// Blocks of all of them.
    pub(super) blocks: u64,
    ahead: &'a Ahead,
    /// Functions that may not rely on everything that compilers rely on.
    distrusted: FxHashMap<FunctionId, Trust>,
    /// Calls that do not return, of functions that are easier to understand so.
    stops: FxHashMap<FunctionId, BTreeSet<u64>>,
    lifter: Lifter,
}

impl<'a> Functions<'a> {
    /// None yet; what was summarised `ahead` is taken from there.
    pub(super) fn new(image: &Image, ahead: &'a Ahead) -> Functions<'a> {
        Functions {
            all: Vec::new(),
            by_address: FxHashMap::default(),
            blocks: 0,
            ahead,
            distrusted: FxHashMap::default(),
            stops: FxHashMap::default(),
            lifter: Lifter::of(image.convention),
        }
    }

    /// The function at `address`.
    pub(super) fn at(&mut self, image: &Image, address: u64) -> FunctionId {
        if let Some(&id) = self.by_address.get(&address) {
            return id;
        }
        let id = FunctionId(self.all.len() as u32);
        let function = match self.ahead.take(address) {
            Some(function) => function,
            None => {
                let function = Function::trusting(image, &mut self.lifter, address);
                self.ahead.tell(image, &function.summary);
                function
            }
        };
        self.blocks += function.summary.blocks.len() as u64;
        self.all.push(function);
        self.by_address.insert(address, id);
        id
    }

    /// What a function does, with what it does to memory.
    pub(super) fn watched(&mut self, image: &Image, id: FunctionId) -> Arc<Summary> {
        if let Some(known) = &self.all[id.0 as usize].watched {
            return Arc::clone(known);
        }
        let entry = self.all[id.0 as usize].summary.entry;
        let none = BTreeSet::new();
        let stops = self.stops.get(&id).unwrap_or(&none);
        let trust = self.trust(image, id);
        let summary = Arc::new(watch(image, &mut self.lifter, entry, trust, stops));
        self.all[id.0 as usize].watched = Some(Arc::clone(&summary));
        summary
    }

    /// Whether `at` is inside of an instruction of the function that runs, and none of its instructions begins there.
    /// `runs` tells which blocks do: behind a call that does not return are no instructions, perhaps.
    pub(super) fn is_inside_instruction(
        &mut self,
        image: &Image,
        id: FunctionId,
        at: u64,
        runs: impl Fn(u32) -> bool,
    ) -> bool {
        let blocks = &self.all[id.0 as usize].summary.blocks;
        let mut inside = false;
        for (block, n) in blocks.iter().zip(0..) {
            match begins_in(image, &mut self.lifter, block, at) {
                Some(true) => return false,
                Some(false) => inside |= runs(n),
                None => {}
            }
        }
        inside
    }

    /// What the function may rely on.
    pub(super) fn trust(&self, image: &Image, id: FunctionId) -> Trust {
        let known = self.distrusted.get(&id).copied();
        known.unwrap_or_else(|| trusting(image, self.all[id.0 as usize].summary.entry))
    }

    /// Whether it was tried to understand the function better by which calls do not return.
    pub(super) fn knows_stops(&self, id: FunctionId) -> bool {
        self.stops.contains_key(&id)
    }

    /// Whether an earlier round found that the call at `at` does not return.
    pub(super) fn stopped(&self, id: FunctionId, at: u64) -> bool {
        self.stops.get(&id).is_some_and(|all| all.contains(&at))
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
            let known = self.trust(image, id);
            let both = Trust {
                frame: known.frame && trust.frame,
                saved: known.saved && trust.saved,
                above: known.above.join(trust.above),
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
            .map_init(
                || Lifter::of(image.convention),
                |lifter, &id| {
                    let entry = self.all[id.0 as usize].summary.entry;
                    let stops = self.stops.get(&id).unwrap_or(&none);
                    Function::new(image, lifter, entry, self.trust(image, id), stops)
                },
            )
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
