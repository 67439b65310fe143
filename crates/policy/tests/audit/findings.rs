//! Each kind of finding, and each reason for none.

use portcullis_abi::{ArgValue, Origin, ResidualKind};
use portcullis_policy::audit::{Applied, Code, Edit, Subject, audit};
use portcullis_policy::{Action, Baseline, Condition, Op, Provenance, Width};

use crate::program::*;

const PRIVATE: u64 = 0x80;

#[test]
fn what_fits_has_no_findings() {
    let set = program(vec![
        call("read", &[vec![]]),
        call("ioctl", &[constants(&[(1, 1)]), constants(&[(1, 2)])]),
    ]);
    let filter = filter(vec![
        allow("read", &[]),
        allow("ioctl", &[is(1, 1)]),
        allow("ioctl", &[is(1, 2)]),
    ]);
    assert_eq!(words(&audited(&filter, &set)), [""; 0]);
}

#[test]
fn a_call_that_falls_to_the_default_is_missing() {
    let set = program(vec![
        call("read", &[vec![]]),
        call("ioctl", &[constants(&[(1, 1)]), constants(&[(1, 2)])]),
    ]);
    let filter = filter(vec![allow("ioctl", &[is(1, 1)])]);
    let found = audited(&filter, &set);
    assert_eq!(words(&found), ["missing read", "missing ioctl"]);
    assert_eq!(found.findings[1].args, constants(&[(1, 2)]));
    assert_eq!(found.findings[1].witness.len(), 2);
    // What is proposed repairs it.
    let mut repaired = filter.clone();
    for finding in &found.findings {
        finding
            .suggestion
            .as_ref()
            .unwrap()
            .apply(&mut repaired.policy);
    }
    assert_eq!(words(&audited(&repaired, &set)), [""; 0]);
}

#[test]
fn killing_is_no_purpose_and_an_error_number_is() {
    let set = program(vec![call("read", &[vec![]]), call("write", &[vec![]])]);
    let filter = filter(vec![
        rule("read", &[], Action::KillProcess),
        rule("write", &[], Action::Errno(1)),
        rule("fork", &[], Action::KillProcess),
        rule("vfork", &[], Action::Errno(1)),
    ]);
    let found = audited(&filter, &set);
    assert_eq!(
        words(&found),
        ["missing read: kill the process", "denied write: errno 1"]
    );
    assert!(matches!(
        found.findings[0].suggestion,
        Some(Edit::Replace { rule: (0, 0), .. })
    ));
}

#[test]
fn what_is_newer_than_the_policy_is_told_so() {
    let set = program(vec![call("openat2", &[vec![]])]);
    let mut filter = filter(vec![]);
    filter.policy.tables[0].baseline = Baseline::Number(number("clone3"));
    filter.policy.tables[0].newer = Action::ENOSYS;
    let found = audited(&filter, &set);
    assert_eq!(words(&found), ["denied openat2"]);
}

#[test]
fn an_argument_that_is_not_known_is_no_missing_call() {
    for (known, expected) in [
        (vec![], "unknown ioctl"),
        (
            vec![(1, ArgValue::Ranges(vec![(0, 1 << 20, 1)]))],
            "unknown ioctl",
        ),
        (
            vec![(1, ArgValue::Ranges(vec![(1, 3, 1)]))],
            "missing ioctl",
        ),
        (
            vec![(1, ArgValue::Ranges(vec![(2, 1 << 20, 1)]))],
            "missing ioctl",
        ),
        (
            vec![(
                1,
                ArgValue::Masked {
                    mask: 1,
                    values: vec![0],
                },
            )],
            "missing ioctl",
        ),
        (
            vec![(
                1,
                ArgValue::Masked {
                    mask: 1,
                    values: vec![1],
                },
            )],
            "unknown ioctl",
        ),
    ] {
        let set = program(vec![call("ioctl", std::slice::from_ref(&known))]);
        let found = audited(&filter(vec![allow("ioctl", &[is(1, 1)])]), &set);
        let words = words(&found);
        assert!(words.contains(&expected.to_owned()), "{known:?}: {words:?}");
        // The rule is needed exactly where what is passed can be one.
        let needed = !matches!(known.first(), Some((_, ArgValue::Masked { values, .. })) if values == &[0])
            && !matches!(known.first(), Some((_, ArgValue::Ranges(all))) if all[0].0 == 2);
        let redundant = words.iter().any(|w| w.starts_with("redundant"));
        assert_eq!(redundant, !needed, "{known:?}: {words:?}");
    }
}

