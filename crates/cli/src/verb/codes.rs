//! `portcullis codes CODE`.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use portcullis_policy::codes::{CODES, explain};

use crate::args::CodesArgs;
use crate::exit::Exit;
use crate::neutral;
use crate::output::Output;

/// Runs the verb.
pub(crate) fn codes(typed: CodesArgs) -> Result<Exit> {
    let mut text = String::new();
    match &typed.code {
        None => {
            for code in CODES {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{}  {}", code.code, code.title);
            }
        }
        Some(code) => {
            let unknown = || format!("{}: no such code", neutral::text(code));
            let found = explain(code).with_context(unknown)?;
            let _ = writeln!(text, "{}: {}\n\n{}", found.code, found.title, found.meaning);
            let _ = writeln!(text, "\n{}", found.advice);
            if !found.example.is_empty() {
                let _ = writeln!(text, "\n{}", found.example);
            }
        }
    }
    Output::Stdout.write_text(&text)?;
    Ok(Exit::Success)
}
