//! `portcullis verify POLICY BPF`.

use anyhow::Result;
use portcullis_bpf::NotEqual;

use crate::args::{Format, VerifyArgs};
use crate::exit::Exit;
use crate::filter_file::FilterFile;
use crate::json;
use crate::output::Output;
use crate::text;

/// Runs the verb.
pub(crate) fn verify(typed: VerifyArgs) -> Result<Exit> {
    let output = Output::from_option(typed.result.output);
    let policy = FilterFile::open(&typed.policy, &typed.input)?.policy(&typed.input)?;
    let program = FilterFile::open(&typed.program, &typed.input)?.program(&typed.input)?;
    let outcome = match portcullis_bpf::verify(program, &policy) {
        Ok(_) => None,
        Err(difference @ NotEqual::Differ { .. }) => Some(difference),
        Err(NotEqual::Unknown(unknown)) => return Err(unknown.into()),
    };
    let document = json::filter::verified(outcome.as_ref());
    match typed.result.format {
        Format::Json => output.write_json(&document)?,
        Format::Text => output.write_text(&text::filter::verified(&document))?,
    }
    Ok(match document.equal {
        true => Exit::Success,
        false => Exit::Findings,
    })
}
