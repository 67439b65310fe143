//! The command under test: building it, asking it for a scan, reading its documents.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::arguments::Tuple;
use crate::workload::Workload;
use crate::{place, process};

/// How long a scan may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(300);

/// Builds the command in `profile` and returns its path.
pub(crate) fn build(profile: &str) -> Result<PathBuf> {
    process::show(
        Command::new("cargo")
            .args(["build", "--quiet", "--package", "portcullis-cli"])
            .args(["--profile", profile])
            .current_dir(place::root()),
    )?;
    Ok(place::target().join(profile).join("portcullis"))
}

/// What a scan says, as far as the tasks need it.
#[derive(Clone, Debug)]
pub(crate) struct Scan {
    /// Number → name (empty when no table knows it).
    pub(crate) calls: BTreeMap<u64, String>,
    /// Name → what its sites pass; none for calls that the kernel makes by itself.
    tuples: BTreeMap<String, Vec<Tuple>>,
    /// The scanned files, symbolic links resolved.
    pub(crate) objects: BTreeSet<PathBuf>,
    /// Residuals by kind.
    pub(crate) residuals: BTreeMap<String, usize>,
    /// No number, target or code residual.
    pub(crate) complete: bool,
    /// No module or exec residual.
    pub(crate) closed: bool,
}

impl Scan {
    /// True when the set has the call that strace shows by this name.
    pub(crate) fn allows(&self, name: &str) -> bool {
        if let Some(number) = name.strip_prefix("syscall_0x") {
            return u64::from_str_radix(number, 16)
                .is_ok_and(|number| self.calls.contains_key(&number));
        }
        self.calls.values().any(|known| known == name)
    }

    /// True when the set has the call with such arguments.
    pub(crate) fn allows_with(&self, name: &str, arguments: &[Option<u64>]) -> bool {
        let tuples = self.tuples.get(name);
        self.allows(name) && tuples.is_none_or(|all| all.iter().any(|t| t.holds(arguments)))
    }

    /// True when the scan says that the program loads files which it could not name.
    pub(crate) fn announces_modules(&self) -> bool {
        self.residuals.contains_key("module")
    }
}

/// The arguments that name `workload`'s modules, and `more`.
pub(crate) fn plugins(workload: &Workload, more: &[PathBuf]) -> Vec<OsString> {
    let named = workload.plugins.iter().map(PathBuf::from);
    named
        .chain(more.iter().cloned())
        .flat_map(|path| [OsString::from("--plugin"), path.into()])
        .collect()
}

/// Scans `image`; `options` go before the path.
pub(crate) fn scan(command: &Path, image: &Path, options: &[OsString]) -> Result<Scan> {
    let outcome = process::take(
        Command::new(command)
            .args(["scan", "--format", "json"])
            .args(options)
            .arg(image)
            .env("XDG_CACHE_HOME", place::target().join("cache")),
        b"",
        PATIENCE,
    )?;
    if outcome.status.code() != Some(0) {
        bail!(
            "scan {}: {}\n    {}",
            image.display(),
            outcome.status,
            outcome.complaint()
        );
    }
    let document: Value = serde_json::from_slice(&outcome.stdout)
        .with_context(|| format!("scan {}: its JSON", image.display()))?;
    read(&document).with_context(|| format!("scan {}", image.display()))
}

/// Reads a `portcullis.scan` document, version 1.
pub(crate) fn read(document: &Value) -> Result<Scan> {
    ensure!(
        document["schema"] == "portcullis.scan" && document["version"] == 1,
        "not a portcullis.scan document of version 1"
    );
    let mut calls = BTreeMap::new();
    let mut tuples = BTreeMap::new();
    for call in array(document, "syscalls")? {
        let number = call["number"].as_u64().context("a call without a number")?;
        let name = call["name"].as_str().unwrap_or_default().to_owned();
        for site in array(call, "sites")? {
            let told = array(site, "tuples")?.iter();
            let mut told = told.map(|tuple| Tuple::read(&tuple["args"]));
            let all: &mut Vec<Tuple> = tuples.entry(name.clone()).or_default();
            told.try_for_each(|tuple| tuple.map(|tuple| all.push(tuple)))?;
        }
        calls.insert(number, name);
    }
    let mut residuals = BTreeMap::new();
    for residual in array(document, "residuals")? {
        let kind = residual["kind"].as_str().context("a residual's kind")?;
        *residuals.entry(kind.to_owned()).or_default() += 1;
    }
    let objects = array(document, "objects")?
        .iter()
        .filter_map(|object| object["path"].as_str())
        .map(|path| std::fs::canonicalize(path).unwrap_or_else(|_| path.into()))
        .collect();
    let flag = |name: &str| document[name].as_bool().with_context(|| name.to_owned());
    Ok(Scan {
        calls,
        tuples,
        objects,
        residuals,
        complete: flag("complete")?,
        closed: flag("closed")?,
    })
}

fn array<'a>(document: &'a Value, field: &str) -> Result<&'a Vec<Value>> {
    document[field]
        .as_array()
        .with_context(|| format!("`{field}` is no array"))
}
