//! Findings about policies: `testdata/policy/lint.cases`.
//!
//! Each case begins with `--- FORM ARCHITECTURE… CODE@LINE:COLUMN… not:CODE…`: the findings with the
//! codes that are named are exactly those with a place, and there are none with those behind `not:`.
//! `oneself` is a policy that no form can say; see [`made`].

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use portcullis_abi::{Arch, Sysno};
use portcullis_policy::{
    Action, Baseline, Call, Condition, Filter, LineColumn, Op, Place, Policy, Rule, Span, Table,
    Target, Width,
    format::{kafel, minijail, systemd},
    lint::{Code, caret, lint},
};
use proptest::prelude::*;

fn filter(form: &str, arches: &[Arch], text: &str) -> Filter {
    let target = Target {
        arches: arches.to_vec(),
        capabilities: Vec::new(),
        kernel: (6, 1),
    };
    let none = |_: &str| Err("there are no files".to_owned());
    let source = match form {
        "minijail" => minijail::read(text, &target, &none),
        "kafel" => kafel::read(text, &target, &none),
        "systemd" => systemd::read(text, &target),
        _ => return made(text.trim()),
    };
    match source {
        Ok(mut source) => source.filters.remove(0),
        Err(mistake) => panic!("{mistake:?}:\n{text}"),
    }
}

/// A policy with one rule that the readers never make.
fn made(what: &str) -> Filter {
    let read = |index, width, op| vec![Condition { index, width, op }];
    let (conditions, action) = match what {
        "the lower half of a size" => (read(2, Width::W32, Op::Less(9)), Action::Allow),
        "the lower half of an int" => (read(0, Width::W32, Op::Less(9)), Action::Allow),
        "an error number" => (Vec::new(), Action::Errno(4096)),
        "a number of x32" => (Vec::new(), Action::Allow),
        "the largest error number" => (Vec::new(), Action::Errno(4095)),
        other => panic!("no policy {other:?}"),
    };
    let rule = Rule {
        calls: match what {
            // Foreign, where x32 has no table.
            "a number of x32" => Sysno(Arch::X32_BIT).into(),
            _ => Arch::X86_64.number("read").expect("it has one").into(),
        },
        conditions,
        action,
        provenance: Vec::new(),
    };
    let table = Table {
        arch: Arch::X86_64,
        rules: vec![rule],
        baseline: Baseline::All,
        default: Action::KillProcess,
        newer: Action::KillProcess,
        x32_is_native: false,
    };
    Filter {
        name: None,
        policy: Policy::of(table, Action::KillProcess),
        places: vec![vec![Place::default()]],
    }
}

fn cases() -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/policy/lint.cases");
    let text = fs::read_to_string(path).expect("a file");
    let cases = text.split("--- ").skip(1);
    let cases = cases.filter_map(|case| case.split_once('\n'));
    cases
        .map(|(head, text)| (head.to_owned(), text.to_owned()))
        .collect()
}