#[test]
fn rules_that_nothing_needs_are_redundant() {
    let set = program(vec![
        call("read", &[vec![]]),
        call("ioctl", &[constants(&[(1, 1)])]),
    ]);
    let filter = filter(vec![
        allow("read", &[]),
        allow("write", &[]),
        allow("ioctl", &[is(1, 1)]),
        allow("ioctl", &[is(1, 2)]),
        rule("fork", &[], Action::Errno(1)),
    ]);
    let found = audited(&filter, &set);
    assert_eq!(
        words(&found),
        [
            "redundant write: allow",
            "redundant ioctl(arg1:32 == 0x2): allow"
        ]
    );
    assert!(
        found.findings[0]
            .message
            .ends_with("no place makes the call")
    );
    assert!(found.findings[1].message.ends_with("pass arg1 = 0x1"));
}

#[test]
fn of_two_rules_that_replace_each_other_one_stays() {
    let one_of = |all: &[u64]| Condition {
        op: Op::In(all.iter().map(|v| (*v, *v)).collect()),
        ..is(1, 0)
    };
    let set = program(vec![call("ioctl", &[constants(&[(1, 1)])])]);
    let filter = filter(vec![
        allow("ioctl", &[one_of(&[1, 2])]),
        allow("ioctl", &[one_of(&[1, 3])]),
    ]);
    let found = audited(&filter, &set);
    assert_eq!(
        words(&found),
        [
            "redundant ioctl(arg1:32 in [0x1, 0x3]): allow",
            "too-broad ioctl(arg1:32 in [0x1, 0x2]): allow"
        ]
    );
}

#[test]
fn what_grants_no_more_is_left_to_others() {
    let set = program(vec![call("read", &[vec![]])]);
    let mut permissive = filter(vec![
        allow("write", &[]),
        rule("fork", &[], Action::KillProcess),
    ]);
    permissive.policy.tables[0].default = Action::Allow;
    assert_eq!(words(&audited(&permissive, &set)), [""; 0]);
    // One that decides nothing is shadowed.
    let shadowed = filter(vec![allow("read", &[]), allow("read", &[is(0, 1)])]);
    assert_eq!(words(&audited(&shadowed, &set)), [""; 0]);
}

#[test]
fn what_is_open_keeps_rules() {
    let filter = filter(vec![allow("read", &[]), allow("write", &[])]);
    for (kind, starts, expected) in [
        (ResidualKind::Number, false, Code::PerhapsNeeded),
        (ResidualKind::Target, false, Code::PerhapsNeeded),
        (ResidualKind::Module, false, Code::PerhapsNeeded),
        (ResidualKind::Code, false, Code::PerhapsNeeded),
        // Nothing is started where that is not allowed.
        (ResidualKind::Exec, false, Code::Redundant),
        (ResidualKind::Exec, true, Code::PerhapsNeeded),
    ] {
        let mut set = program(vec![call("read", &[vec![]]), call("execve", &[vec![]])]);
        set.residuals.push(residual(kind));
        let mut filter = filter.clone();
        if starts {
            filter.policy.tables[0].rules.push(allow("execve", &[]));
        }
        let found = audited(&filter, &set);
        let about = |f: &&portcullis_policy::audit::Finding| f.rule.is_some();
        let finding = found.findings.iter().find(about).unwrap();
        assert_eq!(finding.code, expected, "{kind:?}");
        let named = expected == Code::PerhapsNeeded;
        assert_eq!(!finding.residuals.is_empty(), named, "{kind:?}");
    }
}

#[test]
fn a_started_program_needs_rules_too() {
    let first = program(vec![call("read", &[vec![]])]);
    let started = program(vec![call("write", &[vec![]]), call("fork", &[vec![]])]);
    let filters = [filter(vec![allow("read", &[]), allow("write", &[])])];
    let subjects = [&first, &started].map(|set| Subject::program(set, vec![under(0)]));
    assert_eq!(words(&audit(&filters, &subjects)), ["missing fork"]);
}

#[test]
fn what_the_kernel_makes_is_needed_and_missed() {
    let set = program(vec![
        made_by(Origin::Kernel, "rt_sigreturn"),
        made_by(Origin::Kernel, "restart_syscall"),
        made_by(Origin::Vdso, "clock_gettime"),
    ]);
    let all = ["rt_sigreturn", "restart_syscall", "clock_gettime"];
    let allowed = filter(all.iter().map(|name| allow(name, &[])).collect());
    assert_eq!(words(&audited(&allowed, &set)), [""; 0]);
    let found = audited(&filter(vec![]), &set);
    let codes: Vec<Code> = found.findings.iter().map(|f| f.code).collect();
    assert_eq!(
        codes,
        [Code::MissingKernel, Code::MissingKernel, Code::MissingVdso]
    );
    // Nothing of it can happen in a program that neither handles signals nor waits.
    let none = program(vec![call("read", &[vec![]])]);
    let found = audited(&allowed, &none);
    assert_eq!(
        found
            .findings
            .iter()
            .filter(|f| f.code == Code::Redundant)
            .count(),
        3
    );
}

