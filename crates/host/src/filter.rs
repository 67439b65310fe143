//! Filters of a worker and of its jobs: made, and proved equal to their policies, on the host's side.

use portcullis_abi::Arch;
use portcullis_bpf::{compile, verify};
use portcullis_policy::{ActionMap, Policy, toml};
use portcullis_sandbox::Filter;

use crate::error::Error;
use crate::wire::Instruction;

/// A policy as it is written, for this machine.
fn policy(text: &str, what: &'static str) -> Result<Policy, Error> {
    let policy = toml::read(text).map_err(|e| failed(what, &e))?;
    Ok(policy.on(Arch::NATIVE))
}

fn failed(what: &'static str, error: &dyn std::fmt::Display) -> Error {
    Error::Filter {
        what,
        reason: error.to_string(),
    }
}

/// The filter of a worker's program, in which each start fills in the secret that allows its launch alone, how many
/// rules allow something, and its policy.
pub(crate) fn of_worker(text: &str) -> Result<(Filter, usize, Policy), Error> {
    const WHAT: &str = "a worker";
    let policy = policy(text, WHAT)?;
    let filter = Filter::new(&policy, &ActionMap::identity()).map_err(|e| failed(WHAT, &e))?;
    // The launch is one more.
    let allowed = 1 + policy.rules().filter(|r| r.action.permits()).count();
    Ok((filter, allowed, policy))
}

/// The filter of jobs, as data for the worker.
pub(crate) fn of_jobs(text: &str) -> Result<Vec<Instruction>, Error> {
    const WHAT: &str = "jobs";
    let policy = policy(text, WHAT)?;
    let program = compile(&policy).map_err(|e| failed(WHAT, &e))?;
    let proved = verify(program, &policy).map_err(|e| failed(WHAT, &e))?;
    let rows = proved.program().instructions().iter();
    Ok(rows.map(|i| (i.code, i.jt, i.jf, i.k)).collect())
}
