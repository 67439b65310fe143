//! What traces tell, for people.

use std::fmt::Write as _;
use std::path::Path;

use super::style::{CAUTION, HEADING, QUIET, Styled};
use crate::json::record::{Call, Document};
use crate::json::trace::What;
use crate::neutral;

/// Characters of an observed path that are shown.
const LONGEST: usize = 60;

/// The text of `record show`.
pub(crate) fn record(document: &Document) -> String {
    let mut text = String::new();
    let since = document
        .first
        .map_or(String::new(), |first| format!(" since {}", date(first)));
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{}{since}", runs(document.runs));
    for run in last_of_each_kind(document) {
        let _ = writeln!(text, "  {}", Styled(QUIET, run));
    }
    for image in &document.images {
        let path = neutral::text(&image.path);
        let _ = writeln!(
            text,
            "\n{}  {}",
            Styled(HEADING, path),
            runs(image.when.runs)
        );
        for call in &image.calls {
            text.push_str(&line(call, image.when.runs));
        }
    }
    for remark in &document.remarks {
        let of = remark
            .image
            .as_deref()
            .map_or(String::new(), |path| format!("{}: ", neutral::text(path)));
        let _ = writeln!(
            text,
            "\n{} {of}{}",
            Styled(CAUTION, neutral::text(&remark.code)),
            neutral::text(&remark.message)
        );
    }
    text
}

/// Machines and back-ends, each once.
fn last_of_each_kind(document: &Document) -> Vec<String> {
    let mut all: Vec<String> = document
        .run
        .iter()
        .map(|run| {
            neutral::text(&format!(
                "Linux {}, {}, back-end {}",
                run.kernel, run.arch, run.backend
            ))
            .into_owned()
        })
        .collect();
    all.sort();
    all.dedup();
    all
}

fn runs(runs: u64) -> String {
    match runs {
        1 => "1 run".to_owned(),
        _ => format!("{runs} runs"),
    }
}

fn line(call: &Call, all_runs: u64) -> String {
    let name = call
        .name
        .clone()
        .unwrap_or_else(|| format!("{} of {}", call.number, call.arch));
    let name = neutral::text(&name).into_owned();
    let values: Vec<String> = match call.any {
        true => vec!["other values".to_owned()],
        false => call
            .args
            .iter()
            .map(|arg| arg.symbol.clone().unwrap_or_else(|| arg.value.clone()))
            .map(|value| neutral::text(&value).into_owned())
            .collect(),
    };
    let mut text = format!(
        "  {:<44}  {:>9}",
        format!("{name}({})", values.join(", ")),
        call.count
    );
    if call.when.runs != all_runs {
        let _ = write!(text, "  {}", runs(call.when.runs));
    }
    let mut returned: Vec<&str> = call.errors.iter().map(String::as_str).collect();
    if call.succeeded && !returned.is_empty() {
        returned.insert(0, "ok");
    }
    if !returned.is_empty() {
        let _ = write!(text, "  {}", neutral::text(&returned.join(" ")));
    }
    if call.optional {
        text.push_str(" (optional)");
    }
    for (answers, whose) in [
        (&call.denied, ""),
        (&call.denied_by_own, " by its own filter"),
    ] {
        if !answers.is_empty() {
            let told = format!("denied{whose} ({})", neutral::text(&answers.join(", ")));
            let _ = write!(text, "  {}", Styled(CAUTION, told));
        }
    }
    let quiet: Vec<String> = caller(call).into_iter().chain(observed(call)).collect();
    if !quiet.is_empty() {
        let _ = write!(text, "  {}", Styled(QUIET, quiet.join("  ")));
    }
    text.push('\n');
    text
}

/// Where it was made first.
fn caller(call: &Call) -> Option<String> {
    let caller = call.callers.first()?;
    let object = Path::new(caller.object.as_deref()?).file_name()?;
    let place = caller.function.as_deref().unwrap_or(&caller.address);
    Some(format!(
        "{}:{}",
        neutral::path(Path::new(object)),
        neutral::text(&neutral::short(place, LONGEST))
    ))
}

/// An example of what it was about.
fn observed(call: &Call) -> Option<String> {
    let example = call.observed.first()?;
    let (What::Path(text) | What::Address(text)) = &example.what;
    Some(format!(
        "\"{}\"",
        neutral::text(&neutral::short(text, LONGEST))
    ))
}

/// The day of a moment in seconds since 1970, UTC: the years of the Gregorian calendar repeat after 146097
/// days; counted from March, so that the odd day comes last.
pub(crate) fn date(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    format!("{:04}-{month:02}-{of_month:02}", era * 400 + year + next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_767_225_599, "2025-12-31"),
            (1_795_708_204, "2026-11-26"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(date(seconds), expected, "{seconds}");
        }
        // The largest that a file can say.
        assert!(date(u64::MAX).len() > 10);
    }
}
