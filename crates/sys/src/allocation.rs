//! An allocator that counts what is taken from it, so that "too much" is the same on every machine: pages, caches and
//! threads of an allocator below it have no part in the count.
#![expect(unsafe_code, reason = "an allocator is one")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::process;

/// The system's allocator with a count of the bytes that are in use, as they were asked for, while there is a bound. A
/// start of a program takes some thousand blocks, and none of its bounds is kept here: without one nothing is counted.
/// Ordered as little as possible: one thread's count is exact, and nothing else depends on it.
#[derive(Debug)]
pub struct Counting {
    used: AtomicUsize,
    peak: AtomicUsize,
    /// [`NONE`] when there is no bound.
    most: AtomicUsize,
    last_word: OnceLock<(OwnedFd, Vec<u8>, i32)>,
}

/// More than any process can have in use.
const NONE: usize = usize::MAX;

impl Counting {
    /// One without a bound.
    pub const fn new() -> Counting {
        Counting {
            used: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            most: AtomicUsize::new(NONE),
            last_word: OnceLock::new(),
        }
    }

    /// Counts from here on, beside what is in use already. When more than `most` bytes are in use it writes `last_word`
    /// to a descriptor, and the process ends with `code`. Of several bounds the first one's word counts.
    pub fn bound(&self, most: u64, to: OwnedFd, last_word: Vec<u8>, code: i32) {
        let most = usize::try_from(most).unwrap_or(NONE).min(NONE - 1);
        // One that is there already stays.
        let _ = self.last_word.set((to, last_word, code));
        self.used.store(0, Ordering::Relaxed);
        self.peak.store(0, Ordering::Relaxed);
        self.most.store(most, Ordering::Relaxed);
    }

    /// Takes the bound away, and counts no more.
    pub fn unbound(&self) {
        self.most.store(NONE, Ordering::Relaxed);
    }

    /// The most bytes that were in use while there was a bound.
    pub fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed) as u64
    }

    fn take(&self, size: usize) {
        let most = self.most.load(Ordering::Relaxed);
        if most == NONE {
            return;
        }
        let used = self.used.fetch_add(size, Ordering::Relaxed);
        // What was in use before the count began is given back as well.
        let used = used.wrapping_add(size).cast_signed().max(0).cast_unsigned();
        if used > most {
            let Some((to, word, code)) = self.last_word.get() else {
                process::exit_now(1)
            };
            // Who is gone is told nothing.
            let _ = process::write_message(to.as_fd(), word);
            process::exit_now(*code)
        }
        // Mostly it is not more than ever, and a look costs less than a locked operation.
        if used > self.peak.load(Ordering::Relaxed) {
            self.peak.fetch_max(used, Ordering::Relaxed);
        }
    }

    fn give_back(&self, size: usize) {
        if self.most.load(Ordering::Relaxed) != NONE {
            self.used.fetch_sub(size, Ordering::Relaxed);
        }
    }
}

impl Default for Counting {
    fn default() -> Counting {
        Counting::new()
    }
}

// SAFETY: every block comes from the system's allocator and goes back there with its layout; counting touches neither.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.take(layout.size());
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.take(layout.size());
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.give_back(layout.size());
        // SAFETY: the block is the system's, with this layout.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.give_back(layout.size());
        self.take(size);
        // SAFETY: the block is the system's, with this layout; the size is the caller's promise.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_is_counted_as_it_was_asked_for() {
        let counting = Counting::new();
        let layout = |size| Layout::from_size_align(size, 8).unwrap();
        let (_, to) = process::pipe().unwrap();
        counting.bound(1000, to, Vec::new(), 1);
        // SAFETY: a layout that is not empty.
        let first = unsafe { counting.alloc(layout(100)) };
        // SAFETY: the block and its layout.
        let first = unsafe { counting.realloc(first, layout(100), 300) };
        // SAFETY: a layout that is not empty.
        let second = unsafe { counting.alloc_zeroed(layout(200)) };
        assert_eq!(counting.peak(), 500);
        // SAFETY: the block and its layout.
        unsafe { counting.dealloc(first, layout(300)) };
        // SAFETY: the same.
        unsafe { counting.dealloc(second, layout(200)) };
        assert_eq!(counting.used.load(Ordering::Relaxed), 0);
        assert_eq!(counting.peak(), 500);
        // More is given back than was taken since: that is no use.
        counting.give_back(50);
        counting.take(60);
        assert_eq!(counting.peak(), 500);
        counting.unbound();
        counting.take(5000);
        assert_eq!(counting.peak(), 500);
    }
}
