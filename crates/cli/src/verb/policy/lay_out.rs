//! `portcullis policy fmt`.

use anyhow::Result;
use portcullis_policy::toml;

use crate::args::FmtArgs;
use crate::exit::Exit;
use crate::filter_file::{mistaken, read_text};
use crate::neutral;
use crate::output::{Output, say};

/// Lays a native policy out; a file that is right already is not written.
pub(crate) fn lay_out(typed: FmtArgs) -> Result<Exit> {
    let text = read_text(&typed.policy)?;
    let laid_out = toml::fmt(&text).map_err(|m| mistaken(&typed.policy, &text, &m))?;
    if typed.check {
        if laid_out != text {
            say(&format!(
                "{} is laid out otherwise; run `portcullis policy fmt` on it",
                neutral::path(&typed.policy)
            ));
            return Ok(Exit::Findings);
        }
        return Ok(Exit::Success);
    }
    let back = typed.output.is_none();
    if back && laid_out == text && typed.policy.as_os_str() != "-" {
        return Ok(Exit::Success);
    }
    let output = Output::from_option(Some(typed.output.unwrap_or(typed.policy)));
    output.write_bytes(laid_out.as_bytes())?;
    Ok(Exit::Success)
}
