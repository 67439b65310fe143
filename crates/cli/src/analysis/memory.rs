//! A bound on the memory of an analysis: a program that is too large for this machine ends in a sentence, and not in the
//! kernel's choice of whom to kill.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

use portcullis_sys::allocation::Counting;

/// Counts what this process has in use.
#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

/// What is left of the process that comes to the bound: nothing can be returned from there.
pub(super) struct LastWord {
    pub(super) to: OwnedFd,
    pub(super) bytes: Vec<u8>,
    /// It ends with this code.
    pub(super) code: i32,
}

/// Does `analyse` with at most `most` bytes beside those that are in use already.
pub(super) fn within<T>(most: u64, last_word: LastWord, analyse: impl FnOnce() -> T) -> T {
    let LastWord { to, bytes, code } = last_word;
    ALLOCATOR.bound(most, to, bytes, code);
    let done = analyse();
    ALLOCATOR.unbound();
    done
}

/// What the end at the bound is told as.
pub(super) fn too_large(most: u64) -> String {
    format!(
        "the analysis was ended: it takes more than {} MiB of memory. By default it may take three quarters of what is \
         free; --analysis-memory SIZE says how much instead. `record` finds what a program calls without an analysis",
        most >> 20
    )
}

/// Three quarters of the memory that this process can have: of what is free, and of what its control groups may use. The
/// rest is for what an allocator takes beside what it is asked for.
pub(super) fn usual() -> u64 {
    let all = [free(), group(Path::new("/sys/fs/cgroup"))];
    let least = all.into_iter().flatten().min();
    least.map_or(u64::MAX, |bytes| bytes / 4 * 3)
}

/// What the kernel takes for free (proc_meminfo(5)).
fn free() -> Option<u64> {
    let told = fs::read_to_string("/proc/meminfo").ok()?;
    let mut lines = told.lines();
    let free = lines.find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = free.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes << 10)
}

/// The least bound of this process's control groups, whose files are below `mounted` (cgroups(7)).
fn group(mounted: &Path) -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let of = |line: &str| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let (top, file) = match controllers {
            "" => (mounted.to_owned(), "memory.max"),
            one if one.split(',').any(|name| name == "memory") => {
                (mounted.join("memory"), "memory.limit_in_bytes")
            }
            _ => return None,
        };
        let path = path.trim_start_matches('/');
        let above = Path::new(path).ancestors();
        // A group without a bound says `max`, or more than any machine has.
        let bound = |at: &Path| {
            fs::read_to_string(top.join(at).join(file))
                .ok()?
                .trim()
                .parse()
                .ok()
        };
        above.filter_map(bound).min()
    };
    own.lines().filter_map(of).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_quarters_of_what_there_is() {
        let all = free().unwrap();
        let usual = usual();
        assert!(
            usual > 0 && usual <= all / 4 * 3 + (1 << 30),
            "{usual} of {all}"
        );
    }
}
