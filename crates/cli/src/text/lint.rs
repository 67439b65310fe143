//! What is likely to be wrong with a policy, for people.

use std::fmt::Write as _;

use super::style::{CAUTION, GOOD, QUIET, Styled};
use crate::json::lint::Document;
use crate::neutral;

/// The text of `policy lint`.
pub(crate) fn findings(document: &Document) -> String {
    if document.findings.is_empty() {
        return format!("{}\n", Styled(GOOD, "nothing found"));
    }
    let mut text = String::new();
    for finding in &document.findings {
        let code = Styled(CAUTION, &finding.code);
        let message = neutral::text(&finding.message);
        let message = match &finding.filter {
            Some(filter) => format!("{}: {message}", neutral::text(filter)),
            None => message.into_owned(),
        };
        let file = &document.policy;
        // Writing to a String cannot fail.
        let _ = match &finding.place {
            Some(place) => writeln!(text, "{file}:{place}: {code} {message}"),
            None => writeln!(text, "{file}: {code} {message}"),
        };
        if let Some(line) = &finding.line {
            let _ = writeln!(text, "{}", Styled(QUIET, line.trim_end()));
        }
        let _ = writeln!(text, "  {}\n", neutral::text(&finding.advice));
    }
    let count = document.findings.len();
    let s = if count == 1 { "" } else { "s" };
    let _ = writeln!(text, "{count} finding{s}; `portcullis codes CODE` explains");
    text
}
