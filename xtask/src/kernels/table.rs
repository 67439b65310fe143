//! What came of the matrix, as a table.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::environment::User;
use super::suite::SUITES;

/// What came of one environment.
pub(crate) struct Row {
    /// The kernel that ran: its own name of its release.
    pub(crate) release: String,
    pub(crate) arch: String,
    /// What is changed about the machine, or `this machine`.
    pub(crate) machine: String,
    pub(crate) user: User,
    /// How long the machine ran, with all its users.
    pub(crate) took: Duration,
    /// By suite.
    pub(crate) tallies: BTreeMap<&'static str, Tally>,
    /// Why nothing came of it.
    pub(crate) error: Option<String>,
}

/// What came of a suite in one environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// What was compared.
    pub(crate) compared: usize,
    /// The cases that ran.
    pub(crate) ran: BTreeSet<String>,
    /// Cases that did not, by the need that is not met.
    pub(crate) without: BTreeMap<String, BTreeSet<String>>,
    /// What is wrong.
    pub(crate) failures: Vec<String>,
    /// What each of its cases took by the machine's own clock.
    pub(crate) took: BTreeMap<String, Duration>,
}

impl Row {
    /// Everything that is wrong with it.
    pub(crate) fn failures(&self) -> Vec<String> {
        let of = |(suite, tally): (&&str, &Tally)| {
            let line = |failure: &String| format!("{suite}: {failure}");
            tally.failures.iter().map(line).collect::<Vec<_>>()
        };
        let all = self.tallies.iter().flat_map(of);
        self.error.iter().cloned().chain(all).collect()
    }

    /// `2 without userns, 1 without the command`.
    fn without(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (need, cases) in self.tallies.values().flat_map(|tally| &tally.without) {
            *counts.entry(need).or_default() += cases.len();
        }
        let counts = counts.iter().map(|(need, count)| format!("{count} {need}"));
        counts.collect::<Vec<_>>().join(", ")
    }
}

/// Prints the table; a number is what was compared, `FAILED` stands where something is wrong, `-` where a
/// suite is not tried.
pub(crate) fn print(rows: &[Row]) {
    let mut lines = vec![head()];
    lines.extend(rows.iter().map(line));
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(String::len).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for line in &lines {
        let cells = line.iter().zip(&widths);
        let cells = cells.map(|(cell, width)| format!("{cell:<width$}"));
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    for row in rows {
        for failure in row.failures() {
            eprintln!(
                "kernels: {} {}, {}, {}: {failure}",
                row.release, row.arch, row.machine, row.user
            );
        }
    }
}

fn head() -> Vec<String> {
    let mut head = vec!["kernel", "arch", "machine", "user"];
    head.extend(SUITES.iter().map(|(name, ..)| *name));
    head.extend(["time", "left out, and for which need"]);
    head.into_iter().map(str::to_owned).collect()
}

fn line(row: &Row) -> Vec<String> {
    let mut line = vec![
        row.release.clone(),
        row.arch.clone(),
        row.machine.clone(),
        row.user.to_string(),
    ];
    line.extend(SUITES.iter().map(|(name, ..)| match row.tallies.get(name) {
        Some(tally) if tally.failures.is_empty() => tally.compared.to_string(),
        None if row.error.is_none() => "-".to_owned(),
        _ => "FAILED".to_owned(),
    }));
    line.push(format!("{:.1} s", row.took.as_secs_f64()));
    line.push(row.without());
    line
}

/// Cases whose times are told: those that take most.
const LONGEST: usize = 12;

/// Prints where the time went: each suite in all environments, and the cases that take most.
pub(crate) fn print_times(rows: &[Row]) {
    let mut suites = Vec::new();
    let mut cases: BTreeMap<(&str, &str), Duration> = BTreeMap::new();
    for (suite, ..) in SUITES {
        let tallies = rows.iter().filter_map(|row| row.tallies.get(suite));
        let all = tallies.flat_map(|tally| &tally.took);
        let mut whole = Duration::ZERO;
        for (case, took) in all {
            whole += *took;
            *cases.entry((suite, case)).or_default() += *took;
        }
        suites.push(format!("{suite} {} s", whole.as_secs()));
    }
    println!("kernels: in all machines: {}", suites.join(", "));
    let mut cases: Vec<_> = cases.into_iter().collect();
    cases.sort_by_key(|(_, took)| std::cmp::Reverse(*took));
    for ((suite, case), took) in cases.into_iter().take(LONGEST) {
        println!("kernels: {:6.1} s  {suite}: {case}", took.as_secs_f64());
    }
}

/// The cases that were left out everywhere.
pub(crate) fn nowhere(rows: &[Row]) -> BTreeSet<String> {
    let cases = |of: fn(&Tally) -> Vec<&String>| -> BTreeSet<String> {
        let all = rows.iter().flat_map(|row| &row.tallies);
        let named = all.flat_map(|(suite, tally)| {
            let name = move |case: &String| format!("{suite}: {case}");
            of(tally).into_iter().map(name)
        });
        named.collect()
    };
    let ran = cases(|tally| tally.ran.iter().collect());
    let left_out = cases(|tally| tally.without.values().flatten().collect());
    left_out.difference(&ran).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ran: &[&str], without: &[&str]) -> Row {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let tally = Tally {
            ran: set(ran),
            without: BTreeMap::from([("userns".to_owned(), set(without))]),
            ..Tally::default()
        };
        Row {
            release: String::new(),
            arch: String::new(),
            machine: String::new(),
            user: User::Root,
            took: Duration::ZERO,
            tallies: BTreeMap::from([("confined", tally)]),
            error: None,
        }
    }

    #[test]
    fn a_case_that_is_left_out_everywhere_is_named() {
        let rows = [row(&["a"], &["b", "c"]), row(&["b"], &["a", "c"])];
        assert_eq!(nowhere(&rows), BTreeSet::from(["confined: c".to_owned()]));
        assert_eq!(rows[0].without(), "2 userns");
    }
}
