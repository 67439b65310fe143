//! Suite: the tests of the crates that start and follow programs, as they are, each a case of its own.
//!
//! The same names are expected everywhere: what an architecture does not have is said here, and what a
//! machine's executable lists beyond that, or lacks, is a failure.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use portcullis_abi::Arch;

use super::environment::User;
use super::feature::{Feature, Need};
use super::initramfs::Files;
use super::programs;
use super::step::{Ended, Seen, Step, Word};
use super::suite::{Case, Environment};
use crate::{cross, process};

/// The crates; integration tests are called `it`, those in the sources by their crate.
const PACKAGES: &[&str] = &["portcullis-sandbox"];
/// Where the executables are in a machine, each beside the lists of its tests and of those among them that
/// only other tests start.
const EXECUTABLES: &str = "tests/";
const LIST: &str = ".list";
const IGNORED: &str = ".ignored";
/// Where the programs are that tests start.
pub(super) const PREBUILT: &str = "prebuilt";
/// What one test may take on an emulated processor that others use too.
const SECONDS: u32 = 300;
/// The end of a test's output, which a failure shows.
const SHOWN: usize = 12;

/// Asks an executable for its tests.
const LISTING: [&str; 3] = ["--list", "--format", "terse"];

/// What decides which tests there are.
const ARCHES: [Feature; 2] = [Feature::X86_64, Feature::Aarch64];
/// What tests need that is not everywhere; a name that ends with colons is that of a file's tests.
const NEEDS: &[(&str, Feature)] = &[
    (
        "it::denial::a_call_of_the_32_bit_abi_is_told_as_one",
        Feature::X86_64,
    ),
    // What is mounted is made read-only as a whole, and rules about files belong to the default.
    ("portcullis_sandbox::launch::", Feature::MountSetattr),
    ("portcullis_sandbox::launch::", Feature::Landlock),
    ("portcullis_sandbox::launch::", Feature::Userns),
    ("it::breakout::", Feature::MountSetattr),
    ("it::breakout::", Feature::Landlock),
    ("it::breakout::", Feature::Userns),
    ("it::command::", Feature::MountSetattr),
    ("it::command::", Feature::Landlock),
    ("it::command::", Feature::Userns),
    ("it::pool::", Feature::MountSetattr),
    ("it::pool::", Feature::Landlock),
    ("it::pool::", Feature::Userns),
    ("it::ports::", Feature::MountSetattr),
    ("it::ports::", Feature::Userns),
    ("it::confined::", Feature::MountSetattr),
    ("it::confined::", Feature::Landlock),
    ("it::confined::", Feature::Userns),
    (
        "it::confined::no_memory_becomes_executable_where_none_has_to",
        Feature::Mdwe,
    ),
    (
        "it::confined::a_program_of_root_owns_nothing_of_the_machine",
        Feature::Root,
    ),
    (
        "it::confined::a_program_of_root_becomes_another_user",
        Feature::Root,
    ),
    // In a machine, files in memory are all that there is.
    (
        "it::confined::a_program_of_root_becomes_another_user",
        Feature::IdmappedTmpfs,
    ),
    // Whoever is not root runs each of its parts anyhow.
    ("it::confined::nobody_is_confined_as_well", Feature::Root),
    // He mounts what is full.
    (
        "it::faults::a_full_place_ends_only_what_needs_room",
        Feature::Root,
    ),
    // Root's launches make all that others' make, and more.
    (
        "it::faults::nothing_is_left_of_a_launch_that_lacks_something",
        Feature::Root,
    ),
    (
        "it::faults::nothing_is_left_of_a_launcher_that_is_stopped_and_killed",
        Feature::Root,
    ),
    ("it::faults::", Feature::MountSetattr),
    ("it::faults::", Feature::Landlock),
    ("it::faults::", Feature::Userns),
    (
        "it::command::what_stands_still_in_version_1_ends_when_it_is_told",
        Feature::Root,
    ),
    (
        "it::command::what_stands_still_in_version_1_ends_when_it_is_told",
        Feature::Cgroup1Freezer,
    ),
    (
        "it::launcher::the_program_dies_with_its_init",
        Feature::Userns,
    ),
    (
        "it::launcher::the_program_dies_with_a_launcher_that_is_stopped",
        Feature::Userns,
    ),
    (
        "it::launcher::a_frozen_program_dies_with_its_launcher",
        Feature::Root,
    ),
    (
        "it::launcher::a_frozen_program_dies_with_its_launcher",
        Feature::Cgroup2,
    ),
    (
        "it::launcher::a_frozen_program_dies_with_its_launcher",
        Feature::Userns,
    ),
    // Also below an init of its own.
    (
        "it::launcher::a_signal_to_the_launcher_reaches_the_program",
        Feature::Userns,
    ),
    (
        "it::launcher::a_suspended_group_stops_and_goes_on",
        Feature::Userns,
    ),
    (
        "it::launcher::the_launcher_stops_with_its_program_and_both_go_on",
        Feature::Userns,
    ),
    (
        "it::launcher::the_program_dies_with_its_launcher",
        Feature::Userns,
    ),
    (
        "it::observe::a_foreign_call_is_killed_even_when_observing",
        Feature::X86_64,
    ),
];

