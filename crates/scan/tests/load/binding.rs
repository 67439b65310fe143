//! References are bound to the object that the machine's loader binds them to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_scan::files::HostFiles;
use portcullis_scan::image::{Addr, Image, Role, Slot};
use portcullis_scan::link::{LinkRequest, hardware_levels, link};

/// Who binds what to whom: file, symbol with version, file.
type Bindings = BTreeMap<(PathBuf, String), BTreeSet<PathBuf>>;

/// What the loader reports while it binds everything, without running the program (ldd -r).
fn reported(loader: &Path, program: &Path) -> Bindings {
    let output = Command::new(loader)
        .arg(program)
        .env_clear()
        .envs([
            ("LD_TRACE_LOADED_OBJECTS", "1"),
            ("LD_WARN", "yes"),
            ("LD_BIND_NOW", "yes"),
            ("LD_DEBUG", "bindings"),
        ])
        .output()
        .expect("the loader can be started");
    let text = String::from_utf8_lossy(&output.stderr);
    let mut all = Bindings::new();
    for line in text.lines() {
        // `1: binding file A [0] to B [0]: normal symbol `S' [V]`
        let Some((_, rest)) = line.split_once("binding file ") else {
            continue;
        };
        let mut words = rest.split_whitespace();
        let (Some(from), Some(to)) = (words.next(), words.nth(2)) else {
            continue;
        };
        let name = rest.split_once('`').and_then(|(_, r)| r.split_once('\''));
        let Some((name, after)) = name else { continue };
        let version = after.trim().trim_matches(|c| c == '[' || c == ']');
        let symbol = if version.is_empty() {
            name.to_owned()
        } else {
            format!("{name}@{version}")
        };
        all.entry((from.into(), symbol))
            .or_default()
            .insert(to.into());
    }
    all
}

/// The words of a file that are bound by name: address and symbol with version.
fn references(file: &Path) -> Vec<(u64, String)> {
    let output = Command::new("readelf")
        .arg("-rW")
        .arg(file)
        .output()
        .expect("binutils are there, because a C compiler is");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [at, _, kind, _, name, ..] = words[..] else {
            return None;
        };
        let bound = [
            "R_X86_64_64",
            "R_X86_64_GLOB_DAT",
            "R_X86_64_JUMP_SLO",
            "R_X86_64_JUMP_SLOT",
        ];
        // A defined version is written with one more sign.
        let name = name.replace("@@", "@");
        bound
            .contains(&kind)
            .then_some((u64::from_str_radix(at, 16).ok()?, name))
    };
    text.lines().filter_map(line).collect()
}

/// How many references agree, and which do not.
fn compare(image: &Image, theirs: &Bindings) -> (usize, Vec<String>) {
    let mut wrong = Vec::new();
    let mut same = 0;
    for object in image.objects.iter().filter(|o| o.role != Role::Loader) {
        for (at, symbol) in references(&object.path) {
            let at = Addr(at.wrapping_add(object.base));
            let target = match image.slot(at) {
                Some(Slot::Address(a) | Slot::Resolver(a)) => image.object_of(a),
                _ => None,
            };
            let ours = target.map(|id| image.objects[id.0 as usize].path.clone());
            let key = (object.path.clone(), symbol.clone());
            // What the loader need not look up (hidden, protected) it does not report.
            let Some(theirs) = theirs.get(&key) else {
                continue;
            };
            if ours.as_ref().is_some_and(|o| theirs.contains(o)) {
                same += 1;
            } else {
                let object = object.path.display();
                wrong.push(format!(
                    "{object}: {symbol}: {ours:?}, but the loader says {theirs:?}"
                ));
            }
        }
    }
    (same, wrong)
}

#[test]
fn references_are_bound_to_the_objects_that_the_loader_binds_them_to() {
    // Every sixteenth program: all of them take minutes, and most share their libraries.
    let programs = crate::closure::programs();
    let mut compared = 0;
    let mut wrong = Vec::new();
    for program in programs.iter().step_by(16) {
        let request = LinkRequest {
            hardware_levels: hardware_levels(),
            ..LinkRequest::default()
        };
        let Ok(image) = link(&HostFiles::default(), program, &request) else {
            continue;
        };
        let Some(loader) = image.objects.iter().find(|o| o.role == Role::Loader) else {
            continue;
        };
        if image.objects[0].path != *program {
            // A script's interpreter is compared under its own name.
            continue;
        }
        let (same, bad) = compare(&image, &reported(&loader.path, program));
        compared += same;
        wrong.extend(bad);
    }
    wrong.sort();
    wrong.dedup();
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(compared > 5_000, "only {compared} references were compared");
}
