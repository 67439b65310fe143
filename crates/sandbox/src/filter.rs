//! Filters that are proved equal to their policy, with the secret of each start filled in.

use portcullis_bpf::{Program, compile, verify};
use portcullis_policy::{ActionMap, PHASE_PLACEHOLDER, PLACEHOLDER, Policy};
use portcullis_sys::seccomp::SockFilter;

use crate::error::Error;
use crate::secret::{ArmedFilter, Cookie};
use crate::sockets;

/// A policy as a filter: compiled and proved once, filled and proved again for each start.
///
/// ```
/// use portcullis_abi::Arch;
/// use portcullis_policy::{ActionMap, Derivation};
/// use portcullis_sandbox::Filter;
///
/// let calls = ["read", "write", "exit_group"].map(|name| Arch::NATIVE.number(name).unwrap());
/// let policy = Derivation::new(Arch::NATIVE, calls).policy();
/// let filter = Filter::new(&policy, &ActionMap::seen())?;
/// # let _ = filter;
/// # Ok::<(), portcullis_sandbox::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Filter {
    /// As the filter answers, with a placeholder for the secret.
    policy: Policy,
    template: Program,
}

impl Filter {
    /// The filter of `policy` for starts of programs. `map` is what it answers differently so that the observer
    /// sees it; who follows the program gives the policy's own answer then.
    pub fn new(policy: &Policy, map: &ActionMap) -> Result<Filter, Error> {
        Filter::of(policy.clone().with_launch().mapped(map))
    }

    /// The same for the sandboxes of a [`Pool`](crate::Pool), whose processes wait behind it.
    pub fn parked(policy: &Policy, map: &ActionMap) -> Result<Filter, Error> {
        Filter::of(policy.clone().with_parked_launch().mapped(map))
    }

    fn of(policy: Policy) -> Result<Filter, Error> {
        let proved = verify(compile(&policy)?, &policy)?;
        let template = proved.program().clone();
        Ok(Filter { policy, template })
    }

    /// The filter of one start.
    pub fn arm(&self) -> Result<ArmedFilter, Error> {
        ArmedFilter::prove(&self.template, &self.policy)
    }
}

impl ArmedFilter {
    /// Fills a new secret into `template`, which can be of any origin, and proves that the result answers every call
    /// as `policy` does. Both hold the placeholder where the secret belongs.
    pub fn prove(template: &Program, policy: &Policy) -> Result<ArmedFilter, Error> {
        ArmedFilter::fill(template, policy, None)
    }

    /// The same with the secret by which the tracer adds filters of phases; `policy` has the rule for that
    /// ([`Policy::with_phase_rule`]).
    pub fn prove_with_phases(
        template: &Program,
        policy: &Policy,
        phases: &Cookie,
    ) -> Result<ArmedFilter, Error> {
        ArmedFilter::fill(template, policy, Some(phases))
    }

    fn fill(
        template: &Program,
        policy: &Policy,
        phases: Option<&Cookie>,
    ) -> Result<ArmedFilter, Error> {
        let cookie = Cookie::random()?;
        let mut filled = template.with_constant(PLACEHOLDER, cookie.value());
        let mut armed = policy.armed(cookie.value());
        if let Some(phases) = phases {
            filled = filled.with_constant(PHASE_PLACEHOLDER, phases.value());
            armed = armed.for_phases(phases.value());
        }
        let proved = verify(filled, &armed)?;
        let rows = proved.program().instructions();
        let mut filter = Vec::with_capacity(rows.len());
        filter.extend(rows.iter().map(|i| SockFilter {
            code: i.code,
            jt: i.jt,
            jf: i.jf,
            k: i.k,
        }));
        Ok(ArmedFilter::new(filter, cookie)?.leaving(sockets::around(policy)))
    }
}
