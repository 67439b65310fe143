//! Documents against the schemas in `schema/`.

use std::path::Path;

use serde_json::Value;

/// Asserts that a document fits the schema of this name.
pub(crate) fn fits(name: &str, document: &Value) {
    let schema = schema(name);
    let mut wrong = Vec::new();
    against(&schema, &schema, document, "", &mut wrong);
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// What a value has that its schema does not let it have. The words of JSON Schema that
/// our schemas use; any other is a mistake of the schema, not passed over. A key that the
/// schema does not name is one too: the document has a version.
pub(crate) fn against(
    root: &Value,
    schema: &Value,
    value: &Value,
    at: &str,
    wrong: &mut Vec<String>,
) {
    let mut here = Vec::new();
    let mut say = |what: String| here.push(format!("{at}: {what}"));
    let words = schema.as_object().expect("a schema is an object");
    for (word, wanted) in words {
        match word.as_str() {
            "$schema" | "title" | "description" | "$defs" => {}
            "type" => {
                let all: Vec<&Value> = match wanted {
                    Value::Array(all) => all.iter().collect(),
                    one => vec![one],
                };
                let kind = match value {
                    Value::Null => "null",
                    Value::Bool(_) => "boolean",
                    Value::Number(_) => "integer",
                    Value::String(_) => "string",
                    Value::Array(_) => "array",
                    Value::Object(_) => "object",
                };
                if !all.iter().any(|w| **w == kind) {
                    say(format!("{kind} is none of {wanted}"));
                }
            }
            "const" if value == wanted => {}
            "enum" if wanted.as_array().unwrap().contains(value) => {}
            "const" | "enum" => say(format!("{value} is not {wanted}")),
            // What is no number is told by `type`.
            "minimum" | "maximum" if !value.is_number() => {}
            "minimum" if value.as_i64() >= wanted.as_i64() => {}
            "maximum" if value.as_i64() <= wanted.as_i64() => {}
            "minimum" | "maximum" => say(format!("{value} against {word} {wanted}")),
            "pattern" => {
                let text = value.as_str().unwrap_or_default();
                let fits = match wanted.as_str().unwrap() {
                    "^PC03[0-9]{2}$" => is_code(text, "PC03"),
                    "^PC04[0-9]{2}$" => is_code(text, "PC04"),
                    "^PC05[0-9]{2}$" => is_code(text, "PC05"),
                    "^0x[0-9a-f]+$" => text.strip_prefix("0x").is_some_and(|hex| {
                        let digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
                        !hex.is_empty() && hex.bytes().all(digit)
                    }),
                    "^[0-9a-f]{64}$" => {
                        let digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
                        // What is no text is told by `type`.
                        !value.is_string() || (text.len() == 64 && text.bytes().all(digit))
                    }
                    "^(host|loopback|tcp-connect=[0-9]+(,[0-9]+)*)$" => {
                        let digits = |port: &str| {
                            !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
                        };
                        let ports = text.strip_prefix("tcp-connect=");
                        let is_ports = ports.is_some_and(|ports| ports.split(',').all(digits));
                        is_ports || ["host", "loopback"].contains(&text)
                    }
                    other => panic!("a pattern that this test does not know: {other}"),
                };
                if !fits {
                    say(format!("{text} does not fit {wanted}"));
                }
            }
            "required" => {
                for key in wanted.as_array().unwrap() {
                    if value.get(key.as_str().unwrap()).is_none() {
                        say(format!("{key} is missing"));
                    }
                }
            }
            "properties" => {
                for (key, own) in value.as_object().into_iter().flatten() {
                    match wanted.get(key) {
                        Some(schema) => against(root, schema, own, &format!("{at}/{key}"), wrong),
                        None => wrong.push(format!("{at}: the schema has no {key}")),
                    }
                }
            }
            "items" => {
                for (n, own) in value.as_array().into_iter().flatten().enumerate() {
                    against(root, wanted, own, &format!("{at}/{n}"), wrong);
                }
            }
            "oneOf" => {
                let fits = |schema: &&Value| {
                    let mut own = Vec::new();
                    against(root, schema, value, at, &mut own);
                    own.is_empty()
                };
                if wanted.as_array().unwrap().iter().filter(fits).count() != 1 {
                    say("it fits not exactly one".into());
                }
            }
            "$ref" => {
                let pointer = wanted.as_str().unwrap().strip_prefix('#').unwrap();
                against(root, root.pointer(pointer).unwrap(), value, at, wrong);
            }
            other => panic!("a word that this test does not know: {other}"),
        }
    }
    wrong.append(&mut here);
}

fn is_code(text: &str, series: &str) -> bool {
    let digits = text.strip_prefix(series);
    digits.is_some_and(|d| d.len() == 2 && d.bytes().all(|b| b.is_ascii_digit()))
}

/// The schema called `name`.
pub(crate) fn schema(name: &str) -> Value {
    let file = format!("{}/../../schema/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(Path::new(&file)).unwrap()).unwrap()
}
