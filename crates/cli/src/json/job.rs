//! `job run --format json`: the document `portcullis.job`, version 1; `job prepare`: `portcullis.artifact`.

use std::path::Path;

#[cfg(feature = "wasm")]
use portcullis_host::Found;
use portcullis_host::{CpuOf, Done, Enforced, JobError, Outcome, PeakOf, Taken, Tried};
use portcullis_sys::wait::End;
use serde::Serialize;

/// One job.
#[derive(Serialize, Debug)]
pub(crate) struct Document {
    schema: &'static str,
    version: u32,
    /// Of one of several: what it read.
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<String>,
    /// The class: ok, job_error, limit, denied, ambiguous, infra.
    outcome: &'static str,
    /// Of `job_error`: exit, trap, crash, no_result, refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    /// Of `limit`: which.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'static str>,
    /// Of `denied`: by which layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    layer: Option<&'static str>,
    /// Of `denied`: for which call, where its tracer saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<String>,
    /// The code of an `exit`.
    exit_code: Option<i32>,
    /// What there is to say, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// What the kernel recorded.
    record: Record,
    usage: Usage,
    /// Each time that it was begun; the last is what is told here.
    tries: Vec<Try>,
    stdout: Stream,
    stderr: Stream,
    /// Calls outside the policy of a native program, whatever became of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    denials: Vec<Denial>,
    /// The files that were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<File>,
    enforced: Vec<Layer>,
    not_enforced: Vec<Missing>,
}

/// How the job's process ended.
#[derive(Serialize, Debug)]
struct Record {
    /// Who told: the kernel, over a handle to the process (`pidfd`), or to its tracer (`tracer`).
    source: Option<&'static str>,
    exit_status: Option<i32>,
    signal: Option<i32>,
}

#[derive(Serialize, Debug)]
struct Usage {
    cpu_ns: u64,
    /// Of whom that is: `job`, `process`, `program`; nothing where nothing ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_scope: Option<&'static str>,
    wall_ns: u64,
    peak_memory_bytes: u64,
    /// Whose memory that is: `job`, `process`, `worker+job`, `program`; nothing where nothing ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_memory_scope: Option<&'static str>,
    /// Limits that something of it came up against.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reached: Vec<Reached>,
}

#[derive(Serialize, Debug)]
struct Reached {
    limit: &'static str,
    count: u64,
}

#[derive(Serialize, Debug)]
struct Denial {
    call: String,
    count: u64,
}

/// A file of the job's directory: what it held, or why that was not taken.
#[derive(Serialize, Debug)]
struct File {
    name: String,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    content: Option<Stream>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_taken: Option<&'static str>,
}

#[derive(Serialize, Debug)]
struct Try {
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    wall_ns: u64,
}

/// What the job wrote.
#[derive(Serialize, Debug)]
struct Stream {
    bytes: usize,
    base64: String,
}

#[derive(Serialize, Debug)]
struct Layer {
    layer: &'static str,
    mechanism: &'static str,
    scope: &'static str,
    detail: String,
}

#[derive(Serialize, Debug)]
struct Missing {
    layer: &'static str,
    reason: String,
}

impl Document {
    /// Of a job that was run under `enforced`.
    pub(crate) fn new(
        done: &Done,
        tried: &[Tried],
        input: Option<&Path>,
        enforced: Option<&Enforced>,
    ) -> Document {
        let layers = enforced.map_or(&[][..], |e| &e.layers);
        let missing = enforced.map_or(&[][..], |e| &e.missing);
        let mut document = Document {
            schema: "portcullis.job",
            version: 1,
            input: input.map(|path| path.to_string_lossy().into_owned()),
            outcome: done.outcome.class(),
            error: None,
            limit: None,
            layer: None,
            call: None,
            exit_code: None,
            detail: None,
            record: Record::of(done),
            usage: Usage {
                cpu_ns: done.cpu_ns,
                cpu_scope: done.cpu_of.map(CpuOf::name),
                wall_ns: done.wall_ns,
                peak_memory_bytes: done.peak_memory_bytes,
                peak_memory_scope: done.peak_memory_of.map(PeakOf::name),
                reached: done
                    .reached
                    .iter()
                    .map(|(limit, count)| Reached {
                        limit,
                        count: *count,
                    })
                    .collect(),
            },
            tries: tried.iter().map(Try::of).collect(),
            stdout: Stream::of(&done.stdout),
            stderr: Stream::of(&done.stderr),
            denials: done
                .denials
                .iter()
                .map(|(call, count)| Denial {
                    call: call.clone(),
                    count: *count,
                })
                .collect(),
            files: done.files.iter().map(File::of).collect(),
            enforced: layers
                .iter()
                .map(|l| Layer {
                    layer: l.layer,
                    mechanism: l.mechanism,
                    scope: l.scope,
                    detail: l.detail.clone(),
                })
                .collect(),
            not_enforced: missing
                .iter()
                .map(|m| Missing {
                    layer: m.layer,
                    reason: m.reason.clone(),
                })
                .collect(),
        };
        match &done.outcome {
            Outcome::Ok => document.exit_code = Some(0),
            Outcome::JobError(error) => {
                document.error = Some(error.name());
                match error {
                    JobError::Exit(code) => document.exit_code = Some(*code),
                    _ => document.detail = done.outcome.detail(),
                }
            }
            Outcome::Limit(limit) => document.limit = Some(limit.name()),
            Outcome::Denied { layer, call } => {
                document.layer = Some(layer);
                document.call.clone_from(call);
            }
            Outcome::Ambiguous(why) | Outcome::Infra(why) => document.detail = Some(why.clone()),
        }
        document
    }
}

impl Try {
    fn of(tried: &Tried) -> Try {
        Try {
            outcome: tried.outcome.class(),
            detail: tried.outcome.detail(),
            wall_ns: tried.wall_ns,
        }
    }
}

impl Record {
    fn of(done: &Done) -> Record {
        let (exit_status, signal) = match done.end {
            Some(End::Exited(code)) => (Some(code), None),
            Some(End::Signaled(signal)) => (None, Some(signal)),
            None => (None, None),
        };
        Record {
            source: done.end.map(|_| match done.traced {
                true => "tracer",
                false => "pidfd",
            }),
            exit_status,
            signal,
        }
    }
}

impl File {
    fn of(taken: &Taken) -> File {
        File {
            name: taken.name.clone(),
            content: taken.content.as_deref().ok().map(Stream::of),
            not_taken: taken.content.as_ref().err().map(|why| why.name()),
        }
    }
}

impl Stream {
    fn of(bytes: &[u8]) -> Stream {
        Stream {
            bytes: bytes.len(),
            base64: base64(bytes),
        }
    }
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut bits = 0_u32;
        for at in 0..3 {
            bits = bits << 8 | u32::from(group.get(at).copied().unwrap_or(0));
        }
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= group.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    text
}

/// A module that was prepared.
#[cfg(feature = "wasm")]
#[derive(Serialize, Debug)]
pub(crate) struct Artifact {
    schema: &'static str,
    version: u32,
    /// kept, made, made_again.
    found: &'static str,
    bytes: u64,
}

#[cfg(feature = "wasm")]
impl Artifact {
    pub(crate) fn new(bytes: u64, found: Found) -> Artifact {
        Artifact {
            schema: "portcullis.artifact",
            version: 1,
            found: match found {
                Found::Kept => "kept",
                Found::Made => "made",
                Found::MadeAgain => "made_again",
            },
            bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn bytes_are_written_as_the_standard_shows() {
        let cases = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ];
        for (bytes, text) in cases {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
