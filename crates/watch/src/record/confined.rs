//! A policy that holds while a program is recorded.
//!
//! The recorder owns the filter: its denials are compiled to stops (a declared map, and the filter is proved
//! under it), at which the recorder gives the policy's own answer. So a denial is seen also where known calls
//! run free. Answers that a tracer cannot give (a signal to the program, the end of one thread, a supervisor)
//! stay the kernel's: then every call has to be stopped at, because full tracing sees a call before its filter.

use std::rc::Rc;

use portcullis_bpf::{NoFilter, NotEqual, compile, verify};
use portcullis_policy::{Action, ActionMap, Call, Policy};

use super::free::Free;

/// A policy and its filter.
pub struct Confined {
    policy: Policy,
    pub(super) filter: Rc<Free>,
    /// The recorder gives the answers, not the kernel.
    answers: bool,
}

/// Why a policy has no filter.
#[derive(Debug, thiserror::Error)]
pub enum NotConfined {
    /// It could not be compiled.
    #[error(transparent)]
    NoFilter(#[from] NoFilter),
    /// What was compiled is something else.
    #[error(transparent)]
    NotEqual(#[from] Box<NotEqual>),
}

impl Confined {
    /// Compiles and proves the filter of `policy`.
    pub fn new(policy: Policy) -> Result<Confined, NotConfined> {
        let answers = actions(&policy).all(|action| {
            action.permits() || matches!(action, Action::Errno(_) | Action::KillProcess)
        });
        let mapped = match answers {
            true => policy.mapped(&ActionMap::traced(Vec::new())),
            false => policy.clone(),
        };
        let proved = verify(compile(&mapped)?, &mapped).map_err(Box::new)?;
        Ok(Confined {
            policy,
            filter: Rc::new(Free::of_proved(&proved)),
            answers,
        })
    }

    /// Whether denials are seen also where known calls run free.
    pub fn sees_denials(&self) -> bool {
        self.answers
    }

    /// The policy's own answer.
    pub(super) fn decide(&self, call: &Call) -> Action {
        self.policy.decide(call).action
    }
}

/// The answers that a policy has to calls of the architectures that it knows.
fn actions(policy: &Policy) -> impl Iterator<Item = Action> {
    let of_tables = policy.tables.iter().flat_map(|t| [t.default, t.newer]);
    policy.rules().map(|rule| rule.action).chain(of_tables)
}
