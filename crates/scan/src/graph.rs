//! Who calls whom, once the program is solved: calls of known target as they were found, and what a
//! call of unknown target enters, in two answers.
//!
//! The *sound* answer lets it enter every function whose address anybody holds. The *tight* one leaves
//! out what by its shape cannot be meant: a function that reads more arguments than the call passes
//! (`arity.rs`), and one of a library that has nothing to do with the caller's (`kin.rs`). Both are
//! matters of convention, so only the first is enforced by default; it holds the second.

mod arity;
mod event_loop;
mod kin;
mod phase;
mod start;
mod thread;

use std::collections::BTreeMap;

use portcullis_abi::Mode;
use rustc_hash::FxHashMap;

use crate::image::{Addr, Image, Role};
use crate::solve::{Entered, InstanceId, Solution, Starts};
use crate::summary::Exit;
use arity::Arity;
use kin::Kin;
use phase::Sure;

pub(crate) use phase::{Covered, Phase, continuation};
pub(crate) use thread::{Thread, main, threads};

/// The calls of a solved program.
pub(crate) struct CallGraph<'a> {
    pub(crate) solution: &'a Solution,
    /// Instances that the kernel or the loader enters.
    pub(crate) roots: Vec<InstanceId>,
    /// Per instance, what it enters by calls of known target, and where.
    callees: Vec<Vec<(u64, InstanceId)>>,
    callers: Vec<Vec<(InstanceId, u64)>>,
    /// Per instance, its calls of unknown target.
    open: Vec<Vec<Open>>,
    /// Instances that calls of unknown target enter.
    taken: BTreeMap<InstanceId, Taken>,
    /// The same by where their functions begin.
    taken_at: FxHashMap<u64, InstanceId>,
    /// Routines of threads that nobody else enters, and who starts them, where.
    starts: Vec<(InstanceId, u64, InstanceId)>,
    kin: Kin,
    /// Calls of clone(2) that surely start threads.
    clones: FxHashMap<InstanceId, Vec<u64>>,
    /// The program's own entry: what it returns to is nobody.
    entry: Option<u64>,
}

/// A call of unknown target, or a system call that registers a handler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Open {
    /// Where.
    pub(crate) at: u64,
    /// What decides who is entered.
    pub(crate) shape: Shape,
}

/// What of a call of unknown target decides whom it enters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Shape {
    /// The object that makes it; none for the kernel, which calls handlers.
    object: Option<u32>,
    supplied: Arity,
}

/// A function whose address somebody holds.
#[derive(Clone, Copy, Debug)]
struct Taken {
    id: InstanceId,
    object: Option<u32>,
    needed: Arity,
    /// Code of its own object was the first to hand it out; else data was, or another.
    handed_at_home: bool,
}

