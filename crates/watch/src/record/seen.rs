//! What each program was seen to do.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use portcullis_policy::Action;

use super::fact::Denier;
use super::made::Made;

/// A program, in the order in which they were first executed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ImageId(pub u32);

/// A call of a program, in the order in which they were first made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallId(pub u32);

/// Values of one call that are told apart.
const VALUES: usize = 256;
/// Error numbers of one call that are kept.
const ERRORS: usize = 64;
/// Ways to start one program that are told apart.
const STARTS: usize = 1024;

/// How a program was started: its name and its first argument, which say what it is to do, in a few bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Start(u64);

impl Start {
    /// With these arguments. Of what could not be read nothing is known, which is a way to be started as well.
    pub(super) fn with(words: &[Vec<u8>]) -> Start {
        let mut hasher = DefaultHasher::new();
        words.hash(&mut hasher);
        Start(hasher.finish())
    }
}

/// What one program was seen to do.
#[derive(Default)]
pub struct Seen {
    /// Its calls.
    pub(super) calls: HashMap<Made, CallId>,
    /// Different calls by number.
    values: HashMap<(u32, u32), usize>,
    /// Calls, by all its tasks, since the last new one.
    pub(super) quiet: u64,
    /// How often it was started alike, and ended.
    starts: HashMap<Start, u64>,
    /// It created processes.
    pub(super) starts_others: bool,
    /// It adds code while it runs, or has tasks that share memory and could: a filter that looks at calls of certain code
    /// would not see all of its.
    pub(super) adds_code: bool,
    /// A filter was refused that it was to load by itself before its first instruction: it has to be led through that.
    pub(super) is_led: bool,
    /// Tasks of it run free, or did.
    pub(super) is_free: bool,
}

impl Seen {
    /// Its different calls.
    pub(super) fn known(&self) -> impl ExactSizeIterator<Item = Made> {
        self.calls.keys().copied()
    }

    /// How often it was started in this way, and ended.
    pub(super) fn alike(&self, start: Start) -> u64 {
        self.starts.get(&start).copied().unwrap_or_default()
    }

    /// One that was started in this way has ended.
    pub(super) fn ended(&mut self, start: Start) {
        if self.starts.len() < STARTS || self.starts.contains_key(&start) {
            *self.starts.entry(start).or_default() += 1;
        }
    }

    /// As what a call is kept: itself, or without its values when there are too many.
    pub(super) fn kept(&mut self, made: Made) -> Made {
        if self.calls.contains_key(&made) {
            return made;
        }
        let values = self.values.entry((made.arch, made.number)).or_default();
        if *values >= VALUES {
            return made.with_any();
        }
        *values += 1;
        made
    }
}

/// A call of a program, and what came of it.
pub(super) struct Call {
    pub(super) count: u64,
    /// It succeeded at least once.
    pub(super) succeeded: bool,
    /// The errors that it returned.
    pub(super) errors: HashSet<u16>,
    /// Who denied it, and by which answers.
    pub(super) denied: HashSet<(Denier, Action)>,
}

impl Call {
    pub(super) fn new() -> Call {
        Call {
            count: 0,
            succeeded: false,
            errors: HashSet::new(),
            denied: HashSet::new(),
        }
    }

    /// Notes what it returned; whether that is new.
    pub(super) fn returned(&mut self, error: Option<u16>) -> bool {
        match error {
            None => !std::mem::replace(&mut self.succeeded, true),
            Some(error) => self.errors.len() < ERRORS && self.errors.insert(error),
        }
    }
}
