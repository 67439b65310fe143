//! `record show --format otlp`: what traces tell as metrics of OpenTelemetry, in the JSON form of
//! `ExportMetricsServiceRequest` (OTLP specification 1, "JSON Protobuf Encoding": 64-bit integers are strings,
//! enumerations numbers). It is what a collector takes at `/v1/metrics`; nothing is sent from here.

use serde::Serialize;

use super::record::{Call, Document, Image};

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: u8 = 2;

/// The request.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Request {
    resource_metrics: Vec<OfResource>,
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
struct OfResource {
    resource: Attributes,
    scope_metrics: Vec<OfScope>,
}

#[derive(Serialize, Debug)]
pub(super) struct Attributes {
    pub(super) attributes: Vec<Attribute>,
}

#[derive(Serialize, Debug)]
struct OfScope {
    scope: Scope,
    metrics: Vec<Metric>,
}

#[derive(Serialize, Debug)]
pub(super) struct Scope {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
}

#[derive(Serialize, Debug)]
struct Metric {
    name: &'static str,
    description: &'static str,
    unit: &'static str,
    sum: Sum,
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
struct Sum {
    aggregation_temporality: u8,
    is_monotonic: bool,
    data_points: Vec<Point>,
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
struct Point {
    attributes: Vec<Attribute>,
    start_time_unix_nano: String,
    time_unix_nano: String,
    as_int: String,
}

#[derive(Serialize, Debug)]
pub(super) struct Attribute {
    key: &'static str,
    value: Text,
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
struct Text {
    string_value: String,
}

/// The metrics of a document.
pub(crate) fn metrics(document: &Document) -> Request {
    let all = || {
        document
            .images
            .iter()
            .flat_map(|i| i.calls.iter().map(move |c| (i, c)))
    };
    let last = all().map(|(_, call)| call.when.last).max();
    let runs = Point {
        attributes: Vec::new(),
        start_time_unix_nano: nanoseconds(document.first.unwrap_or_default()),
        time_unix_nano: nanoseconds(last.unwrap_or_default()),
        as_int: integer(document.runs),
    };
    let of_calls = |value: fn(&Call) -> u64| all().map(|(i, c)| point(i, c, value(c))).collect();
    let metrics = vec![
        metric(
            "portcullis.record.runs",
            "Runs that were recorded.",
            "{run}",
            vec![runs],
        ),
        metric(
            "portcullis.record.calls",
            "How often a call was seen; it was made at least as often.",
            "{call}",
            of_calls(|call| call.count),
        ),
        metric(
            "portcullis.record.call.runs",
            "Runs in which a call was seen.",
            "{run}",
            of_calls(|call| call.when.runs),
        ),
    ];
    let version = env!("CARGO_PKG_VERSION");
    Request {
        resource_metrics: vec![OfResource {
            resource: Attributes {
                attributes: vec![attribute("service.name", "portcullis".to_owned())],
            },
            scope_metrics: vec![OfScope {
                scope: Scope {
                    name: "portcullis.record",
                    version,
                },
                metrics,
            }],
        }],
    }
}

fn metric(
    name: &'static str,
    description: &'static str,
    unit: &'static str,
    data_points: Vec<Point>,
) -> Metric {
    Metric {
        name,
        description,
        unit,
        sum: Sum {
            aggregation_temporality: CUMULATIVE,
            is_monotonic: true,
            data_points,
        },
    }
}

fn point(image: &Image, call: &Call, value: u64) -> Point {
    let name = call.name.clone();
    let mut attributes = vec![
        attribute("process.executable.path", image.path.clone()),
        attribute(
            "portcullis.call",
            name.unwrap_or_else(|| call.number.to_string()),
        ),
        attribute("portcullis.arch", call.arch.clone()),
    ];
    if let Some(identity) = &image.identity {
        attributes.push(attribute("portcullis.identity", identity.clone()));
    }
    if call.any {
        attributes.push(attribute("portcullis.args", "any".to_owned()));
    } else if !call.args.is_empty() {
        let values = call.args.iter().map(|arg| {
            let value = arg.symbol.as_ref().unwrap_or(&arg.value);
            format!("{}={value}", arg.index)
        });
        let values = values.collect::<Vec<_>>().join(",");
        attributes.push(attribute("portcullis.args", values));
    }
    if !call.denied.is_empty() {
        attributes.push(attribute("portcullis.denied", call.denied.join(",")));
    }
    if !call.denied_by_own.is_empty() {
        let answers = call.denied_by_own.join(",");
        attributes.push(attribute("portcullis.denied_by_own", answers));
    }
    Point {
        attributes,
        start_time_unix_nano: nanoseconds(call.when.first),
        time_unix_nano: nanoseconds(call.when.last),
        as_int: integer(value),
    }
}

pub(super) fn attribute(key: &'static str, text: String) -> Attribute {
    Attribute {
        key,
        value: Text { string_value: text },
    }
}

/// A `fixed64` of nanoseconds since 1970.
fn nanoseconds(seconds: u64) -> String {
    seconds.saturating_mul(1_000_000_000).to_string()
}

/// An `sfixed64`.
fn integer(value: u64) -> String {
    i64::try_from(value).unwrap_or(i64::MAX).to_string()
}
