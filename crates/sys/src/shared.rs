//! Words of memory that a process shares with the children that it creates from then on.

#![expect(unsafe_code, reason = "memory that is shared is mapped by hand")]

use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use crate::{Error, check};

/// Such words, 0 at first. A child has them until its exec.
#[derive(Debug)]
pub struct SharedWords {
    at: NonNull<AtomicU64>,
    count: usize,
}

impl SharedWords {
    /// Maps `count` of them (mmap(2), `MAP_SHARED`).
    pub fn new(count: usize) -> Result<SharedWords, Error> {
        // SAFETY: the kernel chooses a new place, of which nothing else has an address.
        let value = unsafe {
            libc::syscall(
                libc::SYS_mmap,
                0,
                count * size_of::<AtomicU64>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        let at = check("mmap", value)?;
        let at = std::ptr::with_exposed_provenance_mut(at.cast_unsigned() as usize);
        // A mapping never begins at 0 without MAP_FIXED.
        let words = |at| SharedWords { at, count };
        NonNull::new(at).map(words).ok_or(Error::last("mmap"))
    }
}

impl Deref for SharedWords {
    type Target = [AtomicU64];

    /// May be called by a child before its exec.
    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: mapped by `new`, aligned to a page, zeroed by the kernel, and unmapped by `drop` alone.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.count) }
    }
}

impl Drop for SharedWords {
    fn drop(&mut self) {
        let size = self.count * size_of::<AtomicU64>();
        // SAFETY: `new` mapped them, and no reference outlives `self`.
        unsafe { libc::syscall(libc::SYS_munmap, self.at.as_ptr(), size) };
    }
}

// SAFETY: all access to the words is atomic.
unsafe impl Send for SharedWords {}
// SAFETY: as above.
unsafe impl Sync for SharedWords {}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn a_child_tells_by_it() {
        let words = SharedWords::new(600).unwrap();
        let word = &words[599];
        assert_eq!(word.load(Ordering::SeqCst), 0);
        // SAFETY: the child stores a word and ends.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            word.store(7, Ordering::SeqCst);
            // SAFETY: nothing of the parent is run.
            unsafe { libc::_exit(0) };
        }
        let mut status = 0;
        // SAFETY: the child's number, and a live place for its status.
        assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
        assert_eq!(word.load(Ordering::SeqCst), 7);
    }
}
