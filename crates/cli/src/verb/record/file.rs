//! The trace file while a program runs: a line for each fact, when it is first seen.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use portcullis_abi::errno_name;
use portcullis_watch::record::{Denier, Ending, Fact, Remark, Sink, What};
use rustix::fs::FlockOperation;
use serde::Serialize;

use crate::json::trace as json;
use crate::neutral;

/// A trace that facts are added to.
///
/// Each fact is one write to a file that is open for appending: whoever ends the recorder, what was seen until
/// then is in the file.
pub(in crate::verb) struct TraceFile {
    file: File,
    /// The first write that failed: what follows is not written.
    failed: Option<io::Error>,
    /// The remarks that were made.
    pub(super) remarks: Vec<String>,
}

impl TraceFile {
    /// Opens the trace at `path` for another run, or makes it.
    pub(in crate::verb) fn open(path: &Path, header: &json::Header) -> Result<TraceFile> {
        let named = neutral::path(path);
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .with_context(|| format!("opening the trace {named}"))?;
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!("{named}: another recorder writes to it");
        }
        if !ends_well(&mut file, path)? {
            // The last recorder was ended within a line.
            file.write_all(b"\n")
                .with_context(|| format!("writing {named}"))?;
        }
        let mut trace = TraceFile {
            file,
            failed: None,
            remarks: Vec::new(),
        };
        trace.write(header);
        match trace.failed.take() {
            Some(error) => Err(error).with_context(|| format!("writing {named}")),
            None => Ok(trace),
        }
    }

    /// Ends the run; tells what kept facts from being written.
    pub(in crate::verb) fn end(mut self, ending: &Ending) -> (Vec<String>, Option<io::Error>) {
        use portcullis_sys::wait::End;
        let (exit_code, signal) = match ending.end {
            End::Exited(code) => (Some(code), None),
            End::Signaled(signal) => (None, Some(signal)),
        };
        self.write(&json::Fact::End(json::End {
            at: now(),
            exit_code,
            signal,
            tasks: ending.tasks,
            calls: ending.calls,
            filters: ending.filters,
        }));
        (self.remarks, self.failed)
    }

    fn write(&mut self, line: &impl Serialize) {
        if self.failed.is_some() {
            return;
        }
        let written = serde_json::to_string(line)
            .map_err(io::Error::from)
            .map(neutral::json)
            .and_then(|text| self.file.write_all(format!("{text}\n").as_bytes()));
        self.failed = written.err();
    }
}

/// Whether a file is empty or a trace whose last line is whole; an error when it is something else.
fn ends_well(file: &mut File, path: &Path) -> Result<bool> {
    let reading = || format!("reading {}", neutral::path(path));
    let mut head = [0; 64];
    let read = file.read(&mut head).with_context(reading)?;
    if read == 0 {
        return Ok(true);
    }
    if !head.starts_with(format!("{{\"schema\":\"{}\"", json::SCHEMA).as_bytes()) {
        bail!(
            "{}: it is no trace, and a run is added to a trace only",
            neutral::path(path)
        );
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1)).with_context(reading)?;
    file.read_exact(&mut last).with_context(reading)?;
    Ok(last == *b"\n")
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

