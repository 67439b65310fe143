//! The one exec that starts the program.
//!
//! A policy that denies by default must still let the launcher's child become the program, and
//! nobody else become anything: the launch is an `execveat` that carries a secret of 64 bits in
//! the sixth register, which the call itself does not use. Policies and filters at rest hold a
//! placeholder in its place.
//!
//! So is the one call by which the launcher's tracer has the program take on the filter of a phase: with a secret of its
//! own, because that one is in the program's registers for as long as the call takes. Who learns it can make the filter
//! stricter, for all of the process, and nothing else.

use std::ops::Deref;

use portcullis_abi::Sysno;
use zeroize::Zeroize as _;

use crate::{Action, Condition, Op, Policy, Provenance, Rule, Width};

/// Stands where the secret will be. A filter that still holds it is never loaded.
pub const PLACEHOLDER: u64 = 0x706f_7274_6375_6c6c;

/// Stands where the secret of phases will be.
pub const PHASE_PLACEHOLDER: u64 = 0x7068_6173_6566_696c;

/// The register that execveat(2) does not use; nor do recvmsg(2), dup2(2) and seccomp(2).
const SIXTH: u8 = 5;

/// `SECCOMP_SET_MODE_FILTER` and `SECCOMP_FILTER_FLAG_TSYNC` of `linux/seccomp.h`.
const SET_MODE_FILTER: u64 = 1;
const TSYNC: u64 = 1;

/// What a child does between its filter and its exec when it waits there.
const PARKED: [&str; 2] = ["recvmsg", "dup3"];

impl Policy {
    /// The policy with the rule that allows the launch, first so that nothing overrules it.
    #[must_use]
    pub fn with_launch(mut self) -> Policy {
        for table in &mut self.tables {
            if let Some(number) = table.arch.number("execveat") {
                table.rules.insert(0, launch(number, PLACEHOLDER));
            }
        }
        self
    }

    /// The same for a launcher's child that waits behind its filter until it is told what to execute: what it hears
    /// that by (`recvmsg`), and puts its standard streams in place with (`dup3`), carries the secret as well.
    #[must_use]
    pub fn with_parked_launch(self) -> Policy {
        let mut policy = self.with_launch();
        for table in &mut policy.tables {
            for number in PARKED.iter().filter_map(|name| table.arch.number(name)) {
                table.rules.insert(0, launch(number, PLACEHOLDER));
            }
        }
        policy
    }

    /// The policy with the rule by which the launcher adds the filters of phases: a filter without a listener, for all
    /// threads of the process.
    #[must_use]
    pub fn with_phase_rule(self) -> Policy {
        let mut policy = self;
        for table in &mut policy.tables {
            if let Some(number) = table.arch.number("seccomp") {
                let mut rule = launch(number, PHASE_PLACEHOLDER);
                rule.conditions
                    .extend([equal(0, SET_MODE_FILTER), equal(1, TSYNC)]);
                table.rules.insert(0, rule);
            }
        }
        policy
    }

    /// The policy whose launch rules ask for `secret` in place of the placeholder.
    pub fn armed(&self, secret: u64) -> Armed {
        let mut armed = Armed(self.clone());
        armed.fill(PLACEHOLDER, secret);
        armed
    }
}

/// A policy that holds a secret; dropping it wipes the secret.
pub struct Armed(Policy);

impl Armed {
    /// The same, and its rule of phases asks for `secret`.
    #[must_use]
    pub fn for_phases(mut self, secret: u64) -> Armed {
        self.fill(PHASE_PLACEHOLDER, secret);
        self
    }

    fn fill(&mut self, placeholder: u64, secret: u64) {
        let rules = self.0.tables.iter_mut().flat_map(|t| &mut t.rules);
        for rule in rules.filter(|r| is_launch(r)) {
            for condition in &mut rule.conditions {
                if condition.op == Op::Equal(placeholder) {
                    condition.op = Op::Equal(secret);
                }
            }
        }
    }
}

impl Deref for Armed {
    type Target = Policy;

    fn deref(&self) -> &Policy {
        &self.0
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        let rules = self.0.tables.iter_mut().flat_map(|t| &mut t.rules);
        for rule in rules.filter(|r| is_launch(r)) {
            for condition in &mut rule.conditions {
                if let Op::Equal(secret) = &mut condition.op {
                    secret.zeroize();
                }
            }
        }
    }
}

fn launch(number: Sysno, secret: u64) -> Rule {
    Rule {
        calls: number.into(),
        conditions: vec![equal(SIXTH, secret)],
        action: Action::Allow,
        provenance: vec![Provenance::Launch],
    }
}

fn equal(index: u8, value: u64) -> Condition {
    Condition {
        index,
        width: Width::W64,
        op: Op::Equal(value),
    }
}

fn is_launch(rule: &Rule) -> bool {
    rule.provenance == [Provenance::Launch]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Call, Derivation};
    use portcullis_abi::Arch;

    #[test]
    fn only_the_secret_starts_a_program() {
        let policy = Derivation::new(Arch::X86_64, []).policy().with_launch();
        let armed = policy.armed(77);
        let exec = |secret| Call {
            arch: Arch::X86_64.audit_arch(),
            number: 322,
            ip: 0,
            args: [0, 0, 0, 0, 0x1000, secret],
        };
        assert_eq!(armed.decide(&exec(77)).action, Action::Allow);
        assert_eq!(armed.decide(&exec(0)).action, Action::KillProcess);
        assert_eq!(armed.decide(&exec(PLACEHOLDER)).action, Action::KillProcess);
    }

    #[test]
    fn only_the_secret_of_phases_adds_a_filter() {
        let policy = Derivation::new(Arch::X86_64, []).policy();
        let armed = policy.with_launch().with_phase_rule();
        let armed = armed.armed(77).for_phases(78);
        let seccomp = Arch::X86_64.number("seccomp").unwrap().0;
        let answer = |number, operation, flags, secret| {
            let call = Call {
                arch: Arch::X86_64.audit_arch(),
                number,
                ip: 0,
                args: [operation, flags, 0x1000, 0, 0, secret],
            };
            armed.decide(&call).action
        };
        assert_eq!(answer(seccomp, 1, 1, 78), Action::Allow);
        for (operation, flags, secret) in [
            (1, 1, 77),
            (1, 1, PHASE_PLACEHOLDER),
            (0, 1, 78),
            (1, 0, 78),
            (1, 9, 78),
            (1 << 32 | 1, 1, 78),
        ] {
            let action = answer(seccomp, operation, flags, secret);
            assert_eq!(action, Action::KillProcess, "{operation} {flags} {secret}");
        }
        // One secret is not good for what the other is for.
        assert_eq!(answer(322, 0, 0, 78), Action::KillProcess);
    }

    #[test]
    fn who_waits_behind_the_filter_hears_with_the_secret_alone() {
        let policy = Derivation::new(Arch::X86_64, []).policy();
        let armed = policy.with_parked_launch().armed(77);
        for name in ["recvmsg", "dup3", "execveat"] {
            let call = |secret| Call {
                arch: Arch::X86_64.audit_arch(),
                number: Arch::X86_64.number(name).unwrap().0,
                ip: 0,
                args: [0, 0, 0, 0, 0, secret],
            };
            assert_eq!(armed.decide(&call(77)).action, Action::Allow, "{name}");
            assert_eq!(armed.decide(&call(0)).action, Action::KillProcess, "{name}");
        }
    }
}
