//! `scan --stats` as text.

use std::fmt::Write as _;

use portcullis_abi::{Location, SyscallSet};
use portcullis_scan::Stats;

use super::scan::{duration, function, name, object};
use super::style::{HEADING, Styled};
use crate::neutral;

/// Where time and imprecision come from.
pub(crate) fn report(set: &SyscallSet, stats: &Stats) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail; the results of `writeln!` are dropped throughout.
    let path = neutral::text(&set.binary.path);
    let _ = writeln!(out, "{}", Styled(HEADING, path));
    let (linking, solving) = (duration(stats.linking), duration(stats.solving));
    let _ = writeln!(
        out,
        "  {linking} to link, {solving} to solve, {} rounds",
        stats.rounds
    );
    let _ = writeln!(
        out,
        "  {} functions of {} blocks, told apart as {}",
        stats.functions, stats.blocks, stats.instances
    );
    let _ = writeln!(
        out,
        "  {} calls of unknown target, each of which may enter any of {} functions whose address is taken",
        stats.open, stats.taken
    );
    let _ = writeln!(
        out,
        "  {} of {} system calls are reached only so",
        stats.indirect,
        set.syscalls.len()
    );
    if !stats.holders.is_empty() {
        heading(
            &mut out,
            "what hands out those addresses: first, functions they reach, calls",
        );
        for holder in &stats.holders {
            let calls: Vec<String> = holder.calls.iter().map(|n| name(set, *n)).collect();
            let _ = writeln!(
                out,
                "  {:>6} {:>6}  {}  {}",
                holder.hands_out,
                holder.reaches,
                place(set, &holder.at),
                calls.join(" ")
            );
        }
    }
    list(
        &mut out,
        set,
        "calls of known targets that enter most functions",
        &stats.wide,
    );
    list(
        &mut out,
        set,
        "functions with most contexts",
        &stats.contexts,
    );
    out
}

fn heading(out: &mut String, text: &str) {
    let _ = writeln!(out, "\n{}", Styled(HEADING, text));
}

fn list(out: &mut String, set: &SyscallSet, what: &str, counted: &[(Location, usize)]) {
    if counted.is_empty() {
        return;
    }
    heading(out, what);
    for (at, count) in counted {
        let _ = writeln!(out, "  {count:>6}  {}", place(set, at));
    }
}

fn place(set: &SyscallSet, at: &Location) -> String {
    let file = object(set, at);
    let file = file.rsplit('/').next().unwrap_or(&file).to_owned();
    match &at.function {
        Some(_) => format!("{file}+{:#x} {}", at.address, function(at)),
        None => format!("{file}+{:#x}", at.address),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portcullis_abi::Sysno;
    use portcullis_scan::Holder;

    use super::*;
    use crate::sample;

    #[test]
    fn the_stats() {
        let at = |address, function: Option<&str>| Location {
            object: 1,
            address,
            function: function.map(str::to_owned),
        };
        let stats = Stats {
            linking: Duration::from_millis(12),
            solving: Duration::from_millis(1500),
            rounds: 2,
            functions: 1000,
            blocks: 20_000,
            instances: 1300,
            contexts: vec![(at(0x100, Some("open\u{1b}[2J")), 40)],
            open: 7,
            taken: 300,
            wide: vec![(at(0x200, None), 12)],
            indirect: 2,
            holders: vec![Holder {
                at: at(0x300, None),
                hands_out: 3,
                reaches: 80,
                calls: vec![Sysno(0), Sysno(500)],
            }],
        };
        let text = report(&sample::set(), &stats);
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
    }
}
