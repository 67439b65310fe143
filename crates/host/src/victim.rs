//! Whom the kernel ends where memory is short: the job first, then who has to do with it alone, and the host last.
//!
//! One that has been ended is passed over before all of its memory is given back. Where more is wanted in between, the
//! next one goes: on an emulated Linux 7.3 with other work beside it that was the host, while the group's memory was still
//! at its limit with the pages of a job that had ended.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

/// The mark of who goes before all others of a group (proc_pid_oom_score_adj(5)).
const FIRST: i32 = 1000;
/// Of who goes next. The difference is a tenth of the memory that is short: a worker that is larger than its job by that
/// goes before it.
const NEXT: i32 = 900;

/// A native program and all that it starts go first, wherever the limit is that memory is short of, and the first process of
/// its namespaces next: else that would be whoever has the most, which can be the host. It is advice, which a program of
/// the host's own user can take back; the init of an ordinary user's program is closed to him.
pub(crate) fn mark(program: i32, first: Option<i32>) {
    let _ = std::fs::write(path(program), FIRST.to_string());
    if let Some(first) = first {
        mark_next(first);
    }
}

/// Marks who goes next; one that goes before that already keeps its mark, as the host does that it is from. What it is then.
fn mark_next(process: i32) -> Option<i32> {
    let path = path(process);
    let own = std::fs::read_to_string(&path).ok()?;
    let next = own.trim().parse().map_or(NEXT, |own: i32| own.max(NEXT));
    std::fs::write(path, next.to_string()).ok()?;
    Some(next)
}

fn path(process: i32) -> String {
    format!("/proc/{process}/oom_score_adj")
}

/// A worker's mark, of which each process that it forks gets a copy: it has that of its jobs while one is forked. An entry of
/// /proc is made anew for each process, so that to mark the jobs themselves took about 15 µs (a profile), and a job ran for a while without.
#[derive(Debug)]
pub(crate) struct Victim {
    mark: File,
    next: i32,
}

impl Victim {
    /// Of a worker and the `first` process of its namespaces, which go next from now on. `None` where the worker's mark is not
    /// to be changed, as that of another user's process: it is advice, and a limit of memory holds without it.
    pub(crate) fn of(worker: i32, first: i32) -> Option<Victim> {
        let _ = mark_next(first);
        Some(Victim {
            next: mark_next(worker)?,
            mark: File::options().write(true).open(path(worker)).ok()?,
        })
    }

    /// Who is forked from now on goes first.
    pub(crate) fn mark_forks(&self) {
        self.set(FIRST);
    }

    /// The worker itself goes after its job.
    pub(crate) fn spare_worker(&self) {
        self.set(self.next);
    }

    fn set(&self, mark: i32) {
        let _ = self.mark.write_all_at(mark.to_string().as_bytes(), 0);
    }
}
