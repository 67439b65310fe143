//! The README's table: what a kernel lacks below each release.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, Result, bail};
use portcullis_abi::KernelVersion;

use super::feature::{FACTS, Need};
use crate::place;

/// Where the table stands.
const BEGIN: &str = "<!-- kernels: cargo xtask kernels --write -->\n";
const END: &str = "<!-- /kernels -->\n";

/// The table is what the declaration says.
pub(crate) fn check() -> Result<()> {
    let text = fs::read_to_string(readme()).context("read the README")?;
    if written(&text)? != text {
        bail!("the README's table of kernels is out of date: run `cargo xtask kernels --write`");
    }
    Ok(())
}

/// Writes the table anew.
pub(crate) fn write() -> Result<()> {
    let text = fs::read_to_string(readme()).context("read the README")?;
    fs::write(readme(), written(&text)?).context("write the README")
}

fn readme() -> std::path::PathBuf {
    place::root().join("README.md")
}

fn written(text: &str) -> Result<String> {
    let parts = text.split_once(BEGIN).zip(text.split_once(END));
    let ((before, _), (_, after)) = parts.context("the README has no place for its table")?;
    Ok(format!("{before}{BEGIN}{}{END}{after}", table()))
}

fn table() -> String {
    let mut lost: BTreeMap<KernelVersion, Vec<String>> = BTreeMap::new();
    for fact in FACTS {
        for (level, release, purpose) in fact.levels() {
            let need = Need {
                feature: fact.feature,
                level,
            };
            if release > KernelVersion::OLDEST {
                let lost = lost.entry(release).or_default();
                lost.push(format!("{purpose} (`{need}`)"));
            }
        }
    }
    let mut table = format!(
        "Programs are run on Linux {} and newer.\n\n| below Linux | there is no |\n|---|---|\n",
        KernelVersion::OLDEST
    );
    for (release, lost) in lost {
        // A String takes everything.
        let _ = writeln!(table, "| {release} | {} |", lost.join("; "));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_says_what_is_declared() {
        check().unwrap();
    }

    #[test]
    fn what_stands_between_the_marks_is_replaced() {
        let text = format!("a\n{BEGIN}old\n{END}b\n");
        let written = written(&text).unwrap();
        assert!(written.starts_with(&format!("a\n{BEGIN}Programs are run on Linux 5.10")));
        assert!(written.ends_with(&format!("\n{END}b\n")) && !written.contains("old"));
        assert!(super::written("no place").is_err());
    }
}
