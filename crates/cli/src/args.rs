//! What the user typed. Nothing here looks at the machine: each verb turns its own arguments into
//! what it needs, and says there what is wrong with them.

mod audit;
mod confinement;
mod filter;
#[cfg(feature = "host")]
mod job;
mod profile;
mod record;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use portcullis_abi::Arch;
use portcullis_policy::Action;

pub(crate) use audit::{AuditArgs, AuditFormat};
pub(crate) use confinement::{ConfinementArgs, NetworkArg};
pub(crate) use filter::{
    CodesArgs, ConvertArgs, CostArgs, DiffArgs, ExplainArgs, FmtArgs, InputArgs, LintArgs,
    PolicyVerb, ShowArgs, VerifyArgs,
};
#[cfg(feature = "host")]
pub(crate) use job::{EngineArg, Insecure, JobArgs, JobRunArgs, JobVerb};
#[cfg(feature = "wasm")]
pub(crate) use job::{PrepareArgs, PreparingArgs};
pub(crate) use profile::{NewArgs, ProfileVerb, ShowProfileArgs};
pub(crate) use record::{
    BackendName, MergeArgs, RecordArgs, RecordVerb, ShowTraceArgs, TraceFormat,
};

/// Finds out which system calls a program can make, and runs it behind a proven seccomp filter.
#[derive(Parser, Debug)]
#[command(
    name = "portcullis",
    version,
    about,
    after_help = "Examples:\n  \
        portcullis run -- sqlite3 :memory: 'select 1'\n  \
        portcullis scan /usr/bin/ls\n  \
        portcullis scan /usr/bin/ls --why openat",
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Typed {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// The verbs. The options of each are made when it is asked for: all of them together take longer than many a program
/// runs. What is said here of a verb is said once more at its options, which have the last word in its own help.
#[derive(Subcommand, Debug)]
#[command(defer = true)]
pub(crate) enum Verb {
    /// Find the system calls that a program can make
    Scan(ScanArgs),
    /// Derive a policy from a program; convert, lint, lay out and show policies
    Policy(PolicyArgs),
    /// Compile a policy to a filter and prove them equal
    Compile(CompileArgs),
    /// Prove that a filter answers every call as a policy does, or show a call on which they differ
    Verify(VerifyArgs),
    /// Show what one of two policies, filters, scans or programs allows and the other does not
    Diff(DiffArgs),
    /// Show the answer to a call, the rule that gives it, and the instructions that are run
    Explain(ExplainArgs),
    /// Show how long a filter is and which calls the kernel never runs it for
    Cost(CostArgs),
    /// Compare filters with what a program can do: missing, redundant and too broad rules
    Audit(AuditArgs),
    /// Show what the code of a finding means and what to do
    Codes(CodesArgs),
    /// Run a program behind a filter of just the calls that it can make
    Run(RunArgs),
    /// List, show and make profiles: options of `run` under a name
    Profile {
        #[command(subcommand)]
        verb: ProfileVerb,
    },
    /// Try what this machine can enforce, and say what would have to change
    Doctor(DoctorArgs),
    /// Record every call that a program makes, and what is done with such traces
    Record(RecordArgs),
    /// Run untrusted programs as jobs, each in a confined process of its own
    #[cfg(feature = "host")]
    Job(JobArgs),
}

/// Derive a policy from a program; convert, lint, lay out and show policies
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    pub(crate) verb: Option<PolicyVerb>,
    /// The program, the JSON of its scan, or a trace of strace; a path
    #[arg(value_name = "BIN|SCAN|TRACE", required = true)]
    pub(crate) program: Option<PathBuf>,
    /// Deny the call NAME, which the program can make, and show what will break (repeatable)
    #[arg(long, value_name = "NAME")]
    pub(crate) deny: Vec<String>,
    /// What a denied call is answered: kill, trap, errno:N, …
    #[arg(long, value_name = "ACTION", default_value = "kill", requires = "deny")]
    pub(crate) deny_action: Action,
    /// Allow also what the trace FILE shows; each rule says whether its call was found, seen, or both
    /// (repeatable)
    #[arg(long, value_name = "FILE", conflicts_with = "phases")]
    pub(crate) trace: Vec<PathBuf>,
    /// Allow only what was both found and seen
    #[arg(long, requires = "trace")]
    pub(crate) seen: bool,
    /// Allow what a trace is the reason for only with the values that were seen: operations, flags,
    /// families, protections
    #[arg(long)]
    pub(crate) values: bool,
    /// Write the policy to FILE; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Say also what each thread still needs in each phase
    #[arg(long, conflicts_with_all = ["exec", "follow_exec"])]
    pub(crate) phases: bool,
    /// A phase that begins where FUNCTION is entered: a symbol, a demangled name, or an address in the
    /// program's file, 0x… (repeatable)
    #[arg(long, value_name = "FUNCTION", requires = "phases")]
    pub(crate) from: Vec<String>,
    /// Read a trace, which does not say its architecture, for ARCH instead of x86_64
    #[arg(long, value_name = "ARCH", value_parser = filter::arch)]
    pub(crate) arch: Option<Arch>,
    #[command(flatten)]
    pub(crate) images: ImagesArgs,
    #[command(flatten)]
    pub(crate) root: RootArgs,
    #[command(flatten)]
    pub(crate) closure: ClosureArgs,
}

