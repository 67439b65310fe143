//! Compilers of filters beside each other, on a profile of Docker's: `compilers PROFILE DIRECTORY`.
//!
//! One rule set, resolved for amd64 with Docker's default capabilities on kernel 6.1, is compiled by this
//! crate, by seccompiler and by libseccomp in both of its layouts, in turns. Written are the filters, into
//! the directory, and a line for each: its name, its instructions, and its times in nanoseconds.
//! `cargo xtask bench filters` runs this and then has the kernel run the filters.
#![expect(clippy::print_stdout, reason = "a benchmark says what it measured")]

#[path = "../tests/peers/asker.rs"]
mod asker;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use portcullis_abi::Arch;
use portcullis_bpf::{Instruction, Program, compile, verify};
use portcullis_policy::format::{Format, Newer, docker};
use portcullis_policy::{Action, Op, Policy, Rule, Target, Width};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// Turns; in each every compiler compiles once.
const TURNS: usize = 100;
/// What a container has unless it is asked otherwise (moby, `oci/caps/defaults.go`).
const CAPABILITIES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|w| w != "--bench")
        .collect();
    let [profile, directory] = words.as_slice() else {
        return Err("usage: compilers PROFILE DIRECTORY".into());
    };
    let text = fs::read_to_string(profile)?;
    let policy = |arches: &[Arch]| -> Result<Policy, Failure> {
        let target = Target {
            arches: arches.to_vec(),
            capabilities: CAPABILITIES.iter().map(|c| (*c).to_owned()).collect(),
            kernel: (6, 1),
        };
        let mut read = docker::read(&text, Format::Docker, &target, Newer::AsDefault)?;
        Ok(read.filters.remove(0).policy)
    };
    let one = policy(&[Arch::X86_64])?;
    let three = policy(&[Arch::X86_64, Arch::I386, Arch::X32])?;
    let mut times: BTreeMap<&str, Vec<u128>> = BTreeMap::new();
    let asked = lines(&one)?;
    for _ in 0..TURNS {
        let start = Instant::now();
        let program = black_box(compile(black_box(&one))?);
        times
            .entry("portcullis")
            .or_default()
            .push(start.elapsed().as_nanos());
        let start = Instant::now();
        black_box(verify(program, &one)?);
        times
            .entry("portcullis proof")
            .or_default()
            .push(start.elapsed().as_nanos());
        let start = Instant::now();
        let program = black_box(compile(black_box(&three))?);
        times
            .entry("portcullis-3")
            .or_default()
            .push(start.elapsed().as_nanos());
        let start = Instant::now();
        black_box(verify(program, &three)?);
        times
            .entry("portcullis-3 proof")
            .or_default()
            .push(start.elapsed().as_nanos());
        let start = Instant::now();
        black_box(theirs(black_box(&one))?);
        times
            .entry("seccompiler")
            .or_default()
            .push(start.elapsed().as_nanos());
        for (layout, name) in [(1, "libseccomp-1"), (2, "libseccomp-2")] {
            times
                .entry(name)
                .or_default()
                .push(asker::timed(&asked, layout).1);
        }
    }
    for (layout, name) in [(1, "libseccomp-1"), (2, "libseccomp-2")] {
        write(directory, name, &asker::timed(&asked, layout).0)?;
    }
    write(directory, "portcullis", &compile(&one)?)?;
    write(directory, "portcullis-3", &compile(&three)?)?;
    write(directory, "seccompiler", &theirs(&one)?)?;
    write(directory, "bare", &bare()?)?;
    for (name, mut own) in times {
        own.sort_unstable();
        let program = fs::read(Path::new(directory).join(name.replace(" proof", "")))?;
        println!(
            "{name}\t{}\t{}\t{}",
            program.len() / 8,
            own[0],
            own[own.len() / 2]
        );
    }
    println!("bare\t{}\t0\t0", bare()?.instructions().len());
    Ok(())
}

fn write(directory: &str, name: &str, program: &Program) -> Result<(), Failure> {
    Ok(fs::write(
        Path::new(directory).join(name),
        program.to_bytes(),
    )?)
}

