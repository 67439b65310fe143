//! `SeccompProfile` objects of the security-profiles-operator (v1, v1beta1), in YAML or JSON.
//!
//! `spec` has the words and the meaning of OCI's profiles. A text may have several objects; objects
//! of other kinds are left out with a remark. A profile that is based on another one
//! (`baseProfileName`) has no meaning without it and is refused. Values are `int64` in the object's
//! schema: larger ones are not written.

use super::document::{Kind, Value};
use super::spoken::{self, Spoken};
use super::{Concessions, Newer, Unsayable, oci, scmp, yaml};
use crate::{Filter, Mistake, Op, Remark, Source, Target};

const GROUP: &str = "security-profiles-operator.x-k8s.io/";

/// Reads the profiles of a text for a target; each filter has the object's name.
///
/// # Errors
///
/// The first part of the text that means nothing.
pub fn read(text: &str, target: &Target, newer: Newer) -> Result<Source, Mistake> {
    let mut source = Source {
        filters: Vec::new(),
        remarks: Vec::new(),
    };
    for document in yaml::parse(text)? {
        if document.kind != Kind::Null {
            object(&document, target, newer, &mut source)?;
        }
    }
    match source.filters.is_empty() {
        true => Err(Mistake::whole(
            "there is no object of the kind SeccompProfile",
        )),
        false => Ok(source),
    }
}

fn object(
    document: &Value,
    target: &Target,
    newer: Newer,
    source: &mut Source,
) -> Result<(), Mistake> {
    let map = document.map("an object")?;
    let kind = map.need("kind")?.text("kind")?;
    if kind != "SeccompProfile" {
        source.remarks.push(Remark {
            place: document.place,
            message: format!("the {kind} is no profile and is left out"),
        });
        return Ok(());
    }
    let map = map.only(&["apiVersion", "kind", "metadata", "spec", "status"])?;
    let value = map.need("apiVersion")?;
    let version = value.text("apiVersion")?;
    if !version
        .strip_prefix(GROUP)
        .is_some_and(|v| v.starts_with('v'))
    {
        return Err(value.mistake(format!("`{version}` is no version of {GROUP}")));
    }
    let metadata = map.need("metadata")?.map("metadata")?;
    let name = metadata.need("name")?.text("name")?;
    let spec = map.need("spec")?.map("spec")?.only(&[
        "defaultAction",
        "architectures",
        "baseProfileName",
        "disabled",
        "flags",
        "listenerPath",
        "listenerMetadata",
        "syscalls",
    ])?;
    if let Some(base) = spec.get("baseProfileName") {
        return Err(base.mistake(
            "the profile adds to another one, which is not here; merge the two and leave \
             `baseProfileName` out",
        ));
    }
    if let Some(disabled) = spec.get("disabled").filter(|v| v.kind != Kind::Bool(false)) {
        return Err(disabled.mistake("a disabled profile is no filter"));
    }
    let profile = oci::profile(spec, target, &mut source.remarks)?;
    let filter = profile.filter(Some(name.to_owned()), newer, &mut source.remarks)?;
    source.filters.push(filter);
    Ok(())
}

/// Writes one object for each policy; a policy without a name is called `portcullis`. [`read`] gives
/// back the same meaning.
///
/// # Errors
///
/// The first part of a policy that the format cannot say.
pub fn write(filters: &[Filter], conceded: Concessions) -> Result<String, Unsayable> {
    let mut all = String::new();
    for filter in filters {
        let spoken = spoken::of_libseccomp(filter, conceded)?;
        let name = filter.name.as_deref().unwrap_or("portcullis");
        let text = written(name, &spoken).map_err(|u| u.of(filter))?;
        spoken::verify(filter, &spoken, conceded, |target| {
            read(&text, target, Newer::AsDefault)
        })?;
        if !all.is_empty() {
            all += "---\n";
        }
        all += &text;
    }
    Ok(all)
}

fn written(name: &str, spoken: &Spoken) -> Result<String, Unsayable> {
    let label = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'.';
    let ends = |c: Option<&u8>| c.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    if name.len() > 253
        || !bytes.iter().all(|b| label(*b))
        || !ends(bytes.first())
        || !ends(bytes.last())
    {
        return Err(Unsayable::whole(format!(
            "an object cannot be called `{name}`; names are lower-case letters, digits, `-` and `.`"
        )));
    }
    let (default, errno) = scmp::action_words(spoken.default);
    if errno.is_some_and(|e| e != 1) {
        return Err(Unsayable::whole(
            "the default can be an error, but not which: runtimes take EPERM",
        ));
    }
    // Quoted, because a name such as `1e3` would be a number.
    let mut text = format!(
        "apiVersion: {GROUP}v1\nkind: SeccompProfile\nmetadata:\n  name: \"{name}\"\nspec:\n  \
         defaultAction: {default}\n  architectures:\n"
    );
    for arch in &spoken.arches {
        text += &format!("  - {}\n", scmp::arch_word(*arch));
    }
    if !spoken.entries.is_empty() {
        text += "  syscalls:\n";
    }
    for entry in spoken.grouped() {
        let (action, errno) = scmp::action_words(entry.action);
        text += &format!("  - action: {action}\n");
        if let Some(errno) = errno {
            text += &format!("    errnoRet: {errno}\n");
        }
        text += "    names:\n";
        for name in &entry.names {
            text += &format!("    - {name}\n");
        }
        if !entry.conditions.is_empty() {
            text += "    args:\n";
        }
        for condition in &entry.conditions {
            text += &format!("    - index: {}\n", condition.index);
            text += &condition_lines(&condition.op).map_err(|m| Unsayable::rule(entry.rule, m))?;
        }
    }
    Ok(text)
}

fn condition_lines(op: &Op) -> Result<String, String> {
    let (op, value, two) = scmp::condition_words(op).ok_or("the condition has no operator")?;
    let largest = value.max(two.unwrap_or(0));
    if i64::try_from(largest).is_err() {
        return Err(format!(
            "{largest:#x} is larger than the values of the format, int64"
        ));
    }
    let two = two.map_or(String::new(), |v| format!("      valueTwo: {v}\n"));
    Ok(format!("      value: {value}\n{two}      op: {op}\n"))
}
