//! Filters of a worker and of its jobs: made, and proved equal to their policies, on the host's side.

use portcullis_bpf::{Proved, compile, verify};
use portcullis_policy::{PLACEHOLDER, Policy, toml};
use portcullis_sandbox::{ArmedFilter, Cookie};
use portcullis_sys::seccomp::SockFilter;

use crate::error::Error;
use crate::wire::Instruction;

/// A policy as it is written.
fn policy(text: &str, what: &'static str) -> Result<Policy, Error> {
    toml::read(text).map_err(|e| failed(what, &e))
}

fn proved(policy: &Policy, what: &'static str) -> Result<Proved, Error> {
    let program = compile(policy).map_err(|e| failed(what, &e))?;
    verify(program, policy).map_err(|e| failed(what, &e))
}

fn failed(what: &'static str, error: &dyn std::fmt::Display) -> Error {
    Error::Filter {
        what,
        reason: error.to_string(),
    }
}

/// The filter of a worker's program, with a rule for its launch alone; and how many rules allow something.
pub(crate) fn of_worker(text: &str) -> Result<(ArmedFilter, usize), Error> {
    const WHAT: &str = "a worker";
    let policy = policy(text, WHAT)?.with_launch();
    let allowed = policy.rules().filter(|r| r.action.permits()).count();
    let template = proved(&policy, WHAT)?;
    let cookie = Cookie::random()?;
    let filled = template
        .program()
        .with_constant(PLACEHOLDER, cookie.value());
    let proved = verify(filled, &policy.armed(cookie.value())).map_err(|e| failed(WHAT, &e))?;
    let rows = proved.program().instructions().iter();
    let rows = rows.map(|i| SockFilter {
        code: i.code,
        jt: i.jt,
        jf: i.jf,
        k: i.k,
    });
    Ok((ArmedFilter::new(rows.collect(), cookie)?, allowed))
}

/// The filter of jobs, as data for the worker.
pub(crate) fn of_jobs(text: &str) -> Result<Vec<Instruction>, Error> {
    const WHAT: &str = "jobs";
    let proved = proved(&policy(text, WHAT)?, WHAT)?;
    let rows = proved.program().instructions().iter();
    Ok(rows.map(|i| (i.code, i.jt, i.jf, i.k)).collect())
}
