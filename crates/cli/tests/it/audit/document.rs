//! The documents of an audit against what describes them: `schema/audit.json`, and the parts that
//! SARIF 2.1.0 requires (OASIS, sections 3.13 to 3.52).

use std::path::Path;

use serde_json::Value;

use super::{audit, edit, place};
use crate::place::Place;

/// A document with a finding of several kinds.
fn found(place: &Place, format: &str) -> Value {
    edit(place, "\"mmap\"", None);
    edit(place, "\"getpid\"", Some("    {\"syscall\": \"execve\"},"));
    std::fs::write(
        place.at("old.lock"),
        "# portcullis syscalls 1\nmain/start nothing\n",
    )
    .unwrap();
    // An older build, which does next to nothing.
    std::fs::create_dir(place.at("builds")).unwrap();
    place.compile_static("older", "int main(void) { return 0; }\n");
    std::fs::rename(place.at("older"), place.at("builds/older")).unwrap();
    // It has no thread `main` with a filter of its own, and every thread of the program's is told.
    let more = [
        "--lock",
        "old.lock",
        "--history",
        "builds",
        "--format",
        format,
    ];
    audit(place, &more).expect(1).json()
}

/// What a value has that its schema does not let it have. The words of JSON Schema that
/// `schema/audit.json` uses; any other is a mistake of the schema, not passed over. A key that the
/// schema does not name is one too: the document has a version.
fn against(root: &Value, schema: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
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
                    "^PC04[0-9]{2}$" => {
                        text.len() == 6
                            && text.starts_with("PC04")
                            && text[4..].bytes().all(|b| b.is_ascii_digit())
                    }
                    "^0x[0-9a-f]+$" => text.strip_prefix("0x").is_some_and(|hex| {
                        let digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
                        !hex.is_empty() && hex.bytes().all(digit)
                    }),
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

fn schema() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schema/audit.json");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

#[test]
fn the_document_is_as_its_schema_says() {
    let document = found(&place(), "json");
    for part in ["findings", "history"] {
        assert!(!document[part].as_array().unwrap().is_empty(), "{part}");
    }
    assert!(!document["drift"]["gained"].as_array().unwrap().is_empty());
    assert!(document["findings"][0]["patch"].is_string());
    let (schema, mut wrong) = (schema(), Vec::new());
    against(&schema, &schema, &document, "", &mut wrong);
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_wrong_document_is_told_from_a_right_one() {
    let document = found(&place(), "json");
    let schema = schema();
    for (pointer, wrong) in [
        ("/findings/0/kind", Value::from("odd")),
        ("/findings/0/code", Value::from("PC1")),
        ("/findings/0/witness/0/address", Value::from("12")),
        ("/summary/missing", Value::from("1")),
        ("/version", Value::from(2)),
    ] {
        let mut document = document.clone();
        *document.pointer_mut(pointer).unwrap() = wrong;
        let mut found = Vec::new();
        against(&schema, &schema, &document, "", &mut found);
        assert_eq!(found.len(), 1, "{pointer}: {found:?}");
        assert!(found[0].starts_with(pointer), "{found:?}");
    }
}

#[test]
fn sarif_has_what_the_standard_requires() {
    let document = found(&place(), "sarif");
    assert_eq!(document["version"], "2.1.0");
    let runs = document["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 1);
    let driver = &runs[0]["tool"]["driver"];
    assert_eq!(driver["name"], "portcullis");
    let rules = driver["rules"].as_array().unwrap();
    let ids: Vec<&str> = rules.iter().map(|r| r["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["PC0401", "PC0404"]);
    for rule in rules {
        for text in ["shortDescription", "fullDescription", "help"] {
            assert!(!rule[text]["text"].as_str().unwrap().is_empty(), "{rule}");
        }
    }
    let results = runs[0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    for result in results {
        let id = result["ruleId"].as_str().unwrap();
        assert!(ids.contains(&id), "{result}");
        let level = result["level"].as_str().unwrap();
        assert!(["none", "note", "warning", "error"].contains(&level));
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let locations = result["locations"].as_array().unwrap();
        assert_eq!(locations.len(), 1);
        let place = &locations[0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "policy.json");
        let region = &place["region"];
        for key in ["startLine", "startColumn"] {
            assert!(region[key].as_u64().unwrap() >= 1, "{result}");
        }
        assert!(result["partialFingerprints"]["portcullis/v1"].is_string());
    }
}
