//! Programs that a program starts: `--exec`, `--follow-exec`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::place::Place;

/// Makes one call of its own and, unless it is the last, goes on as the program `NEXT`. Without a C
/// library: nothing else can be started.
const LINK: &str = r#"
__asm__(".globl _start\n_start:\n  xor %ebp, %ebp\n  call run\n");
static long call(long n, const void *a, const void *b) {
  long r;
  __asm__ volatile("syscall" : "=a"(r) : "0"(n), "D"(a), "S"(b), "d"(0) : "rcx", "r11", "memory");
  return r;
}
void run(void) {
  call(OWN, 0, 0);
#ifdef NEXT
  static const char *const arguments[] = {NEXT, 0};
  call(59, NEXT, arguments);
#endif
  call(231, 0, 0);
}
"#;

const GETPPID: u64 = 110;
const GETPGRP: u64 = 111;
const GETUID: u64 = 102;

/// Compiles a program that makes the call `own` and goes on as `next`.
fn link(place: &Place, name: &str, own: u64, next: Option<&str>) {
    let mut flags = vec![
        "-static".to_owned(),
        "-nostdlib".to_owned(),
        "-fno-stack-protector".to_owned(),
        format!("-DOWN={own}"),
    ];
    flags.extend(next.map(|next| format!("-DNEXT=\"{next}\"")));
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    place.compile(name, LINK, &flags);
}

/// `first` goes on as `second`, that as `third`, that as whatever `last` is.
fn chain(place: &Place, last: Option<&str>) {
    let at = |name: &str| place.at(name).to_str().unwrap().to_owned();
    link(place, "first", GETPPID, Some(&at("second")));
    link(place, "second", GETPGRP, Some(&at("third")));
    link(place, "third", GETUID, last);
}

fn scan(place: &Place, args: &[&str]) -> Value {
    let all = [&["scan", "./first", "--format", "json"], args].concat();
    serde_json::from_str(&place.portcullis(&all).expect(0).stdout).unwrap()
}

fn numbers(value: &Value) -> BTreeSet<u64> {
    let all = value.as_array().unwrap().iter();
    all.map(|n| n.as_u64().unwrap()).collect()
}

#[test]
fn programs_that_are_started_by_a_constant_path_are_followed() {
    let place = Place::new();
    chain(&place, None);
    let alone = scan(&place, &[]);
    assert_eq!(alone["closed"], false, "{alone}");
    let exec = alone["syscalls"].as_array().unwrap();
    let exec = exec.iter().find(|s| s["name"] == "execve").unwrap();
    let second = place.at("second").to_str().unwrap().to_owned();
    assert_eq!(exec["paths"]["known"], serde_json::json!([second]));
    assert_eq!(exec["paths"]["others"], false);

    let followed = scan(&place, &["--follow-exec"]);
    assert_eq!(followed["closed"], true, "{followed}");
    assert_eq!(followed["images"].as_array().unwrap().len(), 2);
    let union = numbers(&followed["union"]);
    assert!(
        [GETPPID, GETPGRP, GETUID].iter().all(|n| union.contains(n)),
        "{union:?}"
    );
    let own = |n: usize| {
        let calls = followed["images"][n]["syscalls"].as_array().unwrap();
        calls
            .iter()
            .map(|s| s["number"].as_u64().unwrap())
            .collect::<BTreeSet<_>>()
    };
    assert!(own(0).contains(&GETPGRP) && !own(0).contains(&GETUID));
    assert!(own(1).contains(&GETUID) && !own(1).contains(&GETPGRP));
}

#[test]
fn what_cannot_be_followed_stays_a_residual() {
    let place = Place::new();
    for last in ["/proc/self/exe", "relative", "/no/such/program"] {
        chain(&place, Some(last));
        let followed = scan(&place, &["--follow-exec"]);
        let third = &followed["images"][1];
        // Itself is known; what lies in a directory of the time, or does not exist yet, is not.
        assert_eq!(third["closed"], last == "/proc/self/exe", "{last}: {third}");
    }
}

#[test]
fn a_path_names_nothing_certain_once_the_root_can_move() {
    const CHROOT: u64 = 161;
    let place = Place::new();
    chain(&place, None);
    let second = place.at("second").to_str().unwrap().to_owned();
    link(&place, "first", CHROOT, Some(&second));
    let followed = scan(&place, &["--follow-exec"]);
    assert_eq!(followed["closed"], false, "{followed}");
    assert_eq!(followed["images"].as_array().unwrap().len(), 2);
}

/// One place makes several calls, among them one that starts what the command line says.
const SHARED: &str = r#"
__asm__(".globl _start\n_start:\n  mov %rsp, %rdi\n  xor %ebp, %ebp\n  call run\n");
__attribute__((noinline)) static long call(long n, const void *a, const void *b) {
  long r;
  __asm__ volatile("syscall" : "=a"(r) : "0"(n), "D"(a), "S"(b), "d"(0) : "rcx", "r11", "memory");
  return r;
}
void run(char **stack) {
  call(21, "/bin/true", 0);
  call(59, stack[2], stack + 2);
  call(231, 0, 0);
}
"#;

#[test]
fn a_path_of_another_call_at_the_same_place_tells_nothing() {
    let place = Place::new();
    place.compile(
        "first",
        SHARED,
        &["-static", "-nostdlib", "-fno-stack-protector"],
    );
    let followed = scan(&place, &["--follow-exec"]);
    assert_eq!(followed["closed"], false, "{followed}");
}

#[test]
fn a_followed_program_runs_enforced() {
    let place = Place::new();
    chain(&place, None);
    let run = |args: &[&str]| {
        let all = [&["run"], args, &["--", "./first"]].concat();
        place.portcullis(&all)
    };
    run(&["--follow-exec"]).expect(0);
    // The second program's own call is outside the first one's set.
    run(&[]).expect(159);
    let named = [place.at("second"), place.at("third")];
    let named = named.map(|path| path.to_str().unwrap().to_owned());
    run(&["--exec", &named[0], "--exec", &named[1]]).expect(0);
}

#[test]
fn a_saved_document_of_several_programs_makes_the_policy_of_all() {
    let place = Place::new();
    chain(&place, None);
    let scan = [
        "scan",
        "./first",
        "--follow-exec",
        "--format",
        "json",
        "-o",
        "s.json",
    ];
    place.portcullis(&scan).expect(0);
    let saved = place.portcullis(&["policy", "s.json"]).expect(0).stdout;
    let made = place.portcullis(&["policy", "./first", "--follow-exec"]);
    assert_eq!(saved, made.expect(0).stdout);
    assert!(
        saved.contains("getuid") && saved.contains("getpgrp"),
        "{saved}"
    );
}
