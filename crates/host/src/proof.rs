//! The break-out test on a worker: before a pool has one, siblings of it try to get out in every way that its layers and its
//! filter close.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use portcullis_sandbox::{Answer, Features, Filtered, Layer, Missing, prove_embedded};

use crate::error::Error;
use crate::template::Template;

/// The name under which it is in results.
const WORKER_PROOF: &str = "worker-proof";

/// What was proved in this process, by all that a worker's plan is made of, and in how many attempts.
static PROVED: Mutex<Option<HashMap<String, usize>>> = Mutex::new(None);

/// Has every way out tried that a worker of `template` must not have. What was proved once in this process is not tried
/// again: each start still compares its mounts with the plan, and its filter is proved anew.
pub(crate) fn prove(template: &Template) -> Result<Layer, Error> {
    let key = template.made_of();
    let known = |attempts| Layer {
        layer: WORKER_PROOF,
        mechanism: "break-out test",
        scope: "worker",
        detail: format!("{attempts} ways out were tried, and none leads out"),
    };
    // Held meanwhile: another pool of the same waits for this proof.
    let mut proved = PROVED.lock().unwrap_or_else(PoisonError::into_inner);
    let proved = proved.get_or_insert_default();
    if let Some(attempts) = proved.get(&key) {
        return Ok(known(*attempts));
    }
    let (name, policy) = template.program();
    // What siblings keep open is open as long.
    let start = template.start()?;
    let answer = |arch, number, args| Answer::of(policy, arch, number, args);
    let filtered = Filtered {
        filter: &|| template.filter(),
        answer: &answer,
    };
    let tried = prove_embedded(&start.plan, &Features::probe(), Some(&filtered))?;
    if !tried.surprises.is_empty() {
        return Err(Error::Open {
            name,
            surprises: tried.surprises,
            attempts: tried.attempts,
        });
    }
    proved.insert(key, tried.attempts);
    Ok(known(tried.attempts))
}

/// What results say where it was left out.
pub(crate) fn left_out() -> Missing {
    Missing {
        layer: WORKER_PROOF,
        reason: "left out by the program that has the workers".to_owned(),
        surprises: true,
    }
}

#[cfg(test)]
mod tests {
    use portcullis_sandbox::Limits;

    use super::*;
    use crate::image::Image;

    const POLICY: &str = include_str!("../../wasm/policy/execute.toml");

    fn template() -> Template {
        let program = std::fs::read("/proc/self/exe").unwrap();
        let image = Image::new("worker", program, POLICY, POLICY).unaudited();
        Template::new(&image, Limits::default(), &[]).unwrap()
    }

    #[test]
    fn every_way_out_of_a_worker_is_closed() {
        let proved = prove(&template()).unwrap();
        assert_eq!(proved.layer, WORKER_PROOF);
        // The second time it is known.
        assert_eq!(prove(&template()).unwrap(), proved);
    }

    /// What it promises is less than what its filter lets through.
    #[test]
    fn a_filter_that_does_not_keep_its_promise_is_found() {
        let mut template = template();
        let wide = POLICY.replace("when = [\"arg0 == 0x10000\"]\n", "");
        assert_ne!(wide, POLICY);
        template.spoil(&wide);
        let Err(Error::Open { surprises, .. }) = prove(&template) else {
            panic!("it was not found");
        };
        assert_eq!(surprises.len(), 1, "{surprises:?}");
        assert!(
            surprises[0].starts_with("namespaces are made: "),
            "{surprises:?}"
        );
    }
}
