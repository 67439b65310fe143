//! What is audited: the calls that a thread can make from a point on, and the filters that it is under
//! there.

use portcullis_abi::{
    ArgValue, Confidence, Location, Mode, Origin, Residual, ResidualKind, Site, Syscall,
    SyscallSet, Sysno, ThreadSet, Tuple,
};

use super::cube::cubes;
use super::evaluate::{Area, Looked, everything};
use super::finding::Step;
use super::telling;
use crate::Width;

/// A thread, or a whole program, from a point on.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// Where its calls are from.
    pub set: &'a SyscallSet,
    /// Its thread; `None` for all threads of a program that is started under the filters.
    pub thread: Option<&'a ThreadSet>,
    /// The filters that it is under, in the order in which they were loaded.
    pub filters: Vec<Applied>,
    calls: Vec<Made<'a>>,
}

/// A filter that a subject is under.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Applied {
    /// Which of those that are audited.
    pub filter: usize,
    /// It is there at each of the calls; else it may be.
    pub certain: bool,
}

/// Calls that are made at one place with arguments that occur together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made<'a> {
    pub(crate) call: &'a Syscall,
    /// None for calls that the kernel makes, or the vDSO.
    pub(crate) site: Option<&'a Site>,
    pub(crate) tuple: Option<&'a Tuple>,
}

impl<'a> Subject<'a> {
    /// All calls of a program.
    pub fn program(set: &'a SyscallSet, filters: Vec<Applied>) -> Subject<'a> {
        let calls = set.syscalls.iter().flat_map(all_of).collect();
        Subject {
            set,
            thread: None,
            filters,
            calls,
        }
    }

    /// The calls of a thread of it in a phase, by the sound answer.
    pub fn thread(
        set: &'a SyscallSet,
        thread: &'a ThreadSet,
        filters: Vec<Applied>,
    ) -> Subject<'a> {
        let own = set.syscalls.iter();
        let own = own.filter(|call| thread.numbers.binary_search(&call.number).is_ok());
        let mut calls = Vec::new();
        for call in own {
            match &thread.made {
                None => calls.extend(all_of(call)),
                Some(_) if call.sites.is_empty() => calls.extend(all_of(call)),
                Some(made) => {
                    let from = made.partition_point(|m| m.number < call.number);
                    let own = made[from..].iter();
                    for made in own.take_while(|m| m.number == call.number) {
                        let Some(site) = call.sites.get(made.site as usize) else {
                            continue;
                        };
                        calls.push(Made {
                            call,
                            site: Some(site),
                            tuple: site.tuples.get(made.tuple as usize),
                        });
                    }
                }
            }
        }
        Subject {
            set,
            thread: Some(thread),
            filters,
            calls,
        }
    }

    /// What it is called: its thread, or its program.
    pub fn name(&self) -> &'a str {
        match self.thread {
            Some(thread) => &thread.thread,
            None => &self.set.binary.path,
        }
    }

    /// From where on it counts.
    pub fn phase(&self) -> &'a str {
        self.thread.map_or("startup", |thread| &thread.phase)
    }

    /// Its calls.
    pub(crate) fn calls(&self) -> &[Made<'a>] {
        &self.calls
    }

    /// The calls with this number.
    pub(crate) fn calls_of(&self, number: Sysno) -> impl Iterator<Item = &Made<'a>> {
        self.calls.iter().filter(move |m| m.call.number == number)
    }

    /// Whether it is under a filter, or may be.
    pub(crate) fn is_under(&self, filter: usize) -> bool {
        self.filters.iter().any(|a| a.filter == filter)
    }

    /// What nothing is known of that could make calls; what starts programs counts only where `starts`.
    pub(crate) fn unknown(&self, starts: bool) -> impl Iterator<Item = &'a Residual> {
        let all = self.set.residuals.iter();
        all.filter(move |r| starts || r.kind != ResidualKind::Exec)
    }

    /// A way as a reader finds it.
    pub(crate) fn steps(&self, way: &[Location]) -> Vec<Step> {
        let step = |at: &Location| Step {
            object: self
                .set
                .objects
                .get(at.object)
                .map_or(String::new(), |o| o.path.clone()),
            function: at.function.clone(),
            address: at.address,
        };
        way.iter().map(step).collect()
    }
}

/// Everything that a call is made with.
fn all_of(call: &Syscall) -> impl Iterator<Item = Made<'_>> {
    let none = call.sites.is_empty().then_some(Made {
        call,
        site: None,
        tuple: None,
    });
    let sites = call.sites.iter().flat_map(move |site| {
        let unknown = site.tuples.is_empty().then_some(None);
        let tuples = site.tuples.iter().map(Some);
        unknown.into_iter().chain(tuples).map(move |tuple| Made {
            call,
            site: Some(site),
            tuple,
        })
    });
    none.into_iter().chain(sites)
}

impl Made<'_> {
    /// What is known of an argument.
    pub(crate) fn argument(&self, index: u8) -> Option<&ArgValue> {
        let all = self.tuple.map_or(&[][..], |t| &t.args);
        all.iter()
            .find(|(n, _)| *n == index)
            .map(|(_, value)| value)
    }

    /// How sure it is that it is made.
    pub(crate) fn confidence(&self) -> Confidence {
        match self.tuple {
            Some(tuple) if tuple.mode == Mode::Sound => Confidence::Sound,
            _ => self.call.confidence,
        }
    }

    /// Who makes it, where that is not the program's own code.
    pub(crate) fn origin(&self) -> Origin {
        self.call.origin
    }

    /// The way to it. Where the shortest way to the call ends elsewhere, what is known of this place.
    pub(crate) fn way(&self) -> Vec<Location> {
        let Some(site) = self.site else {
            return self.call.why.clone();
        };
        let via = self.tuple.map_or(&[][..], |t| &t.via);
        let why = &self.call.why;
        let leads = why.last() == Some(&site.at) && via.iter().all(|at| why.contains(at));
        if leads {
            return why.clone();
        }
        via.iter().chain([&site.at]).cloned().collect()
    }

    /// The calls, as far as the arguments count that are `asked` for, and whether these are all known one
    /// by one.
    pub(crate) fn area(&self, set: &SyscallSet, asked: &Looked) -> (Area, bool) {
        let (arch, number) = (set.binary.arch, self.call.number);
        let mut area = everything();
        let mut known = true;
        for (index, asked) in (0..6u8).zip(asked) {
            let Some(width) = *asked else { continue };
            let low = telling::width(arch, number, index) == Some(Width::W32);
            let (own, exact) = cubes(self.argument(index).unwrap_or(&ArgValue::Any), low);
            known &= exact && own.values(width).is_some();
            area[usize::from(index)] = own;
        }
        (area, known)
    }
}
