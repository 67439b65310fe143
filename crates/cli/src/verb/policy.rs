//! `portcullis policy BIN`.

use anyhow::Result;
use portcullis_policy::{Policy, toml};

use crate::analysis::Wanted;
use crate::args::PolicyArgs;
use crate::exit::Exit;
use crate::output::Output;

/// Runs the verb.
pub(crate) fn policy(typed: PolicyArgs) -> Result<Exit> {
    let output = Output::from_option(typed.output);
    let analysis = Wanted::of_file(&typed.program, &typed.closure)?.analyse()?;
    // Names come from files: what a terminal would act on does not belong in a policy either.
    let text = toml::write(&Policy::from_scan(&analysis.set));
    output.write_bytes(text.as_bytes())?;
    Ok(Exit::Success)
}
