//! `run`: libraries that a program loads while it runs, and attacks on what they may add.

use std::path::PathBuf;

use serde_json::Value;

use crate::place::Place;

/// Loads the library that it is told, after it did to it what it is told.
const PROGRAM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void copy(int from, int to) {
  char bytes[4096];
  ssize_t n;
  while ((n = read(from, bytes, sizeof bytes)) > 0)
    if (write(to, bytes, (size_t)n) != n) _exit(4);
}

int main(int argc, char **argv) {
  const char *how = argv[1], *path = argv[2], *other = argc > 3 ? argv[3] : "";
  char name[4096];
  if (!strcmp(how, "copy")) {
    copy(open(other, O_RDONLY), open(path, O_WRONLY | O_CREAT | O_EXCL, 0755));
  } else if (!strcmp(how, "overwrite")) {
    copy(open(other, O_RDONLY), open(path, O_WRONLY | O_TRUNC));
  } else if (!strcmp(how, "rename")) {
    if (rename(other, path)) return 5;
  } else if (!strcmp(how, "self")) {
    if (rename(other, argv[0])) return 9;
  } else if (!strcmp(how, "directory")) {
    snprintf(name, sizeof name, "%s", path);
    *strrchr(name, '/') = 0;
    if (rename(other, name)) return 10;
  } else if (!strcmp(how, "memfd")) {
    int to = memfd_create("library", 0);
    copy(open(path, O_RDONLY), to);
    snprintf(name, sizeof name, "/proc/self/fd/%d", to);
    path = name;
  } else if (!strcmp(how, "exec")) {
    execl(other, other, "load", path, (char *)0);
    return 6;
  }
  void *library = dlopen(path, RTLD_NOW);
  if (!library) return puts(dlerror()), 7;
  if (!strcmp(how, "unlinked") && unlink(path)) return 8;
  long (*call)(void) = (long (*)(void))dlsym(library, "plugin_call");
  printf("%d\n", call() >= 0);
  return 0;
}
"#;

/// A library that makes one call, by number.
const LIBRARY: &str = r#"
long plugin_call(void) {
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(NUMBER), "D"(0L), "S"(0L) : "rcx", "r11", "memory");
  return result;
}
"#;

/// getpriority(2): nothing in the program makes it.
const OUTSIDE: u32 = 140;
/// setns(2): of the core.
const CORE: u32 = 308;

struct Loader {
    place: Place,
    program: PathBuf,
    library: PathBuf,
}

impl Loader {
    /// The program, and a directory `plugins` with a library that calls `number`.
    fn new(number: u32) -> Loader {
        let place = Place::new();
        std::fs::create_dir(place.at("plugins")).unwrap();
        let program = place.compile("loader", PROGRAM, &[]);
        let library = library(&place, "plugins/library.so", number);
        Loader {
            place,
            program,
            library,
        }
    }

    /// Loads the library; `how` and what else the program is told.
    fn run(&self, options: &[&str], how: &str, path: &PathBuf, other: &str) -> (i32, Value) {
        // Not where the program writes.
        let beside = Place::new();
        let verdict = beside.at("verdict.json");
        let mut run = self.place.command();
        run.args(["run", "--write", ".", "--verdict"]);
        run.arg(&verdict).args(options);
        run.arg("--").arg(&self.program);
        let output = run.arg(how).arg(path).arg(other).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let code = output.status.code().unwrap_or_else(|| panic!("{said}"));
        (code, self.place.json(&verdict))
    }

    /// The call is denied, and the library is said to add nothing because of `reason`.
    fn is_refused(&self, options: &[&str], how: &str, path: &PathBuf, other: &str, reason: &str) {
        let (code, verdict) = self.run(options, how, path, other);
        assert_eq!(code, 159, "{how}: {verdict:#}");
        assert_eq!(verdict["outcome"], "denied");
        assert_eq!(verdict["late"]["added"], Value::Array(Vec::new()));
        let modules = verdict["late"]["modules"].as_array().unwrap();
        let refused = modules.iter().filter_map(|m| m["refused"].as_str());
        let refused: Vec<&str> = refused.collect();
        assert!(
            refused.iter().any(|r| r.contains(reason)),
            "{how}: {refused:?}"
        );
    }
}

fn library(place: &Place, name: &str, number: u32) -> PathBuf {
    let number = format!("-DNUMBER={number}L");
    place.compile(name, LIBRARY, &["-shared", "-fPIC", &number])
}