impl Sink for TraceFile {
    fn fact(&mut self, fact: Fact<'_>) {
        let line = match fact {
            Fact::Image {
                id,
                path,
                identity,
                by,
            } => json::Fact::Image(json::Image {
                id: id.0,
                path: path.to_string_lossy().into_owned(),
                identity: identity.map(|i| i.to_string()),
                by: by.map(|id| id.0),
                merged: None,
            }),
            Fact::Call {
                id,
                image,
                made,
                observed,
                caller,
            } => {
                let arch = made.architecture();
                let name = made.name();
                let symbol = |index, value| arch?.symbol(name?, index, value);
                let args = made.arguments().map(|(place, value)| json::Arg {
                    index: place.index,
                    value: format!("{value:#x}"),
                    symbol: symbol(place.index, value),
                });
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let observed = observed.into_iter().map(|seen| json::Observed {
                    index: seen.index,
                    what: match &seen.what {
                        What::Path(path) => json::What::Path(text(path)),
                        What::Address(address) => json::What::Address(text(address)),
                    },
                });
                json::Fact::Call(json::Call {
                    id: id.0,
                    image: image.0,
                    at: now(),
                    arch: arch.map_or_else(|| format!("{:#x}", made.arch), |a| a.to_string()),
                    number: made.number,
                    name: name.map(str::to_owned),
                    args: args.collect(),
                    any: made.any,
                    observed: observed.collect(),
                    callers: vec![json::Caller {
                        object: caller.object.map(|o| o.to_string_lossy().into_owned()),
                        identity: caller.identity.map(|i| i.to_string()),
                        address: format!("{:#x}", caller.address),
                        function: caller.function.map(|f| portcullis_scan::demangle(&f)),
                    }],
                    merged: None,
                })
            }
            Fact::Returned { call, error } => {
                let name = |error: u16| match errno_name(error) {
                    Some(name) => name.to_owned(),
                    None => error.to_string(),
                };
                json::Fact::Returned(json::Returned {
                    call: call.0,
                    error: error.map(name),
                })
            }
            Fact::Denied { call, by, answer } => json::Fact::Denied(json::Denied {
                call: call.0,
                answer: answer.to_string(),
                by: match by {
                    Denier::Policy => json::Denier::Policy,
                    Denier::OwnFilter => json::Denier::OwnFilter,
                },
            }),
            Fact::Free { image } => json::Fact::Free(json::Free { image: image.0 }),
            Fact::Counts(counts) => json::Fact::Counts(json::Counts {
                at: now(),
                calls: counts
                    .into_iter()
                    .map(|(id, count)| (id.0, count))
                    .collect(),
            }),
            // Not asked for.
            Fact::Touched(_) => return,
            Fact::Remark(remark) => {
                let (code, image, message) = remarked(remark);
                self.remarks.push(format!("{message} [{code}]"));
                json::Fact::Remark(json::Remark {
                    code: code.to_owned(),
                    image,
                    message,
                })
            }
        };
        self.write(&line);
    }
}

fn remarked(remark: Remark) -> (&'static str, Option<u32>, String) {
    let (code, image, message) = match remark {
        Remark::OwnFilter(image) => (
            "PC0501",
            Some(image.0),
            "a program has a filter of its own and is recorded at every call, so that what it denies is seen",
        ),
        Remark::OwnFilterOnFree(image) => (
            "PC0502",
            Some(image.0),
            "a program put a filter on threads that ran free: calls that it denied them until they were met \
             are missing",
        ),
        Remark::Traces(image) => (
            "PC0503",
            Some(image.0),
            "a program called ptrace, which the kernel refuses among tasks that are recorded: it may have \
             behaved differently",
        ),
        Remark::Privileges(image) => (
            "PC0504",
            Some(image.0),
            "a program ran without the privileges of its file, because it was recorded",
        ),
        Remark::Ring(image) => (
            "PC0505",
            Some(image.0),
            "a program set up an io_uring: what it asks for by that is no system call and is not seen",
        ),
        Remark::Untraced(image) => (
            "PC0506",
            Some(image.0),
            "a program asked for a child without a tracer; it was recorded all the same",
        ),
        Remark::TooMany => (
            "PC0507",
            None,
            "there were more different calls than are told apart; the others are missing",
        ),
        Remark::FilterPassed(image) => (
            "PC0508",
            Some(image.0),
            "a program has a filter of its own, and was recorded behind it: a call for which it ends one thread of several is \
             missing",
        ),
        Remark::Lost(count) => {
            let what =
                "tasks or programs at a time were too many to follow: what they did is missing";
            return ("PC0509", None, format!("{count} {what}"));
        }
        Remark::Missed(count) => {
            let what = "times the kernel did not run the program that sees calls, for this program or another, because it was \
                        interrupted on that processor: a result may be missing, or a call";
            return ("PC0511", None, format!("{count} {what}"));
        }
        Remark::Late(count) => {
            let what = "times there was no room to tell of a call when it was made: it is in the trace, perhaps without its place";
            return ("PC0510", None, format!("{count} {what}"));
        }
    };
    (code, image, message.to_owned())
}
