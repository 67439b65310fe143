//! `audit --format json`: the document `portcullis.audit`, version 1; and the same as SARIF 2.1.0.

use portcullis_policy::audit::{self, Edit, Finding as Found, Happened, Kind, phrase};
use portcullis_policy::codes;
use serde::Serialize;
use serde_json::{Value, json};

use super::scan;
use crate::verb::audit::Audited;

/// The whole document.
#[derive(Serialize)]
pub(crate) struct Document {
    schema: &'static str,
    version: u32,
    policy: String,
    /// Of the program and the policy, where nothing is missing from the start on, for a host of jobs.
    audited: Option<String>,
    findings: Vec<Finding>,
    /// Calls that rules deny in so many words; no findings.
    denied_on_purpose: Vec<Finding>,
    drift: Drift,
    history: Vec<Event>,
    summary: Summary,
}

#[derive(Serialize)]
struct Finding {
    code: &'static str,
    kind: &'static str,
    /// The filter's name, where the file has several.
    filter: Option<String>,
    /// The first of `threads`.
    thread: Option<String>,
    threads: Vec<String>,
    rule: Option<Rule>,
    syscall: String,
    number: Option<u32>,
    args: Vec<Arg>,
    confidence: Option<&'static str>,
    witness: Vec<Step>,
    residuals: Vec<String>,
    message: String,
    suggestion: Option<String>,
    /// The suggestion as a unified diff of the policy file.
    patch: Option<String>,
    /// Why the suggestion is no patch.
    no_patch: Option<String>,
}

#[derive(Serialize)]
struct Rule {
    text: String,
    index: usize,
    line: Option<usize>,
    column: Option<usize>,
}

#[derive(Serialize)]
struct Arg {
    index: u8,
    value: String,
}

/// A step of a way to a call.
#[derive(Serialize, Debug)]
pub(crate) struct Step {
    pub(crate) object: String,
    pub(crate) function: Option<String>,
    pub(crate) address: String,
}

#[derive(Serialize)]
struct Drift {
    gained: Vec<String>,
    lost: Vec<String>,
}

#[derive(Serialize)]
struct Event {
    build: String,
    what: &'static str,
    subject: String,
    /// A way to the call that appeared.
    witness: Vec<Step>,
}

#[derive(Serialize)]
struct Summary {
    missing: usize,
    redundant: usize,
    too_broad: usize,
    unknown: usize,
    stale: usize,
    denied_on_purpose: usize,
    accepted: usize,
    rules_of_other_architectures: usize,
}

impl Document {
    pub(crate) fn new(audited: &Audited) -> Document {
        let audit = &audited.audit;
        let of = |kind| {
            let all = audit.findings.iter().filter(|f| f.code.kind() == kind);
            all.count()
        };
        Document {
            schema: "portcullis.audit",
            version: 1,
            policy: audited.policy.clone(),
            audited: audited.hash.as_ref().map(scan::sha256),
            findings: audit
                .findings
                .iter()
                .enumerate()
                .map(|(n, found)| {
                    let patch = audited.patches.get(n).cloned().flatten();
                    finding(audited, found, patch)
                })
                .collect(),
            denied_on_purpose: audit
                .on_purpose
                .iter()
                .map(|found| finding(audited, found, None))
                .collect(),
            drift: Drift {
                gained: audited.drift.gained.clone(),
                lost: audited.drift.lost.clone(),
            },
            history: audited
                .history
                .iter()
                .map(|event| {
                    let (what, subject, way) = match &event.what {
                        Happened::Gained(line, way) => ("gained", line, &way[..]),
                        Happened::Lost(line) => ("lost", line, &[][..]),
                        Happened::Redundant(rule) => ("redundant", rule, &[][..]),
                        Happened::NoLongerRedundant(rule) => ("no-longer-redundant", rule, &[][..]),
                    };
                    Event {
                        build: event.build.clone(),
                        what,
                        subject: subject.clone(),
                        witness: steps(way),
                    }
                })
                .collect(),
            summary: Summary {
                missing: of(Kind::Missing),
                redundant: of(Kind::Redundant),
                too_broad: of(Kind::TooBroad),
                unknown: of(Kind::Unknown),
                stale: of(Kind::Stale),
                denied_on_purpose: audit.on_purpose.len(),
                accepted: audited.accepted,
                rules_of_other_architectures: audit.other_rules,
            },
        }
    }
}

