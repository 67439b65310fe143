//! What is typed about policies and filters.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use portcullis_abi::{Arch, KernelVersion};
use portcullis_policy::format::Format as Form;

use super::Format;

/// How files of policies are read.
#[derive(Args, Clone, Debug)]
pub(crate) struct InputArgs {
    /// Read policies as FORM instead of what they look like: native, oci, docker, containers,
    /// kubernetes, firecracker, seccompiler, systemd, minijail, kafel, bpf
    #[arg(long = "from", value_name = "FORM")]
    pub(crate) form: Option<Form>,
    /// Read policies that say no architecture for ARCH: x86_64, x32, i386, aarch64, arm (repeatable).
    /// Without any, that of the program which is given beside the policy, or x86_64
    #[arg(long, value_name = "ARCH", value_parser = arch)]
    pub(crate) arch: Vec<Arch>,
    /// The program has the capability CAP (repeatable); profiles of containers ask for it. Without any,
    /// those that Docker gives
    #[arg(long = "cap", value_name = "CAP")]
    pub(crate) capabilities: Vec<String>,
    /// The kernel for rules that ask for one
    #[arg(long, value_name = "VERSION", default_value = "6.1")]
    pub(crate) kernel: KernelVersion,
    /// Answer calls newer than all that a container's profile names as runc does: ENOSYS
    #[arg(long)]
    pub(crate) as_runc: bool,
    /// The filter NAME (of a thread) in a file of several
    #[arg(long, value_name = "NAME")]
    pub(crate) filter: Option<String>,
}

impl InputArgs {
    /// How a file is read whose policy is for this machine.
    pub(crate) fn of_this_machine() -> InputArgs {
        let uname = rustix::system::uname();
        let release = uname.release().to_string_lossy().parse();
        InputArgs {
            form: None,
            arch: vec![Arch::NATIVE],
            capabilities: Vec::new(),
            kernel: release.unwrap_or(KernelVersion::OLDEST),
            as_runc: false,
            filter: None,
        }
    }
}

pub(super) fn arch(name: &str) -> Result<Arch, String> {
    Arch::from_name(name).ok_or_else(|| "known are x86_64, x32, i386, aarch64, arm".into())
}

/// How a result is written.
#[derive(Args, Debug)]
pub(crate) struct ResultArgs {
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Write the result to FILE; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// `policy convert` and its like.
#[derive(Subcommand, Debug)]
pub(crate) enum PolicyVerb {
    /// Write a policy in another form, or refuse where that form cannot say it
    Convert(ConvertArgs),
    /// Show what is likely to be wrong with a policy
    Lint(LintArgs),
    /// Lay a native policy out; comments stay
    Fmt(FmtArgs),
    /// Show what a policy answers, call by call
    Show(ShowArgs),
}

/// `policy convert`.
#[derive(Args, Debug)]
pub(crate) struct ConvertArgs {
    /// The policy, in any form; `-` is standard input
    #[arg(value_name = "POLICY")]
    pub(crate) policy: PathBuf,
    /// The form to write: native, oci, docker, containers, kubernetes, firecracker, seccompiler,
    /// systemd, minijail, bpf, c, rust
    #[arg(long, value_name = "FORM", default_value = "native")]
    pub(crate) to: Form,
    /// Let calls of other architectures be answered as the form does
    #[arg(long)]
    pub(crate) concede_foreign: bool,
    /// Let calls that the policy counts as newer be answered as known ones
    #[arg(long)]
    pub(crate) concede_newer: bool,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    /// Write the result to FILE; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// `policy lint`.
#[derive(Args, Debug)]
pub(crate) struct LintArgs {
    /// The policy, in any form; `-` is standard input
    #[arg(value_name = "POLICY")]
    pub(crate) policy: PathBuf,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) result: ResultArgs,
}

/// `policy fmt`.
#[derive(Args, Debug)]
pub(crate) struct FmtArgs {
    /// The policy, in the native form; `-` is standard input
    #[arg(value_name = "POLICY")]
    pub(crate) policy: PathBuf,
    /// Write nothing; exit with 1 when the file is laid out otherwise
    #[arg(long)]
    pub(crate) check: bool,
    /// Write the result to FILE instead of back to where it was read; `-` is standard output
    #[arg(short, long, value_name = "FILE", conflicts_with = "check")]
    pub(crate) output: Option<PathBuf>,
}

/// `policy show`.
#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// The policy or filter, in any form; `-` is standard input
    #[arg(value_name = "POLICY|FILTER")]
    pub(crate) policy: PathBuf,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    /// Write the result to FILE; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// Prove that a filter answers every call as a policy does, or show a call on which they differ
#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// The policy, in any form
    #[arg(value_name = "POLICY")]
    pub(crate) policy: PathBuf,
    /// The filter program, in the kernel's form
    #[arg(value_name = "BPF")]
    pub(crate) program: PathBuf,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) result: ResultArgs,
}

/// Show what one of two policies, filters, scans or programs allows and the other does not
#[derive(Args, Debug)]
pub(crate) struct DiffArgs {
    /// A policy in any form, a filter program, the JSON of a scan, a trace of strace, or a program
    #[arg(value_name = "A")]
    pub(crate) first: PathBuf,
    /// The other
    #[arg(value_name = "B")]
    pub(crate) second: PathBuf,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) closure: super::ClosureArgs,
    #[command(flatten)]
    pub(crate) result: ResultArgs,
}

/// Show the answer to a call, the rule that gives it, and the instructions that are run
#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    /// A policy in any form, or a filter program
    #[arg(value_name = "POLICY|FILTER")]
    pub(crate) policy: PathBuf,
    /// The call: `socket(AF_INET, SOCK_STREAM, 0)`; `_` leaves an argument open, `ARCH:` before the name
    /// says the architecture
    #[arg(value_name = "CALL")]
    pub(crate) call: String,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) result: ResultArgs,
}

/// Show how long a filter is and which calls the kernel never runs it for
#[derive(Args, Debug)]
pub(crate) struct CostArgs {
    /// A policy in any form, or a filter program
    #[arg(value_name = "POLICY|FILTER")]
    pub(crate) policy: PathBuf,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) result: ResultArgs,
}

/// Show what the code of a finding means and what to do
#[derive(Args, Debug)]
pub(crate) struct CodesArgs {
    /// The code of a finding, warning or denial, as PC0104; without it, all of them
    #[arg(value_name = "CODE")]
    pub(crate) code: Option<String>,
}
