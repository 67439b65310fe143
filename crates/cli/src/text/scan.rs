//! `scan` as text: the calls by purpose, what is uncertain, and witness paths.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use portcullis_abi::{
    ArgValue, Confidence, Location, Mode, Residual, ResidualKind, Syscall, SyscallSet, Sysno,
    ThreadSet,
};

use super::purpose_table::{self, PURPOSES};
use super::style::{CAUTION, GOOD, HEADING, QUIET, Styled};
use crate::images::Images;
use crate::json;
use crate::neutral;

/// Columns that the lists of names fill.
const WIDTH: usize = 80;
/// Characters of a function's name before it is cut.
const NAME: usize = 100;
/// Threads that text shows; JSON has all.
const THREADS: usize = 12;
/// Residuals of one kind that text shows; JSON has all.
const RESIDUALS: usize = 5;
/// Steps of a chain that text shows at each end.
const CHAIN_ENDS: usize = 3;

/// How long the result took and where it came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Timing {
    /// From the start of the command's work to the result.
    pub(crate) elapsed: Duration,
    /// The result was found in the cache.
    pub(crate) cached: bool,
}

/// The whole report.
pub(crate) fn report(images: &Images, timing: Timing) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail; the results of `write!` are dropped throughout.
    for set in images.sets() {
        if !out.is_empty() {
            out.push('\n');
        }
        head(&mut out, set);
        calls(&mut out, set);
        phases(&mut out, set);
        residuals(&mut out, set);
        assumed(&mut out, set);
        warnings(&mut out, set);
    }
    if !images.others.is_empty() {
        let programs = plural(images.others.len() + 1, "program");
        let line = format!(
            "{} of {programs}",
            plural(images.union().len(), "system call")
        );
        let _ = writeln!(out, "\n{}", Styled(HEADING, line));
    }
    let source = if timing.cached {
        "from the cache"
    } else {
        "analysed"
    };
    let line = format!("{source} in {}", duration(timing.elapsed));
    let _ = writeln!(out, "\n{}", Styled(QUIET, line));
    out
}

/// The names alone, sorted, one per line; a number that no table knows stands for itself.
pub(crate) fn list(images: &Images) -> String {
    let calls = images.sets().flat_map(|set| &set.syscalls);
    let mut names: Vec<String> = calls.map(|s| name(&images.first, s.number)).collect();
    names.sort_unstable();
    names.dedup();
    names.iter().fold(String::new(), |mut out, name| {
        out.push_str(name);
        out.push('\n');
        out
    })
}

/// Why `call` is in the set: its witness path, a frame per line, root first.
pub(crate) fn why(set: &SyscallSet, call: &Syscall) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{} ({}): {}, made by the {}, {}",
        Styled(HEADING, name(set, call.number)),
        call.number,
        match call.confidence {
            Confidence::Direct => "reached by direct calls",
            Confidence::Tight => "reached through a pointer resolved by shape",
            Confidence::Sound => "reached through a pointer that may be any function taken",
        },
        json::scan::origin(call.origin),
        plural(call.sites.len(), "site"),
    );
    let names: Vec<String> = call.why.iter().map(function).collect();
    let width = names
        .iter()
        .map(|n| n.chars().count())
        .max()
        .unwrap_or(0)
        .min(48);
    for (at, name) in call.why.iter().zip(&names) {
        let place = format!("{}+{:#x}", object(set, at), at.address);
        let _ = writeln!(out, "  {name:width$}  {}", Styled(QUIET, place));
    }
    if call.why.is_empty() {
        let _ = writeln!(out, "  no path is recorded");
    }
    for (index, value) in &call.args {
        if !matches!(value, ArgValue::Any) {
            let _ = writeln!(out, "  argument {index}: {}", argument(value));
        }
    }
    if let Some(paths) = call.paths() {
        for path in &paths.known {
            let path = neutral::text(&neutral::short(path, 200)).to_string();
            let _ = writeln!(out, "  path: {path}");
        }
        if paths.others {
            let _ = writeln!(out, "  path: others that are not known");
        }
    }
    out
}

