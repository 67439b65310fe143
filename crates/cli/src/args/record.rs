//! What is typed about recordings.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Record every call that a program makes, and what is done with such traces
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct RecordArgs {
    #[command(subcommand)]
    pub(crate) verb: Option<RecordVerb>,
    /// Add the run to the trace FILE; without it, to NAME.trace in this directory
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// How calls come to be seen; by default `adaptive`, or `full` where that would miss something
    #[arg(long, value_enum, value_name = "NAME", conflicts_with = "full")]
    pub(crate) backend: Option<BackendName>,
    /// The same as `--backend full`
    #[arg(long)]
    pub(crate) full: bool,
    /// Run it under the policy FILE, of any form: what that denies is denied, and marked in the trace
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// The program, a path or a name in PATH, and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    pub(crate) command: Vec<OsString>,
}

/// Ways to see calls.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BackendName {
    /// Each task stops at its calls until it shows nothing new; known calls run free then
    Adaptive,
    /// Every call stops, also those that are known: 30 times slower, and every call is counted
    Full,
    /// Programs in the kernel see each call, and nothing stops: as root
    #[cfg(feature = "ebpf")]
    Ebpf,
}

/// What is done with traces.
#[derive(Subcommand, Debug)]
pub(crate) enum RecordVerb {
    /// Make one trace of several, of many runs and machines
    Merge(MergeArgs),
    /// Show what was seen in traces
    Show(ShowTraceArgs),
}

/// `record merge`.
#[derive(Args, Debug)]
pub(crate) struct MergeArgs {
    /// Traces
    #[arg(value_name = "TRACE", required = true)]
    pub(crate) traces: Vec<PathBuf>,
    /// Write the trace to FILE; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// `record show`.
#[derive(Args, Debug)]
pub(crate) struct ShowTraceArgs {
    /// Traces; `-` is standard input
    #[arg(value_name = "TRACE", required = true)]
    pub(crate) traces: Vec<PathBuf>,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = TraceFormat::Text)]
    pub(crate) format: TraceFormat,
    /// Write the result to FILE; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// Formats of what was seen.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TraceFormat {
    /// For people
    Text,
    /// The document `portcullis.record`
    Json,
    /// Metrics in the text format of Prometheus (of OpenMetrics)
    Prometheus,
    /// Metrics of OpenTelemetry, in the JSON of OTLP
    Otlp,
}
