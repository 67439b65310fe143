//! What files mean: which calls they answer how.

use portcullis_abi::{Arch, Sysno};
use portcullis_policy::{Action, Call, Condition, Op, Source, Width, toml};

fn read(text: &str) -> Source {
    let text = format!("schema = \"portcullis.policy\"\nversion = 1\n{text}");
    toml::source(&text, &toml::NoIncludes).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn call(arch: Arch, name: &str, args: [u64; 6]) -> Call {
    Call {
        arch: arch.audit_arch(),
        number: arch.number(name).expect("a call of this architecture").0,
        ip: 0,
        args,
    }
}

fn answer(source: &Source, call: &Call) -> Action {
    source.filters[0].policy.decide(call).action
}

const BOTH: &str = "arch = [\"x86_64\", \"aarch64\"]\nbaseline = \"6.1\"\ndefault = \"kill\"\n";

#[test]
fn arguments_are_compared_at_the_width_that_the_kernel_declares() {
    let source = read(&format!(
        "{BOTH}[[rule]]\ncall = \"ioctl\"\nwhen = [\"cmd == TIOCSTI\"]\naction = \"errno:EPERM\"\n\
         [[rule]]\ncall = \"ioctl\"\n[[rule]]\ncall = \"fcntl\"\nwidth = 64\nwhen = [\"cmd == 1\"]\n\
         [[rule]]\ncall = \"read\"\nwhen = [\"count == 1\"]\n"
    ));
    for arch in [Arch::X86_64, Arch::Aarch64] {
        for (name, args, expected) in [
            ("ioctl", [0, 0x5412, 0], Action::Errno(1)),
            ("ioctl", [0, 0x1_0000_5412, 0], Action::Errno(1)),
            ("ioctl", [0, 0x5413, 0], Action::Allow),
            ("fcntl", [0, 1, 0], Action::Allow),
            ("fcntl", [0, 0x1_0000_0001, 0], Action::KillProcess),
            ("read", [0, 0, 1], Action::Allow),
            ("read", [0, 0, 0x1_0000_0001], Action::KillProcess),
        ] {
            let [a, b, c] = args;
            let call = call(arch, name, [a, b, c, 0, 0, 0]);
            assert_eq!(answer(&source, &call), expected, "{arch} {name} {args:x?}");
        }
    }
}

#[test]
fn strict_high_answers_dirty_halves_by_the_default() {
    let source = read(&format!(
        "{BOTH}strict-high = true\n[[rule]]\ncall = \"ioctl\"\nwhen = [\"cmd != 7\"]\n\
         [[rule]]\ncall = \"read\"\nwhen = [\"buf as u32 != 7\"]\n"
    ));
    for (cmd, expected) in [
        (5, Action::Allow),
        (0xffff_ffff, Action::Allow),
        (0xffff_ffff_ffff_ffff, Action::Allow),
        (0xffff_ffff_8000_0000, Action::Allow),
        (0xffff_ffff_7fff_ffff, Action::KillProcess),
        (0x1_0000_0005, Action::KillProcess),
        (0x8000_0000_0000_0005, Action::KillProcess),
        (7, Action::KillProcess),
    ] {
        let call = call(Arch::X86_64, "ioctl", [0, cmd, 0, 0, 0, 0]);
        assert_eq!(answer(&source, &call), expected, "{cmd:#x}");
    }
    // A 64-bit program makes calls of i386 with whole registers.
    let ia32 = read(
        "arch = \"i386\"\nbaseline = \"6.1\"\ndefault = \"kill\"\nstrict-high = true\n\
         [[rule]]\ncall = \"ioctl\"\nwhen = [\"cmd != 7\"]\n",
    );
    for (cmd, expected) in [(5, Action::Allow), (0x1_0000_0005, Action::KillProcess)] {
        let call = call(Arch::I386, "ioctl", [0, cmd, 0, 0, 0, 0]);
        assert_eq!(answer(&ia32, &call), expected, "{cmd:#x}");
    }
    // The low half of a pointer was asked for in words.
    let call = call(Arch::X86_64, "read", [0, 0x1_0000_0005, 0, 0, 0, 0]);
    assert_eq!(answer(&source, &call), Action::Allow);
    let places = &source.filters[0].places[0];
    assert_eq!(places.len(), 4);
    assert_eq!(places[0], places[2]);
}

#[test]
fn what_an_architecture_lacks_becomes_the_same_call_there() {
    let source = read(&format!(
        "{BOTH}[[rule]]\ncalls = [\"open\", \"arch_prctl\"]\nwhen = [\"arg1 & O_ACCMODE == 0\"]\n\
         [[rule]]\ncall = \"poll\"\nwhen = [\"arg2 == 0\"]\n\
         [[rule]]\ncalls = [\"dup2\", \"dup3\"]\n"
    ));
    let cwd = u64::from(-100i32 as u32);
    for (args, expected) in [
        ([cwd, 0, 0], Action::Allow),
        ([-100i64 as u64, 0, 0o100], Action::Allow),
        ([cwd, 0, 1], Action::KillProcess),
        ([3, 0, 0], Action::KillProcess),
    ] {
        let [a, b, c] = args;
        let call = call(Arch::Aarch64, "openat", [a, b, c, 0, 0, 0]);
        assert_eq!(answer(&source, &call), expected, "{args:x?}");
    }
    let dup3 = call(Arch::Aarch64, "dup3", [1, 2, 0o2000000, 0, 0, 0]);
    assert_eq!(answer(&source, &dup3), Action::Allow);
    let said: Vec<&str> = source.remarks.iter().map(|r| r.message.as_str()).collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    aarch64 lacks calls that are made there otherwise: open as openat; aarch64 has nothing for: arch_prctl
    aarch64 has nothing for: poll (ppoll takes the compared argument in another form)
    aarch64 lacks calls that are made there otherwise: dup2 as dup3
    "#);
}

/// The width is that of the call that is made, not of the one that is written: a length of 32 bits on
/// i386 has 64 on x86_64.
#[test]
fn widths_are_those_of_the_call_there() {
    let source = read(
        "arch = [\"i386\", \"x86_64\"]\nbaseline = \"6.1\"\ndefault = \"kill\"\n\
         [[rule]]\ncall = \"mmap2\"\nwhen = [\"len == 4096\"]\n",
    );
    let tables = &source.filters[0].policy.tables;
    let width = |table: usize| tables[table].rules[0].conditions[0].width;
    assert_eq!((width(0), width(1)), (Width::W32, Width::W64));
}

#[test]
fn clone3_is_enosys_where_clone_is_filtered() {
    let rule = "[[rule]]\ncall = \"clone\"\nwhen = [\"arg0 & CLONE_NEWUSER == 0\"]\n";
    let clone3 = call(Arch::X86_64, "clone3", [0; 6]);
    for (more, expected) in [
        ("", Action::ENOSYS),
        ("[[rule]]\ncall = \"clone3\"\n", Action::Allow),
        (
            "[[rule]]\ncall = \"430..440\"\naction = \"log\"\n",
            Action::Log,
        ),
    ] {
        let source = read(&format!("{BOTH}{rule}{more}"));
        assert_eq!(answer(&source, &clone3), expected, "{more}");
    }
    let source = read(&format!("{BOTH}clone3 = \"default\"\n{rule}"));
    assert_eq!(answer(&source, &clone3), Action::KillProcess);
    let source = read(&format!("{BOTH}[[rule]]\ncall = \"clone\"\n"));
    assert_eq!(answer(&source, &clone3), Action::KillProcess);
}

#[test]
fn holes_and_newer_numbers_are_unknown_at_the_baseline() {
    let source = read("arch = \"x86_64\"\nbaseline = \"5.6\"\ndefault = \"kill\"\n");
    let faccessat2 = call(Arch::X86_64, "faccessat2", [0; 6]);
    assert_eq!(answer(&source, &faccessat2), Action::ENOSYS);
    let hole = Call {
        number: 400,
        ..faccessat2
    };
    assert_eq!(answer(&source, &hole), Action::ENOSYS);
    let openat2 = call(Arch::X86_64, "openat2", [0; 6]);
    assert_eq!(answer(&source, &openat2), Action::KillProcess);
}

/// Own rules come first, whatever they include; a filter inherits what it does not say.
#[test]
fn includes_and_threads() {
    struct Files;
    impl toml::Includes for Files {
        fn text(&self, name: &str) -> Result<String, String> {
            match name {
                "base" => Ok("include = \"groups\"\n[[rule]]\ncall = \"@mine\"\n".into()),
                "groups" => Ok("[groups]\n\"@mine\" = [\"read\", \"write\"]\n".into()),
                _ => Err("no such file".into()),
            }
        }
    }
    let text = "schema = \"portcullis.policy\"\nversion = 1\narch = \"x86_64\"\n\
        baseline = \"6.1\"\ndefault = \"kill\"\ninclude = [\"base\"]\n\
        [[rule]]\ncall = \"read\"\naction = \"log\"\n\
        [[filter]]\nname = \"vcpu\"\ndefault = \"trap\"\n\
        [[filter.rule]]\ncall = \"@mine\"\n\
        [[filter]]\nname = \"api\"\nforeign = \"trap\"\n";
    let source = toml::source(text, &Files).expect("a policy");
    let names: Vec<Option<&str>> = source.filters.iter().map(|f| f.name.as_deref()).collect();
    assert_eq!(names, [None, Some("vcpu"), Some("api")]);
    let decide = |filter: usize, name: &str| {
        let policy = &source.filters[filter].policy;
        policy.decide(&call(Arch::X86_64, name, [0; 6])).action
    };
    assert_eq!(decide(0, "read"), Action::Log);
    assert_eq!(decide(0, "write"), Action::Allow);
    assert_eq!(decide(1, "read"), Action::Allow);
    assert_eq!(decide(1, "openat"), Action::Trap(0));
    assert_eq!(decide(2, "read"), Action::KillProcess);
    assert_eq!(source.filters[1].policy.foreign, Action::KillProcess);
    assert_eq!(source.filters[2].policy.foreign, Action::Trap(0));
    // An included rule stands where it is included.
    let place = source.filters[0].places[0][1];
    assert_eq!(&text[place.start..place.end], "\"base\"");
}

#[test]
fn x32_can_be_native() {
    let source = read(
        "arch = \"x86_64\"\nbaseline = \"none\"\ndefault = \"allow\"\nx32 = \"native\"\n\
         [[rule]]\ncall = \"ptrace\"\naction = \"kill\"\n",
    );
    let ptrace = call(Arch::X86_64, "ptrace", [0; 6]);
    let x32 = Call {
        number: ptrace.number | Arch::X32_BIT,
        ..ptrace
    };
    assert_eq!(answer(&source, &ptrace), Action::KillProcess);
    assert_eq!(answer(&source, &x32), Action::Allow);
}

/// A constant has the value of the architecture.
#[test]
fn constants_are_those_of_the_architecture() {
    let source = read(&format!(
        "{BOTH}[[rule]]\ncall = \"openat\"\nwhen = [\"flags == O_DIRECTORY\"]\n"
    ));
    let conditions = |table: usize| &source.filters[0].policy.tables[table].rules[0].conditions;
    let of = |value| Condition {
        index: 2,
        width: Width::W32,
        op: Op::Equal(value),
    };
    assert_eq!(*conditions(0), [of(0o200000)]);
    assert_eq!(*conditions(1), [of(0o40000)]);
    assert_eq!(Arch::Aarch64.number("openat"), Some(Sysno(56)));
}
