//! `portcullis diff A B`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use portcullis_bpf::compare;
use portcullis_policy::audit::{self, Step};

use crate::analysis::Wanted;
use crate::args::{DiffArgs, Format};
use crate::exit::Exit;
use crate::filter_file::{Content, FilterFile};
use crate::json;
use crate::output::Output;
use crate::text;

/// Differences that are listed.
const MOST: usize = 10_000;

/// Runs the verb.
pub(crate) fn diff(mut typed: DiffArgs) -> Result<Exit> {
    let output = Output::from_option(typed.result.output);
    if typed.input.arch.is_empty() {
        let arch = |path: &PathBuf| Wanted::of_file(path, &typed.closure, []).ok()?.arch();
        let known = [&typed.first, &typed.second].into_iter().find_map(arch);
        typed.input.arch.extend(known);
    }
    let open = |path| FilterFile::open_any(path, &typed.input, &typed.closure);
    let (first, second) = (open(&typed.first)?, open(&typed.second)?);
    let programs = (first.program(&typed.input)?, second.program(&typed.input)?);
    let found = compare(&programs.0, &programs.1, MOST)?;
    let programs = lines(&first).zip(lines(&second));
    let (gained, lost) = match &programs {
        Some((old, new)) => (only(new, old), only(old, new)),
        None => (Vec::new(), Vec::new()),
    };
    let names = [first.name(), second.name()];
    let document = json::filter::differences(names, &found, MOST).with_sites(gained, lost);
    match typed.result.format {
        Format::Json => output.write_json(&document)?,
        Format::Text => output.write_text(&text::filter::differences(&document))?,
    }
    Ok(match document.equal {
        true => Exit::Success,
        false => Exit::Findings,
    })
}

/// What programs do, a line for each call and combination of arguments; policies and filters say only
/// what may be done.
fn lines(file: &FilterFile) -> Option<BTreeMap<String, Vec<Step>>> {
    match &file.content {
        Content::Sets(sets) => Some(sets.iter().flat_map(audit::lines).collect()),
        _ => None,
    }
}

/// The lines that only the first has, each with its way.
fn only<'a>(
    first: &'a BTreeMap<String, Vec<Step>>,
    second: &BTreeMap<String, Vec<Step>>,
) -> Vec<(&'a str, &'a [Step])> {
    let own = first.iter().filter(|(line, _)| !second.contains_key(*line));
    own.map(|(line, way)| (line.as_str(), way.as_slice()))
        .collect()
}