#[test]
fn a_library_of_a_named_directory_adds_its_calls() {
    let loader = Loader::new(OUTSIDE);
    for _ in ["analysed", "remembered"] {
        let (code, verdict) = loader.run(&["--plugin", "plugins"], "load", &loader.library, "");
        assert_eq!(code, 0, "{verdict:#}");
        assert_eq!(verdict["outcome"], "exited");
        assert_eq!(verdict["late"]["added"][0], "getpriority");
        assert_eq!(verdict["late"]["modules"][0]["refused"], Value::Null);
        assert_eq!(verdict["denials"], Value::Array(Vec::new()));
        let layers = verdict["enforced"].as_array().unwrap();
        assert!(layers.iter().any(|l| l["mechanism"] == "seccomp+tracer"));
    }
}

#[test]
fn a_library_from_elsewhere_adds_nothing() {
    let loader = Loader::new(OUTSIDE);
    loader.is_refused(&[], "load", &loader.library, "", "not expected there");
    let elsewhere = library(&loader.place, "elsewhere.so", OUTSIDE);
    let named = ["--plugin", "plugins"];
    loader.is_refused(&named, "load", &elsewhere, "", "not expected there");
}

#[test]
fn what_the_program_made_itself_adds_nothing() {
    let named = ["--plugin", "plugins"];
    let changed = "changed after the start";
    let loader = Loader::new(OUTSIDE);
    let new = loader.place.at("plugins/new.so");
    let own = loader.library.display().to_string();
    loader.is_refused(&named, "copy", &new, &own, changed);
    let other = library(&loader.place, "other.so", OUTSIDE)
        .display()
        .to_string();
    loader.is_refused(&named, "overwrite", &loader.library, &other, changed);
    loader.is_refused(&named, "rename", &loader.library, &other, changed);
    let loader = Loader::new(OUTSIDE);
    loader.is_refused(&named, "memfd", &loader.library, "", "no regular file");
    loader.is_refused(&named, "unlinked", &loader.library, "", "no regular file");
}

#[test]
fn another_program_in_place_of_the_analysed_one_adds_nothing() {
    let loader = Loader::new(OUTSIDE);
    let makes = format!("{LIBRARY}\nint main(void) {{ return plugin_call() < 0; }}\n");
    let number = format!("-DNUMBER={OUTSIDE}L");
    let evil = loader
        .place
        .compile("evil", &makes, &[&number])
        .display()
        .to_string();
    let named = ["--plugin", "plugins"];
    loader.is_refused(&named, "self", &loader.library, &evil, "not expected there");
}

#[test]
fn a_directory_that_the_program_moved_adds_nothing() {
    let loader = Loader::new(OUTSIDE);
    std::fs::create_dir(loader.place.at("ready")).unwrap();
    library(&loader.place, "ready/library.so", OUTSIDE);
    let ready = loader.place.at("ready").display().to_string();
    let moved = loader.place.at("plugins/moved/library.so");
    let named = ["--plugin", "plugins"];
    loader.is_refused(
        &named,
        "directory",
        &moved,
        &ready,
        "changed after the start",
    );
}

#[test]
fn libraries_add_nothing_where_the_user_says_so() {
    let loader = Loader::new(OUTSIDE);
    let options = ["--no-late", "--plugin", "plugins"];
    let (code, verdict) = loader.run(&options, "load", &loader.library, "");
    assert_eq!(code, 159, "{verdict:#}");
    assert_eq!(verdict["late"], Value::Null);
    let layers = verdict["enforced"].as_array().unwrap();
    assert!(layers.iter().any(|l| l["mechanism"] == "seccomp"));
}

#[test]
fn a_library_never_adds_a_core_call() {
    let loader = Loader::new(CORE);
    let (code, verdict) = loader.run(&["--plugin", "plugins"], "load", &loader.library, "");
    assert_eq!(code, 159, "{verdict:#}");
    assert_eq!(verdict["denials"][0]["syscall"], "setns");
}

#[test]
fn what_another_program_loads_adds_nothing() {
    let loader = Loader::new(OUTSIDE);
    let other = loader
        .place
        .compile("other", PROGRAM, &[])
        .display()
        .to_string();
    let named = ["--plugin", "plugins"];
    let (code, verdict) = loader.run(&named, "exec", &loader.library, &other);
    assert_eq!(code, 159, "{verdict:#}");
    assert_eq!(verdict["late"]["added"], Value::Array(Vec::new()));
}
