//! Every input that once showed a defect, and every one that fuzzing begins with.

use std::fs;
use std::panic::catch_unwind;
use std::path::PathBuf;

use portcullis_fuzz::{SUBJECTS, seeds};

/// Where defects are kept: `SUBJECT/NAME`.
fn regressions() -> PathBuf {
    seeds::root().join("fuzz/regressions")
}

#[test]
fn nothing_that_was_found_is_there_again() {
    let mut failed = Vec::new();
    for subject in SUBJECTS {
        let mut inputs: Vec<(String, Vec<u8>)> = (subject.begin)()
            .into_iter()
            .enumerate()
            .map(|(number, seed)| (format!("seed {number}"), seed))
            .collect();
        for entry in fs::read_dir(regressions().join(subject.name))
            .into_iter()
            .flatten()
        {
            let path = entry.unwrap().path();
            inputs.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
        for (name, input) in inputs {
            assert!(
                input.len() <= subject.longest || name.starts_with("seed"),
                "{name} is longer than inputs of {}",
                subject.name
            );
            if catch_unwind(|| (subject.ask)(&input)).is_err() {
                failed.push(format!("{}: {name}", subject.name));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn what_is_kept_belongs_to_a_subject() {
    for entry in fs::read_dir(regressions()).into_iter().flatten() {
        let name = entry.unwrap().file_name();
        let known = SUBJECTS.iter().any(|subject| *name == *subject.name);
        assert!(known, "no subject is called {name:?}");
    }
}

#[test]
fn each_subject_has_a_target() {
    for subject in SUBJECTS {
        let target = format!("fuzz/targets/{}.rs", subject.name);
        let text = fs::read_to_string(seeds::root().join(&target)).unwrap();
        let ask = format!("portcullis_fuzz::{}::ask(bytes)", subject.name);
        assert!(text.contains(&ask), "{target}");
    }
}
