//! What a list of entries means once libseccomp has made a filter of it.
//!
//! OCI's runtimes and Firecracker hand their files to libseccomp, entry by entry, so what its
//! source does (src/db.c, src/gen_bpf.c of 2.5 and later) is what these files mean:
//!
//! - An entry without conditions answers its call alone, wherever it stands; entries with conditions
//!   are dropped then, and so are further ones without (`db_rule_add`).
//! - The conditions of an entry must all hold. Entries of one call that have the same action add up.
//!   Which of two that have different actions wins where both hold is defined by nobody (libseccomp's
//!   issues 118 and 148; crun takes the first). Here the first in the file wins, and a remark says so.
//! - An entry whose action is the default's is left out: libseccomp refuses it, runc skips it.
//! - Comparisons look at 64 bits, on 32-bit architectures (x32 is one) at the low 32 bits of both
//!   sides. A masked comparison looks at the masked bits of both sides.
//! - On i386 an entry for a call of sockets or System V IPC is one for `socketcall` or `ipc` too, whose
//!   first argument then is the operation in place of the entry's own first condition.
//! - A name that an architecture lacks says nothing there.
//! - Calls of architectures that the filter does not have end the thread (`SCMP_ACT_KILL`, the
//!   attribute ACT_BADARCH that no runtime sets); on x86_64 without x32 so do all numbers from
//!   0x40000000 up but -1.
//!
//! That is what libseccomp sets out to make. Random profiles were compared with the programs of 2.5.4:
//! it errs where a name that an architecture lacks comes first in its filter (the number is then not
//! loaded), and for some sets of ordered comparisons of one argument. Such defects are not followed.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_abi::{Arch, Sysno};

use super::Newer;
use crate::{
    Action, Baseline, Condition, Filter, Mistake, Op, Place, Policy, Provenance, Remark, Rule,
    Span, Table, Width,
};

/// `SCMP_FLTATR_ACT_BADARCH`.
pub(super) const BAD_ARCH: Action = Action::KillThread;
/// What is above x32's numbers: no calls of any kernel, and not x32's for the kernel.
pub(super) const ABOVE_X32: Span = Span {
    first: Sysno(0x8000_0000),
    last: Sysno(0xbfff_ffff),
};
/// libseccomp's remark on [`ABOVE_X32`].
const ABOVE_X32_NOTE: &str = "libseccomp answers these numbers as x32's";

/// `linux/net.h` and `linux/ipc.h`: the operation's number is the place; `-` is none of libseccomp's.
const SOCKET_CALLS: &str = "socket bind connect listen accept getsockname getpeername socketpair \
    send recv sendto recvfrom shutdown setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg \
    sendmmsg";
const IPC_CALLS: &str = "semop semget semctl semtimedop - - - - - - msgsnd msgrcv msgget msgctl \
    - - - - - - shmat shmdt shmget shmctl";

/// Some calls and the answer to them, as a file has it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) calls: Vec<(String, Place)>,
    pub(super) conditions: Vec<Condition>,
    pub(super) action: Action,
    pub(super) note: Option<String>,
    pub(super) place: Place,
}

/// A whole file, or a thread's part of it.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    pub(super) default: Action,
    /// The machine's own, then what the file adds.
    pub(super) arches: Vec<Arch>,
    /// Those of them that the file lists.
    pub(super) listed: Vec<Arch>,
    pub(super) entries: Vec<Entry>,
}

