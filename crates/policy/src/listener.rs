//! Why a program behind a tracer has no supervisor of its own.
//!
//! Of the answers of several filters the kernel takes the one that comes first in the order of
//! `linux/seccomp.h`, and there `USER_NOTIF` stands before `TRACE`. A program that could install a filter
//! with a listener (`SECCOMP_FILTER_FLAG_NEW_LISTENER`) would answer its own calls in place of the tracer,
//! and `SECCOMP_USER_NOTIF_FLAG_CONTINUE` lets a call be made that the tracer denies.

use portcullis_abi::errno;

use crate::{Action, Condition, Op, Policy, Provenance, Rule, Table, Width};

/// `SECCOMP_SET_MODE_FILTER` and `SECCOMP_FILTER_FLAG_NEW_LISTENER` of `linux/seccomp.h`.
const SET_MODE_FILTER: u64 = 1;
const NEW_LISTENER: u64 = 1 << 3;

/// The remark of the rule that says so.
pub const NO_LISTENER: &str = "a filter with a listener would answer before the tracer";

impl Policy {
    /// The policy under which nobody installs a filter with a listener: what it permitted of that gets
    /// `EBUSY`, which is the kernel's answer where there is a listener already.
    #[must_use]
    pub fn without_listeners(mut self) -> Policy {
        for table in &mut self.tables {
            deny(table);
        }
        self
    }
}

fn deny(table: &mut Table) {
    let (Some(number), Some(busy)) = (table.arch.number("seccomp"), errno("EBUSY")) else {
        return;
    };
    // What denies it before stays the answer.
    let permits = |r: &Rule| r.calls.contains(number.0) && r.action.permits();
    let at = table.rules.iter().position(permits);
    let at = at.unwrap_or(table.rules.len());
    let condition = |index, op| Condition {
        index,
        width: Width::W32,
        op,
    };
    let listener = Op::Masked {
        mask: NEW_LISTENER,
        value: NEW_LISTENER,
    };
    let rule = Rule {
        calls: number.into(),
        conditions: vec![
            condition(0, Op::Equal(SET_MODE_FILTER)),
            condition(1, listener),
        ],
        action: Action::Errno(busy),
        provenance: vec![Provenance::Note(NO_LISTENER.into())],
    };
    if at < table.rules.len() || table.default.permits() || table.newer.permits() {
        table.rules.insert(at, rule);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Call, Derivation};
    use portcullis_abi::Arch;

    fn answer(policy: &Policy, number: u32, args: [u64; 2]) -> Action {
        let call = Call {
            arch: Arch::X86_64.audit_arch(),
            number,
            ip: 0,
            args: [args[0], args[1], 0x1000, 0, 0, 0],
        };
        policy.decide(&call).action
    }

    #[test]
    fn a_filter_without_a_listener_may_be_installed_and_one_with_may_not() {
        let seccomp = Arch::X86_64.number("seccomp").unwrap();
        let derived = Derivation::new(Arch::X86_64, [seccomp]).policy();
        let policy = derived.without_listeners();
        let made = |args| answer(&policy, seccomp.0, args);
        assert_eq!(made([1, 0]), Action::Allow);
        assert_eq!(made([1, 1]), Action::Allow);
        assert_eq!(made([2, 8]), Action::Allow);
        for flags in [8, 9, 0x28, 0x1_0000_0008] {
            assert_eq!(made([1, flags]), Action::Errno(16), "{flags:#x}");
        }
        // The kernel reads 32 bits.
        assert_eq!(made([1 << 32 | 1, 8]), Action::Errno(16));
    }

    #[test]
    fn what_is_denied_stays_denied_as_it_was() {
        let seccomp = Arch::X86_64.number("seccomp").unwrap();
        let derived = Derivation::new(Arch::X86_64, []).policy();
        assert_eq!(derived.clone().without_listeners(), derived);
        assert_eq!(answer(&derived, seccomp.0, [1, 8]), Action::KillProcess);
    }

    #[test]
    fn a_default_that_permits_does_not_permit_it() {
        let mut policy = Derivation::new(Arch::X86_64, []).policy();
        policy.tables[0].default = Action::Allow;
        let policy = policy.without_listeners();
        let seccomp = Arch::X86_64.number("seccomp").unwrap();
        assert_eq!(answer(&policy, seccomp.0, [1, 8]), Action::Errno(16));
        assert_eq!(answer(&policy, seccomp.0, [1, 0]), Action::Allow);
    }
}
