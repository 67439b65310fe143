//! Many launches, one after the other and at once: what a launcher holds stays what it was.
//!
//! They take minutes, and belong to `cargo xtask test --full`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use portcullis_sandbox::{Confinement, Outcome};

use crate::filter::Denied;
use crate::harness::{Case, build};

const PROGRAM: &str = "PORTCULLIS_TEST_ENDURANCE_PROGRAM";

fn run(program: &Path) {
    let mut case = Case::new(program, Denied::kill(&[])).arguments(&["number"]);
    case.confinement = Confinement::new("/".into());
    if rustix::process::geteuid().is_root() {
        case.confinement.limits = "processes=8,memory=64M".parse().unwrap();
    }
    assert_eq!(case.run().unwrap().outcome, Outcome::Exited(2));
}

/// What this process holds, and what a launch makes for a while.
#[derive(PartialEq, Eq, Debug)]
struct Held {
    descriptors: usize,
    tasks: usize,
    mounts: usize,
    groups: BTreeSet<String>,
    temporary: BTreeSet<String>,
}

impl Held {
    fn now() -> Held {
        let count = |path: &str| fs::read_dir(path).unwrap().count();
        let own = format!("portcullis-{}-", std::process::id());
        let mut groups = BTreeSet::new();
        named(Path::new("/sys/fs/cgroup"), &own, 4, &mut groups);
        let mut temporary = BTreeSet::new();
        named(Path::new("/tmp"), &own, 0, &mut temporary);
        Held {
            descriptors: count("/proc/self/fd"),
            tasks: count("/proc/self/task"),
            mounts: fs::read_to_string("/proc/self/mountinfo")
                .unwrap()
                .lines()
                .count(),
            groups,
            temporary,
        }
    }
}

/// The entries below `directory`, so deep, whose names begin with `name`.
fn named(directory: &Path, name: &str, deep: u32, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(name) {
            found.insert(entry.path().display().to_string());
        } else if deep > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            named(&entry.path(), name, deep - 1, found);
        }
    }
}

/// Resident memory in pages (proc_pid_statm(5)).
fn resident() -> u64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
#[ignore = "takes minutes: cargo xtask test --full"]
fn ten_thousand_runs_leak_nothing() {
    let built = build("attempt", &[]);
    (0..1000).for_each(|_| run(&built.path));
    let (before, pages) = (Held::now(), resident());
    (0..9000).for_each(|_| run(&built.path));
    assert_eq!(Held::now(), before);
    assert!(
        before.groups.is_empty() && before.temporary.is_empty(),
        "{before:?}"
    );
    // A byte for each run would be two pages; the allocator moves by more than that.
    let grown = resident().saturating_sub(pages);
    assert!(grown < 256, "{grown} pages more");
    let children = format!(
        "/proc/self/task/{}/children",
        rustix::thread::gettid().as_raw_nonzero()
    );
    assert_eq!(fs::read_to_string(children).unwrap(), "");
}

/// Not a test: one of two hundred.
#[test]
#[ignore = "started by another test"]
fn as_one_of_many() {
    if let Some(program) = std::env::var_os(PROGRAM) {
        run(Path::new(&program));
    }
}

#[test]
#[ignore = "takes minutes: cargo xtask test --full"]
fn two_hundred_at_once() {
    let built = build("attempt", &[]);
    let one = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "endurance::as_one_of_many", "--ignored"])
            .env(PROGRAM, &built.path)
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut launchers: Vec<_> = (0..200).map(|_| one()).collect();
    for launcher in &mut launchers {
        assert!(launcher.wait().unwrap().success());
    }
    let mut groups = BTreeSet::new();
    for launcher in &launchers {
        let own = format!("portcullis-{}-", launcher.id());
        named(Path::new("/sys/fs/cgroup"), &own, 4, &mut groups);
    }
    assert_eq!(groups, BTreeSet::new());
}
