//! `linux.seccomp` of the OCI runtime specification (config-linux.md), alone or in a `config.json`.
//!
//! The meaning is the specification's and, where that leaves one open, runc's
//! (libcontainer/seccomp/seccomp_linux.go); what becomes of the entries is told in `libseccomp.rs`:
//!
//! - The machine's own architecture always counts, others when they are listed. Listed ones that the
//!   target does not ask for are left out with a remark: their calls are then foreign.
//! - `errnoRet` is for `SCMP_ACT_ERRNO` and `SCMP_ACT_TRACE`, without it runc takes `EPERM`.
//! - An entry with several conditions on one argument is several entries with a condition each, any of
//!   which suffices: what runc and youki do, and a remark says so.
//! - `flags`, `listenerPath` and `listenerMetadata` are not about which call is answered how; remarks
//!   name them.

use portcullis_abi::Arch;

use super::document::{Map, Value};
use super::libseccomp::{Entry, Profile};
use super::spoken::{self, Spoken};
use super::{Concessions, Newer, Unsayable, json, scmp};
use crate::{Filter, Mistake, Remark, Source, Target};

/// Reads a profile for a target.
///
/// # Errors
///
/// The first part of the text that means nothing.
pub fn read(text: &str, target: &Target, newer: Newer) -> Result<Source, Mistake> {
    let document = json::parse(text)?;
    let mut map = document.map("the profile")?;
    if map.get("linux").is_some() || map.get("ociVersion").is_some() {
        let linux = map.need("linux")?.map("linux")?;
        map = linux.need("seccomp")?.map("linux.seccomp")?;
    }
    let mut remarks = Vec::new();
    let profile = profile(map.only(&KEYS)?, target, &mut remarks)?;
    let filters = vec![profile.filter(None, newer, &mut remarks)?];
    Ok(Source { filters, remarks })
}

const KEYS: [&str; 7] = [
    "defaultAction",
    "defaultErrnoRet",
    "architectures",
    "flags",
    "listenerPath",
    "listenerMetadata",
    "syscalls",
];

/// What Kubernetes' objects say in the same words.
pub(super) fn profile(
    map: Map<'_>,
    target: &Target,
    remarks: &mut Vec<Remark>,
) -> Result<Profile, Mistake> {
    let arches = map.texts("architectures")?;
    let (arches, listed) = architectures(&arches, target, remarks)?;
    machinery(map, remarks)?;
    let errno = errno(map, "defaultErrnoRet")?;
    let default = scmp::action(map.need("defaultAction")?, errno)?;
    let mut entries = Vec::new();
    for value in map.list("syscalls")? {
        let entry = value.map("an entry")?;
        let entry = entry.only(&["names", "action", "errnoRet", "args"])?;
        let names = names(entry.need("names")?)?;
        let action = scmp::action(entry.need("action")?, self::errno(entry, "errnoRet")?)?;
        push(&mut entries, entry, names, action, None, remarks)?;
    }
    Ok(Profile {
        default,
        arches,
        listed,
        entries,
    })
}

/// A number beside an action, with its place.
pub(super) fn errno<'a>(map: Map<'a>, key: &str) -> Result<Option<(u64, &'a Value)>, Mistake> {
    let number = |v: &'a Value| Ok((v.number(key, u64::from(u32::MAX))?, v));
    map.get(key).map(number).transpose()
}

/// The names of an entry.
pub(super) fn names(value: &Value) -> Result<Vec<&Value>, Mistake> {
    let all = value.list("names")?;
    match all.is_empty() {
        true => Err(value.mistake("an entry names at least one call")),
        false => Ok(all.iter().collect()),
    }
}

/// Adds what an entry says: one, or one for each condition where an argument has several.
pub(super) fn push(
    entries: &mut Vec<Entry>,
    map: Map<'_>,
    names: Vec<&Value>,
    action: crate::Action,
    note: Option<String>,
    remarks: &mut Vec<Remark>,
) -> Result<(), Mistake> {
    let mut calls: Vec<(String, crate::Place)> = Vec::with_capacity(names.len());
    for value in names {
        let name = value.text("a name")?;
        if name.is_empty() {
            return Err(value.mistake("the name of a call is empty"));
        }
        calls.push((name.to_owned(), value.place));
    }
    let conditions = scmp::conditions(map)?;
    let mut indices: Vec<u8> = conditions.iter().map(|(c, _)| c.index).collect();
    indices.sort_unstable();
    let twice = indices.windows(2).find(|w| w[0] == w[1]).map(|w| w[0]);
    let all: Vec<_> = conditions.iter().map(|(c, _)| c.clone()).collect();
    let entry = |conditions| Entry {
        calls: calls.clone(),
        conditions,
        action,
        note: note.clone(),
        place: map.place,
    };
    match twice {
        None => entries.push(entry(all)),
        Some(index) => {
            let second = conditions.iter().filter(|(c, _)| c.index == index).nth(1);
            remarks.push(Remark {
                place: second.map_or(map.place, |(_, value)| value.place),
                message: format!(
                    "argument {index} has several conditions in one entry: runtimes take each \
                     condition of the entry for an entry of its own, so that one suffices"
                ),
            });
            entries.extend(all.into_iter().map(|condition| entry(vec![condition])));
        }
    }
    Ok(())
}

