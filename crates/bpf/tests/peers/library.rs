//! The filters of libseccomp beside ours.
//!
//! What it is asked for has the meaning that `meaning` tells. Its filters are read back and compared
//! exactly, for both of its layouts (`SCMP_FLTATR_CTL_OPTIMIZE` 1 and 2).

use std::collections::BTreeSet;

use portcullis_abi::{Arch, Sysno};
use portcullis_bpf::{compare, compile, run};
use portcullis_policy::{Action, Call};
use proptest::prelude::*;

use crate::asker::{self, Lines};
use crate::recorded::{Asked, Comparison, Named, Recorded, name};
use crate::{meaning, points, random, reference};

/// What libseccomp does otherwise, and why.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Difference {
    /// Two rules of a call compare the same argument, and not both with `SCMP_CMP_EQ`. Each comparison of
    /// 64 bits is two, of the halves; what the rules share is then reached with one half or the other
    /// loaded, and compared without a look which.
    ComparedTwice,
    /// An architecture lacks a call that a rule is for. The rule is dropped there and the load of the
    /// number with it, so that the architecture's value is compared with numbers.
    LoadLost,
}

/// Why the library answers this call otherwise.
fn why(recorded: &Recorded, call: &Call) -> Option<Difference> {
    let number = |arch: Arch, n: i64| match arch {
        Arch::X86_64 => Some(Sysno(n as u32)),
        _ => arch.number(Arch::X86_64.name(Sysno(n as u32))?),
    };
    let arches = || {
        recorded
            .arches
            .iter()
            .filter(|a| a.audit_arch() == call.arch)
    };
    let lacks = |r: &Asked| {
        let Named::Number(n) = r.call else {
            return false;
        };
        arches().any(|a| number(*a, n).is_none())
    };
    if recorded.rules.iter().any(lacks) {
        return Some(Difference::LoadLost);
    }
    let own = |r: &&Asked| {
        let Named::Number(n) = r.call else {
            return false;
        };
        arches().any(|a| number(*a, n) == Some(Sysno(call.number)))
    };
    let rules: Vec<&Asked> = recorded.rules.iter().filter(own).collect();
    let compared = |index: u8| {
        let all = rules.iter().flat_map(|r| &r.conditions);
        let own: BTreeSet<_> = all
            .filter(|c| c.0 == index)
            .map(|c| (c.1, c.2, c.3))
            .collect();
        own.len() > 1 && own.iter().any(|c| c.0 != Comparison::Equal)
    };
    (0..6).any(compared).then_some(Difference::ComparedTwice)
}

/// The lines that `library.c` reads.
fn lines(recorded: &Recorded) -> Lines {
    let rule = |rule: &Asked| {
        let Named::Number(number) = rule.call else {
            panic!("numbers are told");
        };
        let mut line = format!("rule {} {number}", rule.action.code());
        for (index, comparison, first, second) in &rule.conditions {
            // `enum scmp_compare`, from 1.
            let comparison = match comparison {
                Comparison::NotEqual => 1,
                Comparison::Less => 2,
                Comparison::LessEqual => 3,
                Comparison::Equal => 4,
                Comparison::GreaterEqual => 5,
                Comparison::Greater => 6,
                Comparison::Masked => 7,
            };
            line += &format!(" {index} {comparison} {first} {second}");
        }
        line
    };
    Lines {
        default: recorded.default,
        bad_arch: recorded.bad_arch,
        arches: recorded.arches.iter().map(|a| name(*a)).collect(),
        rules: recorded.rules.iter().map(rule).collect(),
    }
}

fn conditions() -> impl Strategy<Value = Vec<(u8, Comparison, u64, u64)>> {
    let comparison = prop::sample::select(vec![
        Comparison::NotEqual,
        Comparison::Less,
        Comparison::LessEqual,
        Comparison::Equal,
        Comparison::Equal,
        Comparison::GreaterEqual,
        Comparison::Greater,
        Comparison::Masked,
    ]);
    let one = (comparison, random::value(), random::mask(), random::value());
    let one = one.prop_map(|(comparison, value, mask, masked)| match comparison {
        Comparison::Masked => (comparison, mask, masked),
        _ => (comparison, value, 0),
    });
    // The library takes one comparison of each argument.
    prop::collection::btree_map(0u8..4, one, 0..4)
        .prop_map(|all| all.into_iter().map(|(n, (c, a, b))| (n, c, a, b)).collect())
}

/// Answers that the library has: its highest error number is 4094, the kernel's 4095.
fn answer() -> impl Strategy<Value = Action> {
    random::action().prop_filter("refused", |a| *a != Action::Errno(4095))
}

/// Filters whose rules for a call all give one answer.
fn asked() -> impl Strategy<Value = Recorded> {
    let number = prop_oneof![9 => 0i64..330, 1 => Just(-1i64)];
    let call = (number, answer(), prop::collection::vec(conditions(), 1..5));
    let arches = prop::sample::select(vec![vec![Arch::X86_64], vec![Arch::X86_64, Arch::Aarch64]]);
    let calls = prop::collection::vec(call, 0..10);
    (calls, arches, answer(), answer()).prop_map(|(calls, arches, default, bad_arch)| {
        let mut rules: Vec<Asked> = Vec::new();
        for (number, action, alternatives) in calls {
            // The library refuses a rule that says what the default says; and one call, one answer.
            let again = |r: &Asked| matches!(r.call, Named::Number(n) if n == number);
            if action != default && !rules.iter().any(again) {
                rules.extend(alternatives.into_iter().map(|conditions| Asked {
                    action,
                    call: Named::Number(number),
                    conditions,
                    arches: arches.clone(),
                }));
            }
        }
        Recorded {
            default,
            bad_arch,
            arches,
            rules,
        }
    })
}

proptest! {
    #[test]
    fn libseccomp_s_filters_differ_as_known(recorded in asked()) {
        let meant = meaning::policy(&recorded, Arch::X86_64);
        let program = compile(&meant).expect("small");
        let calls = points::of(&meant);
        let expected: Vec<Action> = calls.iter().map(|c| reference::answer(&meant, c)).collect();
        for (call, expected) in calls.iter().zip(&expected) {
            prop_assert_eq!(Action::from_code(run(&program, call)), *expected, "{:?}", call);
        }
        for layout in [1, 2] {
            let Some(theirs) = asker::filter(&lines(&recorded), layout) else {
                prop_assert!(recorded.rules.len() > 1, "no end: {:?}", recorded);
                continue;
            };
            for (call, expected) in calls.iter().zip(&expected) {
                let peer = Action::from_code(run(&theirs, call));
                let known = why(&recorded, call).is_some();
                prop_assert!(known || peer == *expected, "{:?}: {:?}\n{}", call, peer, theirs);
            }
            for left in compare(&program, &theirs, usize::MAX).expect("followed") {
                prop_assert!(why(&recorded, &left.call).is_some(), "{:?}", left);
            }
        }
    }
}
