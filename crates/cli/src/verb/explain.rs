//! `portcullis explain POLICY CALL`.

use anyhow::{Result, anyhow};
use portcullis_abi::Arch;
use portcullis_bpf::outcomes;
use portcullis_policy::{Asked, Decision};

use crate::args::{ExplainArgs, Format};
use crate::exit::Exit;
use crate::filter_file::{Content, FilterFile};
use crate::output::Output;
use crate::{json, neutral, text};

/// Ways through a filter that are told.
const MOST: usize = 1000;

/// Runs the verb.
pub(crate) fn explain(typed: ExplainArgs) -> Result<Exit> {
    let output = Output::from_option(typed.result.output.clone());
    let file = FilterFile::open(&typed.policy, &typed.input)?;
    // Of a program that is no policy the instructions are shown all the same.
    let policy = match &file.content {
        Content::Program(_) => file.policy(&typed.input).ok(),
        _ => Some(file.policy(&typed.input)?),
    };
    let own = policy.as_ref().and_then(|p| p.tables.first());
    let arch = own.map_or(Arch::X86_64, |t| t.arch);
    let asked = Asked::read(&typed.call, arch).map_err(|mistake| {
        let part = mistake.place.and_then(|p| typed.call.get(p.start..p.end));
        let part = neutral::text(part.unwrap_or(&typed.call)).into_owned();
        anyhow!("`{part}`: {mistake}")
    })?;
    let program = file.program(&typed.input)?;
    let (found, cut) = outcomes(&program, &asked, MOST)?;
    let document = json::filter::explained(
        policy.as_ref(),
        &found,
        (&asked, &typed.call),
        cut,
        |decision| place(&file, &typed, decision),
    );
    match typed.result.format {
        Format::Json => output.write_json(&document)?,
        Format::Text => output.write_text(&text::filter::explained(&document, &program))?,
    }
    Ok(Exit::Success)
}

/// Where the rule stands that decided.
fn place(file: &FilterFile, typed: &ExplainArgs, decision: Decision) -> Option<String> {
    let (table, rule) = decision.rule?;
    let Content::Policies { text, source, .. } = &file.content else {
        return None;
    };
    let filter = file.filter(source, &typed.input).ok()?;
    let place = filter.places.get(table)?.get(rule)?;
    let at = portcullis_policy::LineColumn::of(text, place.start);
    Some(format!("{}:{at}", file.name()))
}