/// Compile a policy to a filter and prove them equal
#[derive(Args, Debug)]
pub(crate) struct CompileArgs {
    /// The policy, in any form; `-` is standard input
    #[arg(value_name = "POLICY")]
    pub(crate) policy: PathBuf,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    /// A call that will be made often: found by the fewest comparisons (repeatable)
    #[arg(long, value_name = "NAME")]
    pub(crate) hot: Vec<String>,
    /// A trace of strace: the calls in it are found by few comparisons, the most frequent by the fewest
    #[arg(long, value_name = "FILE")]
    pub(crate) hot_trace: Option<PathBuf>,
    /// The filter for the thread NAME in a phase
    #[arg(long, value_name = "NAME", default_value = "main", requires = "phase")]
    pub(crate) thread: String,
    /// Refuse a policy that was not made of the traces of N runs or more
    #[arg(long, value_name = "N")]
    pub(crate) require_ramp: Option<u32>,
    /// The filter for the phase NAME of a thread, instead of the whole policy's
    #[arg(long, value_name = "NAME")]
    pub(crate) phase: Option<String>,
    /// How the filter is written
    #[arg(long, value_enum, default_value_t = FilterFormat::Text)]
    pub(crate) format: FilterFormat,
    /// Write the filter to FILE; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// Forms of a filter.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FilterFormat {
    /// A listing
    Text,
    /// The kernel's bytes, in this machine's order
    Raw,
    /// An array of `struct sock_filter`
    C,
    /// A constant of `(code, jt, jf, k)`
    Rust,
}

/// Run a program behind a filter of just the calls that it can make
#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// Let calls outside the set through and report them (for development)
    #[arg(long)]
    pub(crate) observe: bool,
    /// Write the verdict to FILE as JSON; it is opened before the start
    #[arg(long, value_name = "FILE")]
    pub(crate) verdict: Option<PathBuf>,
    /// Confine the program as the profile says, one that comes with the command or a FILE whose path has a
    /// slash; other options add to it (repeatable, later ones add to earlier ones)
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) profile: Vec<OsString>,
    /// Take the filter of the policy in FILE, in any form, instead of one derived from the program, which is
    /// then not analysed
    #[arg(long, value_name = "FILE", conflicts_with_all = ["plugins", "assume", "exec", "follow_exec", "nsswitch"])]
    pub(crate) policy: Option<PathBuf>,
    /// Refuse a policy that was not made of the traces of N runs or more
    #[arg(long, value_name = "N", requires = "policy")]
    pub(crate) require_ramp: Option<u32>,
    /// Find also what the program still needs in each phase, and take the other calls away when one begins; a policy
    /// that has phases says so itself
    #[arg(long, conflicts_with = "policy")]
    pub(crate) phases: bool,
    /// A phase that begins where FUNCTION is entered: a symbol, a demangled name, or an address in the
    /// program's file, 0x… (repeatable)
    #[arg(long, value_name = "FUNCTION", requires = "phases")]
    pub(crate) from: Vec<String>,
    /// Do not start the program, or end it, when it cannot be held to one of its phases
    #[arg(long)]
    pub(crate) require_phases: bool,
    /// Allow CALL as well: `socket`, or with arguments as `socket(AF_INET, _, 0)` (repeatable)
    #[arg(long, value_name = "CALL")]
    pub(crate) allow: Vec<String>,
    #[command(flatten)]
    pub(crate) confinement: ConfinementArgs,
    /// Deny also what only libraries would do that are loaded while the program runs
    #[arg(long)]
    pub(crate) no_late: bool,
    /// Before the start, have siblings of the program try every way out that is closed to it, and do not start
    /// it when one leads out
    #[arg(long)]
    pub(crate) prove: bool,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) images: ImagesArgs,
    #[command(flatten)]
    pub(crate) closure: ClosureArgs,
    /// The program, a path or a name in PATH, and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    pub(crate) command: Vec<OsString>,
}

