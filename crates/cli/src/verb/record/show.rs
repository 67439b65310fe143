//! `record show` and `record merge`.

use anyhow::{Context as _, Result};

use crate::args::{MergeArgs, ShowTraceArgs, TraceFormat};
use crate::exit::Exit;
use crate::json::{otlp, record};
use crate::output::Output;
use crate::text;
use crate::trace::Log;

/// Shows what traces tell.
pub(super) fn show(typed: ShowTraceArgs) -> Result<Exit> {
    let output = Output::from_option(typed.output);
    let document = record::document(&Log::open(&typed.traces)?);
    match typed.format {
        TraceFormat::Text => output.write_text(&text::record::record(&document))?,
        TraceFormat::Json => output.write_json(&document)?,
        TraceFormat::Otlp => output.write_json(&otlp::metrics(&document))?,
        TraceFormat::Prometheus => {
            output.write_bytes(text::metrics::metrics(&document).as_bytes())?;
        }
    }
    Ok(Exit::Success)
}

/// Makes one trace of several.
pub(super) fn merge(typed: MergeArgs) -> Result<Exit> {
    let output = Output::from_option(typed.output);
    let text = Log::open(&typed.traces)?.write();
    output.write_bytes(text.context("writing the trace")?.as_bytes())?;
    Ok(Exit::Success)
}
