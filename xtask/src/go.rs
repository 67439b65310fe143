//! Compilers of Go that are newer than this machine's: Debian's packages of other suites, unpacked.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::apt_root::{self, AptRoot};
use crate::place;

/// The files of the newest Go of a suite for this machine: what `GOROOT` names.
pub(crate) fn root(suite: &str) -> Result<PathBuf> {
    let kept = place::target().join(format!("go-{suite}"));
    if !kept.is_dir() {
        let archive = AptRoot::provide()?;
        let compilers = archive.search(r"^golang-1\.[0-9]+-go$", ARCHITECTURE, suite)?;
        let minor = |name: &String| name.split(['.', '-']).nth(2)?.parse::<u32>().ok();
        let newest = compilers.iter().max_by_key(|name| minor(name));
        let newest = newest.with_context(|| format!("{suite} has no package of Go"))?;
        let making = tempfile::tempdir_in(place::target())?;
        for package in [newest.clone(), newest.replace("-go", "-src")] {
            let deb = archive.download(&package, ARCHITECTURE, suite)?;
            apt_root::unpack(&deb, making.path())?;
        }
        // Renamed when it is whole.
        fs::rename(making.keep(), &kept).with_context(|| format!("make {}", kept.display()))?;
    }
    let lib = fs::canonicalize(kept.join("usr/lib"))?;
    let root = fs::read_dir(&lib)?
        .next()
        .context("a package of Go without files")??;
    Ok(root.path())
}

/// What Debian calls this machine's architecture.
const ARCHITECTURE: &str = if cfg!(target_arch = "x86_64") {
    "amd64"
} else {
    "arm64"
};
