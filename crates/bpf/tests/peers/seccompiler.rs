//! The filters of the seccompiler crate beside ours.
//!
//! It says less: rules of a call allow alike, and there is no class of calls, but what it says is the
//! same policy as ours, save what it does on purpose or by neglect ([`Difference`]). A policy is put to
//! it as it is; where its filter differs from the reference each difference must be one of those, and a
//! policy that has them written in must be its filter exactly.

use std::collections::BTreeMap;

use ::seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use portcullis_abi::{Arch, Sysno};
use portcullis_bpf::{Instruction, Program, compare, compile, run, verify};
use portcullis_policy::{Action, Baseline, Call, Condition, Op, Policy, Rule, Table, Width};
use proptest::prelude::*;

use crate::{points, random, reference};

/// What seccompiler does otherwise, and why.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Difference {
    /// It never looks at the bit of x32: a rule's number is a number, and what no rule has is answered
    /// by the default, x32 or not.
    X32IsNative,
    /// Of a constant of a `dword` comparison the upper half is cut off, so that a comparison that can
    /// never hold is one that may.
    ConstantCut,
}

/// A comparison as both can say it.
#[derive(Clone, Copy, Debug)]
struct Comparison {
    index: u8,
    wide: bool,
    /// One of seven.
    op: u8,
    mask: u64,
    value: u64,
}

/// A filter as both can say it.
#[derive(Clone, Debug)]
struct Asked {
    rules: BTreeMap<u32, Vec<Vec<Comparison>>>,
    arch: Arch,
    fits: Action,
    default: Action,
}

impl Comparison {
    fn theirs(self) -> SeccompCondition {
        let op = match self.op {
            0 => SeccompCmpOp::Eq,
            1 => SeccompCmpOp::Ne,
            2 => SeccompCmpOp::Lt,
            3 => SeccompCmpOp::Le,
            4 => SeccompCmpOp::Gt,
            5 => SeccompCmpOp::Ge,
            _ => SeccompCmpOp::MaskedEq(self.mask),
        };
        let length = if self.wide {
            SeccompCmpArgLen::Qword
        } else {
            SeccompCmpArgLen::Dword
        };
        SeccompCondition::new(self.index, length, op, self.value).expect("an argument")
    }

    /// The same here: as it was said, or with the constant cut.
    fn ours(self, cut: bool) -> Condition {
        let width = if self.wide { Width::W64 } else { Width::W32 };
        let value = if cut {
            self.value & width.most()
        } else {
            self.value
        };
        let op = match self.op {
            0 => Op::Equal(value),
            1 => Op::NotEqual(value),
            2 => Op::Less(value),
            3 => Op::LessEqual(value),
            4 => Op::Greater(value),
            5 => Op::GreaterEqual(value),
            // Its documentation: the value is masked too.
            _ => Op::Masked {
                mask: self.mask & width.most(),
                value: value & self.mask,
            },
        };
        Condition {
            index: self.index,
            width,
            op,
        }
    }

    fn is_cut(self) -> bool {
        let counted = if self.op < 6 {
            self.value
        } else {
            self.value & self.mask
        };
        !self.wide && counted >> 32 != 0
    }
}

impl Asked {
    fn theirs(&self) -> Program {
        let rule = |all: &Vec<Comparison>| {
            SeccompRule::new(all.iter().map(|c| c.theirs()).collect()).expect("conditions")
        };
        let rules = self.rules.iter().map(|(number, rules)| {
            // No rules means that every call fits.
            (i64::from(*number), rules.iter().map(rule).collect())
        });
        let arch = match self.arch {
            Arch::Aarch64 => TargetArch::aarch64,
            _ => TargetArch::x86_64,
        };
        let filter = SeccompFilter::new(
            rules.collect(),
            action(self.default),
            action(self.fits),
            arch,
        );
        let theirs: BpfProgram = filter.expect("two actions").try_into().expect("small");
        let bytes: Vec<u8> = theirs
            .iter()
            .flat_map(|i| {
                Instruction {
                    code: i.code,
                    jt: i.jt,
                    jf: i.jf,
                    k: i.k,
                }
                .to_bytes()
            })
            .collect();
        Program::from_bytes(&bytes).expect("a filter that the kernel takes")
    }

