//! Where libraries are looked for, in files that exist in memory only.

use std::path::{Path, PathBuf};

use portcullis_scan::files::MemoryFiles;
use portcullis_scan::image::Role;
use portcullis_scan::link::{Error, LinkRequest, link};

use crate::elf::Elf;

const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

/// These files and a loader.
fn files(all: &[(&str, Elf)]) -> MemoryFiles {
    let mut files = MemoryFiles::default();
    let loader = Elf::library("ld-linux-x86-64.so.2", &[]);
    for (path, elf) in all.iter().chain([&(LOADER, loader)]) {
        files.files.insert(PathBuf::from(path), elf.bytes());
    }
    files
}

/// The paths of the closure without program and loader.
fn closure(files: &MemoryFiles, request: &LinkRequest) -> Result<Vec<String>, Error> {
    let image = link(files, Path::new("/opt/bin/program"), request)?;
    let others = image.objects.iter();
    let others = others.filter(|o| !matches!(o.role, Role::Program | Role::Loader));
    Ok(others.map(|o| o.path.display().to_string()).collect())
}

#[test]
fn breadth_first_and_each_once() {
    let files = files(&[
        ("/opt/bin/program", Elf::program(&["a.so", "b.so"])),
        ("/lib64/a.so", Elf::library("a.so", &["c.so", "b.so"])),
        (
            "/lib64/b.so",
            Elf::library("b.so", &["d.so", "ld-linux-x86-64.so.2"]),
        ),
        ("/lib64/c.so", Elf::library("c.so", &["a.so"])),
        ("/lib64/d.so", Elf::library("d.so", &["d.so", "c.so"])),
    ]);
    let found = closure(&files, &LinkRequest::default()).unwrap();
    assert_eq!(
        found,
        ["/lib64/a.so", "/lib64/b.so", "/lib64/c.so", "/lib64/d.so"]
    );
}

#[test]
fn the_environment_stands_between_rpath_and_runpath() {
    let request = LinkRequest {
        ld_library_path: Some("/given".into()),
        ..LinkRequest::default()
    };
    let library = |name| Elf::library(name, &[]);
    let mut program = Elf::program(&["a.so"]);
    program.rpath = Some("$ORIGIN/../own");
    let all = [
        ("/opt/bin/program", program.clone()),
        ("/opt/own/a.so", library("a.so")),
        ("/given/a.so", library("a.so")),
        ("/lib64/a.so", library("a.so")),
    ];
    assert_eq!(
        closure(&files(&all), &request).unwrap(),
        ["/opt/bin/../own/a.so"]
    );
    program.runpath = program.rpath.take();
    let all = [
        ("/opt/bin/program", program),
        all[1].clone(),
        all[2].clone(),
        all[3].clone(),
    ];
    assert_eq!(closure(&files(&all), &request).unwrap(), ["/given/a.so"]);
    let found = closure(&files(&all), &LinkRequest::default()).unwrap();
    assert_eq!(found, ["/opt/bin/../own/a.so"]);
}

