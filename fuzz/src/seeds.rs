//! What fuzzing begins with: files that the repository has anyway.

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the checkout.
pub fn root() -> PathBuf {
    // CARGO_MANIFEST_DIR is `<root>/fuzz`.
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The contents of these files and of all files below these directories, in the order of their names.
pub(crate) fn of(places: &[&str]) -> Vec<Vec<u8>> {
    let mut pending: Vec<PathBuf> = places.iter().map(|place| root().join(place)).collect();
    let mut contents = Vec::new();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            let mut names: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
            names.sort();
            pending.extend(names.into_iter().rev());
        } else {
            match fs::read(&path) {
                Ok(content) => contents.push(content),
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }
    contents
}
