//! The words of libseccomp, which OCI's, Docker's and Kubernetes' profiles use.

use portcullis_abi::Arch;

use super::document::{Map, Value};
use crate::{Action, Condition, Mistake, Op, Width};

/// The kernel cuts larger error numbers (`__seccomp_filter`, kernel/seccomp.c).
pub(super) const MOST_ERRNO: u64 = 4095;

const ARCHES: [(&str, Option<Arch>); 22] = [
    ("SCMP_ARCH_X86", Some(Arch::I386)),
    ("SCMP_ARCH_X86_64", Some(Arch::X86_64)),
    ("SCMP_ARCH_X32", Some(Arch::X32)),
    ("SCMP_ARCH_ARM", Some(Arch::Arm)),
    ("SCMP_ARCH_AARCH64", Some(Arch::Aarch64)),
    ("SCMP_ARCH_MIPS", None),
    ("SCMP_ARCH_MIPS64", None),
    ("SCMP_ARCH_MIPS64N32", None),
    ("SCMP_ARCH_MIPSEL", None),
    ("SCMP_ARCH_MIPSEL64", None),
    ("SCMP_ARCH_MIPSEL64N32", None),
    ("SCMP_ARCH_PPC", None),
    ("SCMP_ARCH_PPC64", None),
    ("SCMP_ARCH_PPC64LE", None),
    ("SCMP_ARCH_S390", None),
    ("SCMP_ARCH_S390X", None),
    ("SCMP_ARCH_PARISC", None),
    ("SCMP_ARCH_PARISC64", None),
    ("SCMP_ARCH_RISCV64", None),
    ("SCMP_ARCH_LOONGARCH64", None),
    ("SCMP_ARCH_M68K", None),
    ("SCMP_ARCH_SH", None),
];

/// An architecture; `None` is one that Portcullis has no table for.
pub(super) fn arch(word: &str, value: &Value) -> Result<Option<Arch>, Mistake> {
    let known = ARCHES.iter().find(|(name, _)| *name == word);
    let unknown = || value.mistake(format!("there is no architecture `{word}`"));
    known.map(|(_, arch)| *arch).ok_or_else(unknown)
}

/// The word for an architecture.
pub(super) fn arch_word(arch: Arch) -> &'static str {
    let own = ARCHES.iter().find(|(_, a)| *a == Some(arch));
    own.map_or("", |(name, _)| name)
}

/// An action. `errno` is the number beside it; without one runc takes `EPERM`, for a tracer as well.
pub(super) fn action(value: &Value, errno: Option<(u64, &Value)>) -> Result<Action, Mistake> {
    const EPERM: u64 = 1;
    let word = value.text("an action")?;
    let action = match word {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KillThread,
        "SCMP_ACT_KILL_PROCESS" => Action::KillProcess,
        "SCMP_ACT_TRAP" => Action::Trap(0),
        "SCMP_ACT_NOTIFY" => Action::Notify,
        "SCMP_ACT_LOG" => Action::Log,
        "SCMP_ACT_ALLOW" => Action::Allow,
        "SCMP_ACT_ERRNO" | "SCMP_ACT_TRACE" => {
            let trace = word == "SCMP_ACT_TRACE";
            let most = if trace {
                u64::from(u16::MAX)
            } else {
                MOST_ERRNO
            };
            let number = match errno {
                Some((number, at)) if number > most => {
                    return Err(
                        at.mistake(format!("{word} takes a number up to {most}, not {number}"))
                    );
                }
                Some((number, _)) => number,
                None => EPERM,
            };
            // Both bounds fit in 16 bits.
            let number = u16::try_from(number).unwrap_or(u16::MAX);
            return Ok(match trace {
                true => Action::Trace(number),
                false => Action::Errno(number),
            });
        }
        _ => return Err(value.mistake(format!("there is no action `{word}`; {ACTIONS}"))),
    };
    match errno {
        None => Ok(action),
        Some((_, at)) => Err(at.mistake(format!("{word} takes no error number"))),
    }
}

