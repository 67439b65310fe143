//! Policies and the tracer for processes that embed the library.

use portcullis_abi::Arch;
use portcullis_policy::{Action, Call, Derivation, Policy};
use portcullis_sandbox::{Followed, Observer, Root};
use portcullis_watch::{self as watch, Decision, Denial};

/// All calls but those named.
pub(crate) fn all_but(names: &[&str]) -> Policy {
    let arch = Arch::NATIVE;
    let denied: Vec<_> = names
        .iter()
        .map(|name| arch.number(name).unwrap())
        .collect();
    let calls = arch.syscalls().map(|(number, _)| number);
    Derivation::new(arch, calls.filter(|number| !denied.contains(number))).policy()
}

/// The tracer, with the policy's own answers.
pub(crate) struct Following(pub(crate) Policy);

impl Observer for Following {
    type Report = Vec<Denial>;

    fn follow(&mut self, root: Root<'_>) -> Result<Followed<Vec<Denial>>, portcullis_sys::Error> {
        let decide = |call: &watch::Call| {
            let watch::Call {
                arch,
                number,
                ip,
                args,
            } = *call;
            let call = Call {
                arch,
                number,
                ip,
                args,
            };
            let action = match self.0.decide(&call).action {
                Action::Allow => watch::Action::Allow,
                Action::Errno(errno) => watch::Action::Errno(errno),
                _ => watch::Action::Kill,
            };
            Decision { action, rule: None }
        };
        let start = watch::Start {
            pid: root.pid,
            entry: root.entry,
            check: root.check,
            audit: None,
            phases: None,
        };
        let record = watch::follow(start, watch::Mode::Enforce, &decide)?;
        Ok(Followed {
            end: record.end,
            denied: record.denied,
            own_filter: record.own_filter,
            refused: record.refused,
            usage: record.usage,
            report: record.denials,
        })
    }
}