#[test]
fn findings_are_those_that_are_written() {
    let mut wrong = Vec::new();
    for (head, text) in cases() {
        let words: Vec<&str> = head.split_whitespace().collect();
        let arches: Vec<Arch> = words.iter().filter_map(|w| w.parse().ok()).collect();
        let filter = filter(words[0], &arches, &text);
        let mut wanted: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for word in words[1..].iter().filter(|w| w.contains("PC")) {
            match word.strip_prefix("not:") {
                Some(code) => {
                    wanted.entry(code).or_default();
                }
                None => {
                    let (code, place) = word.split_once('@').unwrap_or((word, "1:1"));
                    wanted.entry(code).or_default().push(place.to_owned());
                }
            }
        }
        let findings = lint(&filter);
        for (code, mut places) in wanted {
            let own = findings.iter().filter(|f| f.code.text() == code);
            let mut found: Vec<String> = own
                .map(|f| LineColumn::of(&text, f.place.start).to_string())
                .collect();
            found.sort();
            places.sort();
            if found != places {
                let said: Vec<String> = findings
                    .iter()
                    .map(|f| format!("{} {}", f.code, f.message))
                    .collect();
                wrong.push(format!(
                    "{head}\n{text}{code}: {found:?}\n{}\n",
                    said.join("\n")
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_code_is_found_and_not_found() {
    let heads: Vec<String> = cases().into_iter().map(|(head, _)| head).collect();
    for code in Code::ALL {
        let found = |word: &str| word.split('@').next() == Some(code.text());
        let absent = format!("not:{code}");
        let any =
            |wanted: &dyn Fn(&str) -> bool| heads.iter().any(|h| h.split_whitespace().any(wanted));
        assert!(any(&found), "no case finds {code}");
        assert!(any(&|w| w == absent), "no case is without {code}");
    }
}

/// Long lists of rules about one call, and many about many, do not hold the check up.
#[test]
fn large_policies_are_checked_in_time() {
    let mut text = "ALLOW {\n".to_owned();
    for n in 0..500u32 {
        text.push_str(&format!("ioctl {{ cmd == {n} && fd != {} }},\n", n % 7));
    }
    text.push_str("read }");
    let filter = filter("kafel", &[Arch::X86_64], &text);
    let findings = lint(&filter);
    assert!(findings.iter().all(|f| f.code != Code::Shadowed));
}

#[test]
fn a_finding_points_at_its_line() {
    let text = "read: 1\nioctl:\targ1 == 0x5412; return 1\n@default kill\n";
    let filter = filter("minijail", &[Arch::X86_64], text);
    let findings = lint(&filter);
    let upper = findings
        .iter()
        .find(|f| f.code == Code::UpperHalf)
        .expect("it is found");
    let shown = caret(text, upper.place);
    let wanted = "ioctl:    arg1 == 0x5412; return 1\n^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n";
    assert_eq!(shown, wanted);
    assert!(
        upper.message.contains("`cmd` of `ioctl`"),
        "{}",
        upper.message
    );
}

fn random() -> impl Strategy<Value = Filter> {
    let value = prop::sample::select(vec![0u64, 1, 2, 3, 1 << 32]);
    let op = (0u8..8, value.clone(), value).prop_map(|(kind, a, b)| match kind {
        0 => Op::Equal(a),
        1 => Op::NotEqual(a),
        2 => Op::Less(a),
        3 => Op::GreaterEqual(a),
        4 => Op::Masked {
            mask: a | b,
            value: a,
        },
        5 => Op::NotMasked {
            mask: a | b,
            value: a,
        },
        6 => Op::In(vec![(a.min(b), a.max(b))]),
        _ => Op::NotIn(vec![(a, a), (b, b)]),
    });
    let width = prop_oneof![Just(Width::W32), Just(Width::W64)];
    let condition =
        (0u8..2, width, op).prop_map(|(index, width, op)| Condition { index, width, op });
    let action = prop::sample::select(vec![Action::Allow, Action::Errno(1), Action::KillProcess]);
    let calls = (0u32..3, 0u32..3).prop_map(|(first, more)| Span {
        first: Sysno(first),
        last: Sysno(first + more),
    });
    let rule = (
        calls,
        prop::collection::vec(condition, 0..3),
        action.clone(),
    );
    (prop::collection::vec(rule, 0..7), action).prop_map(|(rules, default)| {
        let rules: Vec<Rule> = rules
            .into_iter()
            .map(|(calls, conditions, action)| Rule {
                calls,
                conditions,
                action,
                provenance: Vec::new(),
            })
            .collect();
        // Each rule has a place of its own: its own number.
        let places = (0..rules.len()).map(|n| Place { start: n, end: n });
        let places = vec![places.collect()];
        let mut filter = made("an error number");
        filter.places = places;
        filter.policy.tables[0].rules = rules;
        filter.policy.tables[0].default = default;
        filter.policy.tables[0].newer = default;
        filter
    })
}

/// Calls with arguments of which some differ wherever the constants of [`random`] tell them apart.
fn calls() -> Vec<Call> {
    let halves = [0u64, 1, 2, 3, 4, 5, 6, 7];
    let values = || {
        [0u64, 1, 2]
            .into_iter()
            .flat_map(move |h| halves.map(|l| h << 32 | l))
    };
    let pairs = || values().flat_map(|a| values().map(move |b| [a, b, 0, 0, 0, 0]));
    let all = (0u32..5).flat_map(|number| {
        pairs().map(move |args| Call {
            arch: Arch::X86_64.audit_arch(),
            number,
            ip: 0,
            args,
        })
    });
    all.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    /// What is said to decide nothing decides nothing, what is said to have no effect has none, and
    /// a rule that neither is said of decides some call.
    #[test]
    fn rules_without_effect_have_none(filter in random()) {
        let findings = lint(&filter);
        let calls = calls();
        let of = |codes: &[Code], rule: usize| {
            findings.iter().any(|f| f.place.start == rule && codes.contains(&f.code))
        };
        for rule in 0..filter.policy.tables[0].rules.len() {
            let decides = calls.iter().any(|c| filter.policy.decide(c).rule == Some((0, rule)));
            let nothing = of(&[Code::Shadowed, Code::Contradiction], rule);
            prop_assert_eq!(decides, !nothing, "rule {} of {:#?}", rule, filter.policy);
            let mut without = filter.policy.clone();
            without.tables[0].rules.remove(rule);
            let changes = calls.iter().any(|c| {
                filter.policy.decide(c).action != without.decide(c).action
            });
            let none = nothing || of(&[Code::NoEffect], rule);
            prop_assert_eq!(changes, !none, "rule {} of {:#?}", rule, filter.policy);
        }
    }
}
