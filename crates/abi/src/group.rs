//! Groups of calls by what they are for, under the names that systemd made known.

mod known_table;
mod membership;

use std::collections::BTreeSet;

use crate::{Arch, Sysno};
use known_table::KNOWN;
use membership::GROUPS;

/// Every group, sorted by name.
pub fn groups() -> impl Iterator<Item = &'static str> {
    // `@known` stands between `@keyring` and `@memlock`.
    let after = GROUPS.partition_point(|(name, _)| *name < "@known");
    let (before, after) = GROUPS.split_at(after);
    let name = |row: &(&'static str, _)| row.0;
    before
        .iter()
        .map(name)
        .chain(["@known"])
        .chain(after.iter().map(name))
}

/// The members of a group (`@file-system`): names of calls, of all architectures, and of groups
/// that it includes, with their `@`. `@known` has every call of the tables. `None` for a name that
/// is no group.
pub fn group(name: &str) -> Option<&'static [&'static str]> {
    if name == "@known" {
        return Some(KNOWN);
    }
    let at = GROUPS.binary_search_by(|row| row.0.cmp(name)).ok()?;
    Some(GROUPS[at].1)
}

impl Arch {
    /// The calls of a group and of the groups in it that this architecture has, ascending; `None` for
    /// a name that is no group.
    pub fn group(self, name: &str) -> Option<Vec<Sysno>> {
        let mut numbers = BTreeSet::new();
        let mut rest = vec![group(name)?];
        // Groups include others and never themselves (a test walks all of them).
        while let Some(members) = rest.pop() {
            for member in members {
                match group(member) {
                    Some(inner) => rest.push(inner),
                    None => numbers.extend(self.number(member)),
                }
            }
        }
        Some(numbers.into_iter().collect())
    }
}
