//! What a format cannot say is refused, and which rule it was is said.

use portcullis_abi::{Arch, Sysno};
use portcullis_policy::format::{Concessions, Format};
use portcullis_policy::{Action, Baseline, Filter, Op, Policy, Rule, Span, Width};

use crate::round_trip::{condition, filter, policy, rule};
use crate::{FORMATS, write};

fn one(rules: Vec<Rule>) -> Vec<Filter> {
    vec![filter(policy(Arch::Aarch64, Action::Errno(1), rules))]
}

fn changed(change: impl FnOnce(&mut Policy)) -> Vec<Filter> {
    let mut own = one(vec![rule("read", vec![], Action::Allow)]);
    change(&mut own[0].policy);
    own
}

fn cases() -> Vec<(&'static str, Vec<Filter>)> {
    let allow = |conditions| rule("socket", conditions, Action::Allow);
    let w64 = |op| condition(0, Width::W64, op);
    let w32 = |op| condition(0, Width::W32, op);
    let numbers = |first, last| Rule {
        calls: Span {
            first: Sysno(first),
            last: Sysno(last),
        },
        ..allow(vec![])
    };
    let read = || rule("read", vec![], Action::Allow);
    let masked = |mask, value| Op::Masked { mask, value };
    vec![
        ("no filter", Vec::new()),
        ("two filters", [one(vec![]), one(vec![])].concat()),
        ("no architecture", changed(|p| p.tables.clear())),
        (
            "another answer to foreign calls",
            changed(|p| p.foreign = Action::Errno(1)),
        ),
        (
            "another answer to newer calls",
            changed(|p| {
                p.tables[0].baseline = Baseline::Number(Sysno(400));
                p.tables[0].newer = Action::ENOSYS;
            }),
        ),
        (
            "two defaults",
            changed(|p| {
                let mut other = p.tables[0].clone();
                other.arch = Arch::Arm;
                other.default = Action::Log;
                other.newer = Action::Log;
                p.tables.push(other);
            }),
        ),
        (
            "rules of one architecture alone",
            changed(|p| {
                let mut other = p.tables[0].clone();
                other.arch = Arch::Arm;
                other.rules.clear();
                p.tables.push(other);
            }),
        ),
        (
            "a number without a name",
            one(vec![read(), numbers(9999, 9999)]),
        ),
        (
            "numbers without names",
            one(vec![read(), numbers(60, 9999)]),
        ),
        (
            "a wide range of the low half",
            one(vec![allow(vec![
                condition(0, Width::W32, Op::NotEqual(3)),
                condition(1, Width::W32, Op::NotEqual(3)),
            ])]),
        ),
        (
            "conditions that do not join",
            one(vec![
                read(),
                allow(vec![w64(masked(0b101, 1)), w64(Op::Less(1000))]),
            ]),
        ),
        (
            "two widths of one argument",
            one(vec![allow(vec![
                w32(masked(0xf0f, 1)),
                w64(masked(0xf0f0, 0)),
            ])]),
        ),
        (
            "an exception that cannot be taken out",
            one(vec![
                rule("socket", vec![w64(masked(0b101, 1))], Action::Errno(9)),
                allow(vec![w64(Op::Less(1000))]),
            ]),
        ),
        (
            "two answers",
            one(vec![read(), rule("write", vec![], Action::Log)]),
        ),
        ("notify", one(vec![rule("read", vec![], Action::Notify)])),
        (
            "a value above int64",
            one(vec![allow(vec![w64(Op::Equal(1 << 63))])]),
        ),
        (
            "a default errno",
            changed(|p| {
                p.tables[0].default = Action::Errno(38);
                p.tables[0].newer = Action::Errno(38);
            }),
        ),
        ("a name", {
            let mut own = one(vec![read()]);
            own[0].name = Some("No Label".into());
            own
        }),
        ("x32 like others", {
            let mut own = policy(Arch::X86_64, Action::Errno(1), vec![]);
            own.tables[0].x32_is_native = true;
            vec![filter(own)]
        }),
        ("x32 foreign, and what is above it unknown", {
            vec![filter(policy(Arch::X86_64, Action::Errno(1), vec![]))]
        }),
        ("64 bits of a 32-bit architecture", {
            let conditions = vec![w64(Op::Equal(1))];
            let mut own = rule("read", conditions, Action::Allow);
            own.calls = Arch::Arm.number("read").expect("it is there").into();
            vec![filter(policy(Arch::Arm, Action::Errno(1), vec![own]))]
        }),
        ("socketcall apart from socket", {
            let mut own = rule("read", vec![], Action::Allow);
            own.calls = Arch::I386.number("socket").expect("it is there").into();
            vec![filter(policy(Arch::I386, Action::Errno(1), vec![own]))]
        }),
    ]
}

#[test]
fn each_case_is_refused_by_the_formats_that_cannot_say_it() {
    let mut said = Vec::new();
    for (case, filters) in cases() {
        let mut refused = 0;
        said.push(format!("{case}:"));
        for format in FORMATS {
            // The two compilers answer foreign calls differently; that is a case of its own.
            let mut filters = filters.clone();
            for filter in &mut filters {
                if format == Format::Seccompiler && filter.policy.foreign == Action::KillThread {
                    filter.policy.foreign = Action::KillProcess;
                }
            }
            match write(format, &filters, Concessions::default()) {
                Ok(_) => said.push(format!("  {format}: said")),
                Err(unsayable) => {
                    refused += 1;
                    said.push(format!("  {format}: {unsayable}"));
                }
            }
        }
        assert!(refused > 0, "{case}");
    }
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn what_is_conceded_is_written() {
    let newer = Concessions {
        newer: true,
        ..Concessions::default()
    };
    let both = Concessions {
        foreign: true,
        ..newer
    };
    let mut own = policy(Arch::X86_64, Action::KillProcess, vec![]);
    own.foreign = Action::KillProcess;
    own.tables[0].baseline = Baseline::Number(Sysno(400));
    own.tables[0].newer = Action::ENOSYS;
    let filters = [filter(own)];
    for (conceded, said) in [
        (Concessions::default(), false),
        (newer, false),
        (both, true),
    ] {
        assert_eq!(
            write(Format::Oci, &filters, conceded).is_ok(),
            said,
            "{conceded:?}"
        );
    }
}
