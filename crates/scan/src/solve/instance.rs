//! One function under one context: what is known of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::domain::Domain;
use super::evaluate::Found;
use super::start::Start;
use super::walk::Pass;
use super::{Context, FunctionId, InstanceId, MOST_NUMBERS, Solver};
use crate::image::Addr;
use crate::isa::RegSet;
use crate::summary::{Above, Lost};

/// How often a result may grow before nothing is known of it: around a recursion it could grow
/// by one value after the other.
const MOST_GROWTHS: u8 = 12;
/// The same for results that flow into no number and no target.
const MOST_IDLE_GROWTHS: u8 = 3;

/// A function under one context.
#[derive(Debug)]
pub struct Instance {
    /// Which function.
    pub function: FunctionId,
    /// What its callers pass.
    pub context: Arc<Context>,
    /// It was run, or is being run.
    pub(super) begun: bool,
    /// What was found of the ways through it and of its calls.
    pub(super) found: Found,
    /// It can come back to its caller.
    pub returns: bool,
    /// Scratch registers that it returns as it found them: compilers rely on that
    /// between functions of one file (`-fipa-ra`).
    pub(super) kept: RegSet,
    /// What it writes of its caller's frame.
    pub(super) above: Above,
    /// How often that grew.
    above_growths: u8,
    /// What it returns.
    pub(super) result: Domain,
    /// How often that grew.
    growths: u8,
    /// Its caller may see it return more than once.
    pub(super) twice: bool,
    /// It can come back to its caller's caller instead.
    pub(super) over: bool,
    /// Its result is a function that may be called from anywhere.
    pub(super) feeds_taken: bool,
    /// Instances that call it.
    pub(super) dependents: BTreeSet<InstanceId>,
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

/// What a system call can be.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct SiteCall {
    /// The number register.
    pub number: Domain,
    /// The argument registers.
    pub arguments: [Domain; 6],
}

impl SiteCall {
    /// Whether it can be the call `number`, as far as is known.
    pub fn can_be(&self, number: u64) -> bool {
        let all = self.number.values(MOST_NUMBERS);
        all.is_none_or(|all| all.contains(&number))
    }
}

impl Instance {
    /// Whether its caller may see it return more than once.
    pub fn returns_twice(&self) -> bool {
        self.twice || self.over
    }

    /// Whether control can go from block to block.
    pub fn goes(&self, from: u32, to: u32) -> bool {
        self.found.goes(from, to)
    }

    pub(super) fn new(function: FunctionId, context: Arc<Context>) -> Instance {
        Instance {
            function,
            context,
            begun: false,
            found: Found::default(),
            returns: false,
            kept: RegSet::ALL,
            above: Above::NONE,
            above_growths: 0,
            result: Domain::Nothing,
            growths: 0,
            twice: false,
            over: false,
            feeds_taken: false,
            dependents: BTreeSet::new(),
            sites: BTreeMap::new(),
            foreign: BTreeMap::new(),
            lost: BTreeMap::new(),
            lookups: BTreeSet::new(),
            starts: BTreeMap::new(),
            unresolved: BTreeSet::new(),
        }
    }
}

impl Solver<'_> {
    /// Takes over what a walk found; who depends on it walks again if that is more.
    pub(super) fn conclude(&mut self, id: InstanceId, pass: Pass) {
        let kernel = self.image.kernel();
        let mut sites = pass.sites.iter();
        let takes_handler = sites.find(|(_, site)| site.can_be(kernel.takes_handler));
        let takes_handler = takes_handler.map(|(at, _)| *at);
        let spent = self.is_spent();
        let entry = self.functions.all[self.instances[id.0 as usize].function.0 as usize]
            .summary
            .entry;
        if pass.returns
            && let Some(&whole) = self.parts.get(&entry)
            && self.left_by_part.insert(whole)
        {
            let all = self.by_context.get(&whole).into_iter().flatten();
            self.pending.extend(all.map(|(_, id)| *id));
        }
        // In Go, nothing.
        let restored = match self.image.is_go(Addr(entry)) {
            true => RegSet::NONE,
            false => self.image.convention.callee_saved,
        };
        let instance = &mut self.instances[id.0 as usize];
        let mut result = match pass.twice {
            true => Domain::Anything,
            false => instance.result.join(&pass.result),
        };
        if result != instance.result {
            instance.growths += 1;
            let relevance = self.relevance.get(&instance.function);
            let most = match relevance.is_some_and(|r| r.result) {
                true => MOST_GROWTHS,
                false => MOST_IDLE_GROWTHS,
            };
            if instance.growths > most || spent {
                result = Domain::Anything;
            }
        }
        let kept = instance.kept.and(match pass.twice {
            // Whoever goes back there restores these.
            true => restored,
            false => pass.kept,
        });
        let mut above = instance.above.join(pass.above);
        if above != instance.above {
            instance.above_growths = instance.above_growths.saturating_add(1);
            if instance.above_growths > MOST_GROWTHS {
                // Around a recursion it could grow by a word after the other.
                above.to = i64::MAX;
            }
        }
        let changed = (pass.returns && !instance.returns)
            || (pass.twice && !instance.twice)
            || (pass.over && !instance.over)
            || result != instance.result
            || kept != instance.kept
            || above != instance.above;
        instance.returns |= pass.returns;
        instance.twice |= pass.twice;
        instance.over |= pass.over;
        instance.result = result;
        instance.kept = kept;
        instance.above = above;
        instance.sites = pass.sites;
        instance.foreign = pass.foreign;
        instance.lost = pass.lost;
        instance.lookups = pass.lookups;
        instance.starts = pass.starts;
        instance.unresolved = pass.unresolved;
        if changed {
            self.pending.extend(&instance.dependents);
            if instance.feeds_taken {
                self.take_result_of(id);
            }
        }
        if let Some(at) = takes_handler {
            self.open(id, at);
        }
    }
}
