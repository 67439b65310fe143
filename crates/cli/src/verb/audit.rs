//! `portcullis audit BIN POLICY`.

mod patch;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use portcullis_abi::SyscallSet;
use portcullis_policy::audit::{
    self, Accepted, Applied, Audit, Build, Drift, Event, Kind, Point, Subject, subjects,
};
use portcullis_policy::{Filter, LineColumn};
use sha2::{Digest as _, Sha256};

use crate::analysis::Wanted;
use crate::args::{AuditArgs, AuditFormat};
use crate::exit::Exit;
use crate::filter_file::{Content, FilterFile, mistaken, read_text};
use crate::images::Images;
use crate::json::audit::{Document, sarif};
use crate::output::{Output, say};
use crate::{neutral, text};
use patch::Patched;

/// Builds that a history has.
const MOST_BUILDS: usize = 256;

/// An audit, and all that its output says.
pub(crate) struct Audited {
    /// The policy file, as it was named.
    pub(crate) policy: String,
    /// Its text, in which places are.
    pub(crate) text: String,
    pub(crate) filters: Vec<Filter>,
    pub(crate) audit: Audit,
    /// For each finding with a suggestion its patch, or why there is none.
    pub(crate) patches: Vec<Option<Result<String, String>>>,
    /// How many findings were accepted.
    pub(crate) accepted: usize,
    pub(crate) drift: Drift,
    pub(crate) history: Vec<Event>,
    /// What a host of jobs asks of this program and this policy, when the audit is one that it can rest on.
    pub(crate) hash: Option<[u8; 32]>,
}

impl Audited {
    /// Where a finding stands in the policy.
    pub(crate) fn position(&self, finding: &audit::Finding) -> Option<LineColumn> {
        let place = finding.rule.as_ref()?.place?;
        Some(LineColumn::of(&self.text, place.start))
    }

    /// The name of a finding's filter.
    pub(crate) fn filter(&self, finding: &audit::Finding) -> Option<&str> {
        let filter = self.filters.get(finding.filter?)?;
        filter.name.as_deref()
    }
}

/// Runs the verb.
pub(crate) fn audit(mut typed: AuditArgs) -> Result<Exit> {
    let output = Output::from_option(typed.output.clone());
    if typed.input.arch.is_empty() {
        let wanted = Wanted::of(&typed.root, &typed.program, &typed.closure)?;
        typed.input.arch.extend(wanted.arch());
    }
    let file = FilterFile::open(&typed.policy, &typed.input)?;
    let Content::Policies { text, source, form } = &file.content else {
        bail!(
            "{}: an audit is of rules, and this has none; convert it: portcullis policy convert",
            file.name()
        )
    };
    let wanted = |f: &&Filter| typed.input.filter.is_none() || f.name == typed.input.filter;
    let filters: Vec<Filter> = source.filters.iter().filter(wanted).cloned().collect();
    if filters.is_empty() {
        bail!("{}: there is no filter of that name", file.name())
    }
    for (name, _) in &typed.thread {
        if !filters.iter().any(|f| f.name.as_ref() == Some(name)) {
            bail!("--thread {}: no filter has the name", neutral::text(name))
        }
    }
    let images = scan(&typed, &typed.program)?;
    let mut found = compare(&typed, &filters, &images)?;
    let history = history(&typed, &filters, &images, &found)?;
    let accepted = match &typed.accept {
        None => 0,
        Some(path) => {
            let text = read_text(path)?;
            let accepted = Accepted::read(&text).map_err(|m| mistaken(path, &text, &m))?;
            accepted.apply(&mut found).len()
        }
    };
    let drift = locked(&typed, &images.first)?;
    let failed = found.findings.iter().any(|f| {
        let kind = f.code.kind();
        kind.fails() || typed.strict
    });
    let changed = !drift.gained.is_empty() || !drift.lost.is_empty();
    let patched = Patched {
        file: &file,
        form: *form,
        input: &typed.input,
        text,
        filters: &filters,
    };
    let patches = patched.each(&found);
    if typed.format == AuditFormat::Patch {
        output.write_text(&together(&patched, &found, &patches)?)?;
        return Ok(exit(failed || changed));
    }
    let hash = is_whole(&typed, &images, &found).then(|| hash(&images.first, text));
    let audited = Audited {
        hash: hash.flatten(),
        policy: typed.policy.display().to_string(),
        text: text.clone(),
        audit: found,
        patches,
        accepted,
        drift,
        history,
        filters,
    };
    match typed.format {
        AuditFormat::Text => output.write_text(&text::audit::report(&audited))?,
        AuditFormat::Github => output.write_text(&text::audit::annotations(&audited))?,
        AuditFormat::Json => output.write_json(&Document::new(&audited))?,
        AuditFormat::Sarif => output.write_json(&sarif(&audited))?,
        // Written above.
        AuditFormat::Patch => {}
    }
    Ok(exit(failed || changed))
}

