//! When what happened of a request, for traces: the parts of one attempt follow one another without a gap.

use std::time::{Instant, SystemTime};

/// A part of a request's course: `queue` until it is begun; of each attempt `prepare`, in which it gets a worker that has
/// its artifact, or a plan; `set-up` until its own code runs; `run` until it has ended; `collect` until what it came to
/// is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    /// Which.
    pub name: &'static str,
    /// From when on.
    pub begin: SystemTime,
    /// Until when.
    pub end: SystemTime,
}

/// One attempt, as far as it has come.
pub(crate) struct Course {
    last: Instant,
    parts: Vec<(&'static str, Instant, Instant)>,
}

impl Course {
    pub(crate) fn new(begin: Instant) -> Course {
        Course {
            last: begin,
            parts: Vec::with_capacity(4),
        }
    }

    /// A part has ended, and the next begins.
    pub(crate) fn ends(&mut self, name: &'static str) {
        let now = Instant::now();
        let begin = std::mem::replace(&mut self.last, now);
        self.parts.push((name, begin, now));
    }

    /// As others tell time, by `clock`.
    pub(crate) fn spans(&self, clock: &Clock) -> Vec<Span> {
        let parts = self.parts.iter();
        let spans = parts.map(|&(name, begin, end)| clock.span(name, begin, end));
        spans.collect()
    }
}

/// What time it was at one instant: later instants are told from there, whatever is done to the clock of the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant, SystemTime);

impl Clock {
    pub(crate) fn now() -> Clock {
        Clock(Instant::now(), SystemTime::now())
    }

    pub(crate) fn span(&self, name: &'static str, begin: Instant, end: Instant) -> Span {
        let at = |instant: Instant| self.1 + instant.saturating_duration_since(self.0);
        Span {
            name,
            begin: at(begin),
            end: at(end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_one_another() {
        let clock = Clock::now();
        let mut course = Course::new(Instant::now());
        course.ends("prepare");
        course.ends("run");
        let spans = course.spans(&clock);
        let [prepare, run] = &spans[..] else {
            panic!("{spans:?}");
        };
        assert_eq!((prepare.name, run.name), ("prepare", "run"));
        assert!(clock.1 <= prepare.begin && prepare.begin <= prepare.end);
        assert_eq!(prepare.end, run.begin);
        assert!(run.begin <= run.end);
    }
}