fn finding(audited: &Audited, found: &Found, patch: Option<Result<String, String>>) -> Finding {
    let (patch, no_patch) = match patch {
        Some(Ok(patch)) => (Some(patch), None),
        Some(Err(why)) => (None, Some(why)),
        None => (None, None),
    };
    let at = audited.position(found);
    Finding {
        code: found.code.name(),
        kind: found.code.kind().name(),
        filter: audited.filter(found).map(str::to_owned),
        thread: found.threads.first().cloned(),
        threads: found.threads.clone(),
        rule: found.rule.as_ref().map(|rule| Rule {
            text: rule.text.clone(),
            index: rule.rule,
            line: at.map(|at| at.line),
            column: at.map(|at| at.column),
        }),
        syscall: found.call.clone(),
        number: found.number.map(|n| n.0),
        args: found
            .args
            .iter()
            .map(|(index, value)| Arg {
                index: *index,
                value: phrase::value(value),
            })
            .collect(),
        confidence: found.confidence.map(scan::confidence),
        witness: steps(&found.witness),
        residuals: found.residuals.clone(),
        message: found.message.clone(),
        suggestion: suggestion(audited, found),
        patch,
        no_patch,
    }
}

/// A way, step by step.
pub(crate) fn steps(way: &[audit::Step]) -> Vec<Step> {
    let step = |step: &audit::Step| Step {
        object: step.object.clone(),
        function: step.function.clone(),
        address: scan::hex(step.address),
    };
    way.iter().map(step).collect()
}

/// What to do, in a sentence.
pub(crate) fn suggestion(audited: &Audited, found: &Found) -> Option<String> {
    let policy = &audited.filters.get(found.filter?)?.policy;
    let rules = |table: usize, all: &[portcullis_policy::Rule]| {
        let table = policy.tables.get(table)?;
        let all: Vec<String> = all.iter().map(|r| phrase::rule(table, r)).collect();
        Some(all.join("; "))
    };
    let own = found.rule.as_ref().map_or("", |r| &r.text);
    Some(match found.suggestion.as_ref()? {
        Edit::Remove { .. } => format!("remove `{own}`"),
        Edit::Replace { rule, by } => {
            format!("replace `{own}` by `{}`", rules(rule.0, by)?)
        }
        Edit::Insert { before, rules: new } => {
            let text = rules(before.0, new)?;
            let end = policy.tables.get(before.0)?.rules.len() == before.1;
            match end {
                true => format!("add `{text}`"),
                false => format!("add `{text}` before `{own}`"),
            }
        }
    })
}

/// The findings as SARIF 2.1.0 (OASIS).
pub(crate) fn sarif(audited: &Audited) -> Value {
    let mut known: Vec<&str> = audited
        .audit
        .findings
        .iter()
        .map(|f| f.code.name())
        .collect();
    known.sort_unstable();
    known.dedup();
    let rules: Vec<Value> = known
        .iter()
        .filter_map(|code| codes::explain(code))
        .map(|code| {
            json!({
                "id": code.code,
                "shortDescription": {"text": code.title},
                "fullDescription": {"text": code.meaning},
                "help": {"text": code.advice},
            })
        })
        .collect();
    let results: Vec<Value> = audited
        .audit
        .findings
        .iter()
        .map(|found| {
            let at = audited.position(found);
            let (line, column) = at.map_or((1, 1), |at| (at.line, at.column));
            let message = match suggestion(audited, found) {
                Some(advice) => format!("{}; {advice}", found.message),
                None => found.message.clone(),
            };
            json!({
                "ruleId": found.code.name(),
                "level": if found.code.kind().fails() { "error" } else { "note" },
                "message": {"text": message},
                "locations": [{"physicalLocation": {
                    "artifactLocation": {"uri": uri(&audited.policy)},
                    "region": {"startLine": line, "startColumn": column},
                }}],
                "partialFingerprints": {"portcullis/v1": format!(
                    "{} {} {} {}",
                    found.code, found.threads.join(","), found.call, phrase::arguments(&found.args)
                )},
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "portcullis",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "results": results,
        }],
    })
}

/// A path as a reference (RFC 3986): what means something there is written by its bytes.
fn uri(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                text.push(char::from(byte));
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}