/// Try what this machine can enforce, and say what would have to change
#[derive(Args, Debug)]
pub(crate) struct DoctorArgs {
    /// End with 1 unless this can be had
    #[arg(long, value_enum, default_value_t = LevelArg::Default)]
    pub(crate) level: LevelArg,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// How much of `run`, each with what is before it.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum LevelArg {
    /// A filter, and denials that are told
    Filter,
    /// Every layer of the default: namespaces, files, network, Landlock
    Default,
    /// Also a loopback device of the program's own, and every limit
    Full,
}

/// Find the system calls that a program can make
#[derive(Args, Debug)]
pub(crate) struct ScanArgs {
    /// The program, a path; a script is analysed through its interpreter
    #[arg(value_name = "BIN")]
    pub(crate) program: PathBuf,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Write the result to FILE; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Show how the call NAME (or a number) is reached, one function per line
    #[arg(long, value_name = "NAME", conflicts_with_all = ["list", "format"])]
    pub(crate) why: Option<String>,
    /// Print only the names, one per line
    #[arg(long, conflicts_with = "format")]
    pub(crate) list: bool,
    /// Only what the thread NAME can do (`main`, or a start routine)
    #[arg(long, value_name = "NAME", conflicts_with_all = ["exec", "follow_exec"])]
    pub(crate) thread: Option<String>,
    /// Only what can be done from the point NAME on (startup, main, loop, after:install, after:FUNCTION)
    #[arg(long, value_name = "NAME", conflicts_with_all = ["exec", "follow_exec"])]
    pub(crate) phase: Option<String>,
    /// Only the tight answer, which is not enforced
    #[arg(long, conflicts_with_all = ["exec", "follow_exec"])]
    pub(crate) tight: bool,
    /// Also what can be done once FUNCTION is entered: a symbol, a demangled name, or an address in the
    /// program's file, 0x… (repeatable)
    #[arg(long, value_name = "FUNCTION")]
    pub(crate) from: Vec<String>,
    /// Show where time and imprecision come from
    #[arg(long, conflicts_with_all = ["why", "list", "format", "strict", "assume", "thread", "phase", "tight", "from", "exec", "follow_exec"])]
    pub(crate) stats: bool,
    /// Exit with 1 when anything was not resolved
    #[arg(long)]
    pub(crate) strict: bool,
    #[command(flatten)]
    pub(crate) images: ImagesArgs,
    #[command(flatten)]
    pub(crate) root: RootArgs,
    #[command(flatten)]
    pub(crate) closure: ClosureArgs,
}

/// Where the files are.
#[derive(Args, Debug)]
pub(crate) struct RootArgs {
    /// Take every file from DIR as if it were /: the program, its libraries, their configuration
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
}

/// What else runs behind the same filter.
#[derive(Args, Debug)]
pub(crate) struct ImagesArgs {
    /// Count what PROGRAM can do as well, because the program may start it; a path (repeatable)
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) exec: Vec<PathBuf>,
    /// Count also what the programs can do that it, and they, start by a constant path
    #[arg(long)]
    pub(crate) follow_exec: bool,
}

/// What changes which code belongs to a program.
#[derive(Args, Debug)]
pub(crate) struct ClosureArgs {
    /// Count this library as loaded at run time; to `run`, a directory says that libraries below it
    /// may be loaded (repeatable)
    #[arg(long = "plugin", value_name = "PATH")]
    pub(crate) plugins: Vec<PathBuf>,
    /// Name services as FILE configures them, instead of /etc/nsswitch.conf
    #[arg(long, value_name = "FILE")]
    pub(crate) nsswitch: Option<PathBuf>,
    /// Resolve residuals by the statements in FILE, `RESIDUAL = { CALL, CALL }` (repeatable)
    #[arg(long, value_name = "FILE")]
    pub(crate) assume: Vec<PathBuf>,
    /// Neither read nor write cached results
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Analyse files that belong to somebody else in this process, instead of one that can only read
    #[arg(long)]
    pub(crate) unconfined: bool,
    /// Give up an analysis that takes more memory (as 512M or 4G; by default three quarters of what is free)
    #[arg(long, value_name = "SIZE", value_parser = portcullis_sandbox::size)]
    pub(crate) analysis_memory: Option<u64>,
}

/// Formats of a scan.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    /// For people
    Text,
    /// The document `portcullis.scan`
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_list_of_verbs_says_what_their_own_help_says() {
        let listed = Typed::command();
        let mut made = Typed::command();
        made.build();
        for verb in listed.get_subcommands() {
            let own = made.find_subcommand(verb.get_name()).unwrap();
            let about = |command: &clap::Command| command.get_about().unwrap().to_string();
            assert_eq!(about(verb), about(own));
            assert!(own.get_arguments().count() > 0);
        }
        made.debug_assert();
    }
}
