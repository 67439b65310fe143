//! Trace files, `portcullis.trace`, version 1: a line of JSON for each fact, written when it is first seen.
//!
//! A file holds one run after the other; a line with `schema` begins one, and numbers of images and calls
//! count from there. A reader passes over facts and fields that it does not know, and over a last line that
//! was cut off.

use serde::{Deserialize, Serialize};

/// The `schema` of a trace.
pub(crate) const SCHEMA: &str = "portcullis.trace";
/// Its `version`.
pub(crate) const VERSION: u32 = 1;

/// The first line of a run.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    pub(crate) schema: String,
    pub(crate) version: u32,
    /// Of a file that `record merge` wrote: its facts tell of several runs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) merged: bool,
    /// Of a merged file: how many runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) runs: Option<u64>,
    /// Of one run.
    #[serde(flatten)]
    pub(crate) run: Option<Run>,
}

/// What is said of a run.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Run {
    /// Seconds since 1970, UTC.
    pub(crate) started: u64,
    /// `adaptive`, `full` or `ebpf`.
    pub(crate) backend: String,
    /// `default`, `filtered` (the recorder stood behind a filter), `asked`, or `policy` (it has answers that
    /// no tracer can give).
    pub(crate) reason: String,
    /// The release that uname(2) tells.
    pub(crate) kernel: String,
    /// The machine's architecture.
    pub(crate) arch: String,
    /// The version of the recorder.
    pub(crate) portcullis: String,
    /// The file that was started; its arguments may hold secrets and are not kept.
    pub(crate) program: String,
    /// The file of the policy under which it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<String>,
}

/// A line that is no header.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fact {
    Run(Run),
    Image(Image),
    Call(Call),
    Returned(Returned),
    Denied(Denied),
    Free(Free),
    Counts(Counts),
    Remark(Remark),
    End(End),
}

/// A program was executed for the first time.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Image {
    pub(crate) id: u32,
    pub(crate) path: String,
    /// `build-id:HEX` or `sha256:HEX`.
    pub(crate) identity: Option<String>,
    /// The image that executed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<u32>,
    /// In a merged file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) merged: Option<Merged>,
}

/// A program made a call for the first time.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Call {
    pub(crate) id: u32,
    pub(crate) image: u32,
    /// Seconds since 1970, UTC.
    pub(crate) at: u64,
    pub(crate) arch: String,
    pub(crate) number: u32,
    /// Null for a number that no table knows.
    pub(crate) name: Option<String>,
    /// Arguments that say what the call does.
    pub(crate) args: Vec<Arg>,
    /// There were too many values to tell apart: what is not in other facts of this call is in this one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) any: bool,
    /// What pointers led to at that time; not to be relied on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) observed: Vec<Observed>,
    /// The code that made it: one place, in a merged file several.
    pub(crate) callers: Vec<Caller>,
    /// In a merged file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) merged: Option<Merged>,
}

/// One argument.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Arg {
    pub(crate) index: u8,
    /// As much of it as the kernel takes, `0x…`.
    pub(crate) value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) symbol: Option<String>,
}

/// What a pointer led to.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Observed {
    pub(crate) index: u8,
    #[serde(flatten)]
    pub(crate) what: What,
}

/// What was there.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    Path(String),
    Address(String),
}

/// The instruction that made a call.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Caller {
    pub(crate) object: Option<String>,
    /// Of that file.
    pub(crate) identity: Option<String>,
    /// In that file; without one, in the process.
    pub(crate) address: String,
    pub(crate) function: Option<String>,
}

/// A call returned something for the first time.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Returned {
    pub(crate) call: u32,
    /// The error's name or number; null is success.
    pub(crate) error: Option<String>,
}

/// A call was denied for the first time by the policy of the run, or by a filter of the program's own.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Denied {
    pub(crate) call: u32,
    /// The answer, as policies write it: `kill`, `errno:1`.
    pub(crate) answer: String,
    /// Whose filter it was.
    #[serde(default, skip_serializing_if = "Denier::is_policy")]
    pub(crate) by: Denier,
}

/// Whose filter denied a call.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Denier {
    #[default]
    Policy,
    /// The program's own, or that of one that started it.
    OwnFilter,
}

impl Denier {
    /// What traces leave out.
    fn is_policy(&self) -> bool {
        *self == Denier::Policy
    }
}

/// From here on the calls of the image are counted in part.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Free {
    pub(crate) image: u32,
}

/// How often calls were seen since the run began.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Counts {
    /// Seconds since 1970, UTC.
    pub(crate) at: u64,
    /// Call and count, of those that changed.
    pub(crate) calls: Vec<(u32, u64)>,
}

/// Something that a reader must know.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Remark {
    pub(crate) code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) image: Option<u32>,
    pub(crate) message: String,
}

/// The run ended, and the recorder with it: what has no such line was cut off.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(crate) struct End {
    /// Seconds since 1970, UTC.
    pub(crate) at: u64,
    pub(crate) exit_code: Option<i32>,
    pub(crate) signal: Option<i32>,
    /// Processes and threads.
    pub(crate) tasks: u64,
    /// Calls that were seen.
    pub(crate) calls: u64,
    /// Filters that were put into tasks.
    pub(crate) filters: u64,
}

/// What is known of a fact of several runs.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Merged {
    /// Runs in which it was seen.
    pub(crate) runs: u64,
    /// Seconds since 1970, UTC.
    pub(crate) first: u64,
    /// Seconds since 1970, UTC.
    pub(crate) last: u64,
}
