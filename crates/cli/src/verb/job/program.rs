//! Native programs: scanned, or under a policy of the user's.

use std::path::Path;

use anyhow::Result;
use portcullis_abi::ResidualKind;
use portcullis_host::Executable;
use portcullis_policy::Policy;

use crate::analysis::Wanted;
use crate::args::JobRunArgs;
use crate::output::say;
use crate::profile::PolicySource;
use crate::text;
use crate::verb::run::{Chosen, mapped};

/// The program and, when it is a script, the arguments by which its interpreter runs it.
pub(super) fn executable(typed: &JobRunArgs) -> Result<(Executable, Option<Vec<String>>)> {
    let path = &typed.program;
    if let Some(file) = &typed.policy {
        let chosen = Chosen::of(&PolicySource::File(file.clone()))?.with(&typed.allow)?;
        return Ok((Executable::open(path, chosen.policy)?, None));
    }
    let set = Wanted::of_file(path, &typed.closure, &typed.closure.plugins)?
        .for_start()
        .analyse_brief()?;
    if let Some(counts) = text::scan::residual_counts(&set) {
        say(&format!("the analysis could not tell: {counts}"));
    }
    let chosen = Chosen::derived(Policy::from_scans(&set, &[])).with(&typed.allow)?;
    let executable = Executable::open(Path::new(&set.binary.path), chosen.policy)?;
    let loads = set.residuals.iter().any(|r| r.kind == ResidualKind::Module);
    let executable = match loads {
        true => executable,
        false => executable.mapped(mapped(&set)?),
    };
    let Some((script, argument)) = set.binary.script else {
        return Ok((executable, None));
    };
    let first = [set.binary.path].into_iter().chain(argument);
    let arguments = first.chain([script.clone()]).collect();
    Ok((executable.part(script.into()), Some(arguments)))
}
