//! `portcullis profile`: which there are, what one sets, and one for a program.

mod new;

use std::fmt::Write as _;

use anyhow::Result;

use crate::args::{ProfileVerb, ShowProfileArgs};
use crate::exit::Exit;
use crate::output::Output;
use crate::profile::{self, Named, PROFILES};

/// Runs the verb.
pub(crate) fn profile(verb: ProfileVerb) -> Result<Exit> {
    match verb {
        ProfileVerb::List => list(),
        ProfileVerb::Show(typed) => show(&typed),
        ProfileVerb::New(typed) => new::new(&typed),
    }
}

fn list() -> Result<Exit> {
    let mut text = String::new();
    for (name, _) in PROFILES {
        let Named { profile, .. } = profile::open(name.as_ref())?;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:<15} {}", profile.about);
    }
    Output::Stdout.write_text(&text)?;
    Ok(Exit::Success)
}

/// One as it stands in its file, comments and all; several as one that sets the same.
fn show(typed: &ShowProfileArgs) -> Result<Exit> {
    let together = profile::together(&typed.profiles)?;
    let shipped = |name: &std::ffi::OsString| {
        let mut all = PROFILES.iter();
        Some(all.find(|(known, _)| name == known)?.1.to_owned())
    };
    let text = match typed.profiles.as_slice() {
        [one] => shipped(one),
        _ => None,
    };
    let text = text.unwrap_or_else(|| profile::write(&together));
    Output::Stdout.write_text(&text)?;
    Ok(Exit::Success)
}
