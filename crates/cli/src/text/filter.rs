//! What is said of filters, for people.

use std::fmt::Write as _;

use portcullis_bpf::Program;

use super::style::{CAUTION, GOOD, HEADING, QUIET, Styled};
use crate::json::filter::{Costs, Differences, Explained, Verified};
use crate::neutral;
use crate::text::audit::way;

/// Names on a line.
const WIDTH: usize = 96;

/// The text of `verify`.
pub(crate) fn verified(document: &Verified) -> String {
    match &document.witness {
        None => format!("{}\n", Styled(GOOD, "equal")),
        Some(w) => format!(
            "{}: {} on {} is answered {} by the policy and {} by the filter\n",
            Styled(CAUTION, "different"),
            w.call,
            w.arch,
            w.policy,
            w.filter
        ),
    }
}

/// The text of `diff`.
pub(crate) fn differences(document: &Differences) -> String {
    if document.equal {
        return format!("{}\n", Styled(GOOD, "equal"));
    }
    let mut text = String::new();
    for (name, sign) in [(&document.first, '-'), (&document.second, '+')] {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", Styled(QUIET, format!("{sign} {name}")));
    }
    for d in &document.differences {
        let heading = format!("{}: {} -> {}", d.arch, d.first, d.second);
        let _ = writeln!(text, "\n{}", Styled(HEADING, heading));
        text.push_str(&wrapped(&d.calls));
        for when in &d.when {
            let _ = writeln!(text, "    when {when}");
        }
        let _ = writeln!(text, "    {}", Styled(QUIET, format!("as {}", d.witness)));
    }
    if document.cut {
        text.push_str("\nthere are more\n");
    }
    for (heading, sign, all) in [
        ("calls gained", '+', &document.gained),
        ("calls lost", '-', &document.lost),
    ] {
        if !all.is_empty() {
            let _ = writeln!(text, "\n{}", Styled(HEADING, heading));
        }
        for made in all {
            let call = format!("{} {}", made.syscall, made.args);
            let line = format!("{sign} {} ({})", call.trim_end(), made.within.join(", "));
            let _ = writeln!(text, "{}", neutral::text(&line));
            way(&mut text, &made.witness);
        }
    }
    text
}

/// The text of `explain`.
pub(crate) fn explained(document: &Explained, program: &Program) -> String {
    let mut text = String::new();
    let call = neutral::text(&document.call).into_owned();
    let _ = writeln!(text, "{} on {}", Styled(HEADING, call), document.arch);
    let listing = program.to_string();
    let lines: Vec<&str> = listing.lines().collect();
    for answer in &document.answers {
        let _ = writeln!(text, "\n{}", Styled(GOOD, &answer.answer));
        for way in answer.when.iter().filter(|way| !way.is_empty()) {
            let _ = writeln!(text, "  when {}", way.join(" and "));
        }
        if let Some(why) = answer.unlisted {
            let _ = writeln!(text, "  no rule: {why}");
        }
        if let Some(place) = &answer.place {
            let _ = writeln!(text, "  {place}");
        }
        for line in answer
            .rule
            .iter()
            .flat_map(|r| r.lines())
            .filter(|l| !l.is_empty())
        {
            let _ = writeln!(text, "  {}", neutral::text(line));
        }
        for at in &answer.path {
            let line = lines.get(*at).copied().unwrap_or_default();
            let _ = writeln!(text, "  {}", Styled(QUIET, line));
        }
    }
    if document.cut {
        text.push_str("\nthere is more; say more arguments\n");
    }
    text
}

/// The text of `cost`.
pub(crate) fn costs(document: &Costs) -> String {
    let mut text = format!(
        "{} instructions, at most {} for a call; a process can have {} such filters\n",
        document.instructions, document.longest_path, document.most_stacked
    );
    for cached in &document.cached {
        let count = cached.calls.len();
        let heading = format!("{}: {count} calls never run it", cached.arch);
        let _ = writeln!(text, "\n{}", Styled(HEADING, heading));
        text.push_str(&wrapped(&cached.calls));
    }
    text
}

fn wrapped(words: &[String]) -> String {
    let mut text = String::new();
    let mut column = 0;
    for word in words {
        if column > 0 && column + word.len() + 1 > WIDTH {
            text.push('\n');
            column = 0;
        }
        text.push_str(if column == 0 { "  " } else { " " });
        text.push_str(word);
        column += word.len() + 1;
    }
    text.push('\n');
    text
}