/// The same of a level that is not the first.
const LEVELS: &[(&str, Need)] = &[(
    "it::ports::",
    // Rules about TCP ports.
    Need {
        feature: Feature::Landlock,
        level: 4,
    },
)];

/// What takes long and is not tried again where something of the machine is changed: ways out are tried there by
/// the suite of the layers, and what fails is undone in the same way.
const ALIKE: &[&str] = &[
    "it::breakout::",
    "it::faults::",
    "it::confined::nobody_is_confined_as_well",
];
/// But what root makes in control groups lies elsewhere in those of version 1.
const UNDONE: &str = "it::faults::nothing_is_left_of_a_launch_that_fails";

/// Adds the tests of an architecture, and what they read.
pub(crate) fn provide(arch: Arch, files: &mut Files) -> Result<()> {
    for package in PACKAGES {
        for test in cross::tests(arch, package)? {
            let path = format!("{EXECUTABLES}{}", name_of(&test)?);
            ensure!(files.get(&path).is_none(), "{path} is there twice");
            files.add(path, programs::stripped(arch, &test)?);
        }
        // Only this machine's own executables tell here which tests there are.
        for test in cross::tests(Arch::NATIVE, package)? {
            let path = format!("{EXECUTABLES}{}", name_of(&test)?);
            files.add(format!("{path}{LIST}"), listed(&test, &[])?);
            files.add(format!("{path}{IGNORED}"), listed(&test, &["--ignored"])?);
        }
    }
    for program in fs::read_dir(cross::sandbox_programs(arch)?)? {
        let program = program?;
        let name = program.file_name().into_string();
        let name = name.ok().context("the name of a program")?;
        files.add(
            format!("{PREBUILT}/{name}"),
            programs::read(&program.path())?,
        );
    }
    for (place, file) in cross::c_library(arch)? {
        files.add(place, programs::read(&file)?);
    }
    Ok(())
}

/// `it` of `it-f3e889376c44f212`.
fn name_of(executable: &Path) -> Result<&str> {
    let name = executable.file_name().and_then(|name| name.to_str());
    let parts = name.and_then(|name| name.rsplit_once('-'));
    Ok(parts.context("an executable without a hash")?.0)
}

/// What an executable says when it is asked for its tests.
fn listed(executable: &Path, words: &[&str]) -> Result<Vec<u8>> {
    let mut command = Command::new(executable);
    command.args(LISTING).args(words);
    let outcome = process::take(&mut command, b"", Duration::from_secs(60))?;
    ensure!(outcome.status.success(), "{}", outcome.complaint());
    Ok(outcome.stdout)
}

/// The tests in what `--list` says.
fn names(list: &[u8]) -> Result<BTreeSet<&str>> {
    let list = std::str::from_utf8(list)?;
    list.lines()
        .map(|line| line.strip_suffix(": test").with_context(|| line.to_owned()))
        .collect()
}

/// Each test of each executable, and its list.
pub(crate) fn cases(environment: &Environment, files: &mut Files) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (file, list) in files.iter() {
        let Some(program) = file.strip_suffix(LIST) else {
            continue;
        };
        let executable = program.strip_prefix(EXECUTABLES).unwrap_or(program);
        let prefix = format!("{executable}::");
        let mut tests = names(list)?;
        // Those that this machine's architecture may not have.
        let known = NEEDS.iter().filter(|(name, _)| !name.ends_with("::"));
        tests.extend(known.filter_map(|(name, _)| name.strip_prefix(&prefix)));
        cases.push(whole(environment, program, &prefix, &tests));
        let ignored = files.get(&format!("{program}{IGNORED}"));
        for test in tests.difference(&names(ignored.unwrap_or_default())?) {
            cases.push(one(program, &prefix, test));
        }
    }
    ensure!(!cases.is_empty(), "no tests were added");
    if environment.emulated {
        // It is among those that take longest there; root's launches make all that others' make, who try it on this machine.
        let dear = cases.iter_mut().filter(|case| case.name == UNDONE);
        dear.for_each(|case| case.needs.push(Feature::Root.into()));
    }
    if !environment.plain {
        // The others know nothing of what is changed.
        let confines = |need: &Need| !ARCHES.contains(&need.feature);
        let version_1 = environment.declared.level(Feature::Cgroup1Pids) > 0;
        let undone =
            |case: &Case| case.name == UNDONE && version_1 && environment.user == User::Root;
        let alike =
            |case: &Case| ALIKE.iter().any(|name| case.name.starts_with(name)) && !undone(case);
        cases.retain(|case| case.needs.iter().any(confines) && !alike(case));
    }
    Ok(cases)
}

