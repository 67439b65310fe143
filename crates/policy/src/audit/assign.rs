//! Which thread is under which filter, and from where on.

use std::collections::BTreeSet;

use portcullis_abi::{ArgValue, Mode, SyscallSet, ThreadSet};

use super::subject::{Applied, Subject};
use crate::Filter;

/// `SECCOMP_FILTER_FLAG_TSYNC` (linux/seccomp.h).
const TSYNC: u64 = 1;
/// `SECCOMP_SET_MODE_FILTER`.
const SET_MODE_FILTER: u64 = 1;

/// From where on threads are under their filters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Point {
    /// From where each installs its own; a thread that installs none is under its filter from its start.
    Install,
    /// From the start: somebody else installed them.
    Start,
    /// From where a function is entered, which was asked of the scan.
    Function(String),
}

/// The threads of a program under the filters of a file.
///
/// `named` says which thread, as the scan calls it, a filter is for; of others it is the thread of the
/// same name. A filter without a name is for the first thread, and for all threads that start under
/// it. Filters that nobody is known to be under are left for the audit to tell.
///
/// Threads inherit the filters of who starts them, and are put under the filters of others that ask for
/// that (`SECCOMP_FILTER_FLAG_TSYNC`). When that happens is not known, so these may be there: what a
/// thread does counts from its start for them, and from its own installation for its own filter.
pub fn subjects<'a>(
    set: &'a SyscallSet,
    filters: &[Filter],
    named: &[(String, String)],
    point: &Point,
) -> Vec<Subject<'a>> {
    let whole = [Point::Start, Point::Install].contains(point) && filters.len() == 1;
    let installs = |t: &&ThreadSet| t.phase == "after:install";
    let own_installs = sound(set).any(|t| installs(&t));
    if whole && filters[0].name.is_none() && (*point == Point::Start || !own_installs) {
        let first = Applied {
            filter: 0,
            certain: true,
        };
        return vec![Subject::program(set, vec![first])];
    }
    let own: Vec<Own<'_>> = filters
        .iter()
        .enumerate()
        .flat_map(|(filter, f)| {
            let names = threads_of(set, f, named);
            names.into_iter().filter_map(move |name| {
                let life = life(set, name)?;
                let phase = phase(set, name, point).unwrap_or(life);
                Some(Own {
                    filter,
                    life,
                    phase,
                })
            })
        })
        .collect();
    let names: BTreeSet<&str> = sound(set).map(|t| &*t.thread).collect();
    let mut subjects = Vec::new();
    for name in names {
        let imposed = imposed(set, &own, name);
        let Some(life) = life(set, name) else {
            continue;
        };
        let perhaps = imposed.iter().map(|&filter| Applied {
            filter,
            certain: false,
        });
        let perhaps: Vec<Applied> = perhaps.collect();
        if !perhaps.is_empty() {
            subjects.push(Subject::thread(set, life, perhaps.clone()));
        }
        for own in own.iter().filter(|o| o.life.thread == name) {
            let mut all = perhaps.clone();
            all.retain(|a| a.filter != own.filter);
            all.push(Applied {
                filter: own.filter,
                certain: true,
            });
            subjects.push(Subject::thread(set, own.phase, all));
        }
    }
    subjects
}

/// A thread that has a filter of its own.
#[derive(Clone, Copy)]
struct Own<'a> {
    filter: usize,
    life: &'a ThreadSet,
    /// From where on the filter is there.
    phase: &'a ThreadSet,
}

fn sound(set: &SyscallSet) -> impl Iterator<Item = &ThreadSet> {
    set.sets.iter().filter(|t| t.mode == Mode::Sound)
}

/// All that a thread does: the first of its sets.
fn life<'a>(set: &'a SyscallSet, name: &str) -> Option<&'a ThreadSet> {
    sound(set).find(|t| t.thread == name)
}

/// What a thread does from a point on, if that is a point of it.
fn phase<'a>(set: &'a SyscallSet, name: &str, point: &Point) -> Option<&'a ThreadSet> {
    let phase = match point {
        Point::Install => "after:install".to_owned(),
        Point::Start => return None,
        Point::Function(function) if function == "install" => "after:function:install".to_owned(),
        Point::Function(function) => format!("after:{function}"),
    };
    sound(set).find(|t| t.thread == name && t.phase == phase)
}

/// The threads that a filter is for.
fn threads_of<'a>(
    set: &'a SyscallSet,
    filter: &Filter,
    named: &[(String, String)],
) -> BTreeSet<&'a str> {
    let wanted: BTreeSet<&str> = match &filter.name {
        None => BTreeSet::from(["main"]),
        Some(name) => {
            let told = named.iter().filter(|(of, _)| of == name);
            let told: BTreeSet<&str> = told.map(|(_, thread)| &**thread).collect();
            match told.is_empty() {
                true => BTreeSet::from([&**name]),
                false => told,
            }
        }
    };
    let all = sound(set).map(|t| &*t.thread);
    all.filter(|thread| wanted.contains(thread)).collect()
}

/// The filters that a thread may be under besides its own: of who may start it, and what these are
/// under, and of who asks that for all.
fn imposed(set: &SyscallSet, own: &[Own<'_>], name: &str) -> BTreeSet<usize> {
    let mut found: BTreeSet<usize> = own
        .iter()
        .filter(|o| o.life.thread != name && synchronises(set, o.life))
        .map(|o| o.filter)
        .collect();
    let mut seen = BTreeSet::from([name]);
    let mut pending = vec![name];
    while let Some(started) = pending.pop() {
        for other in sound(set) {
            if !other.starts.iter().any(|t| t == started) {
                continue;
            }
            let under = own.iter().filter(|o| std::ptr::eq(o.phase, other));
            found.extend(under.map(|o| o.filter));
            if seen.insert(&other.thread) {
                pending.push(&other.thread);
            }
        }
    }
    found
}

/// Whether a thread can put all threads under its filter.
fn synchronises(set: &SyscallSet, thread: &ThreadSet) -> bool {
    let Some(seccomp) = set.binary.arch.number("seccomp") else {
        return false;
    };
    let subject = Subject::thread(set, thread, Vec::new());
    subject.calls_of(seccomp).any(|made| {
        let can_be = |index, is: &dyn Fn(u64) -> bool| match made.argument(index) {
            Some(ArgValue::Values(all)) => all.iter().any(|v| is(*v)),
            _ => true,
        };
        can_be(0, &|v| v == SET_MODE_FILTER) && can_be(1, &|v| v & TSYNC != 0)
    })
}