/// The counts of residuals per kind, as one phrase; `None` when there is none.
pub(crate) fn residual_counts(set: &SyscallSet) -> Option<String> {
    let mut counts = BTreeMap::<usize, (ResidualKind, usize)>::new();
    for residual in &set.residuals {
        counts
            .entry(order(residual.kind))
            .or_insert((residual.kind, 0))
            .1 += 1;
    }
    let phrases: Vec<String> = counts
        .values()
        .map(|&(kind, count)| format!("{count} {}", kind.name()))
        .collect();
    (!phrases.is_empty()).then(|| phrases.join(", "))
}

fn head(out: &mut String, set: &SyscallSet) {
    let binary = &set.binary;
    let _ = writeln!(out, "{}", Styled(HEADING, neutral::text(&binary.path)));
    if let Some((script, argument)) = &binary.script {
        let _ = write!(
            out,
            "  analysed as the interpreter of the script {}",
            neutral::text(script)
        );
        if let Some(argument) = argument {
            let _ = write!(out, " (with the argument {})", neutral::text(argument));
        }
        out.push('\n');
    }
    let languages: Vec<&str> = binary
        .languages
        .iter()
        .map(|l| json::scan::language(*l))
        .collect();
    let _ = writeln!(
        out,
        "  {}, {}{}{}, {}",
        binary.arch,
        json::scan::linkage(binary.linkage),
        if binary.stripped { ", stripped" } else { "" },
        if languages.is_empty() {
            String::new()
        } else {
            format!(", {}", languages.join(", "))
        },
        plural(set.objects.len(), "object"),
    );
    let by = |confidence| {
        set.syscalls
            .iter()
            .filter(|s| s.confidence == confidence)
            .count()
    };
    let _ = writeln!(
        out,
        "  {}: {} direct, {} tight, {} sound",
        Styled(HEADING, plural(set.syscalls.len(), "system call")),
        by(Confidence::Direct),
        by(Confidence::Tight),
        by(Confidence::Sound),
    );
    if let Some((version, numbers)) = set.kernel() {
        let because: Vec<String> = numbers.iter().map(|n| name(set, *n)).collect();
        let because = because.join(", ");
        let _ = writeln!(
            out,
            "  all of them are in Linux {version} and later; older kernels lack {because}"
        );
    }
    let complete = if set.complete() {
        Styled(GOOD, "complete: all scanned code was understood")
    } else {
        Styled(
            CAUTION,
            "not complete: some scanned code was not understood",
        )
    };
    let closed = if set.closed() {
        Styled(GOOD, "closed: no other code can run")
    } else {
        Styled(
            CAUTION,
            "not closed: it can load libraries or start programs",
        )
    };
    let _ = writeln!(out, "  {complete}\n  {closed}");
}

/// How many calls each thread can make in each phase; nothing when there is but one set.
fn phases(out: &mut String, set: &SyscallSet) {
    let sound: Vec<&ThreadSet> = set.sets.iter().filter(|s| s.mode == Mode::Sound).collect();
    if sound.len() < 2 {
        return;
    }
    let _ = writeln!(out, "\n{}", Styled(HEADING, "threads and phases"));
    let mut threads: Vec<&str> = sound.iter().map(|s| &*s.thread).collect();
    threads.dedup();
    let shown = threads.len().min(THREADS);
    for &thread in &threads[..shown] {
        let own = sound.iter().filter(|s| s.thread == thread);
        let counts: Vec<String> = own
            .map(|s| {
                let is = |t: &&ThreadSet| {
                    (&t.thread, &t.phase, t.mode) == (&s.thread, &s.phase, Mode::Tight)
                };
                let tight = set.sets.iter().find(is).map_or(0, |t| t.numbers.len());
                let phase = neutral::text(&s.phase);
                format!("{phase} {} ({tight} tight)", s.numbers.len())
            })
            .collect();
        let name: String = thread.chars().take(NAME).collect();
        let _ = writeln!(out, "  {}: {}", neutral::text(&name), counts.join(", "));
    }
    if shown < threads.len() {
        let _ = writeln!(out, "  … and {} more", threads.len() - shown);
    }
}

