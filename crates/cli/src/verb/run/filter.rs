//! The filter of one start: from the cache or compiled, proved, filled with this start's secret,
//! and proved again as it will be loaded.

use portcullis_abi::Arch;
use portcullis_bpf::{Program, compile, verify};
use portcullis_policy::{ActionMap, Policy, toml};
use portcullis_sandbox::{ArmedFilter, Cookie, Error, Mode};
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
///
/// `phases` is the secret by which filters of phases are added, where the policy has the rule for that. A cached one is
/// only a guess: the proof of the filled program is what counts.
pub(super) fn armed(
    policy: &Policy,
    map: &ActionMap,
    phases: Option<&Cookie>,
    cache: bool,
) -> Result<(ArmedFilter, Program), Error> {
    let policy = policy.mapped(map);
    let prove = |template: &Program| match phases {
        None => ArmedFilter::prove(template, &policy),
        Some(secret) => ArmedFilter::prove_with_phases(template, &policy, secret),
    };
    let store = if cache { Store::open().ok() } else { None };
    let key: Key = Sha256::digest(toml::write(&policy).as_bytes()).into();
    let known = store.as_ref().and_then(|s| s.read(Kind::Filter, &key));
    let known = known.and_then(|bytes| Program::from_bytes(&bytes).ok());
    if let Some(template) = known
        && let Ok(armed) = prove(&template)
    {
        return Ok((armed, template));
    }
    let proved = verify(compile(&policy)?, &policy)?;
    let template = proved.program().clone();
    if let Some(store) = store {
        // Without a cache the next start compiles again.
        let _ = store.write(Kind::Filter, &key, &template.to_bytes());
    }
    Ok((prove(&template)?, template))
}
