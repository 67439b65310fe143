//! Modules of WebAssembly: prepared, or found prepared.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use portcullis_host::{Artifact, Cache, Found, Preparation};
use portcullis_sandbox::{LayerName, Limits as Bounds};
use portcullis_wasm::carried;

use super::{open, read};
use crate::args::{Format, PrepareArgs, PreparingArgs};
use crate::cache::store;
use crate::exit::Exit;
use crate::json::job::Artifact as ArtifactDocument;
use crate::neutral;
use crate::output::Output;

/// `job prepare`.
pub(super) fn prepare(typed: &PrepareArgs) -> Result<Exit> {
    let (artifact, found) = artifact(
        &typed.module,
        &typed.preparing,
        &typed.allow_insecure,
        false,
    )?;
    let bytes = artifact.length();
    match typed.format {
        Format::Json => Output::Stdout.write_json(&ArtifactDocument::new(bytes, found))?,
        Format::Text => {
            let how = match found {
                Found::Kept => "was prepared before",
                Found::Made => "prepared",
                Found::MadeAgain => "prepared again: what was kept had been changed",
            };
            let text = format!("{}: {how}, {bytes} bytes\n", neutral::path(&typed.module));
            Output::Stdout.write_text(&text)?;
        }
    }
    Ok(Exit::Success)
}

/// The artifact of a module.
pub(super) fn artifact(
    module: &Path,
    typed: &PreparingArgs,
    without: &[LayerName],
    metered: bool,
) -> Result<(Artifact, Found)> {
    let bytes = read(open(module)?, module)?;
    let mut bounds = Bounds {
        cpu: Some(Duration::from_secs(60)),
        wall: Some(Duration::from_secs(240)),
        memory: Some(1 << 30),
        ..Bounds::default()
    };
    for limit in &typed.prepare_limit {
        bounds.merge(*limit);
    }
    let directory = store::directory().context(
        "neither XDG_CACHE_HOME nor HOME is an absolute path: there is no place for artifacts",
    )?;
    let cache = Cache::open(&directory.join("artifacts"), typed.cache_size)?;
    let image = carried::prepare();
    let wanted = Preparation {
        module: &bytes,
        metered,
        bounds,
        allocations: typed.prepare_allocations,
    };
    let found = cache.artifact(&image, &wanted, without);
    found.with_context(|| neutral::path(module).into_owned())
}
