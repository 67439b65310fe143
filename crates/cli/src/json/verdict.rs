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
    /// `exited`, `signaled`, `denied`, `own-filter` (one that the program installed), `limit` or `failed`.
    pub(crate) outcome: &'static str,
    pub(crate) exit_code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) limit: Option<String>,
    /// What went wrong when `outcome` is `failed`.
    pub(crate) failure: Option<String>,
    pub(crate) enforced: Vec<Layer>,
    pub(crate) not_enforced: Vec<Missing>,
    /// The policy's file; without one it was derived.
    pub(crate) policy: Option<String>,
    /// Answers of the policy that the filter leaves to the tracer, who gives them.
    pub(crate) map: Vec<Mapped>,
    pub(crate) denials: Vec<Denial>,
    /// Whether the kernel's audit records were read.
    pub(crate) audit: Audit,
    /// Denials that are counted only.
    pub(crate) omitted: Vec<Omitted>,
    /// Rules for what was let through.
    pub(crate) patch: Option<Patch>,
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
#[derive(Serialize, Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) layer: String,
    pub(crate) mechanism: String,
    pub(crate) scope: String,
    pub(crate) detail: String,
}

/// A layer of the default that did not.
#[derive(Serialize, Clone, Debug)]
pub(crate) struct Missing {
    pub(crate) layer: String,
    pub(crate) reason: String,
}

/// An answer of the policy, and the filter's in its place.
#[derive(Serialize, Debug)]
pub(crate) struct Mapped {
    pub(crate) policy: String,
    pub(crate) filter: String,
}

/// What an observation says about the policy.
#[derive(Serialize, Debug)]
pub(crate) struct Patch {
    /// Rules in the language of policies.
    pub(crate) rules: String,
    /// How they are used.
    pub(crate) apply: String,
}

/// Denials beyond those that are told apart.
#[derive(Serialize, Debug)]
pub(crate) struct Omitted {
    /// `None`: calls that no table knows.
    pub(crate) syscall: Option<&'static str>,
    pub(crate) answer: String,
    pub(crate) count: u64,
}

/// The kernel's audit records of the run.
#[derive(Serialize, Debug)]
pub(crate) struct Audit {
    /// `read`, `off` (nothing is audited on this machine) or `unreadable`.
    pub(crate) state: &'static str,
    /// Why not.
    pub(crate) reason: Option<String>,
    /// Records of the run that are not told apart.
    pub(crate) omitted: u64,
    /// Records of the machine that the kernel lost during the run.
    pub(crate) lost: u32,
    /// Nothing was lost, and the last one was read.
    pub(crate) complete: bool,
}

/// Something that the program tried and was not given.
#[derive(Serialize, Debug)]
pub(crate) struct Denial {
    /// Stable code of this kind of denial.
    pub(crate) code: &'static str,
    pub(crate) layer: String,
    /// `kill-process`, `kill-thread`, `trap`, `errno NAME` or `let-through`.
    pub(crate) answer: String,
    /// Null where no record says who it was.
    pub(crate) pid: Option<i32>,
    pub(crate) tid: Option<i32>,
    /// The thread's own name.
    pub(crate) thread: String,
    /// What the process executes.
    pub(crate) image: Option<String>,
    /// The architecture whose table `number` is of; as hexadecimal `AUDIT_ARCH_*` when it is not known.
    pub(crate) arch: String,
    /// The kernel's name; the number as text when no table knows it; null where no record says which call it was.
    pub(crate) syscall: Option<String>,
    pub(crate) number: Option<u32>,
    /// Where the call returns to, in the process.
    pub(crate) ip: Option<String>,
    pub(crate) args: Vec<Arg>,
    /// The path that the call named, when it could be read ("observed", not proof).
    pub(crate) path: Option<String>,
    /// Why, in one sentence.
    pub(crate) rule: String,
    /// The rule itself, in the language of policies; none when no rule is about the call.
    pub(crate) rule_text: Option<String>,
    /// Where it stands, `FILE:LINE:COLUMN`.
    pub(crate) rule_place: Option<String>,
    /// What of the filter answered.
    pub(crate) filter: Option<Instruction>,
    /// The place of the call first.
    pub(crate) backtrace: Vec<Frame>,
    pub(crate) suggestion: Option<String>,
    /// What would allow just this.
    pub(crate) allow: Option<Allow>,
    /// What a program could do with the call.
    pub(crate) risk: Option<Risk>,
    /// Other layers of the run that would refuse it as well; null where that cannot be told of any of its calls.
    pub(crate) also: Option<Vec<Also>>,
    /// Of how many of its calls that cannot be told.
    pub(crate) also_unknown: u64,
    /// What Landlock did not allow, in the kernel's words; the name of a limit.
    pub(crate) blockers: Vec<String>,
    /// How many audit records of the kernel are about it.
    pub(crate) audited: u64,
    /// How often it was denied at this place, by this rule, with these arguments that say what it does.
    pub(crate) count: u64,
}

/// An instruction of the filter, as `portcullis compile` numbers them.
#[derive(Serialize, Debug)]
pub(crate) struct Instruction {
    pub(crate) instruction: usize,
    /// How many there are.
    pub(crate) of: usize,
    /// What it returns.
    pub(crate) answer: String,
}

/// What would allow a call.
#[derive(Serialize, Debug)]
pub(crate) struct Allow {
    /// A rule of a policy.
    pub(crate) policy: String,
    /// An option of `run`.
    pub(crate) option: String,
}

/// A layer that would refuse a call as well.
#[derive(Serialize, Debug)]
pub(crate) struct Also {
    pub(crate) layer: String,
    /// `errno NAME`.
    pub(crate) answer: String,
    pub(crate) reason: String,
    /// How many of the denial's calls.
    pub(crate) count: u64,
}

/// What allowing a call means.
#[derive(Serialize, Debug)]
pub(crate) struct Risk {
    /// `low`, `medium` or `high`.
    pub(crate) level: &'static str,
    pub(crate) why: &'static str,
}

/// One register argument.
#[derive(Serialize, Debug)]
pub(crate) struct Arg {
    pub(crate) index: u8,
    /// The kernel's name for it; none of a register that the call does not use.
    pub(crate) name: Option<&'static str>,
    pub(crate) value: String,
    pub(crate) symbol: Option<String>,
    /// What it led to ("observed", not proof).
    pub(crate) observed: Option<Observed>,
}

/// What an argument led to.
#[derive(Serialize, Debug)]
pub(crate) struct Observed {
    /// `path`, `text`, `address`, `descriptor` or `structure`.
    pub(crate) kind: &'static str,
    pub(crate) text: String,
}

/// One frame of a stack.
#[derive(Serialize, Debug)]
pub(crate) struct Frame {
    pub(crate) object: Option<String>,
    pub(crate) address: String,
    pub(crate) function: Option<String>,
    /// The compiler put the function into the next one.
    pub(crate) inlined: bool,
    pub(crate) source: Option<String>,
    pub(crate) line: Option<u32>,
    /// False where it is not sure: neither tables nor the code alone led here.
    pub(crate) certain: bool,
}

/// Libraries that were loaded while the program ran; they are looked for when a call outside the
/// set is made.
#[derive(Serialize, Clone, Debug)]
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
