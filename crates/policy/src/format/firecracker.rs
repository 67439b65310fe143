//! JSON with a filter for each thread: Firecracker's, and that of the crate `seccompiler`.
//!
//! ```json
//! {"vmm": {"default_action": "trap", "filter_action": "allow", "filter": [
//!   {"syscall": "ioctl", "args": [{"index": 1, "type": "dword", "op": "eq", "val": 21505}]}]}}
//! ```
//!
//! The crate's keys are `mismatch_action` and `match_action`; it takes Firecracker's as well, so that
//! the keys alone do not say who compiles a file. Here they do, because the two mean different things:
//!
//! | | Firecracker (src/seccompiler since 1.11) | seccompiler 0.5 |
//! |---|---|---|
//! | compiler | libseccomp, see `libseccomp.rs` | its own |
//! | `dword` | for `eq` alone; every other comparison is of 64 bits | the low 32 bits of both sides |
//! | several conditions on one argument | refused | all must hold |
//! | a rule without `args` beside some with | answers the call | says nothing |
//! | `args` that are empty | as if there were none | refused |
//! | a name that the architecture lacks | says nothing | refused |
//! | other architectures | end the thread | end the process |
//! | numbers of x32 | end the thread | numbers like others |
//!
//! A comment becomes the rule's note.

mod write;

use portcullis_abi::Arch;

use super::document::{Kind, Map, Value};
use super::libseccomp::{Entry, Profile};
use super::{Format, Newer, json, scmp};
use crate::{
    Action, Baseline, Condition, Filter, Mistake, Op, Place, Policy, Provenance, Remark, Rule,
    Source, Table, Target, Width,
};
pub use write::write;

/// Reads the filters of a file, for the target's own architecture; `format` is
/// [`Format::Firecracker`] or [`Format::Seccompiler`].
///
/// # Errors
///
/// The first part of the text that means nothing.
pub fn read(text: &str, format: Format, target: &Target) -> Result<Source, Mistake> {
    let document = json::parse(text)?;
    let arch = match target.arches.first() {
        Some(arch @ (Arch::X86_64 | Arch::Aarch64)) => *arch,
        Some(arch) => {
            return Err(Mistake::whole(format!(
                "the format has no filters for {arch}"
            )));
        }
        None => return Err(Mistake::whole("the target has no architecture")),
    };
    let style = Style::of(format);
    let mut remarks = Vec::new();
    let mut filters = Vec::new();
    for member in document.map("the file")?.members {
        let thread = thread(&member.value, style)?;
        let name = Some(member.key.clone());
        filters.push(match style.format {
            Format::Seccompiler => own(thread, arch, name, &mut remarks)?,
            _ => by_libseccomp(thread, arch, name, &mut remarks)?,
        });
    }
    Ok(Source { filters, remarks })
}

/// How the two differ in their words.
#[derive(Clone, Copy)]
struct Style {
    format: Format,
    default: &'static str,
    fits: &'static str,
}

impl Style {
    fn of(format: Format) -> Style {
        let (default, fits) = match format {
            Format::Seccompiler => ("mismatch_action", "match_action"),
            _ => ("default_action", "filter_action"),
        };
        Style {
            format,
            default,
            fits,
        }
    }
}

/// A thread's part of the file.
struct Thread<'a> {
    default: Action,
    fits: Action,
    rules: Vec<Written<'a>>,
}

/// A rule of the file.
struct Written<'a> {
    call: &'a str,
    place: Place,
    /// `None` when the file has no `args`.
    conditions: Option<(Vec<Condition>, &'a Value)>,
    note: Option<String>,
    whole: Place,
}

fn thread(value: &Value, style: Style) -> Result<Thread<'_>, Mistake> {
    let map = value
        .map("a filter")?
        .only(&[style.default, style.fits, "filter"])?;
    let default = action(map.need(style.default)?)?;
    let fits = map.need(style.fits)?;
    let thread = Thread {
        default,
        fits: action(fits)?,
        rules: map
            .need("filter")?
            .list("filter")?
            .iter()
            .map(|v| rule(v, style))
            .collect::<Result<_, _>>()?,
    };
    // libseccomp refuses the rules, the crate the filter.
    match thread.fits == default
        && (style.format == Format::Seccompiler || !thread.rules.is_empty())
    {
        true => Err(fits.mistake("the rules answer as the default does")),
        false => Ok(thread),
    }
}

