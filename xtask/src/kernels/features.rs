//! Suite: what is declared of an environment is what is found there, no less and no more.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};

use super::feature::{FACTS, Feature, Features};
use super::initramfs::Files;
use super::step::{Seen, Step};
use super::suite::{Case, Environment};

/// The one case.
pub(crate) fn cases(environment: &Environment, _: &mut Files) -> Result<Vec<Case>> {
    let environment = environment.clone();
    Ok(vec![Case {
        name: "features".to_owned(),
        needs: Vec::new(),
        step: Step {
            program: "probe".to_owned(),
            environment: Vec::new(),
            arguments: Vec::new(),
            seconds: 60,
        },
        judge: Box::new(move |seen| judge(&environment, seen)),
    }])
}

fn judge(environment: &Environment, seen: &Seen) -> Result<usize> {
    let mut said: BTreeMap<&str, &str> = BTreeMap::new();
    for line in seen.text(0)?.lines() {
        let (name, value) = line.split_once(' ').context("a line of one word")?;
        ensure!(said.insert(name, value).is_none(), "{name} is told twice");
    }
    let expected = [
        ("release", environment.release.clone()),
        ("machine", environment.arch.to_string()),
        ("user", environment.uid.to_string()),
    ];
    for (name, value) in &expected {
        let found = said.remove(name).with_context(|| format!("no {name}"))?;
        ensure!(found == value, "{name}: {found} was found and not {value}");
    }
    let count = said.len();
    let found = found(said)?;
    let differences = differences(&environment.declared, &found);
    ensure!(differences.is_empty(), "{}", differences.join("; "));
    Ok(count + expected.len())
}

/// The levels that the probes found; each feature that has a release must be among them.
fn found(said: BTreeMap<&str, &str>) -> Result<Features> {
    let mut found = Features::default();
    let count = said.len();
    for (name, value) in said {
        let feature = Feature::named(name).with_context(|| format!("{name:?} is no feature"))?;
        match value.parse() {
            Ok(level) => found.set(feature, level),
            Err(_) => bail!("{name}: the probe is {value}"),
        }
    }
    ensure!(
        count == FACTS.len(),
        "{count} of {} probes tell",
        FACTS.len()
    );
    Ok(found)
}

fn differences(declared: &Features, found: &Features) -> Vec<String> {
    let level =
        |fact: &super::feature::Fact| (declared.level(fact.feature), found.level(fact.feature));
    let differing = FACTS.iter().filter(|fact| {
        let (declared, found) = level(fact);
        declared != found
    });
    differing
        .map(|fact| {
            let (declared, found) = level(fact);
            format!("{}: {declared} is declared, {found} was found", fact.name)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use portcullis_abi::KernelVersion;

    use super::*;

    #[test]
    fn a_difference_in_either_direction_is_one() {
        let declared = Features::of_release(KernelVersion::new(6, 1));
        let mut found = declared.clone();
        assert!(differences(&declared, &found).is_empty());
        found.set(Feature::Landlock, 3);
        found.set(Feature::Notify, 0);
        assert_eq!(
            differences(&declared, &found),
            [
                "notify: 1 is declared, 0 was found",
                "landlock: 2 is declared, 3 was found"
            ]
        );
    }

    #[test]
    fn a_probe_that_is_missing_or_broken_is_an_error() {
        let all = || {
            FACTS
                .iter()
                .map(|fact| (fact.name, "1"))
                .collect::<BTreeMap<_, _>>()
        };
        assert!(found(all()).is_ok());
        let mut some = all();
        some.remove("pidfd");
        assert!(found(some).is_err());
        let mut broken = all();
        broken.insert("pidfd", "broken 0xe");
        assert!(found(broken).is_err());
        let mut strange = all();
        strange.insert("strange", "1");
        assert!(found(strange).is_err());
    }
}
