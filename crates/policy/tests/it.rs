//! Policies as a whole.

use portcullis_abi::{Arch, Sysno};
use portcullis_policy::{Action, Condition, Op, Phase, Policy, Provenance, Rule, Width, toml};
use proptest::prelude::*;

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::KillProcess),
        Just(Action::KillThread),
        Just(Action::Trap),
        (0u16..4096).prop_map(Action::Errno),
        Just(Action::Notify),
        any::<u16>().prop_map(Action::Trace),
        Just(Action::Log),
        Just(Action::Allow),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let op = prop_oneof![
        any::<u64>().prop_map(Op::Equal),
        any::<u64>().prop_map(Op::NotEqual),
        any::<u64>().prop_map(Op::Less),
        any::<u64>().prop_map(Op::LessEqual),
        any::<u64>().prop_map(Op::Greater),
        any::<u64>().prop_map(Op::GreaterEqual),
        any::<(u64, u64)>().prop_map(|(mask, value)| Op::Masked { mask, value }),
    ];
    let width = prop_oneof![Just(Width::W32), Just(Width::W64)];
    (0u8..6, width, op).prop_map(|(index, width, op)| Condition { index, width, op })
}

fn provenance() -> impl Strategy<Value = Provenance> {
    prop_oneof![
        (
            "[ -~é\\\\\n]{0,12}",
            any::<u64>(),
            prop::option::of("[ -~\n]{0,12}")
        )
            .prop_map(|(object, address, function)| Provenance::Site {
                object,
                address,
                function
            }),
        Just(Provenance::Launch),
        ".{0,12}".prop_map(Provenance::Assumption),
        ".{0,12}".prop_map(Provenance::Note),
    ]
}

fn phase() -> impl Strategy<Value = Phase> {
    let calls = prop::collection::btree_set(0u32..600, 0..6);
    (".{0,8}", ".{0,8}", calls).prop_map(|(thread, phase, calls)| Phase {
        thread,
        phase,
        calls: calls.into_iter().map(Sysno).collect(),
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    let rule = (
        0u32..600,
        prop::collection::vec(condition(), 0..4),
        action(),
        prop::collection::vec(provenance(), 0..4),
    )
        .prop_map(|(number, conditions, action, provenance)| Rule {
            number: Sysno(number),
            conditions,
            action,
            provenance,
        });
    (
        any::<u32>(),
        prop::collection::vec(rule, 0..12),
        action(),
        action(),
        action(),
        prop::collection::vec(phase(), 0..4),
    )
        .prop_map(|(newest, rules, default, newer, foreign, phases)| Policy {
            phases,
            arch: Arch::X86_64,
            newest: Sysno(newest),
            rules,
            default,
            newer,
            foreign,
        })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(policy in policy()) {
        let text = toml::write(&policy);
        prop_assert_eq!(toml::read(&text).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?, policy);
    }
}

#[test]
fn a_misspelt_key_is_an_error_with_its_line() {
    let text = "schema = \"portcullis.policy\"\nversion = 1\narch = \"x86_64\"\nnewest = 1\n\
        default = \"kill\"\nnewer = \"kill\"\nforeign = \"kill\"\n[[rule]]\ncall = \"read\"\n\
        wehn = [\"arg0 == 0\"]\n";
    let error = toml::read(text).expect_err("a misspelt key is no condition");
    let text = error.to_string();
    assert!(text.contains("wehn") && text.contains("line 10"), "{text}");
}

#[test]
fn what_means_nothing_is_an_error_with_its_rule() {
    let form = |when: &str| {
        format!(
            "schema = \"portcullis.policy\"\nversion = 1\narch = \"x86_64\"\nnewest = 1\n\
             default = \"kill\"\nnewer = \"kill\"\nforeign = \"kill\"\n\
             [[rule]]\ncall = \"read\"\nwhen = [\"{when}\"]\n"
        )
    };
    assert!(toml::read(&form("arg5 as u32 & 0x1 == 0x1")).is_ok());
    for wrong in ["arg6 == 1", "arg0 = 1", "arg0 == x", "", "arg0 as u16 == 1"] {
        let error = toml::read(&form(wrong)).expect_err(wrong).to_string();
        assert!(error.contains("rule 1 (read)"), "{error}");
    }
}

/// A phase takes away, and gives nothing.
#[test]
fn a_phase_allows_what_it_has_of_the_policy() {
    let rule = |number, action| Rule {
        number: Sysno(number),
        conditions: Vec::new(),
        action,
        provenance: Vec::new(),
    };
    let policy = Policy {
        arch: Arch::X86_64,
        newest: Sysno(470),
        rules: vec![
            rule(0, Action::Allow),
            rule(1, Action::Errno(1)),
            rule(2, Action::Allow),
        ],
        default: Action::KillProcess,
        newer: Action::ENOSYS,
        foreign: Action::KillProcess,
        phases: vec![Phase {
            thread: "main".into(),
            phase: "loop".into(),
            calls: vec![Sysno(1), Sysno(2), Sysno(3)],
        }],
    };
    let narrowed = policy.phase("main", "loop").expect("it is there");
    let numbers: Vec<u32> = narrowed.rules.iter().map(|r| r.number.0).collect();
    assert_eq!(numbers, [1, 2]);
    assert!(policy.phase("main", "startup").is_none());
}
