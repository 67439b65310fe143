//! Docker's and containers-common's profiles: OCI's, and on top of it what depends on the machine.
//!
//! - `archMap` gives the architectures of the machine's own architecture; it excludes `architectures`.
//! - An entry counts when all that it `includes` is there and nothing that it `excludes`:
//!   capabilities, kernels from `minKernel` on, and the machine's own architecture by Go's name for it
//!   (never one that is only listed).
//! - `name` is an old form of `names`; `comment` becomes the rule's note.
//! - containers-common has `errno` and `defaultErrno`, names or numbers, which count before `errnoRet`.
//!   Docker does not know them.

use portcullis_abi::Arch;

use super::document::{Map, Value};
use super::libseccomp::{Entry, Profile};
use super::{Concessions, Format, Newer, Unsayable, json, oci, scmp, spoken};
use crate::{Filter, Mistake, Remark, Source, Target};

/// Reads a profile for a target; `format` is [`Format::Docker`] or [`Format::Containers`].
///
/// # Errors
///
/// The first part of the text that means nothing.
pub fn read(text: &str, format: Format, target: &Target, newer: Newer) -> Result<Source, Mistake> {
    let names = format == Format::Containers;
    let document = json::parse(text)?;
    let mut remarks = Vec::new();
    let profile = profile(document.map("the profile")?, names, target, &mut remarks)?;
    let filters = vec![profile.filter(None, newer, &mut remarks)?];
    Ok(Source { filters, remarks })
}

/// Writes a policy as `archMap` of its architectures; [`read`] gives back the same meaning.
///
/// # Errors
///
/// The first part of the policy that the format cannot say.
pub fn write(filters: &[Filter], conceded: Concessions) -> Result<String, Unsayable> {
    let filter = spoken::only(filters)?;
    let spoken = spoken::of_libseccomp(filter, conceded)?;
    let mut words = spoken
        .arches
        .iter()
        .map(|a| json::quoted(scmp::arch_word(*a)));
    let own = words.next().unwrap_or_default();
    let others = words.collect::<Vec<_>>().join(", ");
    let line = format!(
        "  \"archMap\": [{{ \"architecture\": {own}, \"subArchitectures\": [{others}] }}],\n"
    );
    let text = oci::object(&spoken, &line)?;
    spoken::verify(filter, &spoken, conceded, |target| {
        read(&text, Format::Docker, target, Newer::AsDefault)
    })?;
    Ok(text)
}

fn profile(
    map: Map<'_>,
    names: bool,
    target: &Target,
    remarks: &mut Vec<Remark>,
) -> Result<Profile, Mistake> {
    let mut keys = vec![
        "defaultAction",
        "defaultErrnoRet",
        "architectures",
        "archMap",
        "flags",
        "listenerPath",
        "listenerMetadata",
        "syscalls",
    ];
    let mut entry_keys = vec![
        "names", "name", "action", "errnoRet", "args", "comment", "includes", "excludes",
    ];
    if names {
        keys.push("defaultErrno");
        entry_keys.push("errno");
    }
    let map = map.only(&keys)?;
    let (arches, listed) = oci::architectures(&arches(map, target)?, target, remarks)?;
    oci::machinery(map, remarks)?;
    let default = action(map, "defaultAction", "defaultErrnoRet", "defaultErrno")?;
    let mut entries: Vec<Entry> = Vec::new();
    for value in map.list("syscalls")? {
        let entry = value.map("an entry")?.only(&entry_keys)?;
        let calls = match (entry.get("name"), entry.get("names")) {
            (Some(name), Some(names)) if !names.list("names")?.is_empty() => {
                return Err(name.mistake("an entry has `name` or `names`, not both"));
            }
            (Some(name), _) => vec![name],
            (None, _) => oci::names(entry.need("names")?)?,
        };
        let action = action(entry, "action", "errnoRet", "errno")?;
        let included = condition(entry, "includes", target)?;
        let excluded = condition(entry, "excludes", target)?;
        let comment = entry.get("comment").map_or(Ok(""), |v| v.text("comment"))?;
        let comment = (!comment.is_empty()).then(|| comment.to_owned());
        // What does not count is read all the same: mistakes in it are mistakes.
        let mut own = Vec::new();
        let mut own_remarks = Vec::new();
        oci::push(&mut own, entry, calls, action, comment, &mut own_remarks)?;
        if included.all && !excluded.any {
            entries.append(&mut own);
            remarks.append(&mut own_remarks);
        }
    }
    Ok(Profile {
        default,
        arches,
        listed,
        entries,
    })
}