/// The architectures of a filter: the machine's own and the listed ones that the target asks for, and
/// of these the listed.
pub(super) fn architectures(
    listed: &[(&str, &Value)],
    target: &Target,
    remarks: &mut Vec<Remark>,
) -> Result<(Vec<Arch>, Vec<Arch>), Mistake> {
    let own = target.arches.first();
    let own = *own.ok_or_else(|| Mistake::whole("the target has no architecture"))?;
    let (mut all, mut kept) = (vec![own], Vec::new());
    for (word, value) in listed {
        match scmp::arch(word, value)? {
            Some(arch) if target.arches.contains(&arch) => {
                kept.push(arch);
                if !all.contains(&arch) {
                    all.push(arch);
                }
            }
            _ => remarks.push(Remark {
                place: value.place,
                message: format!("{word} is left out: it is not asked for"),
            }),
        }
    }
    Ok((all, kept))
}

/// Says what is there beside rules.
pub(super) fn machinery(map: Map<'_>, remarks: &mut Vec<Remark>) -> Result<(), Mistake> {
    const FLAGS: [&str; 4] = [
        "SECCOMP_FILTER_FLAG_TSYNC",
        "SECCOMP_FILTER_FLAG_LOG",
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
    ];
    for (flag, value) in map.texts("flags")? {
        if !FLAGS.contains(&flag) {
            return Err(value.mistake(format!(
                "there is no flag `{flag}`; flags are {}",
                FLAGS.join(", ")
            )));
        }
    }
    for key in ["listenerPath", "listenerMetadata"] {
        map.get(key).map_or(Ok(""), |v| v.text(key))?;
    }
    for key in ["flags", "listenerPath", "listenerMetadata"] {
        remarks.extend(map.get(key).map(|value| Remark {
            place: value.place,
            message: format!("`{key}` is for who installs the filter; the rules do not have it"),
        }));
    }
    Ok(())
}

/// Writes a policy; [`read`] gives back the same meaning.
///
/// # Errors
///
/// The first part of the policy that the format cannot say.
pub fn write(filters: &[Filter], conceded: Concessions) -> Result<String, Unsayable> {
    let filter = spoken::only(filters)?;
    let spoken = spoken::of_libseccomp(filter, conceded)?;
    let text = object(&spoken, &architectures_line(&spoken))?;
    spoken::verify(filter, &spoken, conceded, |target| {
        read(&text, target, Newer::AsDefault)
    })?;
    Ok(text)
}

fn architectures_line(spoken: &Spoken) -> String {
    let words = spoken.arches.iter();
    let words: Vec<String> = words.map(|a| json::quoted(scmp::arch_word(*a))).collect();
    format!("  \"architectures\": [{}],\n", words.join(", "))
}

/// A profile; `arches` is the line that says of which architectures.
pub(super) fn object(spoken: &Spoken, arches: &str) -> Result<String, Unsayable> {
    let (default, errno) = scmp::action_words(spoken.default);
    let mut text = format!("{{\n  \"defaultAction\": {},\n", json::quoted(default));
    if let Some(errno) = errno {
        text += &format!("  \"defaultErrnoRet\": {errno},\n");
    }
    text += arches;
    text += "  \"syscalls\": [";
    let mut separator = "\n";
    for entry in spoken.grouped() {
        let names: Vec<String> = entry.names.iter().map(|n| json::quoted(n)).collect();
        let (action, errno) = scmp::action_words(entry.action);
        text += separator;
        text += &format!("    {{\n      \"names\": [{}],\n", names.join(", "));
        text += &format!("      \"action\": {}", json::quoted(action));
        if let Some(errno) = errno {
            text += &format!(",\n      \"errnoRet\": {errno}");
        }
        let mut conditions = Vec::new();
        for condition in &entry.conditions {
            let (op, value, two) = scmp::condition_words(&condition.op)
                .ok_or_else(|| Unsayable::rule(entry.rule, "the condition has no operator"))?;
            let index = condition.index;
            let two = two.map_or(String::new(), |v| format!(", \"valueTwo\": {v}"));
            conditions.push(format!(
                "{{ \"index\": {index}, \"value\": {value}{two}, \"op\": \"{op}\" }}"
            ));
        }
        if !conditions.is_empty() {
            text += &format!(",\n      \"args\": [{}]", conditions.join(", "));
        }
        text += "\n    }";
        separator = ",\n";
    }
    text += if spoken.entries.is_empty() {
        "]\n}\n"
    } else {
        "\n  ]\n}\n"
    };
    Ok(text)
}
