//! `scan`: the contract of its output, and the cache behind it.

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use crate::place::{Done, Place};

const STATIC: &str = r#"
#include <unistd.h>
#include <sys/syscall.h>
int main(void) { return (int)syscall(SYS_getpid) == 1; }
"#;

/// Asserts that `value` has exactly the shape that DESIGN's contract gives to it: every field of
/// `fields` is there. Fields may be added, so more is fine.
fn has(value: &Value, fields: &[&str]) {
    for field in fields {
        assert!(
            value.get(field).is_some(),
            "{field} is missing in {value:#}"
        );
    }
}

fn check_document(document: &Value) {
    has(
        document,
        &[
            "schema",
            "version",
            "binary",
            "objects",
            "complete",
            "closed",
            "syscalls",
            "sets",
            "residuals",
            "warnings",
        ],
    );
    assert_eq!(document["schema"], "portcullis.scan");
    assert_eq!(document["version"], 1);
    has(
        &document["binary"],
        &["path", "arch", "linkage", "stripped", "language"],
    );
    let objects = document["objects"].as_array().unwrap();
    assert!(!objects.is_empty());
    for object in objects {
        has(object, &["path", "soname", "sha256"]);
        assert_eq!(object["sha256"].as_str().unwrap().len(), 64);
    }
    let numbers: Vec<u64> = document["syscalls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["number"].as_u64().unwrap())
        .collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
    assert!(!numbers.is_empty());
    for call in document["syscalls"].as_array().unwrap() {
        has(
            call,
            &[
                "name",
                "number",
                "origin",
                "confidence",
                "args",
                "sites",
                "why",
            ],
        );
        for site in call["sites"].as_array().unwrap() {
            has(site, &["object", "address", "function", "tuples"]);
            for tuple in site["tuples"].as_array().unwrap() {
                has(tuple, &["mode", "via", "args"]);
            }
        }
        for step in call["why"].as_array().unwrap() {
            has(step, &["object", "address", "function"]);
        }
    }
    for residual in document["residuals"].as_array().unwrap() {
        has(
            residual,
            &[
                "id", "kind", "object", "address", "function", "detail", "why",
            ],
        );
    }
    for warning in document["warnings"].as_array().unwrap() {
        has(warning, &["code", "message"]);
    }
}

fn names(document: &Value) -> Vec<&str> {
    let calls = document["syscalls"].as_array().unwrap();
    calls.iter().filter_map(|s| s["name"].as_str()).collect()
}

#[test]
fn json_holds_every_field_for_dynamic_and_static_programs() {
    let place = Place::new();
    let program = place.compile("own", STATIC, &["-static"]);
    for (path, linkage) in [
        ("/bin/true", "dynamic"),
        ("/bin/ls", "dynamic"),
        (program.to_str().unwrap(), "static"),
    ] {
        let done = place
            .portcullis(&["scan", path, "--format", "json"])
            .expect(0);
        let document = done.json();
        check_document(&document);
        assert_eq!(document["binary"]["arch"], "x86_64");
        assert_eq!(document["binary"]["linkage"], linkage, "{path}");
        assert!(names(&document).contains(&"exit_group"), "{path}");
    }
    let done = place
        .portcullis(&["scan", "./own", "--format", "json"])
        .expect(0);
    assert!(names(&done.json()).contains(&"getpid"));
}

#[test]
fn list_names_what_json_names() {
    let place = Place::new();
    let document = place
        .portcullis(&["scan", "/bin/true", "--format", "json"])
        .expect(0)
        .json();
    let list = place.portcullis(&["scan", "/bin/true", "--list"]).expect(0);
    let mut expected = names(&document);
    expected.sort_unstable();
    assert_eq!(list.stdout.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn why_shows_a_path_and_tells_what_is_not_in_the_set() {
    let place = Place::new();
    let why = |name: &str| place.portcullis(&["scan", "/bin/true", "--why", name]);
    let by_name = why("exit_group").expect(0);
    assert!(by_name.stdout.contains("+0x"), "{}", by_name.stdout);
    assert_eq!(why("231").expect(0).stdout, by_name.stdout);
    let absent = why("kexec_load").expect(1);
    assert!(
        absent.stdout.contains("not in the set"),
        "{}",
        absent.stdout
    );
    why("no_such_call").expect(2);
}

#[test]
fn text_has_counts_purposes_and_time() {
    let place = Place::new();
    let done = place.portcullis(&["scan", "/bin/ls"]).expect(0);
    for part in ["/ls", "system calls", "memory (", "analysed in"] {
        assert!(done.stdout.contains(part), "{part}:\n{}", done.stdout);
    }
    assert!(
        !done.stdout.contains('\u{1b}'),
        "colours without a terminal"
    );
}

#[test]
fn output_goes_to_the_file_that_was_named() {
    let place = Place::new();
    let args = ["scan", "/bin/true", "--format", "json", "-o", "out.json"];
    let done = place.portcullis(&args).expect(0);
    assert_eq!(done.stdout, "");
    check_document(&place.json(&place.at("out.json")));
    let same = place
        .portcullis(&["scan", "/bin/true", "--format", "json", "-o", "-"])
        .expect(0);
    check_document(&same.json());
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    let mut child = place
        .command()
        .args(["scan", "/bin/ls", "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    Done::new(child.wait_with_output().unwrap()).expect(0);
}

#[test]
fn strict_turns_residuals_into_findings() {
    let place = Place::new();
    for program in ["/bin/true", "/bin/ls"] {
        let document = place
            .portcullis(&["scan", program, "--format", "json"])
            .expect(0)
            .json();
        let open = document["residuals"].as_array().unwrap().len();
        place
            .portcullis(&["scan", program, "--strict"])
            .expect(i32::from(open > 0));
    }
}

/// What has no room is told: in this process, in one that only reads, and where a program was to be started.
#[test]
fn an_analysis_that_is_too_large_ends_in_a_sentence() {
    let place = Place::new();
    let little = ["--no-cache", "--analysis-memory", "1M"];
    let with = |before: &[&'static str], after: &[&'static str]| {
        let all = [before, &little, after].concat();
        place.portcullis(&all)
    };
    for (done, code) in [
        (with(&["scan"], &["/bin/true"]), 2),
        (with(&["scan", "--stats"], &["/bin/true"]), 2),
        (with(&["scan", "--root", "/"], &["bin/true"]), 2),
        (with(&["run"], &["--", "/bin/true"]), 125),
    ] {
        let done = done.expect(code);
        assert_eq!(done.stdout, "");
        let said = "takes more than 1 MiB of memory";
        assert!(done.stderr.contains(said), "{}", done.stderr);
    }
    place
        .portcullis(&["scan", "--no-cache", "--analysis-memory", "4G", "/bin/true"])
        .expect(0);
}

#[test]
fn the_second_scan_comes_from_the_cache() {
    let place = Place::new();
    let scan = |args: &[&str]| {
        let mut all = vec!["scan", "/bin/ls"];
        all.extend(args);
        place.portcullis(&all).expect(0)
    };
    let cached = |done: &Done| done.stdout.contains("from the cache");
    assert!(!cached(&scan(&["--no-cache"])));
    assert!(!place.cache().exists(), "--no-cache left a cache");
    assert!(!cached(&scan(&[])));
    assert!(cached(&scan(&[])));
    assert!(!cached(&scan(&["--no-cache"])));
    let fresh = scan(&["--format", "json", "--no-cache"]);
    assert_eq!(scan(&["--format", "json"]).stdout, fresh.stdout);
    // What changes the closure is part of the key.
    let mut command = place.command();
    command
        .args(["scan", "/bin/ls"])
        .env("LD_LIBRARY_PATH", "/nowhere");
    assert!(!cached(&Done::new(command.output().unwrap()).expect(0)));
}

#[test]
fn a_changed_program_is_analysed_again() {
    let place = Place::new();
    place.compile("own", STATIC, &["-static"]);
    let list = || {
        place
            .portcullis(&["scan", "./own", "--list"])
            .expect(0)
            .stdout
    };
    assert!(list().lines().any(|l| l == "getpid"));
    place.compile("own", &STATIC.replace("getpid", "getuid"), &["-static"]);
    let second = list();
    assert!(second.lines().any(|l| l == "getuid"), "{second}");
}

#[test]
fn a_library_that_appears_earlier_is_found() {
    let place = Place::new();
    fs::create_dir(place.at("first")).unwrap();
    fs::create_dir(place.at("second")).unwrap();
    let library = |name: &str, call: &str| {
        let source = format!(
            "#include <unistd.h>\n#include <sys/syscall.h>\nint f(void) {{ return syscall({call}); }}"
        );
        place.compile(name, &source, &["-shared", "-fPIC"]);
    };
    library("second/libf.so", "SYS_sethostname");
    let directories = format!(
        "-Wl,-rpath,{}:{}",
        place.at("first").display(),
        place.at("second").display()
    );
    let second = format!("-L{}", place.at("second").display());
    place.compile(
        "own",
        "int f(void); int main(void) { return f(); }",
        &[&second, "-lf", &directories],
    );
    let list = || {
        place
            .portcullis(&["scan", "./own", "--list"])
            .expect(0)
            .stdout
    };
    assert!(list().contains("sethostname"));
    library("first/libf.so", "SYS_setdomainname");
    let after = list();
    assert!(after.contains("setdomainname"), "{after}");
    assert!(!after.contains("sethostname"), "{after}");
}

#[test]
fn a_damaged_or_foreign_cache_is_ignored() {
    use std::os::unix::fs::PermissionsExt as _;

    let place = Place::new();
    let scan = || place.portcullis(&["scan", "/bin/true", "--list"]).expect(0);
    let good = scan().stdout;
    for entry in fs::read_dir(place.cache()).unwrap() {
        fs::write(entry.unwrap().path(), b"portcullis-cch1\nnot what it was").unwrap();
    }
    assert_eq!(scan().stdout, good);
    fs::set_permissions(place.cache(), fs::Permissions::from_mode(0o777)).unwrap();
    let open = scan();
    assert_eq!(open.stdout, good);
    assert!(open.stderr.contains("cache"), "{}", open.stderr);
    fs::remove_dir_all(place.cache()).unwrap();
    fs::write(place.cache(), b"a file").unwrap();
    assert_eq!(scan().stdout, good);
}

#[test]
fn a_script_is_analysed_through_its_interpreter() {
    let place = Place::new();
    fs::write(place.at("script"), "#!/bin/sh -e\necho hello\n").unwrap();
    let document = place
        .portcullis(&["scan", "./script", "--format", "json"])
        .expect(0)
        .json();
    let script = &document["binary"]["script"];
    assert!(script["path"].as_str().unwrap().ends_with("/script"));
    assert_eq!(script["argument"], "-e");
    let text = place.portcullis(&["scan", "./script"]).expect(0).stdout;
    assert!(text.contains("interpreter of the script"), "{text}");
}

#[test]
fn below_a_root_the_program_finds_its_libraries_there_and_nowhere_else() {
    let place = Place::new();
    let program = place.compile("program", "int main(void) { return 0; }", &[]);
    let native = place
        .portcullis(&["scan", "--format", "json", program.to_str().unwrap()])
        .expect(0)
        .json();
    let root = place.at("root");
    let inside = |path: &str| root.join(path.trim_start_matches('/'));
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::copy(&program, root.join("bin/program")).unwrap();
    let objects = native["objects"].as_array().unwrap();
    let libraries: Vec<&str> = objects[1..]
        .iter()
        .map(|o| o["path"].as_str().unwrap())
        .collect();
    for library in &libraries {
        fs::create_dir_all(inside(library).parent().unwrap()).unwrap();
        fs::copy(library, inside(library)).unwrap();
    }
    let scan = ["scan", "--root", "root", "--format", "json", "bin/program"];
    let document = place.portcullis(&scan).expect(0).json();
    check_document(&document);
    assert_eq!(document["binary"]["path"], "/bin/program");
    let found = document["objects"].as_array().unwrap();
    // No name services are configured there.
    for object in &found[1..] {
        assert!(libraries.contains(&object["path"].as_str().unwrap()));
    }
    let policy = ["policy", "--root", "root", "/bin/program"];
    let policy = place.portcullis(&policy).expect(0).stdout;
    assert!(policy.contains("exit_group"), "{policy}");
    let libc = libraries
        .iter()
        .find(|l| l.ends_with("/libc.so.6"))
        .unwrap();
    fs::remove_file(inside(libc)).unwrap();
    let refused = place.portcullis(&scan).expect(2);
    assert!(refused.stderr.contains("libc.so.6"), "{}", refused.stderr);
}

#[test]
fn another_configuration_of_name_services_is_read_where_it_is_named() {
    let place = Place::new();
    let program = place.compile(
        "program",
        "#include <pwd.h>\nint main(void) { return getpwnam(\"x\") != 0; }",
        &[],
    );
    fs::write(place.at("none.conf"), "passwd: files\n").unwrap();
    let program = program.to_str().unwrap();
    let scan = [
        "scan",
        "--format",
        "json",
        "--nsswitch",
        "none.conf",
        program,
    ];
    let document = place.portcullis(&scan).expect(0).json();
    let objects = document["objects"].as_array().unwrap();
    let module = |path: &str| path.contains("/libnss_");
    let services = objects
        .iter()
        .filter(|o| module(o["path"].as_str().unwrap()));
    assert_eq!(services.count(), 0, "{objects:#?}");
}

#[test]
fn stats_count_what_is_not_told_apart() {
    let place = Place::new();
    let done = place
        .portcullis(&["scan", "--stats", "/bin/true"])
        .expect(0);
    for part in [
        "rounds",
        "calls of unknown target",
        "are reached only so",
        "most functions",
    ] {
        assert!(done.stdout.contains(part), "{part}: {}", done.stdout);
    }
    place
        .portcullis(&["scan", "--stats", "--list", "/bin/true"])
        .expect(2);
}
