//! How the tables say what they say: short forms of programs and steps.

use rustix::process::Signal;

use super::Compare::{self, All, Some};
use super::{Program, Step, Workload};
use crate::client::Client;

/// A start that must give the same output each time, and exit with 0.
pub(super) const fn run(args: &'static [&'static str]) -> Step {
    step("", args, All, 0)
}

/// The same with standard input.
pub(super) const fn fed(input: &'static str, args: &'static [&'static str]) -> Step {
    step(input, args, All, 0)
}

/// The same with another exit code.
pub(super) const fn ends(code: i32, args: &'static [&'static str]) -> Step {
    step("", args, All, code)
}

/// One of which the output is the machine's at that moment, in order or in content.
pub(super) const fn loose(args: &'static [&'static str]) -> Step {
    step("", args, Some, 0)
}

pub(super) const fn step(
    input: &'static str,
    args: &'static [&'static str],
    compare: Compare,
    code: i32,
) -> Step {
    Step::Run {
        args,
        input,
        compare,
        code,
    }
}

/// A server that SIGTERM ends, with 0.
pub(super) const fn serve(
    args: &'static [&'static str],
    client: fn(&mut Client) -> anyhow::Result<String>,
) -> Step {
    until(Signal::TERM, 0, args, client)
}

/// A server that another signal ends, or with another code.
pub(super) const fn until(
    signal: Signal,
    code: i32,
    args: &'static [&'static str],
    client: fn(&mut Client) -> anyhow::Result<String>,
) -> Step {
    Step::Serve {
        args,
        client,
        signal,
        code,
    }
}

/// A program that Debian brings.
pub(super) const fn debian(
    name: &'static str,
    path: &'static str,
    steps: &'static [Step],
) -> Workload {
    row(name, Program::Path(path), steps)
}

/// A program whose source is here.
pub(super) const fn own(name: &'static str, steps: &'static [Step]) -> Workload {
    row(name, Program::Fixture(name), steps)
}

const fn row(name: &'static str, program: Program, steps: &'static [Step]) -> Workload {
    Workload {
        name,
        program,
        slow: false,
        starts: &[],
        plugins: &[],
        steps,
    }
}

impl Workload {
    /// Belongs to `test --full`: its analysis or its work takes long.
    pub(super) const fn slow(self) -> Self {
        Workload { slow: true, ..self }
    }

    /// Starts these programs.
    pub(super) const fn starting(self, starts: &'static [&'static str]) -> Self {
        Workload { starts, ..self }
    }

    /// Loads these modules.
    pub(super) const fn loading(self, plugins: &'static [&'static str]) -> Self {
        Workload { plugins, ..self }
    }
}

impl Step {
    /// The output is the machine's at that moment, in order or in content.
    pub(super) const fn loosely(self) -> Self {
        match self {
            Step::Run {
                args, input, code, ..
            } => step(input, args, Some, code),
            serve @ Step::Serve { .. } => serve,
        }
    }

    /// Ends with another exit code.
    pub(super) const fn ending(self, code: i32) -> Self {
        match self {
            Step::Run {
                args,
                input,
                compare,
                ..
            } => step(input, args, compare, code),
            serve @ Step::Serve { .. } => serve,
        }
    }
}
