//! How much memory a job may have: its module's memories and its files count together.

/// Bytes that are counted.
#[derive(Debug)]
pub(crate) struct Room {
    most: u64,
    used: u64,
}

impl Room {
    pub(crate) fn new(most: u64) -> Room {
        Room { most, used: 0 }
    }

    /// Whether there is room for so many; they then count.
    pub(crate) fn take(&mut self, bytes: u64) -> bool {
        let used = self.used.saturating_add(bytes);
        let fits = used <= self.most;
        if fits {
            self.used = used;
        }
        fits
    }

    /// So many do not count any more.
    pub(crate) fn give_back(&mut self, bytes: u64) {
        self.used = self.used.saturating_sub(bytes);
    }
}