const ACTIONS: &str = "actions are SCMP_ACT_ALLOW, SCMP_ACT_ERRNO, SCMP_ACT_KILL, \
    SCMP_ACT_KILL_PROCESS, SCMP_ACT_KILL_THREAD, SCMP_ACT_LOG, SCMP_ACT_NOTIFY, SCMP_ACT_TRACE, \
    SCMP_ACT_TRAP";

/// The words for an action, and the number beside it.
pub(super) fn action_words(action: Action) -> (&'static str, Option<u16>) {
    match action {
        Action::KillProcess => ("SCMP_ACT_KILL_PROCESS", None),
        Action::KillThread => ("SCMP_ACT_KILL_THREAD", None),
        Action::Trap(_) => ("SCMP_ACT_TRAP", None),
        Action::Errno(errno) => ("SCMP_ACT_ERRNO", Some(errno)),
        Action::Notify => ("SCMP_ACT_NOTIFY", None),
        Action::Trace(data) => ("SCMP_ACT_TRACE", Some(data)),
        Action::Log => ("SCMP_ACT_LOG", None),
        Action::Allow => ("SCMP_ACT_ALLOW", None),
    }
}

/// An action for people.
pub(super) fn shown(action: Action) -> String {
    match action_words(action) {
        (word, None) => word.into(),
        (word, Some(number)) => format!("{word} {number}"),
    }
}

/// The conditions of an entry, each a comparison of 64 bits.
pub(super) fn conditions(entry: Map<'_>) -> Result<Vec<(Condition, &Value)>, Mistake> {
    let condition = |value| Ok((condition(value)?, value));
    entry.list("args")?.iter().map(condition).collect()
}

fn condition(value: &Value) -> Result<Condition, Mistake> {
    let map = value.map("a condition")?;
    let map = map.only(&["index", "value", "valueTwo", "op"])?;
    let index = map.need("index")?.number("index", 5)?;
    let datum = map.need("value")?.number("value", u64::MAX)?;
    let two = map.get("valueTwo");
    let two = two.map_or(Ok(0), |v| v.number("valueTwo", u64::MAX))?;
    let op = map.need("op")?;
    let op = match op.text("op")? {
        "SCMP_CMP_NE" => Op::NotEqual(datum),
        "SCMP_CMP_LT" => Op::Less(datum),
        "SCMP_CMP_LE" => Op::LessEqual(datum),
        "SCMP_CMP_EQ" => Op::Equal(datum),
        "SCMP_CMP_GE" => Op::GreaterEqual(datum),
        "SCMP_CMP_GT" => Op::Greater(datum),
        "SCMP_CMP_MASKED_EQ" => Op::Masked {
            mask: datum,
            value: two,
        },
        word => {
            return Err(op.mistake(format!(
                "there is no operator `{word}`; operators are SCMP_CMP_EQ, SCMP_CMP_NE, \
                 SCMP_CMP_LT, SCMP_CMP_LE, SCMP_CMP_GT, SCMP_CMP_GE, SCMP_CMP_MASKED_EQ"
            )));
        }
    };
    Ok(Condition {
        // At most 5.
        index: u8::try_from(index).unwrap_or(u8::MAX),
        width: Width::W64,
        op,
    })
}

/// The words for a condition: operator, value, second value. `None` when libseccomp has none.
pub(super) fn condition_words(op: &Op) -> Option<(&'static str, u64, Option<u64>)> {
    Some(match op {
        Op::NotEqual(v) => ("SCMP_CMP_NE", *v, None),
        Op::Less(v) => ("SCMP_CMP_LT", *v, None),
        Op::LessEqual(v) => ("SCMP_CMP_LE", *v, None),
        Op::Equal(v) => ("SCMP_CMP_EQ", *v, None),
        Op::GreaterEqual(v) => ("SCMP_CMP_GE", *v, None),
        Op::Greater(v) => ("SCMP_CMP_GT", *v, None),
        Op::Masked { mask, value } => ("SCMP_CMP_MASKED_EQ", *mask, Some(*value)),
        Op::NotMasked { .. } | Op::In(_) | Op::NotIn(_) => return None,
    })
}
