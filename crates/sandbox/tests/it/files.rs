//! The files that run are the files that were analysed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_sandbox::{Error, Identity, MappedFile, Outcome, Program, Unlisted};

use crate::filter::Denied;
use crate::harness::{Built, Case, build, build_in, place};

/// A program with a library of its own beside it, and every file that it maps.
fn with_library() -> (Built, PathBuf, Vec<MappedFile>) {
    let library = build("libprobe.so", &[]);
    let flags = ["-L.", "-lprobe", "-Wl,-rpath,$ORIGIN"];
    let mut built = build_in(library.directory, "mapped", &flags);
    built.path = built.path.canonicalize().unwrap();
    let library = built.path.with_file_name("libprobe.so");
    // Among them the loader and the C library, wherever they are.
    let told = Command::new(&built.path).arg("maps").output().unwrap();
    let maps = String::from_utf8(told.stdout).unwrap();
    let code = maps.lines().filter(|line| line.contains(" r-xp "));
    let mut files: Vec<&Path> = code
        .filter_map(|line| Some(Path::new(&line[line.find('/')?..])))
        .collect();
    // The library is the last of the list.
    let before = files.len();
    files.retain(|file| *file != library);
    assert_eq!(files.len() + 1, before, "{maps}");
    files.push(&library);
    let mapped = files.into_iter().map(listed).collect();
    (built, library, mapped)
}

fn listed(path: &Path) -> MappedFile {
    MappedFile {
        path: path.to_owned(),
        identity: Identity::of_path(path).unwrap(),
    }
}

/// The program writes this file as the first thing that its own code does.
fn has_run(built: &Built) -> bool {
    built.directory.path().join("ran").exists()
}

fn case<'a>(built: &'a Built, mapped: Vec<MappedFile>) -> Case<'a> {
    let mut case = Case::new(&built.path, Denied::kill(&[]));
    case.mapped = mapped;
    case.unlisted = Unlisted::Refuse;
    case
}

#[test]
fn the_analysed_files_run() {
    let (built, _, mapped) = with_library();
    let verdict = case(&built, mapped).run().unwrap();
    assert_eq!(verdict.outcome, Outcome::Exited(1));
    assert!(has_run(&built));
}

#[test]
fn a_library_that_was_replaced_ends_the_program_before_its_code() {
    let (built, library, mapped) = with_library();
    let other = library.with_extension("other");
    fs::copy(&library, &other).unwrap();
    fs::rename(&other, &library).unwrap();
    let verdict = case(&built, mapped).run().unwrap();
    let Outcome::Failed(reason) = &verdict.outcome else {
        panic!("{:?}", verdict.outcome)
    };
    assert!(reason.contains("libprobe.so"), "{reason}");
    assert_eq!(verdict.exit_code(), 125);
    assert!(!has_run(&built));
}

#[test]
fn a_library_that_was_written_to_ends_the_program_before_its_code() {
    let (built, library, mapped) = with_library();
    let mut bytes = fs::read(&library).unwrap();
    bytes.push(0);
    fs::write(&library, bytes).unwrap();
    let mut changed = case(&built, mapped);
    // Known to load modules: a file that was analysed still has to be the one.
    changed.unlisted = Unlisted::Allow;
    let verdict = changed.run().unwrap();
    assert!(
        matches!(&verdict.outcome, Outcome::Failed(reason) if reason.contains("libprobe.so")),
        "{:?}",
        verdict.outcome
    );
    assert!(!has_run(&built));
}

#[test]
fn a_library_that_was_not_analysed_ends_the_program_unless_it_loads_modules() {
    let (built, _, mut mapped) = with_library();
    mapped.pop();
    let verdict = case(&built, mapped.clone()).run().unwrap();
    assert!(
        matches!(&verdict.outcome, Outcome::Failed(reason) if reason.contains("not analysed")),
        "{:?}",
        verdict.outcome
    );
    assert!(!has_run(&built));
    let mut loads = case(&built, mapped);
    loads.unlisted = Unlisted::Allow;
    assert_eq!(loads.run().unwrap().outcome, Outcome::Exited(1));
}

#[test]
fn a_static_program_maps_itself_only() {
    for flags in [&["-static"][..], &["-static-pie"]] {
        let built = build("start", flags);
        let mut case = case(&built, Vec::new());
        case.arguments = &["exit", "3"];
        assert_eq!(case.run().unwrap().outcome, Outcome::Exited(3), "{flags:?}");
    }
}

#[test]
fn a_program_that_was_written_to_is_not_started() {
    let built = build("start", &[]);
    let program = Program::open(&built.path).unwrap();
    let mut bytes = fs::read(&built.path).unwrap();
    bytes.push(0);
    place(&built.path, &bytes);
    let error = Case::new(&built.path, Denied::kill(&[]))
        .run_opened(program)
        .unwrap_err();
    assert!(matches!(error, Error::Changed { .. }), "{error}");
}

/// The file that lost its name has another change time then, if the kernel's clock went on meanwhile: a slow
/// machine was seen where it had not. What was opened runs then, and never what has the name now.
#[test]
fn what_replaced_a_program_is_not_started() {
    let built = build("start", &[]);
    let program = Program::open(&built.path).unwrap();
    let other = build("observe", &[]);
    fs::rename(&other.path, &built.path).unwrap();
    let run = Case::new(&built.path, Denied::kill(&[]))
        .arguments(&["exit", "3"])
        .run_opened(program);
    match run {
        Err(error) => assert!(matches!(error, Error::Changed { .. }), "{error}"),
        Ok(verdict) => assert_eq!(verdict.outcome, Outcome::Exited(3)),
    }
}
