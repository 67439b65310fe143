//! Programs and filters, made by hand.

use portcullis_abi::{
    Arch, ArgValue, Binary, Confidence, Linkage, Location, Made, Mode, Origin, Residual,
    ResidualKind, ScannedObject, Site, Syscall, SyscallSet, Sysno, ThreadSet, Tuple,
};
use portcullis_policy::audit::{Applied, Audit, Subject, audit};
use portcullis_policy::{
    Action, Baseline, Condition, Filter, Op, Place, Policy, Rule, Table, Width,
};

/// The number of a call.
pub(crate) fn number(name: &str) -> Sysno {
    Arch::X86_64.number(name).expect("the table has it")
}

/// Constants of arguments.
pub(crate) fn constants(all: &[(u8, u64)]) -> Vec<(u8, ArgValue)> {
    let one = |&(index, value): &(u8, u64)| (index, ArgValue::Values(vec![value]));
    all.iter().map(one).collect()
}

fn at(address: u64) -> Location {
    Location {
        object: 0,
        address,
        function: Some("f".into()),
    }
}

/// A call, made once with each of these arguments.
pub(crate) fn call(name: &str, tuples: &[Vec<(u8, ArgValue)>]) -> Syscall {
    let tuples = tuples.iter().map(|args| Tuple {
        mode: Mode::Tight,
        via: Vec::new(),
        args: args.clone(),
    });
    Syscall {
        number: number(name),
        origin: Origin::Program,
        confidence: Confidence::Direct,
        args: Vec::new(),
        sites: vec![Site {
            at: at(0x1000),
            tuples: tuples.collect(),
            paths: None,
        }],
        why: vec![at(0x100), at(0x1000)],
    }
}

/// A call that no code makes.
pub(crate) fn made_by(origin: Origin, name: &str) -> Syscall {
    Syscall {
        origin,
        sites: Vec::new(),
        ..call(name, &[])
    }
}

/// A program of these calls.
pub(crate) fn program(mut syscalls: Vec<Syscall>) -> SyscallSet {
    syscalls.sort_by_key(|c| c.number);
    SyscallSet {
        binary: Binary {
            path: "/bin/program".into(),
            script: None,
            arch: Arch::X86_64,
            linkage: Linkage::Static,
            stripped: false,
            languages: Vec::new(),
        },
        objects: vec![ScannedObject {
            path: "/bin/program".into(),
            soname: None,
            sha256: [0; 32],
        }],
        syscalls,
        sets: Vec::new(),
        residuals: Vec::new(),
        assumed: Vec::new(),
        warnings: Vec::new(),
    }
}

/// A phase of a thread that makes the tuples `(call, tuple)`, each at its call's first site.
pub(crate) fn thread(name: &str, phase: &str, made: &[(&str, u32)]) -> ThreadSet {
    let mut all: Vec<Made> = made
        .iter()
        .map(|&(call, tuple)| Made {
            number: number(call),
            site: 0,
            tuple,
        })
        .collect();
    all.sort_unstable();
    let mut numbers: Vec<Sysno> = all.iter().map(|m| m.number).collect();
    numbers.dedup();
    ThreadSet {
        thread: name.into(),
        phase: phase.into(),
        begins: Vec::new(),
        mode: Mode::Sound,
        numbers,
        made: Some(all),
        starts: Vec::new(),
    }
}

/// Something unknown.
pub(crate) fn residual(kind: ResidualKind) -> Residual {
    Residual {
        id: format!("{}:program:f", kind.name()),
        kind,
        at: at(0x2000),
        detail: "it is not known".into(),
        why: Vec::new(),
    }
}

/// `arg == value` in the low half.
pub(crate) fn is(index: u8, value: u64) -> Condition {
    Condition {
        index,
        width: Width::W32,
        op: Op::Equal(value),
    }
}

/// A rule.
pub(crate) fn rule(name: &str, conditions: &[Condition], action: Action) -> Rule {
    Rule {
        calls: number(name).into(),
        conditions: conditions.to_vec(),
        action,
        provenance: Vec::new(),
    }
}

/// A rule that allows.
pub(crate) fn allow(name: &str, conditions: &[Condition]) -> Rule {
    rule(name, conditions, Action::Allow)
}

/// A filter that traps what no rule has.
pub(crate) fn filter(rules: Vec<Rule>) -> Filter {
    let places = (0..rules.len()).map(|n| Place {
        start: n,
        end: n + 1,
    });
    let places = vec![places.collect()];
    let table = Table {
        arch: Arch::X86_64,
        rules,
        baseline: Baseline::All,
        default: Action::Trap(0),
        newer: Action::Trap(0),
        x32_is_native: true,
    };
    Filter {
        name: None,
        policy: Policy::of(table, Action::Trap(0)),
        places,
    }
}

/// A filter that is there.
pub(crate) fn under(filter: usize) -> Applied {
    Applied {
        filter,
        certain: true,
    }
}

/// The audit of a filter that a program is started under.
pub(crate) fn audited(filter: &Filter, set: &SyscallSet) -> Audit {
    let subjects = [Subject::program(set, vec![under(0)])];
    audit(std::slice::from_ref(filter), &subjects)
}

/// What was found, each in a few words.
pub(crate) fn words(audit: &Audit) -> Vec<String> {
    let all = audit.findings.iter().chain(&audit.on_purpose);
    all.map(|f| {
        let subject = f.rule.as_ref().map_or(f.call.clone(), |r| r.text.clone());
        format!("{} {subject}", f.code.kind())
    })
    .collect()
}
