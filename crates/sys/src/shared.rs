//! A word of memory that a process shares with the children that it creates from then on.

#![expect(unsafe_code, reason = "memory that is shared is mapped by hand")]

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, check};

/// Such a word, 0 at first. A child has it until its exec.
#[derive(Debug)]
pub struct SharedWord(NonNull<AtomicU64>);

impl SharedWord {
    /// Maps it (mmap(2), `MAP_SHARED`).
    pub fn new() -> Result<SharedWord, Error> {
        // SAFETY: the kernel chooses a new place, of which nothing else has an address.
        let value = unsafe {
            libc::syscall(
                libc::SYS_mmap,
                0,
                size_of::<AtomicU64>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        let at = check("mmap", value)?;
        let at = std::ptr::with_exposed_provenance_mut(at.cast_unsigned() as usize);
        // A mapping never begins at 0 without MAP_FIXED.
        NonNull::new(at).map(SharedWord).ok_or(Error::last("mmap"))
    }

    /// What it holds.
    pub fn load(&self) -> u64 {
        // SAFETY: mapped by `new`, aligned to a page, and unmapped by `drop` alone.
        unsafe { self.0.as_ref() }.load(Ordering::SeqCst)
    }

    /// Sets it, for whoever shares it. May be called by a child before its exec.
    pub fn store(&self, value: u64) {
        // SAFETY: as for `load`.
        unsafe { self.0.as_ref() }.store(value, Ordering::SeqCst);
    }
}

impl Drop for SharedWord {
    fn drop(&mut self) {
        // SAFETY: `new` mapped it, and no reference outlives `self`.
        unsafe { libc::syscall(libc::SYS_munmap, self.0.as_ptr(), size_of::<AtomicU64>()) };
    }
}

// SAFETY: all access to the word is atomic.
unsafe impl Send for SharedWord {}
// SAFETY: as above.
unsafe impl Sync for SharedWord {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_tells_by_it() {
        let word = SharedWord::new().unwrap();
        assert_eq!(word.load(), 0);
        // SAFETY: the child stores a word and ends.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            word.store(7);
            // SAFETY: nothing of the parent is run.
            unsafe { libc::_exit(0) };
        }
        let mut status = 0;
        // SAFETY: the child's number, and a live place for its status.
        assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
        assert_eq!(word.load(), 7);
    }
}
