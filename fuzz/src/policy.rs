//! Policies that nobody wrote: the filter of one answers as it does, and the proof says so.

use arbitrary::{Result, Unstructured};
use portcullis_abi::{Arch, Sysno};
use portcullis_bpf::{NoFilter, NotEqual, compile, compile_for, run, verify};
use portcullis_policy::format::{self, Format, Newer};
use portcullis_policy::{
    Action, Baseline, Condition, Op, Policy, Rule, Source, Span, Table, Target, Width,
};

use crate::calls;

/// Bytes of some tens of rules.
pub(crate) const LONGEST: usize = 1024;

/// None: what is drawn from a policy's text is no better than what is drawn from other bytes.
pub(crate) fn begin() -> Vec<Vec<u8>> {
    Vec::new()
}

/// A policy from its text, in whatever form that is.
pub(crate) fn source(text: &[u8]) -> Option<Source> {
    let target = Target {
        arches: vec![Arch::X86_64, Arch::I386],
        capabilities: Vec::new(),
        kernel: (6, 1),
    };
    let form = Format::detect(text)?;
    let none = |_: &str| Err("nothing is included".to_owned());
    let text = str::from_utf8(text).ok()?;
    format::read(form, text, &target, Newer::AsDefault, &none).ok()
}

/// Asks of the policy that is drawn from these bytes.
pub fn ask(bytes: &[u8]) {
    let mut draw = Unstructured::new(bytes);
    let Ok(policy) = drawn(&mut draw) else {
        return;
    };
    let calls = calls::of_policy(&policy);
    // Which calls are frequent changes the order of questions and no answer.
    let hot: Vec<u32> = calls.iter().take(3).map(|call| call.number).collect();
    for made in [compile(&policy), compile_for(&policy, &hot)] {
        let program = match made {
            Ok(program) => program,
            Err(NoFilter::Refused(_) | NoFilter::Cases { .. }) => continue,
            Err(defect) => panic!("{defect}"),
        };
        for call in &calls {
            let answer = Action::from_code(run(&program, call));
            assert_eq!(answer, policy.decide(call).action, "{call:x?}");
        }
        match verify(program, &policy) {
            Ok(_) | Err(NotEqual::Unknown(_)) => {}
            Err(defect) => panic!("{defect}"),
        }
    }
}

fn drawn(draw: &mut Unstructured<'_>) -> Result<Policy> {
    let mut tables: Vec<Table> = Vec::new();
    for _ in 0..draw.int_in_range(1..=3)? {
        let arch = *draw.choose(&Arch::ALL)?;
        // The readers of all forms refuse a second table of one architecture.
        if tables.iter().all(|table| table.arch != arch) {
            tables.push(table(arch, draw)?);
        }
    }
    Ok(Policy {
        tables,
        foreign: action(draw)?,
        phases: Vec::new(),
        ramp: None,
    })
}

fn table(arch: Arch, draw: &mut Unstructured<'_>) -> Result<Table> {
    let mut rules = Vec::new();
    while rules.len() < 64 && draw.ratio(7, 8)? {
        rules.push(rule(draw)?);
    }
    let baseline = match draw.arbitrary::<bool>()? {
        true => Baseline::All,
        false => Baseline::Number(Sysno(470)),
    };
    Ok(Table {
        arch,
        rules,
        baseline,
        default: action(draw)?,
        newer: action(draw)?,
        x32_is_native: draw.arbitrary()?,
    })
}

fn rule(draw: &mut Unstructured<'_>) -> Result<Rule> {
    let first = match draw.int_in_range(0..=7)? {
        0 => draw.arbitrary::<u32>()?,
        1 => Arch::X32_BIT + draw.int_in_range(0..=3)?,
        2 => draw.int_in_range(465..=480)?,
        _ => draw.int_in_range(0..=12)?,
    };
    let more = match draw.int_in_range(0..=7)? {
        0 => draw.int_in_range(0..=8)?,
        1 => draw.arbitrary()?,
        _ => 0,
    };
    let mut conditions = Vec::new();
    while conditions.len() < 3 && draw.ratio(1, 2)? {
        conditions.push(condition(draw)?);
    }
    Ok(Rule {
        calls: Span {
            first: Sysno(first),
            last: Sysno(first.saturating_add(more)),
        },
        conditions,
        action: action(draw)?,
        provenance: Vec::new(),
    })
}

fn condition(draw: &mut Unstructured<'_>) -> Result<Condition> {
    let op = match draw.int_in_range(0..=9)? {
        0 => Op::Equal(value(draw)?),
        1 => Op::NotEqual(value(draw)?),
        2 => Op::Less(value(draw)?),
        3 => Op::LessEqual(value(draw)?),
        4 => Op::Greater(value(draw)?),
        5 => Op::GreaterEqual(value(draw)?),
        6 => Op::Masked {
            mask: value(draw)?,
            value: value(draw)?,
        },
        7 => Op::NotMasked {
            mask: value(draw)?,
            value: value(draw)?,
        },
        8 => Op::In(ranges(draw)?),
        _ => Op::NotIn(ranges(draw)?),
    };
    let width = *draw.choose(&[Width::W32, Width::W64])?;
    let index = draw.int_in_range(0..=2)?;
    Ok(Condition { index, width, op })
}

fn ranges(draw: &mut Unstructured<'_>) -> Result<Vec<(u64, u64)>> {
    let count = draw.int_in_range(0..=3)?;
    (0..count)
        .map(|_| Ok((value(draw)?, value(draw)?)))
        .collect()
}

/// Near each other and near the ends, so that conditions meet.
fn value(draw: &mut Unstructured<'_>) -> Result<u64> {
    let near = draw.int_in_range(0..=3)?;
    Ok(match draw.int_in_range(0..=3)? {
        0 => near,
        1 => u64::MAX - near,
        2 => (1 << 32) - 2 + near,
        _ => draw.arbitrary()?,
    })
}

fn action(draw: &mut Unstructured<'_>) -> Result<Action> {
    Ok(match draw.int_in_range(0..=7)? {
        0 => Action::KillProcess,
        1 => Action::KillThread,
        2 => Action::Trap(draw.arbitrary()?),
        3 => Action::Errno(draw.int_in_range(0..=4095)?),
        4 => Action::Trace(draw.arbitrary()?),
        5 => Action::Log,
        6 => Action::Notify,
        _ => Action::Allow,
    })
}