#[test]
fn rpath_is_inherited_and_runpath_is_not() {
    let mut program = Elf::program(&["a.so"]);
    let all = |program: Elf| {
        files(&[
            ("/opt/bin/program", program),
            ("/private/a.so", Elf::library("a.so", &["b.so"])),
            ("/private/b.so", Elf::library("b.so", &[])),
        ])
    };
    program.rpath = Some("/private");
    let found = closure(&all(program.clone()), &LinkRequest::default()).unwrap();
    assert_eq!(found, ["/private/a.so", "/private/b.so"]);
    program.runpath = program.rpath.take();
    let error = closure(&all(program), &LinkRequest::default()).unwrap_err();
    let Error::Missing {
        library, needed_by, ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(
        (library.as_str(), needed_by.as_path()),
        ("b.so", Path::new("/private/a.so"))
    );
}

#[test]
fn preloaded_objects_come_first_and_may_be_missing() {
    let mut files = files(&[
        ("/opt/bin/program", Elf::program(&["a.so"])),
        ("/lib64/a.so", Elf::library("a.so", &[])),
        ("/lib64/p.so", Elf::library("p.so", &["q.so"])),
        ("/lib64/q.so", Elf::library("q.so", &[])),
        ("/lib64/s.so", Elf::library("s.so", &[])),
    ]);
    let list = b"# none\n/lib64/s.so\n".to_vec();
    files
        .files
        .insert(PathBuf::from("/etc/ld.so.preload"), list);
    let request = LinkRequest {
        ld_preload: Some("/lib64/p.so:nowhere.so".into()),
        ..LinkRequest::default()
    };
    let found = closure(&files, &request).unwrap();
    assert_eq!(
        found,
        ["/lib64/p.so", "/lib64/s.so", "/lib64/a.so", "/lib64/q.so"]
    );
    let image = link(&files, Path::new("/opt/bin/program"), &request).unwrap();
    let told = image
        .warnings
        .iter()
        .any(|w| w.message.contains("nowhere.so"));
    assert!(told, "{:?}", image.warnings);
}

#[test]
fn a_plugin_brings_its_own_needs_and_they_may_be_missing() {
    let files = files(&[
        ("/opt/bin/program", Elf::program(&["a.so"])),
        ("/lib64/a.so", Elf::library("a.so", &[])),
        (
            "/opt/plugin.so",
            Elf::library("plugin.so", &["a.so", "n.so", "m.so"]),
        ),
        ("/lib64/m.so", Elf::library("m.so", &[])),
    ]);
    let request = LinkRequest {
        plugins: vec![PathBuf::from("/opt/plugin.so")],
        ..LinkRequest::default()
    };
    let image = link(&files, Path::new("/opt/bin/program"), &request).unwrap();
    let roles: Vec<_> = image
        .objects
        .iter()
        .map(|o| (o.path.to_str().unwrap(), o.role))
        .collect();
    assert_eq!(
        roles[2..],
        [
            ("/lib64/a.so", Role::Library),
            ("/opt/plugin.so", Role::Plugin),
            ("/lib64/m.so", Role::Library)
        ]
    );
    assert!(image.warnings.iter().any(|w| w.message.contains("n.so")));
}

#[test]
fn musl_finds_its_library_in_its_loader() {
    let mut program = Elf::program(&["libc.so", "libz.so"]);
    program.interpreter = Some("/lib/ld-musl-x86_64.so.1");
    let mut all = files(&[
        ("/opt/bin/program", program),
        ("/lib/ld-musl-x86_64.so.1", Elf::library("libc.so", &[])),
        (
            "/opt/musl/libz.so",
            Elf::library("libz.so", &["libpthread.so.0"]),
        ),
    ]);
    assert!(closure(&all, &LinkRequest::default()).is_err());
    let path = PathBuf::from("/etc/ld-musl-x86_64.path");
    all.files.insert(path, b"/nowhere\n/opt/musl\n".to_vec());
    assert_eq!(
        closure(&all, &LinkRequest::default()).unwrap(),
        ["/opt/musl/libz.so"]
    );
}

/// Makes files objects for aarch64 (`e_machine`).
fn of_aarch64(files: &mut MemoryFiles, paths: &[&str]) {
    for path in paths {
        let file = files.files.get_mut(Path::new(path)).expect("it was added");
        file[18..20].copy_from_slice(&183u16.to_le_bytes());
    }
}

#[test]
fn what_is_for_another_architecture_is_passed_over_or_refused() {
    let request = LinkRequest {
        ld_library_path: Some("/given".into()),
        hardware_levels: vec!["x86-64-v2".into()],
        ..LinkRequest::default()
    };
    let library = || Elf::library("a.so", &[]);
    let program = |rpath| {
        let mut program = Elf::program(&["a.so"]);
        program.rpath = rpath;
        program
    };
    let mut all = files(&[
        ("/opt/bin/program", program(Some("/opt/$PLATFORM"))),
        ("/given/a.so", library()),
        ("/opt/x86_64/a.so", library()),
        ("/opt/aarch64/a.so", library()),
        ("/lib64/glibc-hwcaps/x86-64-v2/a.so", library()),
        ("/lib64/a.so", library()),
    ]);
    of_aarch64(&mut all, &["/opt/x86_64/a.so", "/given/a.so"]);
    let best = "/lib64/glibc-hwcaps/x86-64-v2/a.so";
    assert_eq!(closure(&all, &request).unwrap(), [best]);
    // The loader would run on another machine.
    of_aarch64(&mut all, &["/opt/bin/program"]);
    let error = closure(&all, &request).unwrap_err().to_string();
    assert!(error.contains("it is for x86_64"), "{error}");
    of_aarch64(&mut all, &[LOADER]);
    assert_eq!(closure(&all, &request).unwrap(), ["/given/a.so"]);
    all.files.remove(Path::new("/given/a.so"));
    assert!(closure(&all, &request).is_err());
    of_aarch64(&mut all, &["/opt/aarch64/a.so"]);
    assert_eq!(closure(&all, &request).unwrap(), ["/opt/aarch64/a.so"]);
    // glibc knows no levels there.
    all.files.remove(Path::new("/opt/aarch64/a.so"));
    of_aarch64(&mut all, &[best, "/lib64/a.so"]);
    assert_eq!(closure(&all, &request).unwrap(), ["/lib64/a.so"]);
}

#[test]
fn scripts_lead_to_their_interpreter() {
    let mut all = files(&[("/opt/bin/sh", Elf::program(&[]))]);
    let script = |text: &str| text.as_bytes().to_vec();
    all.files
        .insert("/opt/bin/program".into(), script("#!/opt/bin/two -x y\n"));
    all.files
        .insert("/opt/bin/two".into(), script("#! /opt/bin/sh\n"));
    let image = link(&all, Path::new("/opt/bin/program"), &LinkRequest::default()).unwrap();
    let binary = image.binary();
    assert_eq!(binary.path, "/opt/bin/sh");
    assert_eq!(
        binary.script,
        Some(("/opt/bin/program".into(), Some("-x y".into())))
    );
    all.files
        .insert("/opt/bin/two".into(), script("#!/opt/bin/program\n"));
    let error = link(&all, Path::new("/opt/bin/program"), &LinkRequest::default()).unwrap_err();
    assert!(matches!(error, Error::Scripts { .. }), "{error}");
}

#[test]
fn everything_looked_at_is_listed() {
    let files = files(&[
        ("/opt/bin/program", Elf::program(&["a.so"])),
        ("/usr/lib64/a.so", Elf::library("a.so", &[])),
    ]);
    let image = link(
        &files,
        Path::new("/opt/bin/program"),
        &LinkRequest::default(),
    )
    .unwrap();
    let seen = |path: &str| {
        let found = image.files().iter().find(|c| c.path == Path::new(path));
        found.map(|c| c.content.is_some())
    };
    assert_eq!(seen("/opt/bin/program"), Some(true));
    assert_eq!(seen(LOADER), Some(true));
    assert_eq!(seen("/etc/ld.so.cache"), Some(false));
    assert_eq!(seen("/etc/ld.so.preload"), Some(false));
    assert_eq!(seen("/lib64/a.so"), Some(false));
    assert_eq!(seen("/usr/lib64/a.so"), Some(true));
}
