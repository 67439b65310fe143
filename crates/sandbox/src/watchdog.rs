//! Ends a run whose time is over.

use std::os::fd::AsFd as _;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use portcullis_sys::freezer;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::bounds::Bounds;
use crate::cgroup::Group;

/// How rarely processor time is looked at, and how often.
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

    /// More was written than may be.
    pub(crate) fn output(&self) {
        self.0.store(3, Ordering::SeqCst);
    }
}

/// Watches from `began` on until `stop` is closed at its other end; kills the process of `first`, with which
/// all the others end.
pub(crate) fn watch(
    bounds: &Bounds,
    group: Option<&Group>,
    began: Instant,
    first: &OwnedFd,
    stop: &OwnedFd,
    fired: &Fired,
) {
    loop {
        let mut next = LOOKS.1;
        let mut over = None;
        if let Some(wall) = bounds.wall {
            match wall.checked_sub(began.elapsed()) {
                Some(left) if !left.is_zero() => next = left,
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
        if let Some(limit) = over {
            fired.0.store(limit, Ordering::SeqCst);
            freezer::kill(first.as_fd());
            return;
        }
        let mut stopped = [PollFd::new(stop, PollFlags::IN)];
        let timeout = Timespec {
            tv_sec: i64::try_from(next.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: next.subsec_nanos().into(),
        };
        match poll(&mut stopped, Some(&timeout)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            _ => return,
        }
    }
}
