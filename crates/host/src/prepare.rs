//! Preparing a module: in a process of its own, for this one module, under limits.

use std::os::unix::net::UnixStream;

use portcullis_sandbox::{
    Counted, Followed, LayerName, Limits as Bounds, Observer, Outcome, Root, Shortage,
    launch_embedded,
};

use crate::error::Error;
use crate::image::Image;
use crate::template::{Inherited, Template, ended, released};
use crate::wire::{self, Answer, MOST_BODY, Order};

/// What is to be prepared, and how.
#[derive(Clone, Copy, Debug)]
pub struct Preparation<'a> {
    /// The module.
    pub module: &'a [u8],
    /// The engine counts steps.
    pub metered: bool,
    /// What preparing may use: processor time, time on the clock, memory.
    pub bounds: Bounds,
    /// Bytes that preparing may have in use at one time, as they are asked for: unlike the others, this bound is the same
    /// on every machine, so that what is too large for one is too large for all.
    pub allocations: u64,
}

/// [`Preparation::allocations`] for who has no other wish: less than the default for memory, which counts more.
pub const ALLOCATIONS: u64 = 768 << 20;
/// How that bound is called.
pub(crate) const ALLOCATED: &str = "allocations";

/// Prepares a module; what comes back is only bytes, until they are sealed and authenticated. An error that is
/// [`Error::Refused`] or [`Error::TooLarge`] is about the module.
pub fn prepare(
    image: &Image,
    wanted: &Preparation<'_>,
    without: &[LayerName],
) -> Result<Vec<u8>, Error> {
    let template = Template::new(image, wanted.bounds, without)?;
    let start = template.start()?;
    // How long it takes is a matter of the limits.
    start.control.set_read_timeout(None)?;
    let mut asking = Asking {
        control: &start.control,
        theirs: Some(start.theirs),
        wanted,
    };
    let verdict = launch_embedded(&start.plan, || template.filter(), &mut asking)?;
    match (verdict.outcome, verdict.report) {
        (_, Ok(artifact)) => Ok(artifact),
        (Outcome::Unbounded, _) => Err(Error::Worker(
            "was ended: its control group was taken away".to_owned(),
        )),
        (Outcome::Limit(limit), _) => Err(Error::TooLarge(limit)),
        (_, Err(error)) => Err(error),
    }
}

struct Asking<'a> {
    control: &'a UnixStream,
    /// The program's ends: open here until it has them, so that its end is seen.
    theirs: Option<Inherited>,
    wanted: &'a Preparation<'a>,
}

impl Observer for Asking<'_> {
    type Report = Result<Vec<u8>, Error>;

    fn follow(&mut self, root: Root<'_>) -> Result<Followed<Self::Report>, portcullis_sys::Error> {
        let _first = released(&root)?;
        drop(self.theirs.take());
        let report = ask(self.control, self.wanted);
        let group = root.group;
        let shortage = group.and_then(|group| group.shortage(&mut Counted::default()));
        let memory = shortage.map_or(0, Shortage::of_limit);
        let report = match report {
            Err(Error::Worker(_) | Error::Talk(_)) if memory > 0 => Err(Error::TooLarge("memory")),
            other => other,
        };
        ended(&root, report)
    }
}

fn ask(control: &UnixStream, wanted: &Preparation<'_>) -> Result<Vec<u8>, Error> {
    let order = Order::Prepare {
        metered: wanted.metered,
        allocations: wanted.allocations,
    };
    wire::send(control, &order, wanted.module, None)?;
    match wire::receive::<Answer>(control, MOST_BODY)? {
        Some(message) => match message.head {
            Answer::Prepared => Ok(message.body),
            Answer::Refused(why) => Err(Error::Refused(why)),
            // What its own counter says is about the module that it was given.
            Answer::TooLarge => Err(Error::TooLarge(ALLOCATED)),
            _ => Err(Error::Worker("answered something else".to_owned())),
        },
        None => Err(Error::Worker("ended while it prepared".to_owned())),
    }
}