    /// The policy, with what the peer does otherwise or without.
    fn ours(&self, as_peer: bool) -> Policy {
        let mut rules = Vec::new();
        for (number, alternatives) in &self.rules {
            let rule = |conditions| Rule {
                calls: Sysno(*number).into(),
                conditions,
                action: self.fits,
                provenance: vec![],
            };
            if alternatives.is_empty() {
                rules.push(rule(vec![]));
            }
            rules.extend(
                alternatives
                    .iter()
                    .map(|all| rule(all.iter().map(|c| c.ours(as_peer)).collect())),
            );
        }
        let table = Table {
            arch: self.arch,
            rules,
            baseline: Baseline::All,
            default: self.default,
            newer: self.default,
            x32_is_native: as_peer,
        };
        Policy::of(table, Action::KillProcess)
    }

    /// Why the peer answers this call otherwise.
    fn why(&self, call: &Call) -> Option<Difference> {
        let x32 = call.number & Arch::X32_BIT != 0 && call.number != u32::MAX;
        if self.arch == Arch::X86_64 && call.arch == self.arch.audit_arch() && x32 {
            return Some(Difference::X32IsNative);
        }
        let own = self.rules.get(&call.number)?;
        let cut = own.iter().flatten().any(|c| c.is_cut());
        cut.then_some(Difference::ConstantCut)
    }
}

fn action(action: Action) -> SeccompAction {
    match action {
        Action::KillProcess => SeccompAction::KillProcess,
        Action::KillThread => SeccompAction::KillThread,
        Action::Trap(_) => SeccompAction::Trap,
        Action::Errno(errno) => SeccompAction::Errno(errno.into()),
        Action::Trace(data) => SeccompAction::Trace(data.into()),
        Action::Log => SeccompAction::Log,
        Action::Allow => SeccompAction::Allow,
        Action::Notify => panic!("it has no such answer"),
    }
}

fn asked() -> impl Strategy<Value = Asked> {
    let comparison = (
        0u8..6,
        any::<bool>(),
        0u8..7,
        random::mask(),
        random::value(),
    );
    let comparison = comparison.prop_map(|(index, wide, op, mask, value)| Comparison {
        index,
        wide,
        op,
        mask,
        value,
    });
    let conditions = prop::collection::vec(comparison, 1..4);
    let number = prop_oneof![9 => 0u32..460, 1 => 0x4000_0000u32..0x4000_0010];
    let rules = prop::collection::btree_map(number, prop::collection::vec(conditions, 0..4), 0..12);
    let arch = prop_oneof![3 => Just(Arch::X86_64), 1 => Just(Arch::Aarch64)];
    let two = (random::action(), random::action());
    let two = two.prop_filter("it wants two", |(a, b)| a != b);
    (rules, arch, two).prop_map(|(rules, arch, (fits, default))| Asked {
        rules,
        arch,
        fits,
        default,
    })
}

proptest! {
    #[test]
    fn seccompiler_s_filters_differ_as_known(asked in asked()) {
        let theirs = asked.theirs();
        let (said, meant) = (asked.ours(false), asked.ours(true));
        let program = compile(&said).expect("small");
        for call in points::of(&said) {
            let expected = reference::answer(&said, &call);
            prop_assert_eq!(Action::from_code(run(&program, &call)), expected, "{:?}", call);
            let peer = Action::from_code(run(&theirs, &call));
            prop_assert!(peer == expected || asked.why(&call).is_some(), "{:?}: {:?}", call, peer);
        }
        for difference in compare(&program, &theirs, usize::MAX).expect("followed") {
            prop_assert!(asked.why(&difference.call).is_some(), "{:?}", difference);
        }
        // With the known differences written in nothing is left.
        let left = compare(&compile(&meant).expect("small"), &theirs, 1).expect("followed");
        prop_assert!(left.is_empty(), "{:?}", left);
        prop_assert!(verify(theirs, &meant).is_ok());
    }
}

#[test]
fn each_known_difference_of_seccompiler_is_there() {
    let comparison = Comparison {
        index: 0,
        wide: false,
        op: 0,
        mask: 0,
        value: 1 << 32 | 5,
    };
    let asked = Asked {
        rules: BTreeMap::from([(3, vec![vec![comparison]]), (0x4000_0000, vec![])]),
        arch: Arch::X86_64,
        fits: Action::Allow,
        default: Action::Trap(0),
    };
    let ours = compile(&asked.ours(false)).expect("small");
    let found = compare(&ours, &asked.theirs(), usize::MAX).expect("followed");
    let whys: Vec<_> = found.iter().map(|d| asked.why(&d.call)).collect();
    for why in [Difference::X32IsNative, Difference::ConstantCut] {
        assert!(
            whys.contains(&Some(why)),
            "{why:?} is no difference any more"
        );
    }
}
