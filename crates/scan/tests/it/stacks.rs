//! Stacks that the C library makes executable where an object asks for it.

use std::path::Path;
use std::process::Command;

use portcullis_abi::ResidualKind;
use portcullis_scan::files::HostFiles;
use portcullis_scan::{LinkRequest, scan};

const THREADS: &str = r#"
#include <pthread.h>
#include <sys/mman.h>
static void *run(void *given) { return given; }
int main(int argc, char **argv) {
    pthread_t thread;
    pthread_create(&thread, 0, run, argv);
    pthread_join(thread, 0);
#ifdef OWN
    mprotect(argv[0], 4096, argc);
#endif
    return 0;
}
"#;

/// Whether memory may become executable, and the codes of the warnings.
fn scanned(name: &str, flags: &[&str]) -> (bool, Vec<&'static str>) {
    let directory = tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
    let (source, program) = (directory.path().join("s.c"), directory.path().join(name));
    std::fs::write(&source, THREADS).unwrap();
    let mut build = Command::new("gcc");
    build.args(["-O2", "-pthread", "-o"]).arg(&program);
    let built = build.args(flags).arg(&source).output();
    assert!(built.expect("gcc is there").status.success());
    let set = scan(&HostFiles::default(), &program, &LinkRequest::default());
    let set = set.unwrap().set;
    let code = set.residuals.iter().any(|r| r.kind == ResidualKind::Code);
    (code, set.warnings.iter().map(|w| w.code).collect())
}

#[test]
fn stacks_are_no_residual_when_no_object_wants_to_run_them() {
    let (code, warnings) = scanned("plain", &[]);
    assert!(!code);
    assert!(warnings.contains(&"PC0204"), "{warnings:?}");
}

#[test]
fn stacks_are_a_residual_when_the_program_wants_to_run_them() {
    let (code, warnings) = scanned("executable", &["-z", "execstack"]);
    assert!(code);
    assert!(!warnings.contains(&"PC0204"), "{warnings:?}");
}

#[test]
fn what_the_program_itself_protects_is_a_residual_all_the_same() {
    let (code, _) = scanned("own", &["-DOWN"]);
    assert!(code);
}
