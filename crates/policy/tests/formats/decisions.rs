//! What the small profiles mean, call by call.

use portcullis_abi::{Arch, Sysno};
use portcullis_policy::format::{Format, Newer, oci};
use portcullis_policy::{Action, Call, LineColumn};

use crate::{PROFILES, calls, profile, read, target};

fn arch(name: &str) -> Arch {
    let mut all = calls::ARCHES.into_iter();
    all.find(|a| a.to_string() == name).expect(name)
}

fn number(word: &str) -> u64 {
    match word.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).expect(word),
        None => word.parse().expect(word),
    }
}

fn action(words: &str) -> Action {
    let words: Vec<&str> = words.split_whitespace().collect();
    match words[..] {
        ["allow"] => Action::Allow,
        ["log"] => Action::Log,
        ["notify"] => Action::Notify,
        ["trap"] => Action::Trap(0),
        ["kill"] => Action::KillProcess,
        ["kill-thread"] => Action::KillThread,
        ["errno", n] => Action::Errno(n.parse().expect(n)),
        ["trace", n] => Action::Trace(n.parse().expect(n)),
        _ => panic!("{words:?}"),
    }
}

fn call(words: &str, own: Arch) -> Call {
    let mut words = words.split_whitespace();
    let what = words.next().expect("a call");
    let (arch, name) = what
        .split_once(':')
        .map_or((own, what), |(a, n)| (arch(a), n));
    let number = match arch.number(name) {
        Some(Sysno(number)) => number,
        None => number(name) as u32,
    };
    let mut args = [0; 6];
    for (arg, word) in args.iter_mut().zip(words) {
        *arg = self::number(word);
    }
    Call {
        arch: arch.audit_arch(),
        number,
        ip: 0,
        args,
    }
}

#[test]
fn each_call_is_answered_as_the_table_says() {
    let mut wrong = Vec::new();
    let table = profile("decisions.txt");
    let lines = table
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'));
    for line in lines {
        let (head, rest) = line.split_once('|').expect(line);
        let (words, answer) = rest.split_once('=').expect(line);
        let [file, filter, arches] = head.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let text = profile(file);
        let format = Format::detect(text.as_bytes()).expect(file);
        let arches: Vec<Arch> = arches.split(',').map(arch).collect();
        let source = read(format, &text, &target(&arches)).expect(line);
        let mut filters = source.filters.iter();
        let name = (filter != "-").then_some(filter);
        let own = filters.find(|f| f.name.as_deref() == name).expect(line);
        let decided = own.policy.decide(&call(words, arches[0])).action;
        if decided != action(answer) {
            wrong.push(format!("{line}, not {decided:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_rule_stands_at_its_name() {
    for file in PROFILES {
        let text = profile(file);
        let format = Format::detect(text.as_bytes()).expect(file);
        let source = read(format, &text, &target(&[Arch::X86_64])).expect(file);
        for filter in &source.filters {
            for (table, places) in filter.policy.tables.iter().zip(&filter.places) {
                assert_eq!(table.rules.len(), places.len(), "{file}");
                for (rule, place) in table.rules.iter().zip(places) {
                    let Some(name) = table.arch.name(rule.calls.first) else {
                        assert_eq!(place.end, 0, "{file}: what no name stands for has no place");
                        continue;
                    };
                    let there = text[place.start..place.end].trim_matches('"');
                    assert_eq!(there, name, "{file}");
                }
            }
        }
    }
}

#[test]
fn remarks_say_what_a_file_has_beside_rules() {
    let remarks = |file: &str| {
        let text = profile(file);
        let format = Format::detect(text.as_bytes()).expect(file);
        let source = read(format, &text, &target(&[Arch::X86_64])).expect(file);
        let line = |at| LineColumn::of(&text, at);
        let all = source.remarks.iter();
        let mut all: Vec<_> = all
            .map(|r| format!("{} {}", line(r.place.start), r.message))
            .collect();
        all.sort();
        all.join("\n")
    };
    insta::assert_snapshot!(
        PROFILES
            .map(|f| format!("{f}\n{}", remarks(f)))
            .join("\n\n")
    );
}

/// runc answers ENOSYS above what a profile names, and leaves x32's numbers to libseccomp.
#[test]
fn newer_calls_are_answered_as_runc_does_when_asked() {
    let text = profile("small.oci.json");
    let source = oci::read(&text, &target(&[Arch::X86_64, Arch::I386]), Newer::AsRunc);
    let text = text.replace("\"defaultErrnoRet\": 38,", "");
    let errno_1 = oci::read(&text, &target(&[Arch::X86_64]), Newer::AsRunc);
    let (source, errno_1) = (source.expect("it reads"), errno_1.expect("it reads"));
    let answer = |number| {
        let policy = &errno_1.filters[0].policy;
        let call = call(&format!("x86_64:{number}"), Arch::X86_64);
        policy.decide(&call).action
    };
    let newest = Arch::X86_64.number("exit_group").expect("it is there").0;
    for (number, expected) in [
        (newest - 1, Action::Errno(1)),
        (newest + 1, Action::ENOSYS),
        (0x4000_0000, Action::KillThread),
        (0x8000_0000, Action::ENOSYS),
        (u32::MAX, Action::Errno(1)),
    ] {
        assert_eq!(answer(number), expected, "{number:#x}");
    }
    assert_eq!(source.filters[0].policy.tables.len(), 2);
    let allowing = r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": ["read"], "action": "SCMP_ACT_KILL"}]}"#;
    let source = oci::read(allowing, &target(&[Arch::X86_64]), Newer::AsRunc).expect("it reads");
    let newer = source.filters[0]
        .policy
        .decide(&call("x86_64:900", Arch::X86_64));
    assert_eq!(newer.action, Action::Allow);
}

#[test]
fn formats_are_known_by_their_words() {
    for file in PROFILES {
        let format = Format::detect(profile(file).as_bytes()).expect(file);
        assert_eq!(file.split('.').nth(1), Some(format.name()));
        assert_eq!(format.name().parse(), Ok(format));
    }
    for (text, format) in [
        (
            "schema = \"portcullis.policy\"\nversion = 1\n",
            Some(Format::Native),
        ),
        (
            "[Service]\nSystemCallFilter=@system-service\n",
            Some(Format::Systemd),
        ),
        ("SystemCallFilter=read\n", Some(Format::Systemd)),
        ("# a policy\nread: 1\n", Some(Format::Minijail)),
        ("@include ./base.policy\n", Some(Format::Minijail)),
        ("ioctl: arg1 == 0x5401\n", Some(Format::Minijail)),
        (
            "POLICY a { ALLOW { read } }\nUSE a DEFAULT KILL\n",
            Some(Format::Kafel),
        ),
        ("ALLOW { read }\nDEFAULT KILL\n", Some(Format::Kafel)),
        (
            "static const struct sock_filter filter[] = {\n",
            Some(Format::C),
        ),
        (
            "pub const FILTER: [sock_filter; 2] = [\n",
            Some(Format::Rust),
        ),
        ("\u{6}\0\0\0\0\0\0\0", Some(Format::Bpf)),
        ("\u{6}\0\0\0\0\0\0", None),
        ("{\"defaultAction\": broken", Some(Format::Oci)),
        ("{}", None),
        ("hello", None),
        ("", None),
    ] {
        assert_eq!(Format::detect(text.as_bytes()), format, "{text:?}");
    }
    assert_eq!(Format::detect(&[0xff; 16]), Some(Format::Bpf));
    assert!(
        "toml"
            .parse::<Format>()
            .expect_err("no name")
            .to_string()
            .contains("native")
    );
}