/// Whether nothing is missing, from the program's first instruction on, in all that it consists of, and by the analysis
/// alone.
fn is_whole(typed: &AuditArgs, images: &Images, audit: &Audit) -> bool {
    let missing = audit
        .findings
        .iter()
        .any(|f| f.code.kind() == Kind::Missing);
    let stated = typed.accept.is_some() || !typed.closure.assume.is_empty();
    let parts = typed.input.filter.is_some() || !typed.thread.is_empty();
    point(typed) == Point::Start
        && !(missing || stated || parts)
        && images.others.is_empty()
        && images.first.objects.len() == 1
}

/// What `audit_hash` of the host of jobs makes of both: the hash of the program's and the policy's.
fn hash(set: &SyscallSet, policy: &str) -> Option<[u8; 32]> {
    let program = set.objects.first()?.sha256;
    let both = [program, Sha256::digest(policy).into()];
    Some(Sha256::digest(both.as_flattened()).into())
}

fn exit(found: bool) -> Exit {
    match found {
        true => Exit::Findings,
        false => Exit::Success,
    }
}

/// All suggestions as one patch; those that have none are told.
fn together(
    patched: &Patched<'_>,
    audit: &Audit,
    patches: &[Option<Result<String, String>>],
) -> Result<String> {
    let mut changes = Vec::new();
    for (finding, patch) in audit.findings.iter().zip(patches) {
        let change = finding.filter.zip(finding.suggestion.as_ref());
        match patch {
            Some(Ok(_)) => changes.extend(change),
            Some(Err(why)) => say(&format!(
                "{}: {}: no patch: {}",
                finding.code,
                neutral::text(&finding.message),
                neutral::text(why)
            )),
            None => say(&format!(
                "{}: {}: nothing is suggested",
                finding.code,
                neutral::text(&finding.message)
            )),
        }
    }
    match patched.patch(&changes) {
        Ok(text) => Ok(text),
        Err(why) => {
            bail!("the suggestions make no patch together, the JSON form has one for each: {why}")
        }
    }
}

fn point(typed: &AuditArgs) -> Point {
    match typed.after.as_str() {
        "install" => Point::Install,
        "start" => Point::Start,
        function => Point::Function(function.to_owned()),
    }
}

/// What a program, and those that it may start, can do.
fn scan(typed: &AuditArgs, program: &Path) -> Result<Images> {
    let from = match point(typed) {
        Point::Function(function) => vec![function],
        _ => Vec::new(),
    };
    let wanted = Wanted::of(&typed.root, program, &typed.closure)?.from(&from);
    Images::alone(wanted.analyse()?.set).with(&typed.images, |program| {
        Wanted::of(&typed.root, program, &typed.closure)
    })
}

fn compare(typed: &AuditArgs, filters: &[Filter], images: &Images) -> Result<Audit> {
    let first = &images.first;
    for (_, thread) in &typed.thread {
        if !first.sets.iter().any(|s| s.thread == *thread) {
            let mut known: Vec<&str> = first.sets.iter().map(|s| &*s.thread).collect();
            known.dedup();
            bail!(
                "there is no thread {}; there are: {}",
                neutral::text(thread),
                neutral::text(&known.join(" "))
            )
        }
    }
    let mut all = subjects(first, filters, &typed.thread, &point(typed));
    // What is started keeps the filters of who starts it; who that is is not told apart.
    let started = |filter| Applied {
        filter,
        certain: filters.len() == 1,
    };
    for image in &images.others {
        let under = (0..filters.len()).map(started).collect();
        all.push(Subject::program(image, under));
    }
    Ok(audit::audit(filters, &all))
}

/// What changed since the lock was written; it is written when it is not there.
fn locked(typed: &AuditArgs, set: &SyscallSet) -> Result<Drift> {
    let Some(path) = &typed.lock else {
        return Ok(Drift::default());
    };
    let now = audit::lock(set);
    if !path.exists() {
        Output::from_option(Some(path.clone())).write_bytes(now.as_bytes())?;
        say(&format!("written: {}", neutral::path(path)));
        return Ok(Drift::default());
    }
    Ok(audit::drift(&read_text(path)?, &now))
}

/// What happened over the builds of a directory, of which the program is the last.
fn history(
    typed: &AuditArgs,
    filters: &[Filter],
    images: &Images,
    last: &Audit,
) -> Result<Vec<Event>> {
    let Some(directory) = &typed.history else {
        return Ok(Vec::new());
    };
    let reading = || format!("reading {}", neutral::path(directory));
    let mut programs: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(reading)? {
        let path = entry.with_context(reading)?.path();
        if path.is_file() {
            programs.push(path);
        }
    }
    programs.sort();
    if programs.len() > MOST_BUILDS {
        bail!(
            "{}: more than {MOST_BUILDS} builds",
            neutral::path(directory)
        )
    }
    let mut builds = Vec::new();
    for program in &programs {
        let images = scan(typed, program)?;
        let found = compare(typed, filters, &images)?;
        builds.push(build(program, &images, found));
    }
    builds.push(build(&typed.program, images, last.clone()));
    Ok(audit::history(&builds, filters))
}

fn build(program: &Path, images: &Images, audit: Audit) -> Build {
    Build {
        name: program.display().to_string(),
        lines: audit::lines(&images.first),
        audit,
    }
}
