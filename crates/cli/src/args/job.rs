//! What was typed for `job`.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};
use portcullis_host::Wanted;
use portcullis_sandbox::LayerName;
#[cfg(feature = "wasm")]
use portcullis_sandbox::Limits;

use super::{ClosureArgs, Format};

/// Run untrusted programs as jobs, each in a confined process of its own
#[derive(Args, Debug)]
pub(crate) struct JobArgs {
    #[command(subcommand)]
    pub(crate) verb: JobVerb,
}

/// Verbs of `job`.
#[derive(Subcommand, Debug)]
pub(crate) enum JobVerb {
    /// Prepare a module: compile it, in a process of its own under limits, and keep the result
    #[cfg(feature = "wasm")]
    Prepare(PrepareArgs),
    /// Run a program as a job, in a process of its own, and say how it ended; on several inputs as a job for each
    Run(Box<JobRunArgs>),
}

/// `job prepare`.
#[cfg(feature = "wasm")]
#[derive(Args, Debug)]
pub(crate) struct PrepareArgs {
    /// The module, of WebAssembly with WASI preview 1
    #[arg(value_name = "MODULE")]
    pub(crate) module: PathBuf,
    #[command(flatten)]
    pub(crate) preparing: PreparingArgs,
    /// Go without LAYER: namespaces, ids, filesystem, network, landlock, limits (repeatable)
    #[arg(long, value_name = "LAYER")]
    pub(crate) allow_insecure: Vec<LayerName>,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// How a module is prepared.
#[cfg(feature = "wasm")]
#[derive(Args, Debug)]
pub(crate) struct PreparingArgs {
    /// Bound what preparing a module uses: cpu=60s, wall=4m, memory=1G, separated by commas (repeatable)
    #[arg(long, value_name = "LIMITS")]
    pub(crate) prepare_limit: Vec<Limits>,
    /// Refuse a module for which preparing has more than SIZE bytes in use: a count that is the same on every machine
    #[arg(long, value_name = "SIZE", default_value = "768M", value_parser = portcullis_sandbox::size)]
    pub(crate) prepare_allocations: u64,
    /// Keep up to SIZE bytes of prepared modules
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = portcullis_sandbox::size)]
    pub(crate) cache_size: u64,
}

/// What runs a job.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum EngineArg {
    /// A module of WebAssembly, compiled before
    #[cfg(feature = "wasm")]
    Wasm,
    /// A native program, behind the filter of its own calls
    Exec,
}

/// What jobs can go without.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Insecure {
    Layer(LayerName),
    /// Workers are not proved before the first job.
    WorkerProof,
}

impl FromStr for Insecure {
    type Err = String;

    fn from_str(name: &str) -> Result<Insecure, String> {
        match name {
            "worker-proof" => Ok(Insecure::WorkerProof),
            name => {
                let layer = name.parse().map(Insecure::Layer);
                layer.map_err(|why: String| format!("{why}, worker-proof"))
            }
        }
    }
}

impl JobRunArgs {
    /// The layers that the job goes without.
    pub(crate) fn without(&self) -> Vec<LayerName> {
        let layer = |insecure: &Insecure| match insecure {
            Insecure::Layer(layer) => Some(*layer),
            Insecure::WorkerProof => None,
        };
        self.allow_insecure.iter().filter_map(layer).collect()
    }
}

/// `job run`.
#[derive(Args, Debug)]
pub(crate) struct JobRunArgs {
    /// The program: a path to a module of WebAssembly with WASI preview 1, or to a native program or a script
    #[arg(value_name = "PROGRAM")]
    pub(crate) program: PathBuf,
    /// What runs it [default: by what the file is]
    #[arg(long, value_enum)]
    pub(crate) engine: Option<EngineArg>,
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
    /// Write to FILE when what happened of each job, as spans of OTLP in JSON, a line for each job
    #[arg(long, value_name = "FILE")]
    pub(crate) spans: Option<PathBuf>,
    /// Record every call of the job, and of the worker that it is a fork of, in the trace FILE, as `record` does: a run for
    /// each worker, or for each job of a native program. One job runs at a time then, and takes longer
    #[arg(long, value_name = "FILE", conflicts_with = "jobs")]
    pub(crate) record: Option<PathBuf>,
    /// Bound what the job uses: cpu=10s, wall=40s, memory=256M, output=16M, of a module fuel=1000000, of a native program
    /// processes=32, separated by commas (repeatable)
    #[arg(long, value_name = "LIMITS")]
    pub(crate) limit: Vec<Wanted>,
    /// Give the job the variable NAME in its environment (repeatable)
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<String>,
    /// Tell the job, and nobody else, what is in FILE: a module has it as NAME in its environment, a native program as
    /// the file secrets/NAME (repeatable)
    #[arg(long, value_name = "NAME=FILE")]
    pub(crate) secret: Vec<String>,
    /// Put a copy of FILE into the job's directory, under its own name or NAME (repeatable)
    #[arg(long, value_name = "FILE[:NAME]")]
    pub(crate) give: Vec<String>,
    /// Take the file NAME from the job's directory when it has ended (repeatable)
    #[arg(long, value_name = "NAME")]
    pub(crate) take: Vec<String>,
    /// The directory, which is there, in which files that are taken are written
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) take_to: PathBuf,
    /// The policy of a native program, in any form, instead of one of its scan
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Allow a native program CALL as well: `socket`, or with arguments as `socket(AF_INET, _, 0)` (repeatable)
    #[arg(long, value_name = "CALL")]
    pub(crate) allow: Vec<String>,
    #[command(flatten)]
    pub(crate) closure: ClosureArgs,
    #[cfg(feature = "wasm")]
    #[command(flatten)]
    pub(crate) preparing: PreparingArgs,
    /// Go without LAYER: namespaces, ids, filesystem, network, landlock, limits, or without the break-out test on a
    /// worker: worker-proof (repeatable); it is in every result
    #[arg(long, value_name = "LAYER")]
    pub(crate) allow_insecure: Vec<Insecure>,
    /// How the outcome is written: as text to standard error behind what the job wrote, or as JSON to standard
    /// output with it; of several jobs a line each
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// The job's arguments
    #[arg(last = true, value_name = "ARG")]
    pub(crate) arguments: Vec<String>,
}
