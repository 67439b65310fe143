//! The files of `testdata/policy`, whose README describes their form.

use std::fs;
use std::path::{Path, PathBuf};

use portcullis_abi::{Arch, Sysno};
use portcullis_policy::{
    Action, Call, LineColumn, Mistake, Policy, Source, Target,
    format::{kafel, minijail, systemd},
};

pub(crate) fn target(arches: &[Arch]) -> Target {
    Target {
        arches: arches.to_vec(),
        capabilities: Vec::new(),
        kernel: (6, 1),
    }
}

fn folder(form: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/policy");
    root.join(form)
}

/// Reads `text` as `form` does; files that it includes lie in the form's folder.
fn read(form: &str, text: &str, target: &Target) -> Result<Source, Mistake> {
    let include = |path: &str| {
        let name = path.trim_start_matches("./");
        fs::read_to_string(folder(form).join(name)).map_err(|_| "there is no such file".to_owned())
    };
    match form {
        "minijail" => minijail::read(text, target, &include),
        "kafel" => kafel::read(text, target, &include),
        _ => systemd::read(text, target),
    }
}

fn answer(word: &str) -> Action {
    let (name, number) = word.split_once(':').unwrap_or((word, "0"));
    let number = number.parse().expect("a number");
    match name {
        "allow" => Action::Allow,
        "log" => Action::Log,
        "kill" => Action::KillProcess,
        "kill-thread" => Action::KillThread,
        "trap" => Action::Trap(0),
        "notify" => Action::Notify,
        "errno" => Action::Errno(number),
        "trace" => Action::Trace(number),
        _ => panic!("no answer: {word}"),
    }
}

fn number(word: &str) -> u64 {
    match word.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).expect("a number"),
        None => word.parse().expect("a number"),
    }
}

fn call(words: &str) -> Call {
    let mut words = words.split_whitespace().peekable();
    let arch = words.next_if(|w| w.parse::<Arch>().is_ok());
    let arch: Arch = arch.map_or(Arch::X86_64, |w| w.parse().expect("looked at"));
    let name = words.next().expect("a call");
    let known = arch.number(name);
    let mut args = [0; 6];
    for (at, word) in words.enumerate() {
        args[at] = number(word);
    }
    Call {
        arch: arch.audit_arch(),
        number: known.map_or_else(|| number(name) as u32, |n| n.0),
        ip: 0,
        args,
    }
}

fn check(form: &str, path: &Path) {
    let text = fs::read_to_string(path).expect("a file");
    let mark = if form == "kafel" { "//" } else { "#" };
    let lines = |sign: &str| {
        let prefix = format!("{mark}{sign} ");
        let own = text
            .lines()
            .filter_map(move |l| l.strip_prefix(&prefix).map(str::to_owned));
        own.collect::<Vec<String>>()
    };
    let arches = lines("@").first().map_or(vec![Arch::X86_64], |line| {
        let all = line.split_whitespace();
        all.map(|w| w.parse().expect("an architecture")).collect()
    });
    let shown = path.display();
    let source = match read(form, &text, &target(&arches)) {
        Ok(source) => source,
        Err(mistake) => panic!("{shown}: {mistake:?}"),
    };
    let policy = &source.filters[0].policy;
    for (table, places) in policy.tables.iter().zip(&source.filters[0].places) {
        assert_eq!(
            table.rules.len(),
            places.len(),
            "{shown}: every rule has a place"
        );
    }
    let expected = lines("?");
    assert!(!expected.is_empty(), "{shown} expects nothing");
    for line in expected {
        let (words, wanted) = line.split_once(" = ").expect("call = answer");
        let said = policy.decide(&call(words)).action;
        assert_eq!(said, answer(wanted), "{shown}: {line}");
    }
    let mut remarks: Vec<String> = source
        .remarks
        .iter()
        .map(|r| format!("{} {}", LineColumn::of(&text, r.place.start), r.message))
        .collect();
    let mut wanted = lines("!");
    remarks.sort();
    wanted.sort();
    assert_eq!(remarks, wanted, "{shown}");
}

fn check_bad(form: &str) {
    let cases = fs::read_to_string(folder(form).join("bad.cases")).expect("a file");
    let mut said = String::new();
    for case in cases.split("--- ").skip(1) {
        let (_, text) = case.split_once('\n').expect("a text");
        let line = match read(form, text, &target(&[Arch::X86_64])) {
            Ok(_) => "- it is read".to_owned(),
            Err(mistake) => {
                let place = mistake
                    .place
                    .map(|p| LineColumn::of(text, p.start).to_string());
                let place = place.unwrap_or("-".to_owned());
                format!("{place} {}", mistake.message)
            }
        };
        said.push_str(&format!("--- {line}\n{text}"));
    }
    if said != cases {
        let lines = said.lines().zip(cases.lines()).filter(|(s, c)| s != c);
        let lines: Vec<String> = lines
            .map(|(s, c)| format!("said   {s}\nwanted {c}"))
            .collect();
        panic!("{form}:\n{}", lines.join("\n"));
    }
}

#[test]
fn files_mean_what_they_say() {
    let mut count = 0;
    for (form, ending) in [
        ("minijail", "policy"),
        ("kafel", "policy"),
        ("systemd", "conf"),
    ] {
        for entry in fs::read_dir(folder(form)).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|e| e == ending) {
                check(form, &path);
                count += 1;
            }
        }
    }
    assert!(count >= 12, "{count} files were found");
}

#[test]
fn what_means_nothing_is_refused_with_its_place() {
    for form in ["minijail", "kafel", "systemd"] {
        check_bad(form);
    }
}

/// Whether two policies answer alike: all numbers where one of them changes, with arguments that are
/// near its constants.
pub(crate) fn same(one: &Policy, two: &Policy, interesting: &[u64]) -> Result<(), String> {
    let arches = Arch::ALL.iter().map(|a| a.audit_arch()).chain([0]);
    for arch in arches {
        let starts = |p: &Policy| p.segments(arch).iter().map(|s| s.first).collect::<Vec<_>>();
        let mut numbers = [starts(one), starts(two)].concat();
        numbers.sort_unstable();
        numbers.dedup();
        for number in numbers {
            for (index, value) in (0..6).flat_map(|i| interesting.iter().map(move |v| (i, v))) {
                for around in [
                    value.wrapping_sub(1),
                    *value,
                    value.wrapping_add(1),
                    value ^ 1 << 40,
                ] {
                    let mut args = [0; 6];
                    args[index] = around;
                    let call = Call {
                        arch,
                        number,
                        ip: 0,
                        args,
                    };
                    let (one, two) = (one.decide(&call).action, two.decide(&call).action);
                    if one != two {
                        return Err(format!("{call:x?}: {one:?} and {two:?}"));
                    }
                }
            }
        }
    }
    Ok(())
}

#[test]
fn numbers_of_cases_are_numbers() {
    assert_eq!(call("i386 write 0x10").args[0], 16);
    assert_eq!(
        call("write").number,
        Arch::X86_64.number("write").unwrap_or(Sysno(0)).0
    );
}
