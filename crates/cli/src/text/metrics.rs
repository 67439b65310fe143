//! What traces tell as metrics, in the text format of Prometheus (version 0.0.4), which collectors of
//! OpenTelemetry read as well.

use std::fmt::Write as _;

use crate::json::record::{Call, Document, Image};
use crate::neutral;

/// A metric of calls: name, what it is, value.
type Metric = (&'static str, &'static str, fn(&Call) -> u64);

/// The text of `record show --format prometheus`.
pub(crate) fn metrics(document: &Document) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "# HELP portcullis_record_runs Runs that were recorded."
    );
    let _ = writeln!(text, "# TYPE portcullis_record_runs gauge");
    let _ = writeln!(text, "portcullis_record_runs {}", document.runs);
    let of_call: [Metric; 4] = [
        (
            "portcullis_record_calls",
            "How often a call was seen; it was made at least as often.",
            |call| call.count,
        ),
        (
            "portcullis_record_call_runs",
            "Runs in which a call was seen.",
            |call| call.when.runs,
        ),
        (
            "portcullis_record_call_first_seen_timestamp_seconds",
            "When a call was seen first.",
            |call| call.when.first,
        ),
        (
            "portcullis_record_call_last_seen_timestamp_seconds",
            "When a call was last known to be made.",
            |call| call.when.last,
        ),
    ];
    for (name, help, value) in of_call {
        let _ = writeln!(text, "# HELP {name} {help}");
        let _ = writeln!(text, "# TYPE {name} gauge");
        for image in &document.images {
            for call in &image.calls {
                let _ = writeln!(text, "{name}{{{}}} {}", labels(image, call), value(call));
            }
        }
    }
    text
}

fn labels(image: &Image, call: &Call) -> String {
    let name = call.name.clone().unwrap_or_else(|| call.number.to_string());
    let values = call.args.iter().map(|arg| {
        let value = arg.symbol.as_ref().unwrap_or(&arg.value);
        format!("{}={value}", arg.index)
    });
    let args = match call.any {
        true => "any".to_owned(),
        false => values.collect::<Vec<_>>().join(","),
    };
    let all = [
        ("image", image.path.as_str()),
        ("identity", image.identity.as_deref().unwrap_or_default()),
        ("arch", &call.arch),
        ("call", &name),
        ("args", &args),
        ("optional", if call.optional { "true" } else { "false" }),
    ];
    let label = |(name, value): (&str, &str)| format!("{name}=\"{}\"", escaped(value));
    all.map(label).join(",")
}

/// A value of a label: what could deceive is made visible first, and then backslashes, quotes and ends of
/// lines are escaped as the format asks.
fn escaped(value: &str) -> String {
    let harmless = neutral::text(value);
    harmless
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_label_ends_early() {
        let value = escaped("a\"} 1\nb\\\u{1b}[2J");
        assert_eq!(value, "a\\\"} 1\\\\nb\\\\\\\\\\\\x1b[2J");
    }
}
