//! The documents of an audit against what describes them: `schema/audit.json`, and the parts that
//! SARIF 2.1.0 requires (OASIS, sections 3.13 to 3.52).

use serde_json::Value;

use super::{audit, edit, place};
use crate::place::Place;
use crate::schema::{against, fits, schema};

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

#[test]
fn the_document_is_as_its_schema_says() {
    let document = found(&place(), "json");
    for part in ["findings", "history"] {
        assert!(!document[part].as_array().unwrap().is_empty(), "{part}");
    }
    assert!(!document["drift"]["gained"].as_array().unwrap().is_empty());
    assert!(document["findings"][0]["patch"].is_string());
    fits("audit", &document);
}

#[test]
fn a_wrong_document_is_told_from_a_right_one() {
    let document = found(&place(), "json");
    let schema = schema("audit");
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
