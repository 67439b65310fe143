//! The threads of a program: what each begins with.

use std::collections::{BTreeMap, BTreeSet};

use super::phase::{Sure, clones};
use super::{CallGraph, Phase};
use crate::image::{Addr, Image, Slot};
use crate::solve::domain::MOST_VALUES;
use crate::solve::{InstanceId, Starts};
use crate::summary::{Exit, Value};

/// Threads that are told apart; more are one.
const MOST_THREADS: usize = 64;
/// Where the function stands that a boxed closure is called by, in its table of operations: after how
/// it is dropped, its size and its alignment (Rust's layout of `dyn FnOnce`).
const CALL_ONCE: u64 = 24;

/// A thread, or all that begin alike.
#[derive(Debug)]
pub(crate) struct Thread {
    /// What it runs: an address of code; `None` when that is not known.
    pub(crate) routine: Option<u64>,
    /// It is a closure.
    boxed: bool,
    /// Where it begins.
    pub(crate) phase: Phase,
    /// Calls that can start it.
    pub(crate) started: Vec<(InstanceId, u64)>,
}

/// The threads that the program starts, besides its first.
pub(crate) fn threads(image: &Image, graph: &CallGraph<'_>) -> Vec<Thread> {
    let mut found: BTreeMap<Option<u64>, Phase> = BTreeMap::new();
    let clones: Vec<(InstanceId, u64)> = {
        let all = clones(image, graph.solution, Sure::Perhaps).into_iter();
        let mut all: Vec<_> = all
            .flat_map(|(id, sites)| sites.into_iter().map(move |at| (id, at)))
            .collect();
        all.sort_unstable();
        all
    };
    let mut boxes = BTreeSet::new();
    let mut places: BTreeMap<Option<u64>, Vec<(InstanceId, u64)>> = BTreeMap::new();
    let mut told = false;
    for (instance, n) in graph.solution.instances.iter().zip(0..) {
        let starts = instance.starts.iter();
        for (&at, start) in starts.filter(|(_, s)| s.starts == Starts::Thread) {
            told = true;
            let mut place = |what| places.entry(what).or_default().push((InstanceId(n), at));
            let routines = start.routine.values(MOST_VALUES as u64);
            let Some(routines) = routines.filter(|all| !all.is_empty()) else {
                found.entry(None).or_default();
                place(None);
                continue;
            };
            for routine in routines {
                let Some(entered) = graph.entered_at(routine) else {
                    found.entry(None).or_default();
                    place(None);
                    continue;
                };
                let closures = closures(image, graph, InstanceId(n));
                match closures.is_empty() {
                    true => {
                        place(Some(routine));
                        found.entry(Some(routine)).or_default().roots.push(entered);
                    }
                    false => {
                        for (closure, runs) in closures {
                            boxes.insert(closure);
                            place(Some(closure));
                            let phase = found.entry(Some(closure)).or_default();
                            phase.roots.extend([entered, runs]);
                        }
                    }
                }
            }
        }
    }
    if !told {
        // Whoever starts threads does so without the C library: each call of clone(2) is one.
        for &(id, at) in &clones {
            let phase = found.entry(Some(at)).or_default();
            phase.clones.push((id, at));
            places.entry(Some(at)).or_default().push((id, at));
        }
    }
    let mut threads: Vec<Thread> = Vec::new();
    for (routine, mut phase) in found {
        if told {
            // Where the C library begins each of them; without that they can be anything.
            phase.clones.clone_from(&clones);
            if clones.is_empty() {
                phase.roots.extend(&graph.roots);
            }
        }
        let started = places.remove(&routine).unwrap_or_default();
        if threads.len() < MOST_THREADS {
            let boxed = routine.is_some_and(|at| boxes.contains(&at));
            threads.push(Thread {
                routine,
                boxed,
                phase,
                started,
            });
        } else if let Some(last) = threads.last_mut() {
            last.routine = None;
            last.phase.roots.extend(phase.roots);
            last.phase.clones.extend(phase.clones);
            last.started.extend(started);
        }
    }
    let begin = graph.beginning(clones.iter().map(|c| c.0));
    // A closure returns to who called it out of its box: that is not looked for.
    let plain = threads.iter_mut().filter(|t| !t.boxed);
    for phase in plain.map(|t| &mut t.phase) {
        let roots = phase.roots.iter();
        phase.returns = roots
            .flat_map(|&root| begin.iter().map(move |&(id, at)| (root, id, at)))
            .collect();
    }
    threads
}

/// How far into the C library the call of a routine is that it was told to run.
const DEPTH: usize = 2;

impl CallGraph<'_> {
    /// Calls of unknown target in these instances and in what they call directly: one of them enters
    /// what the C library was told to run.
    fn beginning(&self, from: impl Iterator<Item = InstanceId>) -> Vec<(InstanceId, u64)> {
        let first: Vec<InstanceId> = from.collect();
        let mut level = first.clone();
        let mut seen: Vec<InstanceId> = level.clone();
        for _ in 0..DEPTH {
            let callees = level.iter().flat_map(|id| self.callees(*id)).map(|c| c.1);
            level = callees.filter(|id| !seen.contains(id)).collect();
            level.sort_unstable();
            level.dedup();
            seen.extend(&level);
        }
        let sites = |own: &dyn Fn(InstanceId) -> bool| -> Vec<(InstanceId, u64)> {
            let own = seen.iter().copied().filter(|id| own(*id));
            own.flat_map(|id| self.open(id).iter().map(move |o| (id, o.at)))
                .collect()
        };
        // What others call as well is a helper, and calls what these pass.
        let only = |id: InstanceId| {
            let mut callers = self.callers(id).iter();
            first.contains(&id) || callers.all(|(caller, _)| seen.contains(caller))
        };
        let found = sites(&only);
        match found.is_empty() {
            true => sites(&|_| true),
            false => found,
        }
    }
}

