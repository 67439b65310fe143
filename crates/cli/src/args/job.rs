//! What was typed for `job`.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use portcullis_host::Wanted;
use portcullis_sandbox::{LayerName, Limits};

use super::Format;

/// Run modules of WebAssembly as jobs, each in a confined process of its own
#[derive(Args, Debug)]
pub(crate) struct JobArgs {
    #[command(subcommand)]
    pub(crate) verb: JobVerb,
}

/// Verbs of `job`.
#[derive(Subcommand, Debug)]
pub(crate) enum JobVerb {
    /// Prepare a module: compile it, in a process of its own under limits, and keep the result
    Prepare(PrepareArgs),
    /// Run a module as a job, in a process of its own, and say how it ended; on several inputs as a job for each
    Run(JobRunArgs),
}

/// `job prepare`.
#[derive(Args, Debug)]
pub(crate) struct PrepareArgs {
    /// The module, of WebAssembly with WASI preview 1
    #[arg(value_name = "MODULE")]
    pub(crate) module: PathBuf,
    #[command(flatten)]
    pub(crate) preparing: PreparingArgs,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// How a module is prepared.
#[derive(Args, Debug)]
pub(crate) struct PreparingArgs {
    /// Bound what preparing uses: cpu=60s, wall=4m, memory=1G, separated by commas (repeatable)
    #[arg(long, value_name = "LIMITS")]
    pub(crate) prepare_limit: Vec<Limits>,
    /// Keep up to SIZE bytes of prepared modules
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = portcullis_sandbox::size)]
    pub(crate) cache_size: u64,
    /// Go without LAYER: namespaces, filesystem, network, landlock, limits (repeatable); it is in every result
    #[arg(long, value_name = "LAYER")]
    pub(crate) allow_insecure: Vec<LayerName>,
}

/// `job run`.
#[derive(Args, Debug)]
pub(crate) struct JobRunArgs {
    /// The module, of WebAssembly with WASI preview 1
    #[arg(value_name = "MODULE")]
    pub(crate) module: PathBuf,
    /// The job's standard input; `-` is this command's own. Without it the input is empty. Given several times, there is
    /// a job for each, and what they come to is told in this order
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Vec<PathBuf>,
    /// How many of several jobs run at the same time [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroU32>,
    /// Write to FILE what was done in numbers, as Prometheus reads them
    #[arg(long, value_name = "FILE")]
    pub(crate) metrics: Option<PathBuf>,
    /// Bound what the job uses: cpu=10s, wall=40s, memory=256M, output=16M, fuel=1000000, separated by commas
    /// (repeatable)
    #[arg(long, value_name = "LIMITS")]
    pub(crate) limit: Vec<Wanted>,
    /// Give the job the variable NAME in its environment (repeatable)
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<String>,
    #[command(flatten)]
    pub(crate) preparing: PreparingArgs,
    /// How the outcome is written: as text to standard error behind what the job wrote, or as JSON to standard
    /// output with it; of several jobs a line each
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// The job's arguments
    #[arg(last = true, value_name = "ARG")]
    pub(crate) arguments: Vec<String>,
}
