//! `run --prove`: before the program starts, siblings of it try to get out.

use anyhow::{Result, ensure};
use portcullis_policy::{ActionMap, Policy};
use portcullis_sandbox::{Answer, Error, Features, Filtered, Plan, prove};

use super::filter;
use crate::neutral;
use crate::output::say;

/// Has every way out tried that `plan` and `policy` close; how many these were. One that is open is an error.
pub(super) fn before(
    plan: &Plan,
    features: &Features,
    policy: &Policy,
    cache: bool,
) -> Result<usize> {
    // The policy's own answers, not those by which a tracer is asked: nobody traces a sibling.
    let exact = ActionMap::identity();
    let made = || match filter::armed(policy, &exact, None, cache) {
        Ok((filter, _)) => Ok(filter),
        Err(error) => Err(Error::Invalid(format!("{error:#}"))),
    };
    let answer = |arch, number, args| Answer::of(policy, arch, number, args);
    let filtered = Filtered {
        filter: &made,
        answer: &answer,
    };
    let tried = prove(plan, features, Some(&filtered))?;
    for surprise in &tried.surprises {
        say(&format!("break-out test: {}", neutral::text(surprise)));
    }
    let open = tried.surprises.len();
    ensure!(
        open == 0,
        "the program is not started: {open} of {} attempts to get out did not fail as they must",
        tried.attempts
    );
    say(&format!(
        "{} ways out were tried, and none leads out",
        tried.attempts
    ));
    Ok(tried.attempts)
}
