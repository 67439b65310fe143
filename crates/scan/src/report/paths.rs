//! Which files calls name: the constant paths that their callers pass.

use std::collections::BTreeSet;

use portcullis_abi::Paths;
use rustc_hash::FxHashSet;

use crate::image::{Addr, Image};
use crate::solve::domain::{Domain, MOST_VALUES};
use crate::solve::{Entered, InstanceId, Solution};
use crate::summary::{Input, Value, ValueId};

/// Paths of one call that are told; the rest are others.
const MOST_PATHS: usize = 512;
/// Values that are looked at for one argument of one instance.
const MOST_LOOKED_AT: usize = 20_000;
/// `PATH_MAX`, without the NUL.
const LONGEST: usize = 4095;

/// Who enters what, to follow arguments back to who chose them.
pub(super) struct Callers<'a> {
    image: &'a Image,
    solution: &'a Solution,
    /// How each instance is entered.
    entered: Vec<Vec<Entered>>,
}

/// What was found of one argument.
#[derive(Default)]
struct Found {
    known: BTreeSet<String>,
    others: bool,
}

impl Found {
    fn told(self) -> Paths {
        Paths {
            others: self.others || self.known.len() > MOST_PATHS,
            known: self.known.into_iter().take(MOST_PATHS).collect(),
        }
    }
}

impl<'a> Callers<'a> {
    pub(super) fn new(image: &'a Image, solution: &'a Solution) -> Self {
        let mut entered = vec![Vec::new(); solution.instances.len()];
        for &(id, by) in &solution.entries {
            entered[id.0 as usize].push(by);
        }
        Callers {
            image,
            solution,
            entered,
        }
    }

    /// The paths that the call `number` at `at` of these instances is passed; `None` when it takes none.
    pub(super) fn paths(
        &self,
        number: u64,
        at: u64,
        made: impl IntoIterator<Item = InstanceId>,
    ) -> Option<Paths> {
        let arguments = self.image.kernel().path_arguments(number);
        if arguments.is_empty() {
            return None;
        }
        let mut found = Found::default();
        for id in made {
            let instance = &self.solution.instances[id.0 as usize];
            for &argument in arguments {
                match instance.sites.get(&at) {
                    Some(site) if is_finite(&site.arguments[argument]) => {
                        self.read(&site.arguments[argument], &mut found);
                    }
                    _ => {
                        let summary = self.solution.summary(id);
                        for entry in summary.entries_at(at) {
                            self.follow(id, entry.arguments[argument], &mut found);
                        }
                    }
                }
            }
        }
        Some(found.told())
    }

    /// The paths that instances are passed in an input.
    pub(super) fn passed_in(&self, ids: &[InstanceId], input: Input) -> Paths {
        let mut found = Found::default();
        for &id in ids {
            let mut pending = Vec::new();
            self.passed(id, input, &mut pending, &mut found);
            for (caller, value) in pending {
                self.follow(caller, value, &mut found);
            }
        }
        found.told()
    }

    /// Collects what a value of an instance can be, through whoever passes it.
    fn follow(&self, id: InstanceId, value: ValueId, found: &mut Found) {
        let mut pending = vec![(id, value)];
        let mut seen = FxHashSet::default();
        while let Some((id, value)) = pending.pop() {
            if !seen.insert((id, value)) {
                continue;
            }
            if seen.len() > MOST_LOOKED_AT || found.known.len() > MOST_PATHS {
                found.others = true;
                return;
            }
            let graph = &self.solution.summary(id).graph;
            match graph.get(value) {
                Value::Const(at) => self.read(&Domain::one(at), found),
                Value::Refine(a, ..) => pending.push((id, a)),
                Value::Select(_, a, b) => pending.extend([(id, a), (id, b)]),
                Value::Phi(index) => {
                    let operands = &graph.phis[index as usize].operands;
                    pending.extend(operands.iter().map(|o| (id, o.1)));
                }
                Value::Entry(input) if input != Input::ReturnAddress => {
                    let context = &self.solution.instances[id.0 as usize].context;
                    match context.iter().find(|(i, _)| *i == input) {
                        Some((_, passed)) if is_finite(passed) => self.read(passed, found),
                        _ => self.passed(id, input, &mut pending, found),
                    }
                }
                _ => found.others = true,
            }
        }
    }

    /// Adds what the callers of an instance pass to it.
    fn passed(
        &self,
        id: InstanceId,
        input: Input,
        pending: &mut Vec<(InstanceId, ValueId)>,
        found: &mut Found,
    ) {
        for &by in &self.entered[id.0 as usize] {
            let before = pending.len();
            if let Entered::From(caller, at) = by {
                let calls = self.solution.summary(caller).calls_at(at);
                pending.extend(calls.map(|call| (caller, call.passed(input))));
            }
            // The kernel, a call of unknown target, a table of linkage: what they pass is not seen.
            found.others |= pending.len() == before;
        }
    }

    /// Adds the strings at these addresses.
    fn read(&self, addresses: &Domain, found: &mut Found) {
        let Some(all) = addresses.values(MOST_VALUES as u64) else {
            found.others = true;
            return;
        };
        for at in all {
            let constant = self.image.region(Addr(at)).is_some_and(|r| !r.writable);
            let text = self.image.text(Addr(at)).filter(|_| constant);
            match text.map(std::str::from_utf8) {
                Some(Ok(text)) if text.len() <= LONGEST => _ = found.known.insert(text.to_owned()),
                // The kernel answers EFAULT.
                _ if at == 0 => {}
                _ => found.others = true,
            }
        }
    }
}

fn is_finite(domain: &Domain) -> bool {
    domain
        .values(MOST_VALUES as u64)
        .is_some_and(|all| !all.is_empty())
}