pub(super) fn step(program: &str, arguments: &[&str]) -> Step {
    Step {
        program: program.to_owned(),
        environment: vec![("PORTCULLIS_PREBUILT", Word::File(PREBUILT.to_owned()))],
        arguments: arguments.iter().map(|word| Word::from(*word)).collect(),
        seconds: SECONDS,
    }
}

/// The executable has these tests, but for those of other architectures, and no more.
fn whole(environment: &Environment, program: &str, prefix: &str, tests: &BTreeSet<&str>) -> Case {
    let there = |test: &&&str| {
        let needs = needs(prefix, test);
        let lacks = environment.declared.lacks(&needs);
        lacks.is_none_or(|need| !ARCHES.contains(&need.feature))
    };
    let expected = tests.iter().filter(there);
    let expected: BTreeSet<String> = expected.map(|test| (*test).to_owned()).collect();
    Case {
        name: format!("{prefix} has these tests"),
        needs: Vec::new(),
        step: step(program, &LISTING),
        judge: Box::new(move |seen| {
            let found = names(seen.text(0)?.as_bytes())?;
            let expected = expected.iter().map(String::as_str).collect();
            let differing: Vec<_> = found.symmetric_difference(&expected).collect();
            ensure!(
                differing.is_empty(),
                "not there, or not expected: {differing:?}"
            );
            Ok(found.len())
        }),
    }
}

fn one(program: &str, prefix: &str, test: &str) -> Case {
    Case {
        name: format!("{prefix}{test}"),
        needs: needs(prefix, test),
        // On the main thread, so that the program has one only.
        step: step(program, &["--exact", test, "--test-threads=1"]),
        judge: Box::new(|seen| passed(seen, 1)),
    }
}

fn needs(prefix: &str, test: &str) -> Vec<Need> {
    let of = |name: &str| match name.strip_prefix(prefix) {
        Some(file) if file.ends_with("::") => test.starts_with(file),
        name => name == Some(test),
    };
    let needs = NEEDS
        .iter()
        .map(|(name, feature)| (*name, Need::from(*feature)));
    let needs = needs.chain(LEVELS.iter().copied());
    needs
        .filter(|(name, _)| of(name))
        .map(|(_, need)| need)
        .collect()
}

/// So many tests ran and passed: those that were ignored, filtered out or misnamed do not look like this.
pub(super) fn passed(seen: &Seen, count: usize) -> Result<usize> {
    let text = String::from_utf8_lossy(&seen.stdout);
    let lines: Vec<&str> = text.lines().collect();
    let last = || lines[lines.len().saturating_sub(SHOWN)..].join("\n    ");
    ensure!(
        seen.ended == Ended::Exit(0),
        "it ended with {:?}:\n    {}{}",
        seen.ended,
        last(),
        String::from_utf8_lossy(&seen.stderr)
    );
    let result = format!("test result: ok. {count} passed; 0 failed; 0 ignored;");
    let all = |line: &&str| line.starts_with(&result);
    ensure!(lines.iter().any(all), "it says\n    {}", last());
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(stdout: &str, code: i32) -> Seen {
        Seen {
            stdout: stdout.into(),
            stderr: Vec::new(),
            ended: Ended::Exit(code),
            took: Duration::ZERO,
        }
    }

    #[test]
    fn a_test_that_did_not_run_has_not_passed() {
        let said = |passed, ignored| {
            format!(
                "\nrunning 1 test\ntest result: ok. {passed} passed; 0 failed; {ignored} ignored; 0 measured; \
                 40 filtered out; finished in 0.01s\n"
            )
        };
        assert_eq!(passed(&seen(&said(1, 0), 0), 1).unwrap(), 1);
        for (text, code) in [
            (said(1, 0), 101),
            (said(0, 0), 0),
            (said(0, 1), 0),
            (String::new(), 0),
        ] {
            assert!(passed(&seen(&text, code), 1).is_err(), "{text:?} {code}");
        }
    }
}
