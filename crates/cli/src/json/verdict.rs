//! `run --verdict`: the document `portcullis.verdict`, version 1. Text output is made from it too,
//! so that a person and a script are told the same.

use serde::Serialize;

/// The whole document.
#[derive(Serialize, Debug)]
pub(crate) struct Document {
    pub(crate) schema: &'static str,
    pub(crate) version: u32,
    pub(crate) program: Program,
    /// `enforce` or `observe`.
    pub(crate) mode: &'static str,
    /// `exited`, `signaled`, `denied`, `limit` or `failed`.
    pub(crate) outcome: &'static str,
    pub(crate) exit_code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) limit: Option<String>,
    /// What went wrong when `outcome` is `failed`.
    pub(crate) failure: Option<String>,
    pub(crate) enforced: Vec<Layer>,
    pub(crate) not_enforced: Vec<Missing>,
    pub(crate) denials: Vec<Denial>,
    /// What was loaded while the program ran, when that could add to what it may do.
    pub(crate) late: Option<Late>,
    /// What the analysis could not tell about the program, per kind.
    pub(crate) residuals: Vec<ResidualCount>,
    pub(crate) usage: Usage,
}

/// What was started.
#[derive(Serialize, Debug)]
pub(crate) struct Program {
    pub(crate) path: String,
    /// The script, when `path` is its interpreter.
    pub(crate) script: Option<String>,
}

/// A layer that held.
#[derive(Serialize, Debug)]
pub(crate) struct Layer {
    pub(crate) layer: String,
    pub(crate) mechanism: String,
    pub(crate) scope: String,
    pub(crate) detail: String,
}

/// A layer of the default that did not.
#[derive(Serialize, Debug)]
pub(crate) struct Missing {
    pub(crate) layer: String,
    pub(crate) reason: String,
}

/// Something that the program tried and was not given.
#[derive(Serialize, Debug)]
pub(crate) struct Denial {
    /// Stable code of this kind of denial.
    pub(crate) code: &'static str,
    pub(crate) layer: String,
    /// The architecture whose table `number` is of; as hexadecimal `AUDIT_ARCH_*` when it is not known.
    pub(crate) arch: String,
    /// The kernel's name; the number as text when no table knows it.
    pub(crate) syscall: String,
    pub(crate) number: u32,
    pub(crate) args: Vec<Arg>,
    /// The path that the call named, when it could be read ("observed", not proof).
    pub(crate) path: Option<String>,
    pub(crate) rule: String,
    /// The place of the call first.
    pub(crate) backtrace: Vec<Frame>,
    pub(crate) suggestion: Option<String>,
    pub(crate) count: u64,
}

/// One register argument.
#[derive(Serialize, Debug)]
pub(crate) struct Arg {
    pub(crate) index: u8,
    pub(crate) value: String,
    pub(crate) symbol: Option<String>,
}

/// One frame of a stack.
#[derive(Serialize, Debug)]
pub(crate) struct Frame {
    pub(crate) object: Option<String>,
    pub(crate) address: String,
    pub(crate) function: Option<String>,
}

/// Libraries that were loaded while the program ran; they are looked for when a call outside the
/// set is made.
#[derive(Serialize, Debug)]
pub(crate) struct Late {
    pub(crate) modules: Vec<Module>,
    /// The calls that all of them add.
    pub(crate) added: Vec<String>,
}

/// One of them.
#[derive(Serialize, Clone, Debug)]
pub(crate) struct Module {
    pub(crate) path: String,
    /// Why it may add nothing.
    pub(crate) refused: Option<String>,
}

/// How many residuals of a kind.
#[derive(Serialize, Debug)]
pub(crate) struct ResidualCount {
    pub(crate) kind: &'static str,
    pub(crate) count: usize,
}

/// What the program used, measured from outside.
#[derive(Serialize, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) cpu_ns: u64,
    pub(crate) wall_ns: u64,
    pub(crate) peak_memory_bytes: u64,
}
