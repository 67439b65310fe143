//! The filter of one start: from the cache or compiled, proved, filled with this start's secret,
//! and proved again as it will be loaded.

use std::hash::{Hash as _, Hasher};

use portcullis_abi::Arch;
use portcullis_bpf::{Program, compile, verify};
use portcullis_policy::{ActionMap, Policy};
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
    let key = key(&policy);
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

/// What a policy's filter is called in the cache: everything that the policy says, as its values are in memory. Another
/// build may call it otherwise, and compiles once more then.
fn key(policy: &Policy) -> Key {
    let mut words = Words(Sha256::new());
    policy.hash(&mut words);
    words.0.finalize().into()
}

/// Takes what a value hashes.
struct Words(Sha256);

impl Hasher for Words {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Not asked for: the whole hash is.
    fn finish(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(self.0.clone().finalize());
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}
