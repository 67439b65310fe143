//! Whom the kernel ends first where memory is short: the job, so that its worker and its host stay.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

/// The mark of who goes before all others of a group (proc_pid_oom_score_adj(5)).
const FIRST: &[u8] = b"1000";

/// A native program and all that it starts go first, wherever the limit is that memory is short of: else that would be whoever
/// has the most, which can be the host. It is advice as well, which a program of the host's own user can take back.
pub(crate) fn mark(program: i32) {
    let _ = std::fs::write(format!("/proc/{program}/oom_score_adj"), FIRST);
}

/// A worker's mark, of which each process that it forks gets a copy: it has that of its jobs while one is forked. An entry of
/// /proc is made anew for each process, so that to mark the jobs themselves took about 15 µs (a profile), and a job ran for a while without.
#[derive(Debug)]
pub(crate) struct Victim {
    mark: File,
    own: Vec<u8>,
}

impl Victim {
    /// `None` where its mark is not to be changed, as that of another user's process: it is advice, and a limit of memory holds
    /// without it.
    pub(crate) fn of(worker: i32) -> Option<Victim> {
        let path = format!("/proc/{worker}/oom_score_adj");
        let own = std::fs::read(&path).ok()?;
        let mark = File::options().write(true).open(path).ok()?;
        Some(Victim { mark, own })
    }

    /// Who is forked from now on goes first.
    pub(crate) fn mark_forks(&self) {
        let _ = self.mark.write_all_at(FIRST, 0);
    }

    /// The worker has its own mark again.
    pub(crate) fn spare_worker(&self) {
        let _ = self.mark.write_all_at(&self.own, 0);
    }
}