fn calls(out: &mut String, set: &SyscallSet) {
    let mut groups: Vec<Vec<String>> = vec![Vec::new(); PURPOSES.len()];
    let mut unknown = Vec::new();
    for call in &set.syscalls {
        match set.binary.arch.name(call.number) {
            Some(name) => match purpose_table::of(name) {
                Some(at) => groups[at].push(name.to_owned()),
                None => unknown.push(name.to_owned()),
            },
            None => unknown.push(call.number.to_string()),
        }
    }
    let headings = PURPOSES.iter().map(|p| p.heading).chain(["no table knows"]);
    for (heading, mut names) in headings.zip(groups.into_iter().chain([unknown])) {
        if names.is_empty() {
            continue;
        }
        names.sort_unstable();
        let _ = writeln!(out, "\n{} ({})", Styled(HEADING, heading), names.len());
        fill(out, &names);
    }
}

/// Names separated by two blanks, in lines of at most [`WIDTH`] columns.
pub(super) fn fill(out: &mut String, names: &[String]) {
    let mut column = 0;
    for name in names {
        if column > 0 && column + 2 + name.len() > WIDTH {
            out.push('\n');
            column = 0;
        }
        out.push_str("  ");
        out.push_str(name);
        column += 2 + name.len();
    }
    out.push('\n');
}

fn residuals(out: &mut String, set: &SyscallSet) {
    let mut kinds = BTreeMap::<usize, Vec<&Residual>>::new();
    for residual in &set.residuals {
        kinds
            .entry(order(residual.kind))
            .or_default()
            .push(residual);
    }
    for found in kinds.values() {
        let kind = found[0].kind;
        let _ = writeln!(
            out,
            "\n{} ({}): {}",
            Styled(CAUTION, format!("residual: {}", kind.name())),
            found.len(),
            meaning(kind),
        );
        for residual in found.iter().take(RESIDUALS) {
            let _ = writeln!(
                out,
                "  {}",
                neutral::text(&neutral::short(&residual.detail, 200))
            );
            let at = &residual.at;
            let place = match &at.function {
                Some(_) => format!("{} in {}+{:#x}", function(at), object(set, at), at.address),
                None => format!("{}+{:#x}", object(set, at), at.address),
            };
            let _ = writeln!(out, "    at {place}  [{}]", neutral::text(&residual.id));
            if let Some(chain) = chain(&residual.why) {
                let _ = writeln!(out, "    {}", Styled(QUIET, format!("by {chain}")));
            }
        }
        if found.len() > RESIDUALS {
            let _ = writeln!(
                out,
                "  … and {} more (--format json lists them all)",
                found.len() - RESIDUALS
            );
        }
    }
}

fn assumed(out: &mut String, set: &SyscallSet) {
    if set.assumed.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "\n{} ({})",
        Styled(CAUTION, "assumed"),
        set.assumed.len()
    );
    for assumed in &set.assumed {
        let names: Vec<String> = assumed.calls.iter().map(|n| name(set, *n)).collect();
        let id = neutral::text(&assumed.residual.id);
        let _ = match names.is_empty() {
            true => writeln!(out, "  {id} makes no call"),
            false => writeln!(out, "  {id} makes {}", names.join(", ")),
        };
    }
}

fn warnings(out: &mut String, set: &SyscallSet) {
    if set.warnings.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "\n{} ({})",
        Styled(CAUTION, "warnings"),
        set.warnings.len()
    );
    for warning in &set.warnings {
        let _ = writeln!(
            out,
            "  {}  {}",
            warning.code,
            neutral::text(&warning.message)
        );
    }
}

/// A call chain in one line, its middle left out when it is long.
fn chain(why: &[Location]) -> Option<String> {
    if why.is_empty() {
        return None;
    }
    let step = |at: &Location| neutral::text(&neutral::short(&function(at), 60)).into_owned();
    let mut steps: Vec<String> = why.iter().map(step).collect();
    steps.dedup();
    if steps.len() > 2 * CHAIN_ENDS + 1 {
        let left_out = steps.len() - 2 * CHAIN_ENDS;
        let tail = steps.split_off(steps.len() - CHAIN_ENDS);
        steps.truncate(CHAIN_ENDS);
        steps.push(format!("({left_out} more)"));
        steps.extend(tail);
    }
    Some(steps.join(" → "))
}