impl<'a> CallGraph<'a> {
    pub(crate) fn new(image: &Image, solution: &'a Solution) -> CallGraph<'a> {
        let mut callees = vec![Vec::new(); solution.instances.len()];
        let mut callers = vec![Vec::new(); solution.instances.len()];
        let mut roots = Vec::new();
        let mut taken = BTreeMap::new();
        let object = |at: u64| image.object_of(Addr(at)).map(|o| o.0);
        for &(id, entered) in &solution.entries {
            match entered {
                Entered::Root => roots.push(id),
                Entered::From(caller, at) => {
                    callees[caller.0 as usize].push((at, id));
                    callers[id.0 as usize].push((caller, at));
                }
                Entered::Taken => {
                    let at = solution.entry(id);
                    taken.insert(
                        id,
                        Taken {
                            id,
                            object: object(at),
                            needed: arity::needed(image.convention, solution.summary(id)),
                            handed_at_home: solution.taken.get(&at).is_some_and(|&by| {
                                image.is_code(Addr(by)) && object(by) == object(at)
                            }),
                        },
                    );
                }
            }
        }
        let mut known: FxHashMap<u64, Arity> = FxHashMap::default();
        let mut open = vec![Vec::new(); solution.instances.len()];
        for &(id, at) in &solution.open {
            let instance = &solution.instances[id.0 as usize];
            let handler = instance
                .sites
                .get(&at)
                .is_some_and(|s| s.can_be(image.kernel().takes_handler));
            let shape = if handler {
                Shape {
                    object: None,
                    supplied: Arity::HANDLER,
                }
            } else {
                Shape {
                    object: object(at),
                    supplied: *known
                        .entry(at)
                        .or_insert_with(|| supplied(image, solution, id, at)),
                }
            };
            open[id.0 as usize].push(Open { at, shape });
        }
        let loader = image.objects.iter().position(|o| o.role == Role::Loader);
        // Code compares its own entry point with others; who enters it is the kernel, or the loader.
        let entries = image.entries();
        taken.retain(|id, _| !entries.contains(&solution.entry(*id)));
        let private = start::private(solution);
        let mut starts = Vec::new();
        let mut own = FxHashMap::default();
        for start in private {
            // Several instances can start the same.
            let mut here = taken
                .keys()
                .filter(|id| solution.entry(**id) == start.routine);
            let known = own.get(&start.routine).or_else(|| here.next()).copied();
            if let Some(routine) = known {
                own.insert(start.routine, routine);
                taken.remove(&routine);
                match start.starts {
                    Starts::Main => {
                        callees[start.by.0 as usize].push((start.at, routine));
                        callers[routine.0 as usize].push((start.by, start.at));
                    }
                    Starts::Thread => starts.push((start.by, start.at, routine)),
                }
            }
        }
        starts.sort_unstable();
        callees.iter_mut().for_each(|all| all.sort_unstable());
        let taken_at = taken
            .keys()
            .map(|&id| (solution.entry(id), id))
            .chain(own)
            .collect();
        CallGraph {
            taken_at,
            starts,
            solution,
            roots,
            callees,
            callers,
            open,
            taken,
            clones: phase::clones(image, solution, Sure::Certain),
            entry: image.entries().first().copied(),
            kin: Kin::of(image, loader, solution.lookups.library()),
        }
    }

    /// What an instance enters by calls of known target, and where.
    pub(crate) fn callees(&self, id: InstanceId) -> &[(u64, InstanceId)] {
        &self.callees[id.0 as usize]
    }

    /// The same at one place.
    pub(crate) fn callees_at(
        &self,
        id: InstanceId,
        at: u64,
    ) -> impl Iterator<Item = InstanceId> + use<'_, 'a> {
        let all = self.callees(id);
        let first = all.partition_point(|c| c.0 < at);
        all[first..]
            .iter()
            .take_while(move |c| c.0 == at)
            .map(|c| c.1)
    }

    /// Routines of threads that an instance starts and nobody else enters, and where it does.
    pub(crate) fn starts(&self, id: InstanceId) -> &[(InstanceId, u64, InstanceId)] {
        let first = self.starts.partition_point(|s| s.0 < id);
        let after = self.starts.partition_point(|s| s.0 <= id);
        &self.starts[first..after]
    }

    /// An instance's calls of unknown target.
    pub(crate) fn open(&self, id: InstanceId) -> &[Open] {
        &self.open[id.0 as usize]
    }

    /// System calls that register handlers.
    pub(crate) fn handlers(&self) -> impl Iterator<Item = Shape> {
        let all = self.open.iter().flatten().map(|open| open.shape);
        all.filter(|shape| shape.object.is_none()).take(1)
    }

    /// What such a call can enter.
    pub(crate) fn enters(&self, shape: Shape, mode: Mode) -> impl Iterator<Item = InstanceId> {
        let fits = move |taken: &&Taken| self.fits(shape, taken, mode);
        self.taken.values().filter(fits).map(|t| t.id)
    }

    fn fits(&self, shape: Shape, taken: &Taken, mode: Mode) -> bool {
        match mode {
            Mode::Sound => true,
            Mode::Tight => {
                let kin = match (shape.object, taken.object) {
                    // What the loader's code hands out it hands to itself, but for what runs at
                    // the exit, and that enters roots.
                    (Some(by), Some(of)) if by != of && self.kin.is_loader(of) => {
                        !taken.handed_at_home
                    }
                    (Some(by), Some(of)) => self.kin.are(by, of),
                    _ => true,
                };
                kin && taken.needed <= shape.supplied
            }
        }
    }

    /// Who enters an instance by a call of known target, and where.
    pub(crate) fn callers(&self, id: InstanceId) -> &[(InstanceId, u64)] {
        &self.callers[id.0 as usize]
    }

    /// Whether calls of unknown target enter an instance.
    pub(crate) fn is_taken(&self, id: InstanceId) -> bool {
        self.taken.contains_key(&id)
    }

    /// Whether somebody enters an instance of whom it is not known where.
    pub(crate) fn is_entered_from_anywhere(&self, id: InstanceId) -> bool {
        let at = self.solution.entry(id);
        let root = self.roots.contains(&id) && self.entry != Some(at);
        root || self.taken_at.get(&at) == Some(&id)
    }

    /// Calls of clone(2) that surely start threads, by instance.
    pub(crate) fn clones(&self) -> &FxHashMap<InstanceId, Vec<u64>> {
        &self.clones
    }

    /// The instance that a function runs as when it is entered by its address.
    pub(crate) fn entered_at(&self, at: u64) -> Option<InstanceId> {
        self.taken_at.get(&at).copied()
    }
}

/// How many arguments the calls of an instance at `at` pass at most.
fn supplied(image: &Image, solution: &Solution, id: InstanceId, at: u64) -> Arity {
    let summary = solution.summary(id);
    let blocks = summary.blocks.iter().filter(|b| b.last == at);
    let arities = blocks.map(|block| match &block.exit {
        Exit::Call(call, ..) | Exit::TailCall(call) => {
            arity::supplied(image.convention, &summary.graph, call)
        }
        // A jump that is known only if calls keep what it is read by.
        _ => Arity::ALL,
    });
    arities.max().unwrap_or(Arity::ALL)
}