impl Profile {
    /// The filter that libseccomp makes of it.
    pub(super) fn filter(
        mut self,
        name: Option<String>,
        newer: Newer,
        remarks: &mut Vec<Remark>,
    ) -> Result<Filter, Mistake> {
        if self.arches.is_empty() {
            return Err(Mistake::whole("the target has no architecture"));
        }
        if self.arches.first() == Some(&Arch::X32) {
            return Err(Mistake::whole("x32 is no machine's own architecture"));
        }
        self.remark_names(remarks);
        let all: Vec<BTreeSet<u32>> = self.arches.iter().map(|a| self.numbers(*a)).collect();
        let (default, remark) = (self.default, "this entry answers as the default does");
        let (left_out, entries) = std::mem::take(&mut self.entries)
            .into_iter()
            .partition(|e| e.action == default);
        self.entries = entries;
        remarks.extend(left_out.into_iter().map(|e: Entry| Remark {
            place: e.place,
            message: format!("{remark} and is left out, whatever other entries say"),
        }));
        let mut filter = Filter {
            name,
            policy: Policy {
                tables: Vec::new(),
                foreign: BAD_ARCH,
                phases: Vec::new(),
                ramp: None,
            },
            places: Vec::new(),
        };
        for (arch, numbers) in self.arches.iter().zip(all) {
            let (mut rules, mut places) = resolved(*arch, self.rules(*arch), remarks);
            let newest = match newer {
                Newer::AsRunc if self.listed.contains(arch) && !permissive(default) => {
                    numbers.last().copied().filter(|n| *n > 0)
                }
                _ => None,
            };
            let x32 = self.arches.contains(&Arch::X32);
            if *arch == Arch::X86_64 && !x32 {
                // runc's look at the numbers comes first, and takes -1 for one of x32.
                rules.push(match newest {
                    Some(_) => number_rule(Sysno(u32::MAX).into(), default, "runc skips -1"),
                    None => number_rule(ABOVE_X32, BAD_ARCH, ABOVE_X32_NOTE),
                });
                places.push(Place::default());
            }
            filter.policy.tables.push(Table {
                arch: *arch,
                rules,
                baseline: newest.map_or(Baseline::All, |n| Baseline::Number(Sysno(n))),
                default,
                newer: newest.map_or(default, |_| Action::ENOSYS),
                x32_is_native: false,
            });
            filter.places.push(places);
        }
        // Of several architectures each may have said the same.
        let mut seen = BTreeSet::new();
        remarks.retain(|r| seen.insert((r.place, r.message.clone())));
        Ok(filter)
    }

    /// The numbers that the entries name, whatever their action.
    fn numbers(&self, arch: Arch) -> BTreeSet<u32> {
        let names = self.entries.iter().flat_map(|e| &e.calls);
        names
            .filter_map(|(n, _)| arch.number(n))
            .map(|n| n.0)
            .collect()
    }

    fn remark_names(&self, remarks: &mut Vec<Remark>) {
        let mut seen = BTreeSet::new();
        for (name, place) in self.entries.iter().flat_map(|e| &e.calls) {
            let lacks = |a: &&Arch| numbers(**a, name).is_empty();
            let lacking: Vec<String> = self
                .arches
                .iter()
                .filter(lacks)
                .map(Arch::to_string)
                .collect();
            if !lacking.is_empty() && seen.insert(name) {
                let message = match lacking.len() == self.arches.len() {
                    true => format!("there is no call `{name}` here; the name says nothing"),
                    false => format!("{} has no call `{name}`", lacking.join(", ")),
                };
                remarks.push(Remark {
                    place: *place,
                    message,
                });
            }
        }
    }

    /// What each entry says of each of its calls.
    fn rules(&self, arch: Arch) -> Vec<(Rule, Place)> {
        let mut all = Vec::new();
        for entry in &self.entries {
            for (name, place) in &entry.calls {
                for (number, operation) in numbers(arch, name) {
                    all.push((entry.rule(arch, number, operation), *place));
                }
            }
        }
        all
    }
}

/// What of it counts, and what becomes of the rest.
fn resolved(
    arch: Arch,
    all: Vec<(Rule, Place)>,
    remarks: &mut Vec<Remark>,
) -> (Vec<Rule>, Vec<Place>) {
    let mut alone: BTreeMap<Span, (usize, Action)> = BTreeMap::new();
    for (at, (rule, _)) in all.iter().enumerate() {
        if rule.conditions.is_empty() {
            alone.entry(rule.calls).or_insert((at, rule.action));
        }
    }
    let mut kept: Vec<(Rule, Place)> = Vec::with_capacity(all.len());
    let mut before: BTreeMap<Span, Vec<usize>> = BTreeMap::new();
    for (at, (rule, place)) in all.into_iter().enumerate() {
        let name = arch.name(rule.calls.first).unwrap_or_default();
        let before = before.entry(rule.calls).or_default();
        let near = before.iter().rev().take(MOST_COMPARED);
        let near = near.filter_map(|b| kept.get(*b)).map(|(rule, _)| rule);
        let own = alone.get(&rule.calls);
        let message = match own {
            Some((own, _)) if *own == at => None,
            Some((_, action)) if rule.conditions.is_empty() && *action == rule.action => {
                Some(format!("`{name}` is answered so already"))
            }
            Some(_) => Some(format!(
                "another entry answers `{name}` whatever its arguments; libseccomp drops this one"
            )),
            None if near.clone().any(|other| *other == rule) => {
                Some(format!("`{name}` is answered so already"))
            }
            None => near.clone().any(|other| unclear(&rule, other)).then(|| {
                format!(
                    "entries of `{name}` with other actions may fit the same calls; runtimes \
                     disagree which wins, here it is the first"
                )
            }),
        };
        remarks.extend(message.map(|message| Remark { place, message }));
        if own.is_none_or(|(own, _)| *own == at) {
            before.push(kept.len());
            kept.push((rule, place));
        }
    }
    kept.into_iter().unzip()
}

