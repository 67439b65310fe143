//! `cargo xtask libseccomp`: the tables of libseccomp's own tests through this compiler, and filters of
//! that library beside these.
//!
//! The tables are in Debian's source package, where `crates/bpf/tests/peers` reads them.

use std::process::Command;

use anyhow::Result;

use crate::{place, process, source_package};

/// The source package.
const PACKAGE: &str = "libseccomp";
/// Random policies that `cargo xtask test --full` puts to each peer.
const MANY: &str = "4000";

/// `cargo xtask libseccomp`.
pub(crate) fn run(_: &[String]) -> Result<()> {
    provide()?;
    process::show(&mut peers())
}

/// The same with many random policies.
pub(crate) fn at_length() -> Result<()> {
    provide()?;
    process::show(peers().env("PROPTEST_CASES", MANY))
}

fn peers() -> Command {
    let mut cargo = Command::new("cargo");
    cargo
        .args(["test", "--package", "portcullis-bpf", "--test", "peers"])
        .args(["--profile", place::PROFILE, "--", "--nocapture"])
        .current_dir(place::root());
    cargo
}

/// The source package, in the build directory.
pub(crate) fn provide() -> Result<()> {
    source_package::provide(PACKAGE).map(drop)
}
