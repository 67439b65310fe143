//! The calls of each thread in each phase, in both answers.
//!
//! Phases are nested: what a thread can do after a point holds what it can do after any later one. A
//! signal handler can run in every thread at any time, and the kernel's own calls with it.

use std::collections::BTreeSet;

use portcullis_abi::{Mode, Sysno, ThreadSet};

use super::Report;
use crate::graph::{CallGraph, Covered, Phase, Thread, continuation, main, threads};
use crate::kernel::{HANDLER_RETURN, INSTALLS, RESTART, RESTARTED, TAKES_HANDLER};
use crate::solve::InstanceId;

/// What a thread does in all its life, and its calls, in the sound and in the tight answer.
type Life = [(Covered, Vec<Sysno>); 2];

/// The phase that begins where a function is entered.
fn after_name(function: &str) -> String {
    match function {
        // That is the phase after the program's own filter.
        "install" => "after:function:install".into(),
        name => format!("after:{name}"),
    }
}

impl Report<'_> {
    /// A set of each thread and phase.
    pub(super) fn sets(
        &mut self,
        graph: &CallGraph<'_>,
        from: &[(String, Vec<u64>)],
    ) -> Vec<ThreadSet> {
        let mut sets = Vec::new();
        let first = Phase {
            roots: graph.roots.clone(),
            ..Phase::default()
        };
        let life = self.add(&mut sets, graph, "main", "startup", &first, None);
        // What runs at the exit, in whatever thread that is.
        let mut exits = self.exits(graph);
        let life = Some(&life);
        let mut main = main(self.image, graph);
        let mut begins = graph.roots.clone();
        let mut returns = Vec::new();
        if let Some(main) = &mut main {
            exits.extend(&main.roots);
            main.roots.clone_from(&exits);
            self.add(&mut sets, graph, "main", "main", main, life);
            begins = main.blocks.iter().map(|b| b.0).collect();
            returns.clone_from(&main.returns);
        }
        let blocks = self.after_installing(graph);
        if !blocks.is_empty() {
            let after = Phase {
                blocks,
                roots: exits.clone(),
                returns: returns.clone(),
                ..Phase::default()
            };
            self.add(&mut sets, graph, "main", "after:install", &after, life);
        }
        for (name, starts) in from {
            let after = Phase {
                blocks: self.instances_at(starts),
                roots: exits.clone(),
                returns: returns.clone(),
                ..Phase::default()
            };
            if after.blocks.is_empty() {
                self.warn(
                    "PC0206",
                    format!("no way leads to `{name}`: nothing comes after it"),
                );
            }
            self.add(&mut sets, graph, "main", &after_name(name), &after, life);
        }
        let ends = Phase {
            roots: exits.clone(),
            returns,
            ..Phase::default()
        };
        self.add_loop(&mut sets, graph, "main", &begins, ends, life);
        let mut names = BTreeSet::from(["main".to_owned()]);
        for Thread {
            routine, mut phase, ..
        } in threads(self.image, graph)
        {
            let mut name = self.thread_name(routine);
            if !names.insert(name.clone()) {
                let at = routine.map_or(0, |at| self.witness.location(at).address);
                name = format!("{name}@{at:#x}");
                names.insert(name.clone());
            }
            let begins = phase.roots.clone();
            phase.roots.extend(&exits);
            let life = self.add(&mut sets, graph, &name, "main", &phase, None);
            let ends = Phase {
                blocks: Vec::new(),
                roots: exits.clone(),
                ..phase
            };
            self.add_loop(&mut sets, graph, &name, &begins, ends, Some(&life));
        }
        sets
    }

    /// Functions that run at the exit: whatever the loader enters, but for entry points.
    fn exits(&self, graph: &CallGraph<'_>) -> Vec<InstanceId> {
        let entries = self.image.entries();
        let roots = graph.roots.iter().copied();
        roots
            .filter(|&id| !entries.contains(&self.solution.entry(id)))
            .collect()
    }

    /// The set of the event loop of a thread, if it has one.
    fn add_loop(
        &self,
        sets: &mut Vec<ThreadSet>,
        graph: &CallGraph<'_>,
        thread: &str,
        begins: &[InstanceId],
        ends: Phase,
        life: Option<&Life>,
    ) {
        if let Some(first) = graph.event_loop(self.image, begins) {
            let phase = Phase {
                blocks: vec![first],
                ..ends
            };
            self.add(sets, graph, thread, "loop", &phase, life);
        }
    }

    fn add(
        &self,
        sets: &mut Vec<ThreadSet>,
        graph: &CallGraph<'_>,
        thread: &str,
        phase: &str,
        begins: &Phase,
        life: Option<&Life>,
    ) -> Life {
        [Mode::Sound, Mode::Tight].map(|mode| {
            let life = life.map(|life| &life[mode as usize]);
            let covered = continuation(graph, begins, mode, life.map(|(covered, _)| covered));
            let numbers = match life {
                Some((_, all)) if covered.is_lost() => all.clone(),
                Some((_, all)) => {
                    let mut numbers = self.numbers(&covered);
                    numbers.retain(|number| all.contains(number));
                    numbers
                }
                None => self.numbers(&covered),
            };
            sets.push(ThreadSet {
                thread: thread.into(),
                phase: phase.into(),
                mode,
                numbers: numbers.clone(),
            });
            (covered, numbers)
        })
    }

    /// The calls that are made in what a phase covers.
    fn numbers(&self, covered: &Covered) -> Vec<Sysno> {
        let is_made = |number: &Sysno| {
            let sites = self.calls.get(number).into_iter().flatten();
            sites
                .flat_map(|(at, made)| made.iter().map(move |(id, _)| (*id, *at)))
                .any(|(id, at)| covered.makes(id, at))
        };
        let handles = self.calls.contains_key(&Sysno(TAKES_HANDLER as u32));
        let belongs = |number: &Sysno| match u64::from(number.0) {
            _ if is_made(number) => true,
            RESTART => RESTARTED.iter().any(|n| is_made(&Sysno(*n as u32))),
            HANDLER_RETURN => handles,
            // The vDSO falls back on it, in whatever thread.
            _ => self.calls[number].is_empty(),
        };
        self.calls.keys().copied().filter(belongs).collect()
    }

    /// Blocks that come after the calls by which the program installs its own filter.
    fn after_installing(&self, graph: &CallGraph<'_>) -> Vec<(InstanceId, u32)> {
        let mut found = Vec::new();
        for (instance, n) in graph.solution.instances.iter().zip(0..) {
            let id = InstanceId(n);
            let installs = |at: &u64| {
                let Some(site) = instance.sites.get(at) else {
                    return false;
                };
                let operation = site.arguments[0].zero_extend(32).single();
                let known = site.number.single().zip(operation);
                known.is_some_and(|(number, operation)| {
                    let mut all = INSTALLS.iter();
                    all.any(|(n, operations)| *n == number && operations.contains(&operation))
                })
            };
            if !self.witness.reached(id) || !instance.sites.keys().any(&installs) {
                continue;
            }
            for (block, n) in graph.solution.summary(id).blocks.iter().zip(0..) {
                if installs(&block.last) {
                    let after = block.successors().filter(|&to| instance.goes(n, to));
                    found.extend(after.map(|to| (id, to)));
                }
            }
        }
        found
    }

    /// The first blocks of the instances of functions.
    fn instances_at(&self, starts: &[u64]) -> Vec<(InstanceId, u32)> {
        let all = 0..self.solution.instances.len() as u32;
        let here = |id: &InstanceId| {
            self.witness.reached(*id) && starts.contains(&self.solution.entry(*id))
        };
        all.map(InstanceId).filter(here).map(|id| (id, 0)).collect()
    }

    fn thread_name(&self, routine: Option<u64>) -> String {
        let Some(at) = routine else {
            return "?".into();
        };
        let function = self.witness.location(at).function;
        function.unwrap_or_else(|| self.place(at))
    }
}