fn unclear(one: &Rule, other: &Rule) -> bool {
    one.action != other.action && !apart(&one.conditions, &other.conditions)
}

/// So many earlier entries of a call are looked at for a remark.
const MOST_COMPARED: usize = 64;

impl Entry {
    fn rule(&self, arch: Arch, number: Sysno, operation: Option<u64>) -> Rule {
        let operation = operation.map(|o| Condition {
            index: 0,
            width: Width::W64,
            op: Op::Equal(o),
        });
        let own = self.conditions.iter();
        let own = own.filter(|c| operation.is_none() || c.index != 0);
        let all = operation.iter().chain(own);
        Rule {
            calls: number.into(),
            conditions: all.filter_map(|c| compared(arch, c)).collect(),
            action: self.action,
            provenance: self.note.iter().cloned().map(Provenance::Note).collect(),
        }
    }
}

/// A comparison as libseccomp makes it; `None` when it always holds.
fn compared(arch: Arch, condition: &Condition) -> Option<Condition> {
    let (width, all) = match is_32_bit(arch) {
        true => (Width::W32, u64::from(u32::MAX)),
        false => (Width::W64, u64::MAX),
    };
    let op = match condition.op.clone() {
        Op::Masked { mask, .. } if mask & all == 0 => return None,
        Op::Masked { mask, value } => Op::Masked {
            mask: mask & all,
            value: value & mask & all,
        },
        Op::Equal(v) => Op::Equal(v & all),
        Op::NotEqual(v) => Op::NotEqual(v & all),
        Op::Less(v) => Op::Less(v & all),
        Op::LessEqual(v) => Op::LessEqual(v & all),
        Op::Greater(v) => Op::Greater(v & all),
        Op::GreaterEqual(v) => Op::GreaterEqual(v & all),
        other => other,
    };
    Some(Condition {
        index: condition.index,
        width,
        op,
    })
}

/// Whether libseccomp compares 32 bits (`ARCH_SIZE_32`).
pub(super) fn is_32_bit(arch: Arch) -> bool {
    matches!(arch, Arch::X32 | Arch::I386 | Arch::Arm)
}

/// The numbers that a name stands for, with the operation of those that have many.
fn numbers(arch: Arch, name: &str) -> Vec<(Sysno, Option<u64>)> {
    let mut all = Vec::new();
    if arch == Arch::I386 {
        for (many, calls) in [("socketcall", SOCKET_CALLS), ("ipc", IPC_CALLS)] {
            let at = calls
                .split_ascii_whitespace()
                .position(|c| c == name && c != "-");
            let number = at.and_then(|at| Some((arch.number(many)?, Some(at as u64 + 1))));
            all.extend(number);
        }
    }
    all.extend(arch.number(name).map(|n| (n, None)));
    all
}

/// Whether no call can fulfil both: one asks for a value that the other does not take.
fn apart(one: &[Condition], other: &[Condition]) -> bool {
    let excludes = |a: &Condition, b: &Condition| match a.op {
        Op::Equal(value) => {
            a.index == b.index && a.width == b.width && {
                let mut args = [0; 6];
                if let Some(arg) = args.get_mut(usize::from(a.index)) {
                    *arg = value;
                }
                !b.holds(&args)
            }
        }
        _ => false,
    };
    let mut pairs = one.iter().flat_map(|a| other.iter().map(move |b| (a, b)));
    pairs.any(|(a, b)| excludes(a, b) || excludes(b, a))
}

/// Defaults that newer calls pass as well, so that runc adds nothing.
fn permissive(default: Action) -> bool {
    matches!(default, Action::Allow | Action::Log | Action::Trace(_))
}

fn number_rule(calls: Span, action: Action, note: &str) -> Rule {
    Rule {
        calls,
        conditions: Vec::new(),
        action,
        provenance: vec![Provenance::Note(note.into())],
    }
}
