//! Who waits in a vfork(2): it stands still until its child executes a program or ends, and is let go then.
//!
//! Let go at once it would wake up to wait until the same moment in the kernel.

use portcullis_sys::{Error, wait};

use super::{Recorder, gone};

impl Recorder<'_> {
    /// Whether `tid` is let go only with the `child` that it has just created.
    pub(super) fn awaits(&mut self, tid: i32, child: Option<i32>) -> Result<bool, Error> {
        let Some(child) = child else {
            return Ok(false);
        };
        // The end of one that was killed at once can have been told before its creator told of it.
        let awaits = wait::is_there(child)?;
        if awaits {
            self.in_vfork.insert(child, tid);
        }
        Ok(awaits)
    }

    /// `child` runs a program of its own or has ended, or has created another task. When that is a thread, its own end is told
    /// with the thread's, and the kernel lets its creator go at its own (`mm_release`).
    pub(super) fn is_no_longer_awaited(&mut self, child: i32) -> Result<(), Error> {
        match self.in_vfork.remove(&child) {
            Some(tid) => self.resume(tid, 0).or_else(gone),
            None => Ok(()),
        }
    }
}
