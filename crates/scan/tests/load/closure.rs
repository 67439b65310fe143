//! The closure of each program of this machine is the one that its own loader reports.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_scan::files::HostFiles;
use portcullis_scan::image::{Image, Role};
use portcullis_scan::link::{LinkRequest, hardware_levels, link};
use rayon::prelude::*;

pub(crate) fn programs() -> Vec<PathBuf> {
    let mut all = Vec::new();
    for directory in ["/usr/bin", "/usr/sbin"] {
        for entry in std::fs::read_dir(directory).expect("a system has programs") {
            let path = entry.expect("its entries can be read").path();
            let Ok(meta) = std::fs::symlink_metadata(&path) else {
                continue;
            };
            if meta.is_file() && meta.permissions().mode() & 0o111 != 0 {
                all.push(path);
            }
        }
    }
    all.sort();
    all
}

fn image(program: &Path) -> Option<Image> {
    let request = LinkRequest {
        hardware_levels: hardware_levels(),
        ..LinkRequest::default()
    };
    let mut magic = [0; 4];
    let file = std::fs::File::open(program);
    let read = file.and_then(|mut f| std::io::Read::read_exact(&mut f, &mut magic));
    if read.is_err() || magic != *b"\x7fELF" {
        return None;
    }
    match link(&HostFiles::default(), program, &request) {
        Ok(image) => Some(image),
        Err(error) => panic!("{}: {error}", program.display()),
    }
}

/// What the loader says it would load: paths in order, without the kernel's own object.
fn reported(loader: &Path, program: &Path) -> Vec<PathBuf> {
    let output = Command::new(loader)
        .arg("--list")
        .arg(program)
        .env_clear()
        .output()
        .expect("the loader can be started");
    let text = String::from_utf8(output.stdout).expect("paths are text");
    assert!(output.status.success(), "{}: {text}", program.display());
    // It says so of a program that names it and needs nothing.
    let nothing = |line: &&str| line.trim() == "statically linked";
    let lines = text
        .lines()
        .filter(|l| !l.contains("linux-vdso") && !nothing(l));
    let path = |line: &str| {
        let line = line.trim();
        let right = line.split_once(" => ").map_or(line, |(_, right)| right);
        PathBuf::from(right.split(" (").next().unwrap_or(right))
    };
    lines.map(path).filter(|p| *p != loader).collect()
}

#[test]
fn every_program_has_the_closure_that_its_loader_reports() {
    let programs = programs();
    let glibc = Path::new("/lib64/ld-linux-x86-64.so.2");
    let outcomes: Vec<(bool, Option<String>)> = programs
        .par_iter()
        .map(|program| {
            let Some(image) = image(program) else {
                return (false, None);
            };
            let loader = image.objects.iter().find(|o| o.role == Role::Loader);
            let Some(loader) = loader.filter(|l| l.path == glibc) else {
                return (false, None);
            };
            let ours: Vec<PathBuf> = image
                .objects
                .iter()
                .filter(|o| o.role == Role::Library)
                .map(|o| o.path.clone())
                .collect();
            let theirs = reported(&loader.path, program);
            let differs = (ours != theirs).then(|| {
                format!(
                    "{}: {ours:?}, but its loader says {theirs:?}",
                    program.display()
                )
            });
            (true, differs)
        })
        .collect();
    let compared = outcomes.iter().filter(|o| o.0).count();
    let wrong: Vec<String> = outcomes.into_iter().filter_map(|o| o.1).collect();
    assert!(
        wrong.is_empty(),
        "{} of {compared} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(
        compared > 100,
        "only {compared} dynamic programs on this machine"
    );
}

#[test]
fn every_reference_of_every_program_is_bound() {
    let wrong: Vec<String> = programs()
        .par_iter()
        .filter_map(|p| image(p))
        .flat_map_iter(|image| image.warnings.into_iter().map(|w| w.message))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn below_a_root_nothing_of_the_machine_is_used() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let loader = "/lib64/ld-linux-x86-64.so.2";
    let library = "/lib/x86_64-linux-gnu/libc.so.6";
    for (from, to) in [
        ("/usr/bin/true", "opt/true"),
        (loader, "usr/lib64/ld-linux-x86-64.so.2"),
        (library, "usr/lib/x86_64-linux-gnu/libc.so.6"),
    ] {
        let to = root.join(to);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from, to).unwrap();
    }
    // An image's own links, absolute ones too, stay inside.
    std::os::unix::fs::symlink("/usr/lib64", root.join("lib64")).unwrap();
    let files = HostFiles {
        root: Some(root.to_owned()),
    };
    let image = link(&files, Path::new("/opt/true"), &LinkRequest::default()).unwrap();
    let paths: Vec<_> = image
        .objects
        .iter()
        .map(|o| o.path.to_str().unwrap())
        .collect();
    // There is no /lib in this root, so the next of the loader's own directories is used.
    assert_eq!(
        paths,
        ["/opt/true", loader, "/usr/lib/x86_64-linux-gnu/libc.so.6"]
    );
    std::fs::remove_file(root.join("usr/lib/x86_64-linux-gnu/libc.so.6")).unwrap();
    let error = link(&files, Path::new("/opt/true"), &LinkRequest::default()).unwrap_err();
    assert!(error.to_string().contains("libc.so.6"), "{error}");
}