/// The least that looks at an argument: two comparisons.
fn bare() -> Result<Program, Failure> {
    let personality = Arch::X86_64.number("personality").ok_or("no such call")?.0;
    let rows = [
        (0x20, 0, 0, 0),
        (0x15, 0, 2, personality),
        (0x20, 0, 0, 16),
        (0x15, 0, 1, u32::MAX),
        (0x06, 0, 0, Action::Allow.code()),
        (0x06, 0, 0, Action::Errno(1).code()),
    ];
    let rows = rows.map(|(code, jt, jf, k)| Instruction { code, jt, jf, k });
    Ok(Program::new(rows.to_vec())?)
}

/// Rules about calls, without the one about numbers that no kernel has.
fn rules(policy: &Policy) -> impl Iterator<Item = (u32, &Rule)> {
    let rules = policy.tables.iter().flat_map(|t| &t.rules);
    rules.filter_map(|r| Some((r.calls.single()?.0, r)))
}

/// seccompiler's filter: it has two answers, and what answers otherwise is answered as by default.
fn theirs(policy: &Policy) -> Result<Program, Failure> {
    let mut rules_by: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for (number, rule) in rules(policy).filter(|(_, r)| r.action == Action::Allow) {
        let own = rules_by.entry(number.into()).or_default();
        let mut conditions = Vec::new();
        for condition in &rule.conditions {
            let (op, value) = match condition.op {
                Op::Equal(v) => (SeccompCmpOp::Eq, v),
                Op::NotEqual(v) => (SeccompCmpOp::Ne, v),
                Op::Less(v) => (SeccompCmpOp::Lt, v),
                Op::LessEqual(v) => (SeccompCmpOp::Le, v),
                Op::Greater(v) => (SeccompCmpOp::Gt, v),
                Op::GreaterEqual(v) => (SeccompCmpOp::Ge, v),
                Op::Masked { mask, value } => (SeccompCmpOp::MaskedEq(mask), value),
                _ => return Err(format!("{condition:?} is nothing that the peers say").into()),
            };
            let length = match condition.width {
                Width::W32 => SeccompCmpArgLen::Dword,
                Width::W64 => SeccompCmpArgLen::Qword,
            };
            conditions.push(SeccompCondition::new(condition.index, length, op, value)?);
        }
        if !conditions.is_empty() {
            own.push(SeccompRule::new(conditions)?);
        }
    }
    let otherwise = SeccompAction::Errno(1);
    let filter = SeccompFilter::new(
        rules_by,
        otherwise,
        SeccompAction::Allow,
        TargetArch::x86_64,
    )?;
    let program: BpfProgram = filter.try_into()?;
    let of = |i: &seccompiler::sock_filter| Instruction {
        code: i.code,
        jt: i.jt,
        jf: i.jf,
        k: i.k,
    };
    Ok(Program::new(program.iter().map(of).collect())?)
}

/// The same as lines that libseccomp is asked by.
fn lines(policy: &Policy) -> Result<asker::Lines, Failure> {
    let table = policy.tables.first().ok_or("no table")?;
    let mut all = Vec::new();
    for (number, rule) in rules(policy).filter(|(_, r)| r.action != table.default) {
        let mut line = format!("rule {} {number}", rule.action.code());
        for condition in &rule.conditions {
            let (op, first, second) = match condition.op {
                Op::NotEqual(v) => (1, v, 0),
                Op::Less(v) => (2, v, 0),
                Op::LessEqual(v) => (3, v, 0),
                Op::Equal(v) => (4, v, 0),
                Op::GreaterEqual(v) => (5, v, 0),
                Op::Greater(v) => (6, v, 0),
                Op::Masked { mask, value } => (7, mask, value),
                _ => return Err(format!("{condition:?} is nothing that the peers say").into()),
            };
            line += &format!(" {} {op} {first} {second}", condition.index);
        }
        all.push(line);
    }
    Ok(asker::Lines {
        default: table.default,
        bad_arch: policy.foreign,
        arches: vec!["x86_64"],
        rules: all,
    })
}
