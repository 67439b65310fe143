//! A scan, from the cache when everything that it looked at is unchanged.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};
use portcullis_abi::SyscallSet;

use crate::args::ClosureArgs;
use crate::neutral;
use crate::text::scan::Timing;

/// What is to be analysed, and how.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    program: PathBuf,
    plugins: Vec<PathBuf>,
    cache: bool,
}

/// The result.
#[derive(Debug)]
pub(crate) struct Analysis {
    pub(crate) set: SyscallSet,
    pub(crate) timing: Timing,
}

impl Wanted {
    /// The analysis of the file at `program`.
    pub(crate) fn of_file(program: &Path, closure: &ClosureArgs) -> Result<Wanted> {
        Ok(Wanted {
            program: absolute(program)?,
            plugins: closure
                .plugins
                .iter()
                .map(|p| absolute(p))
                .collect::<Result<_>>()?,
            cache: !closure.no_cache,
        })
    }

    /// The result, analysed now or found in the cache.
    pub(crate) fn analyse(&self) -> Result<Analysis> {
        let start = Instant::now();
        let set = portcullis_scan::scan_draft(&self.program).map_err(|e| anyhow!(e))?;
        Ok(Analysis {
            set,
            timing: Timing {
                elapsed: start.elapsed(),
                cached: false,
            },
        })
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("the path {}", neutral::path(path)))
}
