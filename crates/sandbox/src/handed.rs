//! What launcher and child tell each other through memory that both have until the exec: the filter with its secret,
//! which is proved while the child makes its mounts, and how far the launch exec is.

use std::sync::atomic::Ordering;

use portcullis_sys::Error;
use portcullis_sys::seccomp::{self, MAX_INSTRUCTIONS};
use portcullis_sys::shared::SharedWords;

use crate::secret::ArmedFilter;

/// How far the launch exec is.
const EXEC: usize = 0;
/// The secret.
const COOKIE: usize = 1;
/// Whether what Landlock denies is to have audit records.
const AUDITED: usize = 2;
/// How many instructions there are.
const COUNT: usize = 3;
/// The first of them.
const FIRST: usize = 4;

/// What a child puts there when it begins to execute its program. Anything else above 0 is the error number with which
/// that failed.
pub(crate) const EXECUTING: u64 = u64::MAX;

/// That memory. Dropped, the secret is wiped for everybody.
#[derive(Debug)]
pub(crate) struct Handed(SharedWords);

impl Handed {
    pub(crate) fn new() -> Result<Handed, Error> {
        SharedWords::new(FIRST + MAX_INSTRUCTIONS).map(Handed)
    }

    /// Gives the child its filter, before it is told to go on.
    pub(crate) fn give(&self, filter: &ArmedFilter, audited: bool) {
        self.0[AUDITED].store(audited.into(), Ordering::SeqCst);
        let rows = filter.instructions();
        for (place, row) in self.0[FIRST..].iter().zip(rows) {
            place.store(row.word(), Ordering::SeqCst);
        }
        self.0[COOKIE].store(filter.cookie(), Ordering::SeqCst);
        self.0[COUNT].store(rows.len() as u64, Ordering::SeqCst);
    }

    /// The filter is loaded: nobody else needs to know it, or its secret.
    pub(crate) fn wipe(&self) {
        let count = self.count();
        for word in &self.0[COOKIE..FIRST + count] {
            word.store(0, Ordering::SeqCst);
        }
    }

    fn count(&self) -> usize {
        let count = self.0[COUNT].load(Ordering::SeqCst);
        usize::try_from(count).map_or(0, |count| count.min(MAX_INSTRUCTIONS))
    }

    /// The secret of the filter that was given.
    pub(crate) fn cookie(&self) -> u64 {
        self.0[COOKIE].load(Ordering::SeqCst)
    }

    /// Whether what Landlock denies is to have audit records.
    pub(crate) fn audited(&self) -> bool {
        self.0[AUDITED].load(Ordering::SeqCst) != 0
    }

    /// The child loads the filter that it was given.
    pub(crate) fn load(&self) -> Result<(), Error> {
        seccomp::install_words(&self.0[FIRST..FIRST + self.count()])
    }

    /// How far the launch exec is.
    pub(crate) fn exec(&self) -> u64 {
        self.0[EXEC].load(Ordering::SeqCst)
    }

    /// The child tells that.
    pub(crate) fn set_exec(&self, how_far: u64) {
        self.0[EXEC].store(how_far, Ordering::SeqCst);
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        self.wipe();
    }
}
