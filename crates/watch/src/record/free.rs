//! The filter that lets known calls run free, and answers `SECCOMP_RET_TRACE` for all others.
//!
//! It is a policy like any other: compiled, and proved equal to it before it is put into a task.

use std::collections::BTreeMap;
use std::rc::Rc;

use portcullis_abi::{Arch, Sysno};
use portcullis_bpf::{Program, Proved, compile, verify};
use portcullis_policy::{Action, Baseline, Condition, Policy, Rule, Table, Width};

use super::bounds::{self, Bounds};
use super::made::{Made, Place};

/// Longest filter: the kernel takes 4096 instructions, and every call that is compared by arguments runs it.
const LONGEST: usize = 2048;

/// A filter.
pub struct Free {
    pub(super) program: Program,
    pub(super) scope: Scope,
}

/// Whose unknown calls a filter asks about.
#[derive(Clone)]
pub(super) enum Scope {
    /// Those of all who have it.
    Everybody,
    /// Those of the code that the program has then: it needs bounds before it is put into a task.
    OwnCode,
    /// Those of code that lies there.
    Code(Rc<Bounds>),
}

impl Free {
    /// The filter for the calls of the native architecture among `known`; `None` when it would be too long.
    pub(super) fn of(known: impl Iterator<Item = Made>) -> Option<Free> {
        let policy = policy(known);
        let proved = verify(compile(&policy).ok()?, &policy).ok()?;
        Some(Free::of_proved(&proved)).filter(|free| free.length() <= LONGEST)
    }

    /// The same, without calls that can add code to the program, to be put within bounds.
    pub(super) fn of_own_code(known: impl Iterator<Item = Made>) -> Option<Free> {
        let free = Free::of(known.filter(|made| !bounds::adds_code(made)))?;
        Some(Free {
            scope: Scope::OwnCode,
            ..free
        })
    }

    /// Within the bounds of a program's code.
    pub(super) fn within(&self, bounds: Bounds) -> Option<Free> {
        Some(Free {
            program: bounds.around(&self.program)?,
            scope: Scope::Code(Rc::new(bounds)),
        })
    }

    /// A filter that is proved.
    pub(super) fn of_proved(proved: &Proved) -> Free {
        Free {
            program: proved.program().clone(),
            scope: Scope::Everybody,
        }
    }

    /// What the filter counts in the kernel's limit of a chain (`seccomp_attach_filter` of its `seccomp.c`:
    /// 4 beside its instructions, which the kernel has translated to about as many again).
    pub(super) fn weight(&self) -> usize {
        2 * self.length() + 4
    }

    fn length(&self) -> usize {
        self.program.instructions().len()
    }
}

/// Whether a call is never let free: it can put a filter of the program's own before ours, whose denials
/// would then not be seen; it is about tracing, or makes a child that has no tracer.
pub(super) fn is_watched(made: &Made) -> bool {
    match made.name() {
        // The flags of clone3 are in memory, where no filter looks.
        Some("seccomp" | "ptrace" | "clone3") | None => true,
        Some("prctl") => made.values[0] == libc::PR_SET_SECCOMP as u64,
        Some("clone") => made.values[0] & libc::CLONE_UNTRACED as u64 != 0,
        _ => false,
    }
}

fn policy(known: impl Iterator<Item = Made>) -> Policy {
    let native = Arch::NATIVE.audit_arch();
    let mut calls: BTreeMap<u32, Vec<Made>> = BTreeMap::new();
    for made in known.filter(|made| made.arch == native && !is_watched(made)) {
        calls.entry(made.number).or_default().push(made);
    }
    let rules = calls.iter().flat_map(|(number, all)| {
        let rule = |conditions| Rule {
            calls: Sysno(*number).into(),
            conditions,
            action: Action::Allow,
            provenance: Vec::new(),
        };
        conditions(all).into_iter().map(rule)
    });
    let table = Table {
        arch: Arch::NATIVE,
        rules: rules.collect(),
        baseline: Baseline::All,
        default: Action::Trace(0),
        newer: Action::Trace(0),
        x32_is_native: false,
    };
    Policy::of(table, Action::Trace(0))
}

/// For each rule of one call its conditions.
fn conditions(all: &[Made]) -> Vec<Vec<Condition>> {
    if all.iter().any(|made| made.any) {
        return vec![Vec::new()];
    }
    let place = |(place, _): (Place, u64)| {
        let width = match place.width {
            32 => Width::W32,
            _ => Width::W64,
        };
        (place.index, width)
    };
    let places: Vec<(u8, Width)> = all
        .iter()
        .take(1)
        .flat_map(Made::arguments)
        .map(place)
        .collect();
    let values = all
        .iter()
        .map(|made| made.arguments().map(|(_, v)| v).collect());
    Condition::exactly(&places, values)
}

#[cfg(test)]
mod tests {
    use portcullis_bpf::run;
    use portcullis_policy::Call;

    use super::*;
    use crate::record::made::Discriminator;

    #[test]
    fn just_the_known_calls_are_free() {
        let native = Arch::NATIVE;
        let number = |name: &str| native.number(name).unwrap().0;
        let mut told = Discriminator::default();
        let known: Vec<Made> = [
            ("read", [0; 6]),
            ("mmap", [0, 0, 3, 0x22, 0, 0]),
            ("mmap", [0, 0, 1, 2, 0, 0]),
            ("ioctl", [0, 0x5401, 0, 0, 0, 0]),
            ("ioctl", [0, 0x5413, 0, 0, 0, 0]),
            ("seccomp", [1, 0, 0, 0, 0, 0]),
            ("prctl", [22, 0, 0, 0, 0, 0]),
            ("prctl", [15, 0, 0, 0, 0, 0]),
        ]
        .map(|(name, args)| told.made(native.audit_arch(), number(name), &args))
        .to_vec();
        let policy = policy(known.into_iter());
        let program = compile(&policy).unwrap();
        let answer = |arch: u32, number, args| {
            let call = Call {
                arch,
                number,
                ip: 0,
                args,
            };
            Action::from_code(run(&program, &call))
        };
        let own = native.audit_arch();
        for (name, args, expected) in [
            ("read", [9; 6], Action::Allow),
            ("write", [0; 6], Action::Trace(0)),
            ("mmap", [7, 7, 3, 0x22, 7, 7], Action::Allow),
            ("mmap", [0, 0, 3, 2, 0, 0], Action::Trace(0)),
            ("mmap", [0, 0, 1 | 1 << 40, 2, 0, 0], Action::Trace(0)),
            ("ioctl", [0, 0x5413 | 1 << 40, 0, 0, 0, 0], Action::Allow),
            ("ioctl", [0, 0x5414, 0, 0, 0, 0], Action::Trace(0)),
            ("seccomp", [1, 0, 0, 0, 0, 0], Action::Trace(0)),
            ("prctl", [22, 0, 0, 0, 0, 0], Action::Trace(0)),
            ("prctl", [15, 0, 0, 0, 0, 0], Action::Allow),
        ] {
            assert_eq!(
                answer(own, number(name), args),
                expected,
                "{name} {args:x?}"
            );
        }
        assert_eq!(answer(Arch::I386.audit_arch(), 3, [0; 6]), Action::Trace(0));
        assert_eq!(answer(own, u32::MAX, [0; 6]), Action::Trace(0));
        assert_eq!(answer(own, Arch::X32_BIT, [0; 6]), Action::Trace(0));
    }
}
