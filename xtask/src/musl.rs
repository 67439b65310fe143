//! musl's headers and archives for aarch64: Debian has a cross compiler for that architecture and not
//! this library to go with it. It is unpacked below the build directory, where the tests that link
//! with it look (`testdata/audit/three_threads.rs`).

use std::fs;

use anyhow::{Context as _, Result};

use crate::apt_root::{self, AptRoot};
use crate::place;

/// The suite of the musl that is installed beside it, so that both architectures have one version.
const SUITE: &str = "bookworm";

/// Downloads and unpacks the package, unless it is there: `musl-arm64/` in the build directory.
pub(crate) fn provide() -> Result<()> {
    let whole = place::target().join("musl-arm64");
    if whole.is_dir() {
        return Ok(());
    }
    let deb = AptRoot::provide()?.download("musl-dev", "arm64", SUITE)?;
    // Made beside and renamed at the end: what has the name is whole.
    let part = tempfile::tempdir_in(place::target())?;
    apt_root::unpack(&deb, part.path())?;
    fs::rename(part.keep(), &whole).with_context(|| format!("make {}", whole.display()))
}
