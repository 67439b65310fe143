//! The tracer, with the policy's own answers.

use portcullis_policy::{Action, Call, Policy};
use portcullis_sandbox::{Followed, Mode, Observer, Root};
use portcullis_watch::{self as watch, Record};

/// Follows the program and asks the policy.
pub(super) struct Tracing<'a> {
    policy: &'a Policy,
    mode: watch::Mode,
}

impl<'a> Tracing<'a> {
    pub(super) fn new(policy: &'a Policy, mode: Mode) -> Tracing<'a> {
        Tracing {
            policy,
            mode: match mode {
                Mode::Enforce => watch::Mode::Enforce,
                Mode::Observe => watch::Mode::Observe,
            },
        }
    }

    /// The policy's answer. Its launch rule holds the placeholder, so that no call of the program
    /// is taken for the launch.
    fn decide(&self, call: &watch::Call) -> watch::Decision {
        let decision = self.policy.decide(&Call {
            arch: call.arch,
            number: call.number,
            ip: call.ip,
            args: call.args,
        });
        watch::Decision {
            action: match decision.action {
                Action::Allow | Action::Log => watch::Action::Allow,
                Action::Errno(errno) => watch::Action::Errno(errno),
                _ => watch::Action::Kill,
            },
            rule: decision.rule,
        }
    }
}

impl Observer for Tracing<'_> {
    type Report = Record;

    fn follow(&mut self, root: Root<'_>) -> Result<Followed<Record>, portcullis_sys::Error> {
        let start = watch::Start {
            pid: root.pid,
            entry: root.entry,
            check: root.check,
        };
        let record = watch::follow(start, self.mode, &|call: &watch::Call| self.decide(call))?;
        Ok(Followed {
            end: record.end,
            denied: record.denied,
            refused: record.refused.clone(),
            usage: record.usage,
            report: record,
        })
    }
}
