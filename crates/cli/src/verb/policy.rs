//! `portcullis policy BIN|SCAN`.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use portcullis_policy::{Policy, toml};

use crate::analysis::{self, Wanted};
use crate::args::PolicyArgs;
use crate::exit::Exit;
use crate::images::Images;
use crate::json::scan_input;
use crate::neutral;
use crate::output::Output;

/// More than any scan document has.
const MOST_BYTES: u64 = 256 << 20;

/// Runs the verb.
pub(crate) fn policy(typed: PolicyArgs) -> Result<Exit> {
    let output = Output::from_option(typed.output);
    // Below another root there are programs, not documents of ours.
    let document = match &typed.root.root {
        Some(_) => None,
        None => scan_document(&typed.program)?,
    };
    let images = match document {
        Some(_) if !typed.from.is_empty() => {
            bail!("--from is for a program, and this is the document of a scan; scan with --from")
        }
        Some(mut images) => {
            analysis::assumptions(&typed.closure)?.apply(&mut images.first);
            images
        }
        None => {
            let wanted = Wanted::of(&typed.root, &typed.program, &typed.closure)?;
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
        false => Policy::from_scans(&images.first, &images.others),
    };
    output.write_bytes(toml::write(&policy).as_bytes())?;
    Ok(Exit::Success)
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
    Ok(Some(scan_input::parse(&bytes).with_context(reading)?))
}
