//! Prototypes of calls: which function of the kernel answers a call, and what that declares.
//!
//! Source: the prototypes of include/linux/syscalls.h and include/asm-generic/syscalls.h as Debian's
//! kernel headers ship them, and [`WRITTEN`] for what they lack. Only names and types are taken.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::Port;
use super::inputs::Inputs;
use super::written::{EVERYWHERE, FUNCTIONS, WRITTEN};

/// One parameter as C declares it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Parameter {
    /// Without `const`, `__user` and, for pointers, with a final `*`.
    pub(super) declared: String,
    /// True when what a pointer leads to is not written.
    pub(super) constant: bool,
    /// Its name.
    pub(super) name: String,
}

/// The prototypes of functions, by the name without `sys_`.
pub(super) struct Prototypes(BTreeMap<String, Vec<Parameter>>);

impl Prototypes {
    /// Reads the headers.
    pub(super) fn read(inputs: &Inputs) -> Result<Prototypes> {
        let text = without_comments(&inputs.prototypes()?);
        let mut functions = BTreeMap::new();
        for declaration in text.split(';') {
            // Text before it is of the preprocessor.
            let Some((_, rest)) = declaration.rsplit_once("asmlinkage") else {
                continue;
            };
            let Some((head, parameters)) = rest.split_once('(') else {
                continue;
            };
            let name = head
                .split_whitespace()
                .last()
                .and_then(|w| w.strip_prefix("sys_"));
            let end = parameters.rfind(')').unwrap_or(parameters.len());
            if let (Some(name), Some(parameters)) = (name, parse(&parameters[..end])) {
                functions.insert(name.to_owned(), parameters);
            }
        }
        for (name, text) in EVERYWHERE {
            let parameters = parse(text).with_context(|| format!("{name}: {text}"))?;
            functions.insert((*name).to_owned(), parameters);
        }
        Ok(Prototypes(functions))
    }

    /// What the function that answers `call` takes; a call without a function takes nothing.
    pub(super) fn of(&self, port: Port, call: &str) -> Result<Vec<Parameter>> {
        let here = |ports: &[Port]| ports.contains(&port);
        if let Some((.., text)) = WRITTEN.iter().find(|w| here(w.0) && w.1 == call) {
            return parse(text).with_context(|| format!("{call}: {text}"));
        }
        let function = FUNCTIONS
            .iter()
            .find(|f| here(f.0) && f.1 == call)
            .map_or_else(|| plain(port, call), |f| f.2);
        let known = self.0.get(function).cloned();
        known.with_context(|| format!("{}: {call} has no prototype `{function}`", port.name()))
    }
}

/// Calls of 32-bit architectures that are another's with wider times or user ids.
fn plain(port: Port, call: &str) -> &str {
    if !matches!(port, Port::I386 | Port::Arm) {
        return call;
    }
    match call {
        // `clock_gettime64`, `timer_settime64`, `clock_adjtime64`; `timerfd_gettime64`.
        _ if call.starts_with("clock_") || call.starts_with("timer") => {
            let name = call.strip_suffix("64").unwrap_or(call);
            name.strip_suffix("_time").unwrap_or(name)
        }
        _ if call.ends_with("_time64") => call.trim_end_matches("_time64"),
        _ => call.strip_suffix("32").unwrap_or(call),
    }
}

fn without_comments(text: &str) -> String {
    let mut parts = text.split("/*");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(part.split_once("*/").map_or("", |(_, rest)| rest));
    }
    out
}

/// The parameters of a list; `None` when one has no name.
fn parse(list: &str) -> Option<Vec<Parameter>> {
    let list = list.replace("__user", " ").replace('*', " * ");
    if matches!(list.trim(), "" | "void") {
        return Some(Vec::new());
    }
    list.split(',').map(parameter).collect()
}

fn parameter(text: &str) -> Option<Parameter> {
    let mut words: Vec<&str> = text.split_whitespace().collect();
    let constant = words.contains(&"const");
    words.retain(|w| *w != "const");
    let name = words.pop()?;
    let word = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let scalar = matches!(name, "int" | "unsigned" | "long" | "size_t" | "sigset_t");
    (word && !scalar && !words.is_empty()).then(|| Parameter {
        declared: words.join(" "),
        constant,
        name: name.to_owned(),
    })
}