fn rule(value: &Value, style: Style) -> Result<Written<'_>, Mistake> {
    let map = value.map("a rule")?.only(&["syscall", "args", "comment"])?;
    let name = map.need("syscall")?;
    let conditions = match map.get("args") {
        None => None,
        Some(list) => {
            let all = list.list("args")?.iter();
            Some((
                all.map(|v| condition(v, style)).collect::<Result<_, _>>()?,
                list,
            ))
        }
    };
    Ok(Written {
        call: name.text("syscall")?,
        place: name.place,
        conditions,
        note: comment(map)?,
        whole: value.place,
    })
}

fn comment(map: Map<'_>) -> Result<Option<String>, Mistake> {
    let comment = map.get("comment").map(|v| v.text("comment")).transpose()?;
    Ok(comment.map(str::to_owned))
}

fn condition(value: &Value, style: Style) -> Result<Condition, Mistake> {
    let map = value.map("a condition")?;
    let map = map.only(&["index", "type", "op", "val", "comment"])?;
    comment(map)?;
    let index = map.need("index")?.number("index", 5)?;
    let constant = map.need("val")?.number("val", u64::MAX)?;
    let kind = map.need("type")?;
    let dword = match kind.text("type")? {
        "dword" => true,
        "qword" => false,
        word => {
            return Err(kind.mistake(format!("there is no type `{word}`; types are dword, qword")));
        }
    };
    let op = operator(map.need("op")?, constant)?;
    let narrow = dword && (style.format == Format::Seccompiler || matches!(op, Op::Equal(_)));
    Ok(Condition {
        // At most 5.
        index: u8::try_from(index).unwrap_or(u8::MAX),
        width: if narrow { Width::W32 } else { Width::W64 },
        op: if narrow { cut(op) } else { op },
    })
}

fn operator(value: &Value, constant: u64) -> Result<Op, Mistake> {
    if let Kind::Map(_) = value.kind {
        let map = value.map("op")?.only(&["masked_eq"])?;
        let mask = map.need("masked_eq")?.number("masked_eq", u64::MAX)?;
        return Ok(Op::Masked {
            mask,
            value: constant & mask,
        });
    }
    Ok(match value.text("op")? {
        "eq" => Op::Equal(constant),
        "ne" => Op::NotEqual(constant),
        "lt" => Op::Less(constant),
        "le" => Op::LessEqual(constant),
        "gt" => Op::Greater(constant),
        "ge" => Op::GreaterEqual(constant),
        word => {
            return Err(value.mistake(format!(
                "there is no operator `{word}`; operators are eq, ne, lt, le, gt, ge and \
                 {{\"masked_eq\": MASK}}"
            )));
        }
    })
}

/// Both compilers look at the low half of the constant too.
fn cut(op: Op) -> Op {
    let low = |v: u64| v & u64::from(u32::MAX);
    match op {
        Op::Equal(v) => Op::Equal(low(v)),
        Op::NotEqual(v) => Op::NotEqual(low(v)),
        Op::Less(v) => Op::Less(low(v)),
        Op::LessEqual(v) => Op::LessEqual(low(v)),
        Op::Greater(v) => Op::Greater(low(v)),
        Op::GreaterEqual(v) => Op::GreaterEqual(low(v)),
        Op::Masked { mask, value } => Op::Masked {
            mask: low(mask),
            value: low(value),
        },
        other => other,
    }
}

fn action(value: &Value) -> Result<Action, Mistake> {
    const KNOWN: &str = "actions are allow, log, trap, kill_thread, kill_process, \
        {\"errno\": N}, {\"trace\": N}";
    if let Kind::Map(members) = &value.kind {
        let map = value.map("an action")?.only(&["errno", "trace"])?;
        return match &members[..] {
            [only] if only.key == "errno" => {
                let errno = map.need("errno")?.number("errno", scmp::MOST_ERRNO)?;
                Ok(Action::Errno(u16::try_from(errno).unwrap_or(u16::MAX)))
            }
            [_] => {
                let data = map.need("trace")?.number("trace", u64::from(u16::MAX))?;
                Ok(Action::Trace(u16::try_from(data).unwrap_or(u16::MAX)))
            }
            _ => Err(value.mistake(format!("an action is one; {KNOWN}"))),
        };
    }
    Ok(match value.text("an action")? {
        "allow" => Action::Allow,
        "log" => Action::Log,
        "trap" => Action::Trap(0),
        "kill_thread" => Action::KillThread,
        "kill_process" => Action::KillProcess,
        word => return Err(value.mistake(format!("there is no action `{word}`; {KNOWN}"))),
    })
}

