//! `job run --spans`: of each job an `ExportTraceServiceRequest` of OTLP, a line each, as a collector's file receiver and
//! its `/v1/traces` take it. Nothing is sent from here.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, anyhow};
use portcullis_host::{Finished, Span};
use serde::Serialize;

use super::otlp::{Attribute, Attributes, Scope, attribute};

/// The request.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Request {
    resource_spans: [OfResource; 1],
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
struct OfResource {
    resource: Attributes,
    scope_spans: [OfScope; 1],
}

#[derive(Serialize, Debug)]
struct OfScope {
    scope: Scope,
    spans: Vec<One>,
}

/// A span.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
struct One {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    name: &'static str,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<Attribute>,
    status: Status,
}

/// `STATUS_CODE_UNSET`, `_OK` and `_ERROR`.
#[derive(Serialize, Debug)]
struct Status {
    code: u8,
}

/// `SPAN_KIND_INTERNAL`.
const INTERNAL: u8 = 1;

/// The course of one job: a span for all of it, and below that one for each part. `artifact` is how long it took to have
/// what was run.
pub(crate) fn request(finished: &Finished, artifact: &Span) -> Result<Request> {
    let trace = id(16)?;
    let root = id(8)?;
    let mut spans = Vec::new();
    let mut add = |span: &Span, attempt: Option<usize>| {
        let attempt = attempt.map(|n| attribute("portcullis.attempt", n.to_string()));
        spans.push(One {
            trace_id: trace.clone(),
            span_id: id(8)?,
            parent_span_id: Some(root.clone()),
            name: span.name,
            kind: INTERNAL,
            start_time_unix_nano: nanoseconds(span.begin),
            end_time_unix_nano: nanoseconds(span.end),
            attributes: attempt.into_iter().collect(),
            status: Status { code: 0 },
        });
        Ok::<_, anyhow::Error>(())
    };
    add(artifact, None)?;
    add(&finished.queue, None)?;
    for (number, tried) in finished.tried.iter().enumerate() {
        for span in &tried.spans {
            add(span, Some(number + 1))?;
        }
    }
    let last = finished.tried.iter().flat_map(|tried| &tried.spans).last();
    let whole = One {
        trace_id: trace.clone(),
        span_id: root.clone(),
        parent_span_id: None,
        name: "job",
        kind: INTERNAL,
        start_time_unix_nano: nanoseconds(artifact.begin),
        end_time_unix_nano: nanoseconds(last.unwrap_or(&finished.queue).end),
        attributes: vec![
            attribute("portcullis.job", finished.id.to_string()),
            attribute("portcullis.outcome", finished.end().to_owned()),
        ],
        status: Status {
            code: if finished.end() == "ok" { 1 } else { 2 },
        },
    };
    spans.insert(0, whole);
    Ok(Request {
        resource_spans: [OfResource {
            resource: Attributes {
                attributes: vec![attribute("service.name", "portcullis".to_owned())],
            },
            scope_spans: [OfScope {
                scope: Scope {
                    name: "portcullis.job",
                    version: env!("CARGO_PKG_VERSION"),
                },
                spans,
            }],
        }],
    })
}

/// A random identifier, as OTLP has it in JSON: hexadecimal.
fn id(bytes: usize) -> Result<String> {
    let mut random = [0; 16];
    let random = &mut random[..bytes];
    getrandom::fill(random).map_err(|e| anyhow!("the kernel's random numbers: {e}"))?;
    let mut text = String::new();
    for byte in random {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}

/// A `fixed64` of nanoseconds since 1970.
fn nanoseconds(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_nanos().to_string()
}
