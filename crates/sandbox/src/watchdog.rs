//! Ends a run whose time is over, or whose limits nothing keeps any more.

use std::os::fd::AsFd as _;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use portcullis_sys::{freezer, process};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::bounds::Bounds;
use crate::cgroup::Group;

/// How often processor time is looked at, and how rarely the group.
const LOOKS: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// Which limit ended a run.
#[derive(Debug, Default)]
pub(crate) struct Fired(AtomicU8);

impl Fired {
    /// Its name.
    pub(crate) fn name(&self) -> Option<&'static str> {
        match self.0.load(Ordering::SeqCst) {
            1 => Some("wall"),
            2 => Some("cpu"),
            _ => self.cut(),
        }
    }

    /// Output was cut off, however the program ended.
    pub(crate) fn cut(&self) -> Option<&'static str> {
        (self.0.load(Ordering::SeqCst) == 3).then_some("output")
    }

    /// Its group does not hold it any more.
    pub(crate) fn unbounded(&self) -> bool {
        self.0.load(Ordering::SeqCst) == UNBOUNDED
    }

    /// More was written than may be.
    pub(crate) fn output(&self) {
        self.0.store(3, Ordering::SeqCst);
    }
}

/// What [`Fired`] holds of a run that was taken out of its group.
const UNBOUNDED: u8 = 4;

/// A process of the run, by a handle and its number.
pub(crate) struct Watched {
    handle: OwnedFd,
    pid: i32,
}

impl Watched {
    pub(crate) fn new(pid: i32) -> Result<Watched, portcullis_sys::Error> {
        let handle = process::handle(pid)?;
        Ok(Watched { handle, pid })
    }

    pub(crate) fn handle(&self) -> &OwnedFd {
        &self.handle
    }

    /// Whether it is there and not in `group`. Where it was there after the look, its number was its own.
    fn is_out_of(&self, group: &Group) -> bool {
        !group.holds(self.pid) && process::signal_process(self.handle.as_fd(), 0).is_ok()
    }
}

/// Watches from `began` on until `stop` is closed at its other end; kills the first of `processes`, with which
/// all the others end.
pub(crate) fn watch(
    bounds: &Bounds,
    group: Option<&Group>,
    began: Instant,
    processes: &[Watched],
    stop: &OwnedFd,
    fired: &Fired,
) {
    let mut stopping = false;
    loop {
        let mut next = LOOKS.1;
        let mut over = None;
        let is_out = |group: &Group| processes.iter().any(|process| process.is_out_of(group));
        if let Some(group) = group.filter(|group| is_out(group)) {
            group.lose();
            over = Some(UNBOUNDED);
        }
        if let Some(wall) = bounds.wall {
            match wall.checked_sub(began.elapsed()) {
                Some(left) if !left.is_zero() => next = next.min(left),
                _ => over = Some(1),
            }
        }
        if let (Some(most), Some(used)) = (bounds.cpu, group.and_then(Group::cpu_ns)) {
            match most.checked_sub(Duration::from_nanos(used)) {
                // On each processor it can be used as fast as time goes.
                Some(left) if !left.is_zero() => {
                    let processors = std::thread::available_parallelism().map_or(1, usize::from);
                    let share = left / u32::try_from(processors).unwrap_or(1);
                    next = next.min(share.clamp(LOOKS.0, LOOKS.1));
                }
                _ => over = Some(2),
            }
        }
        if stopping {
            over = over.filter(|over| *over == UNBOUNDED);
        }
        if let Some(limit) = over {
            fired.0.store(limit, Ordering::SeqCst);
            if let Some(first) = processes.first() {
                freezer::kill(first.handle.as_fd());
            }
            return;
        }
        if stopping {
            return;
        }
        let mut stopped = [PollFd::new(stop, PollFlags::IN)];
        let timeout = Timespec {
            tv_sec: i64::try_from(next.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: next.subsec_nanos().into(),
        };
        match poll(&mut stopped, Some(&timeout)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            // It has ended: whether it was bounded until then is looked at once more.
            _ => stopping = true,
        }
    }
}
