//! `record show --format json`: the document `portcullis.record`, version 1. Text and metrics are made from it
//! too.

use serde::Serialize;

use super::trace::{Arg, Caller, Denier, Observed, Run};
use crate::trace::{self, Log, When};

/// What traces tell.
#[derive(Serialize, Debug)]
pub(crate) struct Document {
    pub(crate) schema: &'static str,
    pub(crate) version: u32,
    /// How many runs.
    pub(crate) runs: u64,
    /// Seconds since 1970, UTC; null when nothing was seen.
    pub(crate) first: Option<u64>,
    /// The runs, or the last of them.
    pub(crate) run: Vec<Run>,
    pub(crate) images: Vec<Image>,
    pub(crate) remarks: Vec<Remark>,
}

/// A program.
#[derive(Serialize, Debug)]
pub(crate) struct Image {
    pub(crate) path: String,
    /// `build-id:HEX` or `sha256:HEX`.
    pub(crate) identity: Option<String>,
    #[serde(flatten)]
    pub(crate) when: Times,
    pub(crate) calls: Vec<Call>,
}

/// In how many runs something was seen, and when.
#[derive(Serialize, Debug)]
pub(crate) struct Times {
    pub(crate) runs: u64,
    /// Seconds since 1970, UTC.
    pub(crate) first: u64,
    /// Seconds since 1970, UTC.
    pub(crate) last: u64,
}

/// A call, with the arguments that say what it does.
#[derive(Serialize, Debug)]
pub(crate) struct Call {
    pub(crate) name: Option<String>,
    pub(crate) number: u32,
    pub(crate) arch: String,
    pub(crate) args: Vec<Arg>,
    /// Other values than those of the other calls with this number, not told apart.
    pub(crate) any: bool,
    /// How often it was seen; it was made at least as often.
    pub(crate) count: u64,
    #[serde(flatten)]
    pub(crate) when: Times,
    pub(crate) succeeded: bool,
    pub(crate) errors: Vec<String>,
    /// All that it ever returned is ENOSYS: the program goes on without it.
    pub(crate) optional: bool,
    /// The answers by which policies denied it, as policies write them.
    pub(crate) denied: Vec<String>,
    /// The answers by which filters of the program's own denied it.
    pub(crate) denied_by_own: Vec<String>,
    /// What pointers led to, examples; not to be relied on.
    pub(crate) observed: Vec<Observed>,
    /// The code that made it, examples.
    pub(crate) callers: Vec<Caller>,
}

/// Something that a reader must know.
#[derive(Serialize, Debug)]
pub(crate) struct Remark {
    pub(crate) code: String,
    pub(crate) image: Option<String>,
    pub(crate) message: String,
}

/// The document of a log.
pub(crate) fn document(log: &Log) -> Document {
    Document {
        schema: "portcullis.record",
        version: 1,
        runs: log.all_runs,
        first: log.since(),
        run: log.runs.iter().cloned().collect(),
        images: log
            .images
            .iter()
            .map(|(key, image)| of_image(key, image))
            .collect(),
        remarks: log
            .remarks
            .iter()
            .map(|(code, message, image)| Remark {
                code: code.clone(),
                image: image.clone(),
                message: message.clone(),
            })
            .collect(),
    }
}

fn of_image((path, identity): &trace::ImageKey, image: &trace::Image) -> Image {
    Image {
        path: path.clone(),
        identity: identity.clone(),
        when: times(image.when),
        calls: image
            .calls
            .iter()
            .map(|(key, call)| of_call(key, call))
            .collect(),
    }
}

fn of_call(key: &trace::CallKey, call: &trace::Call) -> Call {
    Call {
        name: key.known_name().map(str::to_owned),
        number: key.number,
        arch: key.arch.clone(),
        args: key.arguments(),
        any: key.any,
        count: call.count,
        when: times(call.when),
        succeeded: call.returned.contains(&None),
        errors: call.returned.iter().flatten().cloned().collect(),
        optional: call.is_optional(),
        denied: call.denied_by(Denier::Policy).cloned().collect(),
        denied_by_own: call.denied_by(Denier::OwnFilter).cloned().collect(),
        observed: call.observed.iter().cloned().collect(),
        callers: call.callers.iter().cloned().collect(),
    }
}

fn times(when: When) -> Times {
    Times {
        runs: when.runs,
        first: when.first,
        last: when.last,
    }
}
