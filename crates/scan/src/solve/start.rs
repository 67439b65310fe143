//! Where the C library is told what to run: the main function, and the start routines of threads.
//!
//! What it does with them goes through its own memory, which a later call reads like any other. That it
//! runs them is what its manual says.

use rustc_hash::FxHashMap;

use super::domain::Domain;
use super::walk::Walk;
use super::{Lookups, Solver};
use crate::image::{Image, ObjectId};
use crate::isa::Reg;
use crate::summary::{Call, Input};

/// What is started.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Starts {
    /// The main function, in the first thread.
    Main,
    /// The start routine of a thread.
    Thread,
}

/// A call that starts something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Start {
    /// What.
    pub starts: Starts,
    /// The addresses that it can have.
    pub routine: Domain,
}

/// Functions that start what they are passed, and in which argument: `__libc_start_main` (Linux Standard Base,
/// libc), pthread_create(3), thrd_create(3).
const STARTERS: [(&[u8], usize, Starts); 3] = [
    (b"__libc_start_main", 0, Starts::Main),
    (b"pthread_create", 2, Starts::Thread),
    (b"thrd_create", 1, Starts::Thread),
];

/// Where these functions begin.
pub(super) struct Starters(FxHashMap<u64, (Reg, Starts)>);

impl Starters {
    /// Those of the C library, which is a part of a program without an interpreter.
    pub(super) fn of(image: &Image, lookups: &Lookups) -> Starters {
        let library = match image.objects.first() {
            Some(program) if program.file.interpreter.is_none() => Some(ObjectId(0)),
            _ => lookups.library(),
        };
        let mut found = FxHashMap::default();
        for (name, argument, starts) in STARTERS {
            let reg = image.convention.arguments[argument];
            for at in image.functions_named(name) {
                if image.object_of(at) == library {
                    found.insert(at.0, (reg, starts));
                }
            }
        }
        Starters(found)
    }
}

impl Solver<'_> {
    /// Notes what the call at `at` of the function at `address` starts, if it does.
    pub(super) fn start(&mut self, walk: &mut Walk<'_>, at: u64, address: u64, call: &Call) {
        let Some(&(reg, starts)) = self.starters.0.get(&address) else {
            return;
        };
        let passed = call.passed(Input::Register(reg));
        let routine = walk.evaluator.value(passed);
        if routine.single().is_none() {
            self.argues(walk.function, &walk.body.graph, passed);
        }
        walk.pass.starts.insert(at, Start { starts, routine });
    }
}
