//! Why a program does not type into the terminal that it shares: whoever reads there after its end, a shell, would
//! take that for its user's words.

use portcullis_abi::errno;

use crate::{Action, Condition, Op, Policy, Provenance, Rule, Width};

/// `TIOCSTI` and `TIOCLINUX` (ioctl_tty(2), ioctl_console(2)): they type into a terminal, or paste.
const TYPING: [u64; 2] = [0x5412, 0x541c];

impl Policy {
    /// The policy under which nobody types into a terminal. `late`: calls may be added while the program runs.
    #[must_use]
    pub fn without_typing(mut self, late: bool) -> Policy {
        for table in &mut self.tables {
            let (Some(number), Some(refused)) = (table.arch.number("ioctl"), errno("EPERM")) else {
                continue;
            };
            let allows = |rule: &Rule| rule.action.permits() && rule.calls.contains(number.0);
            let open = late || table.default.permits() || table.newer.permits();
            if open || table.rules.iter().any(allows) {
                let rule = Rule {
                    calls: number.into(),
                    conditions: vec![Condition {
                        index: 1,
                        width: Width::W32,
                        op: Op::In(TYPING.map(|request| (request, request)).into()),
                    }],
                    action: Action::Errno(refused),
                    provenance: vec![Provenance::Note(
                        "the terminal is shared with who started the program".to_owned(),
                    )],
                };
                table.rules.insert(0, rule);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use portcullis_abi::Arch;

    use super::*;
    use crate::{Call, Derivation};

    #[test]
    fn terminals_can_be_asked_and_not_typed_into() {
        let ioctl = Arch::X86_64.number("ioctl").unwrap();
        let policy = Derivation::new(Arch::X86_64, [ioctl]).policy();
        let answer = |policy: &Policy, request: u64| {
            let call = Call {
                arch: Arch::X86_64.audit_arch(),
                number: ioctl.0,
                ip: 0,
                args: [0, request, 0x1000, 0, 0, 0],
            };
            policy.decide(&call).action
        };
        let narrow = policy.clone().without_typing(false);
        for request in TYPING.into_iter().chain([1 << 32 | TYPING[0]]) {
            assert_eq!(answer(&policy, request), Action::Allow);
            assert_eq!(answer(&narrow, request), Action::Errno(1));
        }
        // TCGETS.
        assert_eq!(answer(&narrow, 0x5401), Action::Allow);
        // Who may not ask at all gets the old answer.
        let none = Derivation::new(Arch::X86_64, []).policy();
        assert_eq!(none.clone().without_typing(false), none);
    }
}
