//! The calls of each thread in each phase, in both answers.
//!
//! Phases are nested: what a thread can do after a point holds what it can do after any later one. A
//! signal handler can run in every thread at any time, and the kernel's own calls with it.

use std::collections::BTreeSet;

use portcullis_abi::{Made, Mode, Sysno, ThreadSet};

use super::Report;
use crate::graph::{CallGraph, Covered, Phase, Thread, continuation, main, threads};
use crate::solve::InstanceId;

/// What a thread does in all its life, in the sound and in the tight answer.
type Life = [Part; 2];

/// What runs in a phase, and what is called there.
struct Part {
    covered: Covered,
    numbers: Vec<Sysno>,
    /// Of the sound answer alone.
    made: Option<Vec<Made>>,
}

/// The sets so far, and which calls can start each of the threads.
struct Sets {
    all: Vec<ThreadSet>,
    started: Vec<(String, Vec<(InstanceId, u64)>)>,
}

/// What all phases of a thread share.
#[derive(Default)]
struct Ends {
    /// What runs at the exit, in whatever thread that is.
    roots: Vec<InstanceId>,
    returns: Vec<(InstanceId, InstanceId, u64)>,
    clones: Vec<(InstanceId, u64)>,
}

impl Ends {
    /// A phase that begins at blocks.
    fn after(&self, blocks: Vec<(InstanceId, u32)>) -> Phase {
        Phase {
            blocks,
            roots: self.roots.clone(),
            returns: self.returns.clone(),
            clones: self.clones.clone(),
        }
    }
}

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
        let threads = threads(self.image, graph);
        let names = self.thread_names(&threads);
        let started: Vec<(String, Vec<(InstanceId, u64)>)> = {
            let places = threads.iter().map(|t| t.started.clone());
            names.iter().cloned().zip(places).collect()
        };
        let mut sets = Sets {
            all: Vec::new(),
            started,
        };
        let first = Phase {
            roots: graph.roots.clone(),
            ..Phase::default()
        };
        let life = self.add(&mut sets, graph, "main", "startup", &first, None);
        let mut ends = Ends {
            roots: self.exits(graph),
            ..Ends::default()
        };
        let mut main = main(self.image, graph);
        let mut begins = graph.roots.clone();
        if let Some(main) = &mut main {
            ends.roots.extend(&main.roots);
            main.roots.clone_from(&ends.roots);
            self.add(&mut sets, graph, "main", "main", main, Some(&life));
            begins = main.blocks.iter().map(|b| b.0).collect();
            ends.returns.clone_from(&main.returns);
        }
        self.add_points(&mut sets, graph, "main", from, &ends, &life);
        self.add_loop(&mut sets, graph, "main", &begins, &ends, &life);
        for (Thread { mut phase, .. }, name) in threads.into_iter().zip(&names) {
            let begins = phase.roots.clone();
            phase.roots.extend(&ends.roots);
            let life = self.add(&mut sets, graph, name, "main", &phase, None);
            let own = Ends {
                roots: ends.roots.clone(),
                returns: phase.returns,
                clones: phase.clones,
            };
            self.add_points(&mut sets, graph, name, from, &own, &life);
            self.add_loop(&mut sets, graph, name, &begins, &own, &life);
        }
        sets.all
    }

    /// The names of threads: each once, and none is the first thread's.
    fn thread_names(&self, threads: &[Thread]) -> Vec<String> {
        let mut names = BTreeSet::from(["main".to_owned()]);
        let name = |thread: &Thread| {
            let mut name = self.thread_name(thread.routine);
            if !names.insert(name.clone()) {
                let at = thread.routine;
                let at = at.map_or(0, |at| self.witness.location(at).address);
                name = format!("{name}@{at:#x}");
                names.insert(name.clone());
            }
            name
        };
        threads.iter().map(name).collect()
    }

    /// The sets of a thread from the points on where it installs a filter and where it enters functions.
    fn add_points(
        &mut self,
        sets: &mut Sets,
        graph: &CallGraph<'_>,
        thread: &str,
        from: &[(String, Vec<u64>)],
        ends: &Ends,
        life: &Life,
    ) {
        let own = |blocks: &mut Vec<(InstanceId, u32)>| {
            blocks.retain(|(id, _)| life[Mode::Sound as usize].covered.runs(*id));
        };
        let mut blocks = self.after_installing(graph);
        own(&mut blocks);
        if !blocks.is_empty() {
            let after = ends.after(blocks);
            self.add(sets, graph, thread, "after:install", &after, Some(life));
        }
        for (name, starts) in from {
            let mut blocks = self.instances_at(starts);
            if blocks.is_empty() && thread == "main" {
                self.warn(
                    "PC0206",
                    format!("no way leads to `{name}`: nothing comes after it"),
                );
            }
            own(&mut blocks);
            // Of the first thread it is always told, so that who asks finds an answer.
            if thread == "main" || !blocks.is_empty() {
                let after = ends.after(blocks);
                self.add(sets, graph, thread, &after_name(name), &after, Some(life));
            }
        }
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
        sets: &mut Sets,
        graph: &CallGraph<'_>,
        thread: &str,
        begins: &[InstanceId],
        ends: &Ends,
        life: &Life,
    ) {
        if let Some(first) = graph.event_loop(self.image, begins) {
            let phase = ends.after(vec![first]);
            self.add(sets, graph, thread, "loop", &phase, Some(life));
        }
    }

    fn add(
        &self,
        sets: &mut Sets,
        graph: &CallGraph<'_>,
        thread: &str,
        phase: &str,
        begins: &Phase,
        life: Option<&Life>,
    ) -> Life {
        [Mode::Sound, Mode::Tight].map(|mode| {
            let life = life.map(|life| &life[mode as usize]);
            let covered = continuation(graph, begins, mode, life.map(|life| &life.covered));
            let lost = life.filter(|_| covered.is_lost());
            let (numbers, made) = match lost {
                Some(life) => (life.numbers.clone(), life.made.clone()),
                None => {
                    let mut numbers = self.numbers(&covered);
                    let mut made = (mode == Mode::Sound).then(|| self.made_in(&covered));
                    if let Some(life) = life {
                        numbers.retain(|number| life.numbers.contains(number));
                        if let (Some(made), Some(all)) = (&mut made, &life.made) {
                            made.retain(|m| all.binary_search(m).is_ok());
                        }
                    }
                    (numbers, made)
                }
            };
            let is_lost = lost.is_some();
            let starts = sets.started.iter().filter(|(_, places)| {
                let mut places = places.iter();
                // One that nobody is known to start can be started anywhere.
                places.len() == 0 || places.any(|(id, at)| is_lost || covered.starts(*id, *at))
            });
            let starts = starts.map(|(name, _)| name.clone()).collect();
            sets.all.push(ThreadSet {
                thread: thread.into(),
                phase: phase.into(),
                begins: self.begins(begins),
                mode,
                numbers: numbers.clone(),
                made: made.clone(),
                starts,
            });
            Part {
                covered,
                numbers,
                made,
            }
        })
    }

    /// Where a phase begins in the program's file, ascending; none when it does so elsewhere as well.
    fn begins(&self, phase: &Phase) -> Vec<u64> {
        let begin = |&(id, block): &(InstanceId, u32)| {
            let start = self.solution.summary(id).blocks[block as usize].start;
            let at = self.witness.location(start);
            (at.object == 0).then_some(at.address)
        };
        let all: Option<BTreeSet<u64>> = phase.blocks.iter().map(begin).collect();
        all.unwrap_or_default().into_iter().collect()
    }

    /// The argument tuples that are passed in what a phase covers, ascending.
    fn made_in(&self, covered: &Covered) -> Vec<Made> {
        let mut found = BTreeSet::new();
        for (&number, sites) in &self.calls {
            for ((&at, instances), site) in sites.iter().zip(0..) {
                let tuples = self.tuples.get(&(number, at)).into_iter().flatten();
                let own = instances.iter().zip(tuples);
                let own = own.filter(|((id, _), _)| covered.makes(*id, at));
                found.extend(own.map(|(_, &tuple)| Made {
                    number,
                    site,
                    tuple,
                }));
            }
        }
        found.into_iter().collect()
    }

    /// The calls that are made in what a phase covers.
    fn numbers(&self, covered: &Covered) -> Vec<Sysno> {
        let is_made = |number: &Sysno| {
            let sites = self.calls.get(number).into_iter().flatten();
            sites
                .flat_map(|(at, made)| made.iter().map(move |(id, _)| (*id, *at)))
                .any(|(id, at)| covered.makes(id, at))
        };
        let kernel = self.image.kernel();
        let handles = self.calls.contains_key(&Sysno(kernel.takes_handler as u32));
        let belongs = |number: &Sysno| match u64::from(number.0) {
            _ if is_made(number) => true,
            n if n == kernel.restart => {
                let mut restarted = kernel.restarted.iter();
                restarted.any(|n| is_made(&Sysno(*n as u32)))
            }
            n if n == kernel.handler_return => handles,
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
                    let mut all = self.image.kernel().installs.iter();
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