fn by_libseccomp(
    thread: Thread<'_>,
    arch: Arch,
    name: Option<String>,
    remarks: &mut Vec<Remark>,
) -> Result<Filter, Mistake> {
    // Of names that libseccomp knows for no architecture seccompiler-bin says that they are wrong.
    const KNOWN: [Arch; 5] = [
        Arch::X86_64,
        Arch::X32,
        Arch::I386,
        Arch::Aarch64,
        Arch::Arm,
    ];
    let mut entries = Vec::with_capacity(thread.rules.len());
    for rule in thread.rules {
        if KNOWN.iter().all(|a| a.number(rule.call).is_none()) {
            let message = format!("there is no call `{}`", rule.call);
            return Err(Mistake::at(rule.place, message));
        }
        let conditions = rule.conditions.map_or(Ok(Vec::new()), |(all, list)| {
            let mut seen = [false; 6];
            let twice = all.iter().find(|c| {
                let seen = seen.get_mut(usize::from(c.index));
                seen.is_none_or(|s| std::mem::replace(s, true))
            });
            let message = |index| {
                format!(
                    "argument {index} has several conditions in one rule, which libseccomp refuses"
                )
            };
            twice
                .map(|c| list.mistake(message(c.index)))
                .map_or(Ok(()), Err)?;
            Ok(all.iter().map(widened).collect())
        })?;
        entries.push(Entry {
            calls: vec![(rule.call.to_owned(), rule.place)],
            conditions,
            action: thread.fits,
            note: rule.note,
            place: rule.whole,
        });
    }
    let profile = Profile {
        default: thread.default,
        arches: vec![arch],
        listed: vec![arch],
        entries,
    };
    profile.filter(name, Newer::AsDefault, remarks)
}

/// `dword eq` as seccompiler-bin tells it to libseccomp.
fn widened(condition: &Condition) -> Condition {
    let op = match (condition.width, &condition.op) {
        (Width::W32, Op::Equal(value)) => Op::Masked {
            mask: u64::from(u32::MAX),
            value: *value,
        },
        (_, op) => op.clone(),
    };
    Condition {
        index: condition.index,
        width: Width::W64,
        op,
    }
}

fn own(
    thread: Thread<'_>,
    arch: Arch,
    name: Option<String>,
    remarks: &mut Vec<Remark>,
) -> Result<Filter, Mistake> {
    let rules = thread.rules.iter();
    let with: std::collections::BTreeSet<&str> = rules
        .filter(|r| r.conditions.is_some())
        .map(|r| r.call)
        .collect();
    let (mut rules, mut places) = (Vec::new(), Vec::new());
    for rule in thread.rules {
        let number = arch.number(rule.call);
        let missing = || Mistake::at(rule.place, format!("{arch} has no call `{}`", rule.call));
        let number = number.ok_or_else(missing)?;
        let conditions = match rule.conditions {
            Some((all, list)) if all.is_empty() => {
                return Err(list.mistake("a rule without conditions has no `args`"));
            }
            Some((all, _)) => all,
            None if with.contains(rule.call) => {
                remarks.push(Remark {
                    place: rule.place,
                    message: format!(
                        "another rule of `{}` has conditions; seccompiler then drops this one, \
                         which has none",
                        rule.call
                    ),
                });
                continue;
            }
            None => Vec::new(),
        };
        rules.push(Rule {
            calls: number.into(),
            conditions,
            action: thread.fits,
            provenance: rule.note.into_iter().map(Provenance::Note).collect(),
        });
        places.push(rule.place);
    }
    let table = Table {
        arch,
        rules,
        baseline: Baseline::All,
        default: thread.default,
        newer: thread.default,
        x32_is_native: arch == Arch::X86_64,
    };
    Ok(Filter {
        name,
        policy: Policy::of(table, Action::KillProcess),
        places: vec![places],
    })
}