#[test]
fn constants_make_rules_tighter() {
    let set = program(vec![
        call(
            "socket",
            &[
                constants(&[(0, 1), (1, 1), (2, 0)]),
                constants(&[(0, 2), (1, 2), (2, 0)]),
            ],
        ),
        call("close", &[constants(&[(0, 3)])]),
        call("futex", &[constants(&[(1, PRIVATE)]), vec![]]),
    ]);
    let filter = filter(vec![
        allow("socket", &[is(2, 0)]),
        allow("close", &[]),
        allow("futex", &[]),
    ]);
    let found = audited(&filter, &set);
    assert_eq!(words(&found), ["too-broad socket(arg2:32 == 0x0): allow"]);
    let Some(Edit::Replace { by, .. }) = &found.findings[0].suggestion else {
        panic!("{found:?}");
    };
    assert_eq!(
        *by,
        [
            allow("socket", &[is(0, 1), is(1, 1), is(2, 0)]),
            allow("socket", &[is(0, 2), is(1, 2), is(2, 0)])
        ]
    );
    let mut tight = filter.clone();
    found.findings[0]
        .suggestion
        .as_ref()
        .unwrap()
        .apply(&mut tight.policy);
    assert_eq!(words(&audited(&tight, &set)), [""; 0]);
}

#[test]
fn a_wider_mask_is_too_broad() {
    let masked = |mask, value| Condition {
        index: 1,
        width: Width::W32,
        op: Op::Masked { mask, value },
    };
    let set = program(vec![call("futex", &[constants(&[(1, PRIVATE | 1)])])]);
    let wide = filter(vec![allow("futex", &[masked(0x7f, 1)])]);
    assert_eq!(
        words(&audited(&wide, &set)),
        ["too-broad futex(arg1:32 & 0x7f == 0x1): allow"]
    );
    let exact = filter(vec![allow("futex", &[masked(0xffff_ffff, PRIVATE | 1)])]);
    assert_eq!(words(&audited(&exact, &set)), [""; 0]);
}

#[test]
fn threads_need_what_is_theirs() {
    let mut set = program(vec![
        call("ioctl", &[constants(&[(1, 1)]), constants(&[(1, 2)])]),
        call("read", &[vec![]]),
    ]);
    set.sets = vec![
        thread("main", "after:install", &[("read", 0)]),
        thread("vcpu", "main", &[("ioctl", 0), ("ioctl", 1)]),
        thread("vcpu", "after:install", &[("ioctl", 1)]),
    ];
    let filters = [
        filter(vec![allow("read", &[]), allow("ioctl", &[is(1, 1)])]),
        filter(vec![
            allow("ioctl", &[is(1, 1)]),
            allow("ioctl", &[is(1, 2)]),
        ]),
    ];
    let subjects = [
        Subject::thread(&set, &set.sets[0], vec![under(0)]),
        Subject::thread(&set, &set.sets[2], vec![under(1)]),
    ];
    let found = audit(&filters, &subjects);
    assert_eq!(
        words(&found),
        [
            "redundant ioctl(arg1:32 == 0x1): allow",
            "redundant ioctl(arg1:32 == 0x1): allow"
        ]
    );
    assert_eq!(found.findings[0].threads, ["main"]);
    assert_eq!(found.findings[1].threads, ["vcpu"]);
    assert!(found.findings[0].message.contains("vcpu/main"));
}

#[test]
fn the_strictest_of_several_filters_answers() {
    let set = program(vec![call("read", &[vec![]]), call("write", &[vec![]])]);
    let filters = [
        filter(vec![allow("read", &[])]),
        filter(vec![allow("read", &[]), allow("write", &[])]),
    ];
    let both = |certain| {
        let first = Applied { filter: 0, certain };
        let subjects = [Subject::program(&set, vec![first, under(1)])];
        audit(&filters, &subjects)
    };
    // The second's rule for write changes nothing: the first denies it.
    assert_eq!(
        words(&both(true)),
        ["missing write", "redundant write: allow"]
    );
    assert_eq!(words(&both(false)), ["unknown write"]);
}

#[test]
fn a_filter_without_a_thread_is_told() {
    let set = program(vec![call("read", &[vec![]])]);
    let filters = [filter(vec![allow("read", &[])]), filter(vec![])];
    let subjects = [Subject::program(&set, vec![under(0)])];
    let found = audit(&filters, &subjects);
    assert_eq!(found.findings[0].code, Code::NoThread);
    assert_eq!(found.findings.len(), 1);
}

#[test]
fn the_launch_is_never_redundant() {
    let set = program(vec![call("read", &[vec![]])]);
    let mut launch = allow("execveat", &[]);
    launch.provenance.push(Provenance::Launch);
    let filter = filter(vec![launch, allow("read", &[])]);
    assert_eq!(words(&audited(&filter, &set)), [""; 0]);
}
