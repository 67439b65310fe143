//! The filter of one start: from the cache or compiled, proved, filled with this start's secret,
//! and proved again as it will be loaded.

use anyhow::Result;
use portcullis_abi::Arch;
use portcullis_bpf::{Program, compile, verify};
use portcullis_policy::{ActionMap, PLACEHOLDER, Policy, toml};
use portcullis_sandbox::{ArmedFilter, Cookie, Mode};
use portcullis_sys::seccomp::SockFilter;
use portcullis_watch::core_calls;
use sha2::{Digest as _, Sha256};

use crate::cache::store::{Key, Kind, Store};

/// The declared difference between the filter's answers and the policy's.
///
/// Denials that a program survives are left to the tracer, so that they are seen; where the program may load
/// libraries, also the others.
pub(super) fn map(arch: Arch, mode: Mode, traced: bool) -> ActionMap {
    match (mode, traced) {
        (Mode::Enforce, false) => ActionMap::seen(),
        (Mode::Enforce, true) => ActionMap::traced(Vec::new()),
        (Mode::Observe, _) => ActionMap::traced(core_calls(arch)),
    }
}

/// The filter that is loaded, and the same with the placeholder in place of its secret.
pub(super) fn armed(
    policy: &Policy,
    map: &ActionMap,
    cache: bool,
) -> Result<(ArmedFilter, Program)> {
    let mapped = policy.mapped(map);
    let template = template(&mapped, cache)?;
    let cookie = Cookie::random()?;
    let filled = template.with_constant(PLACEHOLDER, cookie.value());
    let proved = verify(filled, &mapped.armed(cookie.value()))?;
    let rows = proved.program().instructions();
    let mut filter = Vec::with_capacity(rows.len());
    filter.extend(rows.iter().map(|i| SockFilter {
        code: i.code,
        jt: i.jt,
        jf: i.jf,
        k: i.k,
    }));
    Ok((ArmedFilter::new(filter, cookie)?, template))
}

/// The filter with the placeholder. A cached one is only a guess: the proof above, of the filled
/// program, is what counts.
fn template(policy: &Policy, cache: bool) -> Result<Program> {
    let store = if cache { Store::open().ok() } else { None };
    let key: Key = Sha256::digest(toml::write(policy).as_bytes()).into();
    let known = store
        .as_ref()
        .and_then(|s| s.read(Kind::Filter, &key))
        .and_then(|bytes| Program::from_bytes(&bytes).ok())
        .and_then(|program| verify(program, policy).ok());
    if let Some(proved) = known {
        return Ok(proved.program().clone());
    }
    let proved = verify(compile(policy)?, policy)?;
    if let Some(store) = store {
        // Without a cache the next start compiles again.
        let _ = store.write(Kind::Filter, &key, &proved.program().to_bytes());
    }
    Ok(proved.program().clone())
}
