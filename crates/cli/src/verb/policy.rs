//! `portcullis policy BIN|SCAN`, and what is done to policies.

mod convert;
mod lay_out;
mod lint;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use portcullis_abi::{Arch, SyscallSet};
use portcullis_policy::{Derivation, Policy, toml};

use crate::analysis::{self, Wanted};
use crate::args::{PolicyArgs, PolicyVerb};
use crate::exit::Exit;
use crate::filter_file::{Traced, traced};
use crate::images::Images;
use crate::json::scan_input;
use crate::neutral;
use crate::output::{Output, say};
use crate::trace::Log;

/// More than any scan document has.
const MOST_BYTES: u64 = 256 << 20;

/// Runs the verb.
pub(crate) fn policy(typed: PolicyArgs) -> Result<Exit> {
    match typed.verb {
        None => derive(typed),
        Some(PolicyVerb::Convert(typed)) => convert::convert(typed),
        Some(PolicyVerb::Show(typed)) => convert::show(typed),
        Some(PolicyVerb::Fmt(typed)) => lay_out::lay_out(typed),
        Some(PolicyVerb::Lint(typed)) => lint::lint(typed),
    }
}

fn derive(typed: PolicyArgs) -> Result<Exit> {
    let output = Output::from_option(typed.output.clone());
    let program = typed.program.clone().context("which program is not said")?;
    // Below another root there are programs, not documents of ours.
    let document = match &typed.root.root {
        Some(_) => None,
        None => scan_document(&program)?,
    };
    if document.is_none()
        && typed.root.root.is_none()
        && let Some(mut derivation) = traced(&program, typed.arch)?
    {
        if typed.phases
            || !typed.trace.is_empty()
            || !typed.deny.is_empty()
            || !typed.images.exec.is_empty()
        {
            bail!(
                "{} is a trace, which tells of calls alone",
                neutral::path(&program)
            );
        }
        if typed.values {
            derivation = derivation.with_values();
        }
        output.write_bytes(toml::write(&derivation.policy()).as_bytes())?;
        return Ok(Exit::Success);
    }
    if typed.values && typed.trace.is_empty() {
        bail!("--values are those of a trace, and none is given with --trace");
    }
    let images = match document {
        Some(_) if !typed.from.is_empty() => {
            bail!("--from is for a program, and this is the document of a scan; scan with --from")
        }
        Some(mut images) => {
            analysis::assumptions(&typed.closure)?.apply(&mut images.first);
            images
        }
        None => {
            let wanted = Wanted::of(&typed.root, &program, &typed.closure)?;
            Images::alone(wanted.from(&typed.from).analyse()?.set)
        }
    };
    let images = images.with(&typed.images, |program| {
        Wanted::of(&typed.root, program, &typed.closure)
    })?;
    if typed.phases && !images.others.is_empty() {
        bail!("phases are those of one program, and this is the document of several")
    }
    let policy = match typed.phases {
        true => Policy::with_phases(&images.first),
        false => combined(&images, &typed)?,
    };
    let mut text = toml::write(&policy);
    for name in &typed.deny {
        text = toml::deny(&text, name, typed.deny_action)
            .with_context(|| format!("denying {}", neutral::text(name)))?;
        for set in images.sets() {
            breaks(set, name);
        }
    }
    output.write_bytes(text.as_bytes())?;
    Ok(Exit::Success)
}

/// The policy of what programs can do and of what they were seen to do.
fn combined(images: &Images, typed: &PolicyArgs) -> Result<Policy> {
    let mut derivation = Derivation::from_scans(&images.first, &images.others);
    let arch = images.first.binary.arch;
    let traces: Vec<Traced> = typed
        .trace
        .iter()
        .map(|path| Traced::open(path, Some(arch)))
        .collect::<Result<_>>()?;
    for seen in &traces {
        derivation = seen.add_to(derivation);
    }
    if typed.seen {
        derivation = derivation.found_and_seen();
    }
    if typed.values {
        derivation = derivation.with_values();
    }
    Ok(derivation.policy())
}

/// Says how the program comes to make a call that is denied.
fn breaks(set: &SyscallSet, name: &str) {
    let number = set.binary.arch.number(name);
    let path = neutral::text(&set.binary.path).into_owned();
    match number.and_then(|n| set.get(n)) {
        None => say(&format!(
            "{path} does not make {name}, as far as the analysis knows"
        )),
        Some(call) => {
            let way: Vec<String> = call.why.iter().map(|at| place(set, at)).collect();
            let arch: Arch = set.binary.arch;
            let name = arch.name(call.number).unwrap_or(name);
            say(&format!(
                "{path} will fail where it makes {name}: {}",
                way.join(" > ")
            ));
        }
    }
}

fn place(set: &SyscallSet, at: &portcullis_abi::Location) -> String {
    match &at.function {
        Some(function) => neutral::text(&neutral::short(function, 120)).into_owned(),
        None => {
            let object = set.objects.get(at.object).map_or("", |o| o.path.as_str());
            let object = Path::new(object).file_name().unwrap_or_default();
            format!("{}+{:#x}", neutral::path(Path::new(object)), at.address)
        }
    }
}

/// The sets in a scan document that was saved; `None` when the file is something else.
fn scan_document(path: &Path) -> Result<Option<Images>> {
    let reading = || format!("reading {}", neutral::path(path));
    // A FIFO or device would be waited for: what they hold is no document.
    if !std::fs::metadata(path).is_ok_and(|m| m.is_file()) {
        return Ok(None);
    }
    let mut file = File::open(path).with_context(reading)?;
    let mut first = [0];
    if file.read(&mut first).with_context(reading)? == 0 || first[0] != b'{' {
        return Ok(None);
    }
    let mut bytes = first.to_vec();
    file.take(MOST_BYTES)
        .read_to_end(&mut bytes)
        .with_context(reading)?;
    if Log::is_trace(&bytes) {
        return Ok(None);
    }
    Ok(Some(scan_input::parse(&bytes).with_context(reading)?))
}
