//! The model and its meaning.

use portcullis_abi::{Arch, Sysno};

use crate::{Action, ActionMap, Condition};

/// Set in the number of an x32 call (`__X32_SYSCALL_BIT`, asm/unistd.h).
const X32: u32 = 0x4000_0000;
/// `syscall(-1)`: no x32 call, the kernel answers it ENOSYS (`do_syscall_64`).
const MINUS_ONE: u32 = u32::MAX;

/// What may be called, and the answer to everything else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// The architecture whose calls the rules name.
    pub arch: Arch,
    /// The highest number that was known when the policy was written: what no rule names above
    /// is [`Class::Newer`].
    pub newest: Sysno,
    /// In order: the first that fits a call answers it.
    pub rules: Vec<Rule>,
    /// The answer to known calls that no rule fits.
    pub default: Action,
    /// The answer to newer calls that no rule fits.
    pub newer: Action,
    /// The answer to calls of another architecture or of the x32 ABI.
    pub foreign: Action,
    /// What of it threads still need from some point on; it answers as if there were none.
    pub phases: Vec<Phase>,
}

/// The calls that a thread still makes from some point on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Phase {
    /// `main`, or the start routine's name.
    pub thread: String,
    /// `startup`, `main`, `after:NAME`, `after:install`, `loop`.
    pub phase: String,
    /// Ascending.
    pub calls: Vec<Sysno>,
}

impl Policy {
    /// The same for one thread from some point on: what it no longer needs is no longer allowed.
    pub fn phase(&self, thread: &str, phase: &str) -> Option<Policy> {
        let mut all = self.phases.iter();
        let own = all.find(|p| (&*p.thread, &*p.phase) == (thread, phase))?;
        let mut narrowed = self.clone();
        let needed = |rule: &Rule| rule.action != Action::Allow || own.calls.contains(&rule.number);
        narrowed.rules.retain(needed);
        narrowed.phases.clear();
        Some(narrowed)
    }
}

/// The answer to some calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// The call.
    pub number: Sysno,
    /// It fits when all of these hold.
    pub conditions: Vec<Condition>,
    /// The answer.
    pub action: Action,
    /// Why the rule is there.
    pub provenance: Vec<Provenance>,
}

/// Why a rule is there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Provenance {
    /// Code of the program makes the call here.
    Site {
        /// The file.
        object: String,
        /// Virtual address in it.
        address: u64,
        /// The function, when known.
        function: Option<String>,
    },
    /// The launcher starts the program by it.
    Launch,
    /// Somebody states it.
    Assumption(String),
    /// A remark.
    Note(String),
}

/// A call as a filter sees it (`struct seccomp_data`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Call {
    /// `AUDIT_ARCH_*`.
    pub arch: u32,
    /// The number.
    pub number: u32,
    /// Address of the instruction after the call.
    pub ip: u64,
    /// The argument registers.
    pub args: [u64; 6],
}

/// Which answer applies when no rule fits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// A call that was known when the policy was written.
    Known,
    /// One that was not.
    Newer,
    /// Another architecture, or x32: rules never fit.
    Foreign,
}

/// The answer to a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decision {
    /// The answer.
    pub action: Action,
    /// The rule that gave it.
    pub rule: Option<usize>,
    /// The class that gave it otherwise.
    pub class: Class,
}

impl Policy {
    /// The answer to `call`.
    pub fn decide(&self, call: &Call) -> Decision {
        let class = self.class(call.arch, call.number);
        let rule = self.rules.iter().position(|r| {
            class != Class::Foreign
                && r.number.0 == call.number
                && r.conditions.iter().all(|c| c.holds(&call.args))
        });
        Decision {
            action: rule.map_or(self.unlisted(class), |r| self.rules[r].action),
            rule,
            class,
        }
    }

    /// The answer of a class.
    pub fn unlisted(&self, class: Class) -> Action {
        match class {
            Class::Known => self.default,
            Class::Newer => self.newer,
            Class::Foreign => self.foreign,
        }
    }

    /// The class of a call.
    pub fn class(&self, arch: u32, number: u32) -> Class {
        if arch != self.arch.audit_arch() {
            return Class::Foreign;
        }
        let (_, class) = self
            .classes()
            .into_iter()
            .rfind(|(from, _)| *from <= number)
            .unwrap_or((0, Class::Known));
        class
    }

    /// The classes of native numbers: where each stretch begins, ascending from 0.
    pub fn classes(&self) -> Vec<(u32, Class)> {
        let mut all = vec![(0, Class::Known)];
        if self.newest.0 < X32 - 1 {
            all.push((self.newest.0 + 1, Class::Newer));
        }
        all.extend([
            (X32, Class::Foreign),
            (X32 << 1, Class::Newer),
            (X32 | X32 << 1, Class::Foreign),
            (MINUS_ONE, Class::Newer),
        ]);
        all
    }

    /// The policy that a filter under `map` has: the declared difference between what a filter
    /// answers and what its policy says.
    pub fn mapped(&self, map: &ActionMap) -> Policy {
        let mut mapped = self.clone();
        for rule in &mut mapped.rules {
            rule.action = if map.traced.contains(&rule.number) {
                map.denials.unwrap_or(rule.action)
            } else {
                map.answer(rule.action)
            };
        }
        mapped.default = map.answer(self.default);
        mapped.newer = map.answer(self.newer);
        mapped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy {
            arch: Arch::X86_64,
            newest: Sysno(470),
            rules: vec![],
            default: Action::KillProcess,
            newer: Action::ENOSYS,
            foreign: Action::KillThread,
            phases: Vec::new(),
        }
    }

    #[test]
    fn classes_follow_the_kernel() {
        let native = Arch::X86_64.audit_arch();
        for (number, class) in [
            (0, Class::Known),
            (470, Class::Known),
            (471, Class::Newer),
            (0x3fff_ffff, Class::Newer),
            (0x4000_0000, Class::Foreign),
            (0x4000_0001, Class::Foreign),
            (0x8000_0000, Class::Newer),
            (0xc000_0000, Class::Foreign),
            (0xffff_fffe, Class::Foreign),
            (0xffff_ffff, Class::Newer),
        ] {
            assert_eq!(policy().class(native, number), class, "{number:#x}");
            assert_eq!(policy().class(0x4000_0003, number), Class::Foreign);
        }
    }

    #[test]
    fn the_first_rule_that_fits_answers() {
        let mut policy = policy();
        let rule = |number, action| Rule {
            number: Sysno(number),
            conditions: vec![],
            action,
            provenance: vec![],
        };
        policy.rules = vec![rule(1, Action::Allow), rule(1, Action::Trap)];
        let call = |number| Call {
            arch: Arch::X86_64.audit_arch(),
            number,
            ip: 0,
            args: [0; 6],
        };
        assert_eq!(policy.decide(&call(1)).action, Action::Allow);
        assert_eq!(policy.decide(&call(2)).action, Action::KillProcess);
        assert_eq!(policy.decide(&call(500)).action, Action::ENOSYS);
    }

    #[test]
    fn a_map_leaves_foreign_calls_alone() {
        let mut policy = policy();
        policy.foreign = Action::KillProcess;
        let mapped = policy.mapped(&ActionMap::traced(vec![]));
        assert_eq!(mapped.default, Action::Trace(0));
        assert_eq!(mapped.foreign, Action::KillProcess);
    }
}
