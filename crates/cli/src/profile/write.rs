//! A profile as text.

use std::fmt::Write as _;
use std::path::PathBuf;

use portcullis_sandbox::Limits;

use super::read::{SCHEMA, VERSION};
use super::{PolicySource, Profile};

/// The text that means `profile`.
pub(crate) fn write(profile: &Profile) -> String {
    let mut out = format!("schema = {}\nversion = {VERSION}\n", quoted(SCHEMA));
    let mut line = |key: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{key} = {value}");
    };
    if !profile.about.is_empty() {
        line("about", quoted(&profile.about));
    }
    let text = |path: &PathBuf| path.to_string_lossy().into_owned();
    for (key, paths) in [
        ("read", &profile.read),
        ("write", &profile.write),
        ("hide", &profile.hide),
        ("exec", &profile.exec),
        ("plugin", &profile.plugins),
    ] {
        if !paths.is_empty() {
            line(key, list(paths.iter().map(text)));
        }
    }
    if profile.follow_exec {
        line("follow-exec", "true".to_owned());
    }
    if let Some(net) = &profile.net {
        line("net", quoted(&net.to_string()));
    }
    let limits = limits(&profile.limits);
    if !limits.is_empty() {
        line("limit", list(limits.into_iter()));
    }
    if !profile.allow.is_empty() {
        line("allow", list(profile.allow.iter().cloned()));
    }
    match &profile.policy {
        Some(PolicySource::File(path)) => line("policy", quoted(&path.to_string_lossy())),
        Some(PolicySource::Shipped { name, .. }) => line("policy", quoted(name)),
        None => {}
    }
    out
}

fn limits(limits: &Limits) -> Vec<String> {
    // All of them: one that is new has to be written too.
    let Limits {
        cpu,
        wall,
        memory,
        processes,
        files,
        file_size,
        output,
    } = *limits;
    let time = |name: &str, limit: Option<std::time::Duration>| {
        limit.map(|time| format!("{name}={}ms", time.as_millis()))
    };
    let size = |name: &str, limit: Option<u64>| limit.map(|size| format!("{name}={size}"));
    [
        time("cpu", cpu),
        time("wall", wall),
        size("memory", memory),
        size("processes", processes),
        size("files", files),
        size("file-size", file_size),
        size("output", output),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A list, of which each word has a line when there is more than one.
fn list(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.map(|word| quoted(&word)).collect();
    match words.as_slice() {
        [one] => format!("[{one}]"),
        many => {
            many.iter()
                .fold("[\n".to_owned(), |out, word| out + "  " + word + ",\n")
                + "]"
        }
    }
}

/// A string of TOML: what has a meaning in it, and what no terminal should get, is escaped.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
