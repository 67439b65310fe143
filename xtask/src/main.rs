//! The tasks that people and CI share: `cargo xtask TASK`. One table; CI calls nothing else.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a task talks to the person who started it"
)]

mod apt_root;
mod arguments;
mod arm64;
mod bench;
mod check;
mod client;
mod containers;
mod coverage;
mod cross;
mod dogfood;
mod fixture;
mod fuzz;
mod go;
mod inject;
mod jobs;
mod kernels;
mod libseccomp;
mod musl;
mod needs;
mod place;
mod play;
mod portcullis;
mod process;
mod programs;
mod recipes;
mod record;
mod scratch;
mod soundness;
mod source_package;
mod strace;
mod sweep;
mod tables;
mod test;
mod tidy;
mod web;
mod workers;
mod workload;

use std::process::ExitCode;

use anyhow::Result;

/// What a task is: its name, what it runs, and the line that `cargo xtask` prints about it.
type Task = (&'static str, fn(&[String]) -> Result<()>, &'static str);

/// Every task.
const TASKS: &[Task] = &[
    (
        "check",
        check::run,
        "fmt, clippy, doc, licences and sources, tidy",
    ),
    (
        "test",
        test::run,
        "all tests, then the real programs; --full adds traces, the sweep and soaks",
    ),
    (
        "tidy",
        tidy::run,
        "what no compiler checks: sizes, names, unsafe, crate arrows, links",
    ),
    (
        "programs",
        programs::run,
        "real programs behind their filters, with injected calls; [NAME…]",
    ),
    (
        "recipes",
        recipes::run,
        "the commands of docs/recipes.md, as they stand there; [HEADING…]",
    ),
    (
        "containers",
        containers::run,
        "the command in containers as Docker makes them, and with what docs/containers.md changes",
    ),
    (
        "soundness",
        soundness::run,
        "traces of real programs against their scans; [NAME…], or of arm64's packages: --arm64",
    ),
    (
        "record",
        record::run,
        "what both back-ends of `record` see of jobs, run RUNS times each; [RUNS] [NAME…]",
    ),
    (
        "sweep",
        sweep::run,
        "scan every file of /usr/bin and /usr/sbin, or of [DIR…], or of arm64's packages: --arm64",
    ),
    (
        "coverage",
        coverage::run,
        "whether the tests of the filter compiler take each of its branches",
    ),
    (
        "fuzz",
        fuzz::run,
        "looks for bytes that readers do not stand; [--for SECONDS] [TARGET…]",
    ),
    (
        "cross",
        cross::run,
        "the command, statically linked, for each architecture; [--release] [ARCH…]",
    ),
    (
        "dogfood",
        dogfood::run,
        "the command, statically linked, audited under its own policy",
    ),
    (
        "workers",
        workers::run,
        "the programs that run jobs, audited under their own policies",
    ),
    (
        "jobs",
        jobs::run,
        "programs of others as jobs: a compressor, Lua, SQLite, and a parachain's runtime",
    ),
    (
        "libseccomp",
        libseccomp::run,
        "libseccomp's own test tables through this compiler, and filters of both",
    ),
    (
        "bench",
        bench::run,
        "the measured tables of bench/README.md; [NAME…], filters, record, run, job, arm64 [NAME…]",
    ),
    (
        "tables",
        tables::run,
        "write the generated tables of crates/abi anew from packages of Debian and Python",
    ),
    (
        "kernels",
        kernels::run,
        "each kernel of the matrix in an emulated machine; --quick, --only WORDS, or --write the README's table",
    ),
    (
        "needs",
        needs::run,
        "install what the tests need from Debian, or say what is missing",
    ),
];

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let name = words.next();
    let rest: Vec<String> = words.collect();
    let Some((_, task, _)) = TASKS
        .iter()
        .find(|(known, ..)| name.as_deref() == Some(known))
    else {
        eprintln!("usage: cargo xtask TASK [ARGS]\n");
        for (name, _, help) in TASKS {
            eprintln!("  {name:<10} {help}");
        }
        return ExitCode::from(2);
    };
    match task(&rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
