//! From what is wanted to what will be done: pure data, checked before anything exists.

use std::ffi::{CString, OsString};
use std::fmt;
use std::os::unix::ffi::OsStringExt;

use crate::identity::Program;
use crate::mapped::{MappedFile, Unlisted};
use crate::modules::{Directory, Modules};
use crate::verdict::{Layer, Missing};
use crate::{Error, Identity};

/// What is wanted.
#[derive(Debug)]
pub struct Spec {
    /// The file to execute, open.
    pub program: Program,
    /// The arguments, the program's name for itself first.
    pub arguments: Vec<OsString>,
    /// The environment, `NAME=value`.
    pub environment: Vec<OsString>,
    /// Whether the filter holds.
    pub mode: Mode,
    /// Whether an observer's answers to stopped calls belong to what is enforced.
    pub traced: bool,
    /// Calls that the filter allows, for the verdict.
    pub allowed: usize,
    /// The files that were analysed and may be mapped executable when the program's own code
    /// begins.
    pub mapped: Vec<MappedFile>,
    /// What to do with a file that is mapped and not among `mapped`.
    pub unlisted: Unlisted,
    /// Descriptors beyond 0, 1 and 2 that the program inherits.
    pub keep: Vec<i32>,
}

/// Whether calls outside the set are denied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// They are.
    Enforce,
    /// They are let through and counted, but for the core that is never given.
    Observe,
}

/// What will be done. Printable: it never holds the cookie.
#[derive(Debug)]
pub struct Plan {
    pub(crate) program: Program,
    pub(crate) arguments: Vec<CString>,
    pub(crate) environment: Vec<CString>,
    pub(crate) mode: Mode,
    pub(crate) traced: bool,
    pub(crate) allowed: usize,
    pub(crate) mapped: Vec<MappedFile>,
    pub(crate) unlisted: Unlisted,
    pub(crate) keep: Vec<i32>,
}

impl Plan {
    /// Checks `spec`. Fails for strings that no exec can take and for descriptors that cannot be.
    pub fn new(spec: Spec) -> Result<Plan, Error> {
        if spec.arguments.is_empty() {
            return Err(Error::Invalid(
                "a program needs its own name as first argument".to_owned(),
            ));
        }
        if let Some(fd) = spec.keep.iter().find(|fd| **fd < 3) {
            return Err(Error::Invalid(format!(
                "descriptor {fd} cannot be named to be kept: 0, 1 and 2 always are"
            )));
        }
        Ok(Plan {
            arguments: strings(spec.arguments, "an argument")?,
            environment: strings(spec.environment, "a variable of the environment")?,
            program: spec.program,
            mode: spec.mode,
            traced: spec.traced,
            allowed: spec.allowed,
            mapped: spec.mapped,
            unlisted: spec.unlisted,
            keep: spec.keep,
        })
    }

    /// The program's identity as it was opened.
    pub fn identity(&self) -> &Identity {
        self.program.identity()
    }

    /// What the program will have loaded beyond what was analysed; modules are expected below
    /// `directories`. Made before the launch, because it holds the time of the start.
    pub fn modules(&self, directories: impl IntoIterator<Item = Directory>) -> Modules {
        let known = self.mapped.iter().map(|file| file.identity);
        Modules::new(self.identity(), known, directories)
    }

    /// What will hold, layer by layer.
    pub fn enforced(&self) -> Vec<Layer> {
        let mut layers = vec![Layer {
            layer: "no_new_privs",
            mechanism: "prctl",
            scope: "process and its descendants",
            detail: "no exec raises privileges".to_owned(),
        }];
        if self.mode == Mode::Enforce {
            layers.push(Layer {
                layer: "seccomp",
                mechanism: if self.traced {
                    "seccomp+tracer"
                } else {
                    "seccomp"
                },
                scope: "process and its descendants",
                detail: format!("{} calls allowed, others denied", self.allowed),
            });
        }
        layers
    }

    /// The layers of the default that will not hold, and why.
    pub fn not_enforced(&self) -> Vec<Missing> {
        let mut missing = Vec::new();
        if self.mode == Mode::Observe {
            missing.push(Missing {
                layer: "seccomp",
                reason: "--observe lets calls outside the set through".to_owned(),
            });
        }
        for layer in ["filesystem", "network", "namespaces", "landlock", "limits"] {
            missing.push(Missing {
                layer,
                reason: "not built yet".to_owned(),
            });
        }
        missing
    }
}

impl fmt::Display for Plan {
    /// One step per line; strings of the program are quoted and escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "program      {:?}", self.program.path())?;
        writeln!(f, "arguments    {:?}", self.arguments)?;
        writeln!(f, "environment  {} variables", self.environment.len())?;
        writeln!(f, "descriptors  0 1 2 {:?}", self.keep)?;
        for layer in self.enforced() {
            writeln!(
                f,
                "enforced     {} by {} ({}): {}",
                layer.layer, layer.mechanism, layer.scope, layer.detail
            )?;
        }
        for layer in self.not_enforced() {
            writeln!(f, "not enforced {}: {}", layer.layer, layer.reason)?;
        }
        writeln!(
            f,
            "then         exec by descriptor, compare the file again, compare {} mapped files",
            self.mapped.len()
        )
    }
}

fn strings(given: Vec<OsString>, what: &str) -> Result<Vec<CString>, Error> {
    given
        .into_iter()
        .map(|s| {
            CString::new(s.into_vec())
                .map_err(|e| Error::Invalid(format!("{what} holds a NUL byte: {e}")))
        })
        .collect()
}
