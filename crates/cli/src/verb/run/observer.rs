//! The tracer, with the policy's own answers.

use std::cell::{OnceCell, RefCell};

use portcullis_abi::Sysno;
use portcullis_policy::Policy;
use portcullis_sandbox::{Followed, Mode, Observer, Root};
use portcullis_watch::{self as watch, Audit, Record, Unread};

use super::late::Late;
use super::phases::Phases;

/// Follows the program and asks the policy.
pub(super) struct Tracing<'a> {
    policy: &'a Policy,
    mode: watch::Mode,
    /// Of a program that loads libraries while it runs.
    late: Option<RefCell<Late<'a>>>,
    /// The kernel's audit records, where they can be read; known when the program begins.
    audit: &'a OnceCell<Result<Audit, Unread>>,
    phases: Option<&'a Phases>,
}

impl<'a> Tracing<'a> {
    /// `policy` has no launch rule: when the tracer is asked, the launch is over, and what the rule
    /// holds at rest is no secret.
    pub(super) fn new(
        policy: &'a Policy,
        mode: Mode,
        late: Option<Late<'a>>,
        audit: &'a OnceCell<Result<Audit, Unread>>,
        phases: Option<&'a Phases>,
    ) -> Tracing<'a> {
        Tracing {
            policy,
            audit,
            phases,
            late: late.map(RefCell::new),
            mode: match mode {
                Mode::Enforce => watch::Mode::Enforce,
                Mode::Observe => watch::Mode::Observe,
            },
        }
    }

    /// What was loaded while the program ran, when that could add to what it may do.
    pub(super) fn late(self) -> Option<Late<'a>> {
        self.late.map(RefCell::into_inner)
    }
}

impl watch::Decide for Tracing<'_> {
    /// The policy's answer.
    fn decide(&self, call: &watch::Call) -> watch::Decision {
        watch::Decide::decide(self.policy, call)
    }

    fn decide_in(&self, phase: usize, call: &watch::Call) -> watch::Decision {
        let narrowed = self.phases.and_then(|phases| phases.at(phase));
        let policy = narrowed.map_or(self.policy, |(_, policy)| policy);
        watch::Decide::decide(policy, call)
    }

    fn widened(&self, tid: i32, call: &watch::Call) -> bool {
        let late = self.late.as_ref();
        late.is_some_and(|late| late.borrow_mut().adds(tid, Sysno(call.number)))
    }
}

impl Observer for Tracing<'_> {
    type Report = Record;

    fn follow(&mut self, root: Root<'_>) -> Result<Followed<Record>, portcullis_sys::Error> {
        let start = watch::Start {
            pid: root.pid,
            entry: root.entry,
            check: root.check,
            audit: self.audit.get().and_then(|audit| audit.as_ref().ok()),
            phases: self.phases.map(Phases::followed),
        };
        let record = watch::follow(start, self.mode, self)?;
        Ok(Followed {
            end: record.end,
            denied: record.denied,
            own_filter: record.own_filter,
            refused: record.refused.clone(),
            usage: record.usage,
            report: record,
        })
    }
}
