//! How calls come to be seen.

use std::collections::HashMap;
use std::rc::Rc;

use super::free::Free;
use super::seen::{ImageId, Seen};

/// A way to see calls. Every task begins under full tracing, in which each call stops at its entry, before
/// any filter, and at its exit; a back-end says when known calls may run free.
pub trait Backend {
    /// As traces name it.
    fn name(&self) -> &'static str;

    /// Whether known calls may come to run free at all.
    fn frees(&self) -> bool;

    /// At the exit of a call: the filter with which the task goes on, when it is time for one.
    fn free(&mut self, task: &Standing<'_>) -> Option<Rc<Free>>;
}

/// What a back-end decides by.
pub struct Standing<'a> {
    /// The program that the task runs.
    pub image: ImageId,
    /// What that program was seen to do.
    pub seen: &'a Seen,
    /// Calls that the task made since it began to run the program, was forked, or forked last.
    pub calls: u64,
    /// When it began by executing the program: how often the program was started alike before, and ended.
    pub alike: u64,
    /// Room for filters that is left in its chain.
    pub room: usize,
}

/// Every call stops, always.
pub struct Full;

impl Backend for Full {
    fn name(&self) -> &'static str {
        "full"
    }

    fn frees(&self) -> bool {
        false
    }

    fn free(&mut self, _: &Standing<'_>) -> Option<Rc<Free>> {
        None
    }
}

/// A program that makes nothing but known calls is given a filter under which these run free.
///
/// A filter stays for good, for the task and for all that it starts, and a later one can only narrow it: a
/// call that was not known by then costs a stop each time. So it comes when a program has shown no new call
/// for a while, and asks about calls of the program's own code alone (`bounds`) where that can be told for good: what the
/// program starts or becomes does not bear with it. A program that was started alike before has its filter from the
/// beginning: what it did then, it does again.
#[derive(Default)]
pub struct Adaptive {
    /// By image, and whether it is for the image's own code.
    filters: HashMap<(ImageId, bool), Compiled>,
}

/// A filter that was made.
struct Compiled {
    /// How many different calls were known then.
    known: usize,
    /// `None` when it would be too long.
    free: Option<Rc<Free>>,
}

/// Calls of a program, by all its tasks, since the last new one. A call that comes later costs one stop each
/// time, and full tracing costs two at every call: programs that make few calls have to get their filter
/// early, and the longest of those that show something new behind a pause do so a few times only.
const QUIET: u64 = 100;
/// Calls that one task made.
const BUSY: u64 = 100;
/// The same for one whose program creates processes.
const BUSY_PARENT: u64 = 500;
/// As [`QUIET`], for a filter that those who are started do not have to bear with: to come too early is less of a loss.
const QUIET_PARENT: u64 = 30;

impl Backend for Adaptive {
    fn name(&self) -> &'static str {
        "adaptive"
    }

    fn frees(&self) -> bool {
        true
    }

    fn free(&mut self, task: &Standing<'_>) -> Option<Rc<Free>> {
        let seen = task.seen;
        let calls = match seen.starts_others {
            true => BUSY_PARENT,
            false => BUSY,
        };
        let busy = seen.quiet >= QUIET && task.calls >= calls;
        let again = task.alike > 0 && !seen.starts_others;
        let parent = seen.starts_others && !seen.adds_code && seen.quiet >= QUIET_PARENT;
        if !(busy || again || parent) {
            return None;
        }
        // At its start a program has little of its code yet.
        let is_bounded = !again && !seen.adds_code;
        let compile = || Compiled {
            known: seen.known().len(),
            free: match is_bounded {
                true => Free::of_own_code(seen.known()),
                false => Free::of(seen.known()),
            }
            .map(Rc::new),
        };
        let entry = self.filters.entry((task.image, is_bounded));
        let compiled = entry.or_insert_with(compile);
        if compiled.known != seen.known().len() {
            *compiled = compile();
        }
        let free = compiled.free.as_ref()?;
        (free.weight() <= task.room).then(|| Rc::clone(free))
    }
}