/// The main function, where the program has one that its start code names: its instances run on from
/// their first blocks, and return to who calls what it was told to run.
pub(crate) fn main(image: &Image, graph: &CallGraph<'_>) -> Option<Phase> {
    let mut told: Vec<(InstanceId, u64, u64)> = Vec::new();
    for (instance, n) in graph.solution.instances.iter().zip(0..) {
        for (&at, start) in instance
            .starts
            .iter()
            .filter(|s| s.1.starts == Starts::Main)
        {
            told.extend(start.routine.single().map(|main| (InstanceId(n), at, main)));
        }
    }
    if told.is_empty() {
        told.extend(told_by_shape(image, graph));
    }
    let mut phase = Phase::default();
    for (caller, at, main) in told {
        // What is known to run there is the main function itself: what it calls does not call it.
        let (itself, start): (Vec<InstanceId>, Vec<InstanceId>) = graph
            .callees_at(caller, at)
            .partition(|id| graph.solution.entry(*id) == main);
        let mut begin = graph.beginning(start.into_iter());
        if !itself.is_empty() {
            begin.push((caller, at));
        }
        // Who is entered by its address is not who the start code calls.
        if begin.iter().any(|(by, _)| !graph.is_taken(*by)) {
            begin.retain(|(by, _)| !graph.is_taken(*by));
        }
        for n in 0..graph.solution.instances.len() as u32 {
            if graph.solution.entry(InstanceId(n)) == main {
                let id = InstanceId(n);
                phase.blocks.push((id, 0));
                phase
                    .returns
                    .extend(begin.iter().map(|&(by, at)| (id, by, at)));
            }
        }
    }
    // Its result is passed to exit(3): C17 5.1.2.2.3.
    let exits: Vec<u64> = image.functions_named(b"exit").iter().map(|a| a.0).collect();
    let all = (0..graph.solution.instances.len() as u32).map(InstanceId);
    phase.roots = all
        .filter(|id| exits.contains(&graph.solution.entry(*id)))
        .collect();
    if phase.roots.is_empty() {
        // That is somewhere, then, that is not known.
        phase.returns.clear();
    }
    (!phase.blocks.is_empty()).then_some(phase)
}

/// The same of a program without symbols: what its entry, or what that calls, passes first to
/// another function is its main function (`_start` of glibc, `_start_c` of musl).
fn told_by_shape(image: &Image, graph: &CallGraph<'_>) -> Option<(InstanceId, u64, u64)> {
    let entry = graph.entry?;
    let roots = graph.roots.iter().copied();
    let first = roots
        .clone()
        .find(|&id| graph.solution.entry(id) == entry)?;
    let next = graph.callees(first).iter().map(|c| c.1);
    std::iter::once(first).chain(next).find_map(|id| {
        let summary = graph.solution.summary(id);
        summary.blocks.iter().find_map(|block| {
            let (Exit::Call(call, ..) | Exit::TailCall(call)) = &block.exit else {
                return None;
            };
            let passed = call.registers[image.convention.arguments[0]];
            let main = summary.graph.constant_of(passed)?;
            image.is_code(Addr(main)).then_some((id, block.last, main))
        })
    })
}

/// The closures that callers of an instance pass to it in a box: by their tables of operations.
fn closures(image: &Image, graph: &CallGraph<'_>, id: InstanceId) -> Vec<(u64, InstanceId)> {
    let mut found = Vec::new();
    for &(caller, at) in graph.callers(id) {
        let summary = graph.solution.summary(caller);
        for block in summary.blocks.iter().filter(|b| b.last == at) {
            let (Exit::Call(call, ..) | Exit::TailCall(call)) = &block.exit else {
                continue;
            };
            for (_, value) in call.registers.iter() {
                if let Value::Const(table) = summary.graph.get(value)
                    && let Some(Slot::Address(closure)) =
                        image.fixed_slot(Addr(table.wrapping_add(CALL_ONCE)))
                    && !image.is_code(Addr(table))
                    && is_boxed(image, table)
                    && let Some(runs) = graph.entered_at(closure.0)
                {
                    found.push((closure.0, runs));
                }
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether a table of operations begins so: how to drop it or nothing, a size, an alignment.
fn is_boxed(image: &Image, table: u64) -> bool {
    let first = match image.fixed_slot(Addr(table)) {
        Some(Slot::Address(drop)) => image.is_code(drop),
        Some(_) => false,
        None => image.constant(Addr(table), 8) == Some(0),
    };
    let align = image.constant(Addr(table.wrapping_add(16)), 8);
    first
        && image.constant(Addr(table.wrapping_add(8)), 8).is_some()
        && align.is_some_and(|align| align.is_power_of_two() && align <= 4096)
}
