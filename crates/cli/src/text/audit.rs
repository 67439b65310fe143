//! An audit as text, and as annotations of GitHub's workflows.

use std::fmt::Write as _;

use portcullis_policy::audit::{Finding, Happened, Kind};

use crate::json::audit::{Step, suggestion};
use crate::json::{self, scan};
use crate::neutral;
use crate::verb::audit::Audited;

/// Steps of a way that are shown; the middle of a longer one is left out.
const MOST_STEPS: usize = 6;

/// The text.
pub(crate) fn report(audited: &Audited) -> String {
    let mut text = String::new();
    for (n, finding) in audited.audit.findings.iter().enumerate() {
        one(&mut text, audited, finding);
        if let Some(Some(Err(why))) = audited.patches.get(n) {
            let _ = writeln!(text, "  no patch says that: {}", neutral::text(why));
        }
    }
    // Writing to a String cannot fail.
    if !audited.audit.on_purpose.is_empty() {
        let _ = writeln!(text, "denied on purpose:");
        for finding in &audited.audit.on_purpose {
            let threads = neutral::text(&finding.threads.join(", ")).into_owned();
            let _ = writeln!(text, "  {threads}: {}", neutral::text(&finding.message));
        }
    }
    for (sign, lines) in [('-', &audited.drift.lost), ('+', &audited.drift.gained)] {
        for line in lines {
            let _ = writeln!(text, "{sign} {}", neutral::text(line));
        }
    }
    for event in &audited.history {
        let (what, subject, steps) = match &event.what {
            Happened::Gained(line, steps) => ("appeared", line, &steps[..]),
            Happened::Lost(line) => ("went away", line, &[][..]),
            Happened::Redundant(rule) => ("became redundant", rule, &[][..]),
            Happened::NoLongerRedundant(rule) => ("is no longer redundant", rule, &[][..]),
        };
        let build = neutral::text(&event.build);
        let _ = writeln!(text, "{build}: {what}: {}", neutral::text(subject));
        way(&mut text, &json::audit::steps(steps));
    }
    let of = |kind: Kind| {
        let all = audited.audit.findings.iter();
        all.filter(|f| f.code.kind() == kind).count()
    };
    let _ = writeln!(
        text,
        "{} missing, {} redundant, {} too broad, {} unknown, {} denied on purpose, {} accepted, \
         {} accepted without need",
        of(Kind::Missing),
        of(Kind::Redundant),
        of(Kind::TooBroad),
        of(Kind::Unknown),
        audited.audit.on_purpose.len(),
        audited.accepted,
        of(Kind::Stale),
    );
    if audited.audit.other_rules > 0 {
        let _ = writeln!(
            text,
            "{} rules for other architectures were not audited",
            audited.audit.other_rules
        );
    }
    if let Some(hash) = &audited.hash {
        let _ = writeln!(text, "audited: {}", scan::sha256(hash));
    }
    text
}

fn one(text: &mut String, audited: &Audited, finding: &Finding) {
    let file = neutral::text(&audited.policy);
    let at = audited.position(finding);
    let at = at.map_or(String::new(), |at| format!(":{at}"));
    let filter = audited.filter(finding).map(neutral::text);
    let filter = filter.map_or(String::new(), |f| format!(" [{f}]"));
    let kind = finding.code.kind();
    let _ = writeln!(
        text,
        "{file}{at}: {} {kind}{filter}: {}",
        finding.code,
        neutral::text(&finding.message)
    );
    if let Some(confidence) = finding.confidence {
        let threads = finding.threads.join(", ");
        let _ = writeln!(
            text,
            "  made by {}, the way is {}:",
            neutral::text(&threads),
            scan::confidence(confidence)
        );
    }
    way(text, &json::audit::steps(&finding.witness));
    if let Some(advice) = suggestion(audited, finding) {
        let _ = writeln!(text, "  {}", neutral::text(&advice));
    }
}

/// The steps of a way to a call.
pub(crate) fn way(text: &mut String, steps: &[Step]) {
    let hidden = steps.len().saturating_sub(MOST_STEPS);
    for (n, step) in steps.iter().enumerate() {
        if hidden > 0 && n == MOST_STEPS / 2 {
            let _ = writeln!(text, "    … {hidden} more");
        }
        if hidden > 0 && (MOST_STEPS / 2..MOST_STEPS / 2 + hidden).contains(&n) {
            continue;
        }
        let function = step.function.as_deref().unwrap_or("?");
        let _ = writeln!(
            text,
            "    {} {} {}",
            neutral::short(&neutral::text(function), 80),
            neutral::text(&step.object),
            step.address
        );
    }
}

/// The same as commands of a workflow: `::error file=…,line=…::…`.
pub(crate) fn annotations(audited: &Audited) -> String {
    let mut text = String::new();
    for finding in &audited.audit.findings {
        let at = audited.position(finding);
        let (line, column) = at.map_or((1, 1), |at| (at.line, at.column));
        let level = match finding.code.kind().fails() {
            true => "error",
            false => "notice",
        };
        let message = match suggestion(audited, finding) {
            Some(advice) => format!("{}; {advice}", finding.message),
            None => finding.message.clone(),
        };
        let _ = writeln!(
            text,
            "::{level} file={},line={line},col={column},title={}::{}",
            property(&audited.policy),
            property(&format!("{} {}", finding.code, finding.code.kind())),
            data(&message)
        );
    }
    for (sign, lines) in [('-', &audited.drift.lost), ('+', &audited.drift.gained)] {
        for line in lines {
            let _ = writeln!(text, "::error title=syscalls.lock::{sign} {}", data(line));
        }
    }
    text
}

/// Text behind a command: what would end it, or begin another, is written by its bytes
/// (`escapeData` of GitHub's actions/toolkit).
fn data(text: &str) -> String {
    let safe = neutral::text(text);
    safe.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// The same of a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_a_command() {
        assert_eq!(data("a\n::error::b%"), "a\\n::error::b%25");
        assert_eq!(property("a:b,c"), "a%3Ab%2Cc");
    }
}