/// The words for the architectures of a machine.
fn arches<'a>(map: Map<'a>, target: &Target) -> Result<Vec<(&'a str, &'a Value)>, Mistake> {
    let listed = map.texts("architectures")?;
    let mut own = Vec::new();
    for value in map.list("archMap")? {
        if !listed.is_empty() {
            return Err(value.mistake("a profile has `architectures` or `archMap`, not both"));
        }
        let entry = value.map("an element of archMap")?;
        let entry = entry.only(&["architecture", "subArchitectures"])?;
        let value = entry.need("architecture")?;
        let word = value.text("architecture")?;
        let arch = scmp::arch(word, value)?;
        let others = entry.texts("subArchitectures")?;
        for (word, value) in &others {
            scmp::arch(word, value)?;
        }
        if own.is_empty() && arch.is_some() && arch == target.arches.first().copied() {
            own.push((word, value));
            own.extend(others);
        }
    }
    Ok(if listed.is_empty() { own } else { listed })
}

fn action(map: Map<'_>, key: &str, number: &str, name: &str) -> Result<crate::Action, Mistake> {
    let number = oci::errno(map, number)?;
    let named = match map.get(name) {
        None => None,
        Some(value) => {
            let word = value.text(name)?;
            let unknown = || value.mistake(format!("there is no error `{word}`"));
            match word.is_empty() {
                true => None,
                false => Some((errno_number(word).ok_or_else(unknown)?, value)),
            }
        }
    };
    scmp::action(map.need(key)?, named.or(number))
}

/// The number of an error, from its name (errno(3)) or itself.
fn errno_number(word: &str) -> Option<u64> {
    let named = || portcullis_abi::errno(word).map(u64::from);
    word.parse().ok().or_else(named)
}

/// Which of the things that an entry asks for are there.
struct Asked {
    all: bool,
    any: bool,
}

fn condition(entry: Map<'_>, key: &str, target: &Target) -> Result<Asked, Mistake> {
    let mut asked = Asked {
        all: true,
        any: false,
    };
    let Some(value) = entry.get(key) else {
        return Ok(asked);
    };
    let what = if key == "includes" {
        "includes"
    } else {
        "excludes"
    };
    let map = value.map(what)?.only(&["caps", "arches", "minKernel"])?;
    let mut note = |there: bool| {
        asked.all &= there;
        asked.any |= there;
    };
    for (name, value) in map.texts("caps")? {
        if !name.starts_with("CAP_") {
            return Err(value.mistake(format!("`{name}` is no capability; they are called CAP_…")));
        }
        note(target.capabilities.iter().any(|c| c == name));
    }
    let arches = map.texts("arches")?;
    if !arches.is_empty() {
        let own = target.arches.first().map_or(&[][..], |a| go_names(*a));
        note(arches.iter().any(|(name, _)| own.contains(name)));
    }
    if let Some(value) = map.get("minKernel") {
        let written = value.text("minKernel")?;
        let version = written.split_once('.');
        let version = version.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        let wrong = || value.mistake(format!("`{written}` is no kernel version such as 4.8"));
        let version: (u16, u16) = version.ok_or_else(wrong)?;
        note(target.kernel >= version);
    }
    Ok(asked)
}

/// What Go and libseccomp's Go binding call an architecture.
fn go_names(arch: Arch) -> &'static [&'static str] {
    match arch {
        Arch::X86_64 => &["amd64"],
        Arch::X32 => &["x32"],
        Arch::I386 => &["x86", "386"],
        Arch::Aarch64 => &["arm64"],
        Arch::Arm => &["arm"],
    }
}