/// What is uncertain, per kind, for a person.
fn meaning(kind: ResidualKind) -> &'static str {
    match kind {
        ResidualKind::Number => "calls whose number was not found out",
        ResidualKind::Target => "jumps or calls to a place that was not found out",
        ResidualKind::Module => "libraries that it may load while it runs (name them by --plugin)",
        ResidualKind::Exec => "programs that it may start",
        ResidualKind::Code => "memory that becomes executable with unknown content",
    }
}

fn order(kind: ResidualKind) -> usize {
    match kind {
        ResidualKind::Number => 0,
        ResidualKind::Target => 1,
        ResidualKind::Code => 2,
        ResidualKind::Module => 3,
        ResidualKind::Exec => 4,
    }
}

/// The kernel's name, or the number when no table knows it.
pub(crate) fn name(set: &SyscallSet, number: Sysno) -> String {
    match set.binary.arch.name(number) {
        Some(name) => name.to_owned(),
        None => number.to_string(),
    }
}

pub(super) fn function(at: &Location) -> String {
    match &at.function {
        Some(name) => neutral::text(&neutral::short(name, NAME)).into_owned(),
        None => "?".to_owned(),
    }
}

pub(super) fn object(set: &SyscallSet, at: &Location) -> String {
    match set.objects.get(at.object) {
        Some(object) => neutral::text(&object.path).into_owned(),
        None => "?".to_owned(),
    }
}

fn argument(value: &ArgValue) -> String {
    /// Values shown before the rest is only counted.
    const SHOWN: usize = 16;
    let some = |values: &[u64]| {
        let mut shown: Vec<String> = values
            .iter()
            .take(SHOWN)
            .map(|v| format!("{v:#x}"))
            .collect();
        if values.len() > SHOWN {
            shown.push(format!("… {} more", values.len() - SHOWN));
        }
        shown.join(", ")
    };
    match value {
        ArgValue::Any => "anything".to_owned(),
        ArgValue::Values(values) => some(values),
        ArgValue::Ranges(ranges) => ranges
            .iter()
            .take(SHOWN)
            .map(|&(low, high, stride)| match stride {
                0 | 1 => format!("{low:#x} to {high:#x}"),
                stride => format!("{low:#x} to {high:#x} in steps of {stride:#x}"),
            })
            .collect::<Vec<_>>()
            .join(", "),
        ArgValue::Masked { mask, values } => format!("under the mask {mask:#x}: {}", some(values)),
        ArgValue::Text(text) => format!("\"{}\"", neutral::text(&neutral::short(text, 200))),
    }
}

/// `1 site`, `2 sites`.
pub(crate) fn plural(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

/// Three significant digits are enough for a person.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds >= 1.0 {
        format!("{seconds:.2} s")
    } else if seconds >= 0.001 {
        format!("{:.1} ms", seconds * 1e3)
    } else {
        format!("{:.0} µs", seconds * 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn the_report() {
        let timing = Timing {
            elapsed: Duration::from_millis(412),
            cached: false,
        };
        insta::assert_snapshot!(plain(&report(&Images::alone(sample::set()), timing)));
    }

    #[test]
    fn a_witness_path() {
        let set = sample::set();
        let shown: String = [41, 257, 500]
            .iter()
            .map(|n| why(&set, set.get(Sysno(*n)).unwrap()))
            .collect();
        insta::assert_snapshot!(plain(&shown));
    }

    #[test]
    fn the_list_is_sorted() {
        let list = list(&Images::alone(sample::set()));
        let lines: Vec<&str> = list.lines().collect();
        assert!(lines.is_sorted(), "{lines:?}");
        assert_eq!(lines.len(), sample::set().syscalls.len());
        assert!(lines.contains(&"500"));
    }

    #[test]
    fn nothing_of_a_binary_reaches_the_terminal_raw() {
        let set = sample::set();
        let mut all = report(
            &Images::alone(set.clone()),
            Timing {
                elapsed: Duration::ZERO,
                cached: true,
            },
        );
        for call in &set.syscalls {
            all.push_str(&why(&set, call));
        }
        let all = plain(&all);
        assert!(!all.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{all}");
    }
}
