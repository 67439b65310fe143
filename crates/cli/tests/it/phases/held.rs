//! `run --phases`, and the phases of a policy: what the program does not need any more is taken away where they begin.

use std::process::Command;

use portcullis_abi::Arch;
use serde_json::Value;

use crate::place::{Done, Place};

/// Prepares by a call that it does not need afterwards, then serves. What its words say:
/// `N`: the call of this number is made while it serves, which no analysis can know; `early`: it ends before; `own`:
/// it installs a filter of its own before it serves; `-N`: the call is made by another thread while that serves, after
/// the first one has begun to; `own-thread`: another thread has installed a filter of its own; `exec`: it executes its
/// third word while it serves; `before`: it executes it before it serves; `fork N`: a child that was there before makes the
/// call afterwards.
const SERVER: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static long call(long number) {
  long result;
#ifdef __x86_64__
  __asm__ volatile("syscall" : "=a"(result) : "0"(number), "D"(0L), "S"(0L), "d"(0L) : "rcx", "r11", "memory");
#else
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = 0;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8) : "memory");
  result = x0;
#endif
  return result;
}
static void *volatile nothing;
static volatile int begun, rounds;

__attribute__((noinline)) void prepare(void) { call(SYS_getpgid); }
__attribute__((noinline)) long serve(long number) {
  rounds++;
  call(SYS_getppid);
  return number >= 0 ? call(number) : 0;
}
/* No other thread enters it. */
__attribute__((noinline)) long begin(long number) { return serve(number); }
static void own_filter(void) {
  struct sock_filter all[] = {{6, 0, 0, SECCOMP_RET_ALLOW}};
  struct sock_fprog program = {1, all};
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) _exit(9);
}
static void *work(void *given) {
  if (given == (void *)1) own_filter();
  /* Runs over the beginning of the phase all the time; the first round before the first thread gets there. */
  do serve(-1);
  while (!begun);
  if (given != (void *)1) serve((long)given);
  return given;
}
int main(int argc, char **argv) {
  const char *word = argc > 1 ? argv[1] : "";
  long number = *word >= '0' && *word <= '9' ? atol(word) : -1;
  pthread_t threads[3];
  int count = 0, talk[2] = {-1, -1};
  pid_t child = -1;
  prepare();
  if (!strcmp(word, "early")) return 3;
  if (!strcmp(word, "own")) own_filter();
  if (!strcmp(word, "before")) return execv(argv[2], argv + 2);
  if (*word == '-' || !strcmp(word, "own-thread")) {
    long given = *word == '-' ? atol(word + 1) : 1;
    for (; count < 3; count++)
      if (pthread_create(&threads[count], 0, work, (void *)given)) return 8;
    while (rounds < 1000) ;
  }
  if (!strcmp(word, "fork")) {
    if (pipe(talk)) return 8;
    child = fork();
    if (!child) {
      char byte;
      close(talk[1]);
      if (read(talk[0], &byte, 1) < 0) _exit(8);
      _exit(call(atol(argv[2])) < 0);
    }
  }
  begin(number);
  begun = 1;
  if (!strcmp(word, "exec")) return execv(argv[2], argv + 2);
  while (count--) pthread_join(threads[count], 0);
  if (child > 0) {
    int status;
    close(talk[1]);
    if (waitpid(child, &status, 0) != child) return 8;
    return status == 0 ? 0 : 7;
  }
  return write(1, "served\n", 7) == 7 ? 0 : 8;
}
"#;

/// Makes the call of `prepare`.
const OTHER: &str = r#"
#include <unistd.h>
#include <sys/syscall.h>
int main(void) { return syscall(SYS_getpgid, 0) < 0; }
"#;

const PHASE: &str = "main/after:begin";

/// The number of a call, as a word.
fn number(name: &str) -> String {
    Arch::NATIVE.number(name).unwrap().to_string()
}

/// The number of the call of `prepare`.
fn taken() -> String {
    number("getpgid")
}

/// `run --phases --from begin WORDS -- ./server ARGUMENTS`, and its verdict.
fn held(place: &Place, options: &[&str], words: &[&str]) -> (Done, Value) {
    let phases = ["--phases", "--from", "begin"];
    run(place, &[&phases, options].concat(), words)
}

fn run(place: &Place, options: &[&str], words: &[&str]) -> (Done, Value) {
    let all = [
        &["run", "--verdict", "verdict.json"],
        options,
        &["--", "./server"],
        words,
    ];
    let done = place.portcullis(&all.concat());
    // Nothing is in it when the program was not started.
    let verdict = std::fs::read(place.at("verdict.json")).unwrap_or_default();
    let verdict = serde_json::from_slice(&verdict);
    (done, verdict.unwrap_or_default())
}

fn layers<'a>(verdict: &'a Value, list: &str) -> Vec<&'a Value> {
    let all = verdict[list].as_array().unwrap().iter();
    let is_phase = |l: &&Value| l["layer"].as_str().unwrap().ends_with(PHASE);
    all.filter(is_phase).collect()
}

/// That the phase is in force.
fn in_force(verdict: &Value) -> String {
    let kept = layers(verdict, "enforced");
    assert_eq!(kept.len(), 1, "{verdict:#}");
    assert!(layers(verdict, "not_enforced").is_empty(), "{verdict:#}");
    kept[0]["detail"].as_str().unwrap().to_owned()
}

/// Why it is not.
fn missing(verdict: &Value) -> String {
    let lost = layers(verdict, "not_enforced");
    assert_eq!(lost.len(), 1, "{verdict:#}");
    assert!(layers(verdict, "enforced").is_empty(), "{verdict:#}");
    lost[0]["reason"].as_str().unwrap().to_owned()
}

/// That the call was denied because of the phase.
fn denied_in_phase(done: Done, verdict: &Value) {
    let done = done.expect(159);
    assert!(done.stderr.contains("denied: getpgid("), "{}", done.stderr);
    assert!(done.stderr.contains(PHASE), "{}", done.stderr);
    assert!(done.stderr.contains("PC0332"), "{}", done.stderr);
    assert_eq!(verdict["outcome"], "denied");
    let denial = &verdict["denials"][0];
    assert_eq!(denial["code"], "PC0332");
    assert_eq!(denial["syscall"], "getpgid");
    assert!(
        denial["rule"].as_str().unwrap().contains(PHASE),
        "{denial:#}"
    );
}

#[test]
fn a_call_that_only_the_start_needs_is_denied_afterwards() {
    let taken = taken();
    for flags in [
        &["-static", "-pthread"][..],
        &["-pthread"],
        &["-pthread", "-no-pie"],
    ] {
        let place = Place::new();
        place.compile("server", SERVER, flags);
        let (done, verdict) = held(&place, &[], &[]);
        assert_eq!(done.expect(0).stdout, "served\n", "{flags:?}");
        in_force(&verdict);
        let (done, verdict) = held(&place, &[], &[&taken]);
        denied_in_phase(done, &verdict);
        in_force(&verdict);
        // Without phases it is one of the set's.
        let (done, _) = run(&place, &[], &[&taken]);
        done.expect(0);
        let allowed = ["--allow", "getpgid"];
        let (done, _) = held(&place, &allowed, &[&taken]);
        done.expect(0);
    }
}

#[test]
fn every_thread_is_bound() {
    let place = Place::new();
    place.compile("server", SERVER, &["-static", "-pthread"]);
    let harmless = format!("-{}", number("getppid"));
    let (done, verdict) = held(&place, &[], &[&harmless]);
    assert_eq!(done.expect(0).stdout, "served\n");
    in_force(&verdict);
    let (done, verdict) = held(&place, &[], &[&format!("-{}", taken())]);
    denied_in_phase(done, &verdict);
    let denial = &verdict["denials"][0];
    assert_ne!(denial["pid"], denial["tid"], "{denial:#}");
}

/// Three threads are in a function all the time in which a phase of the first one begins.
#[test]
fn other_threads_run_over_the_beginning_unhindered() {
    let place = Place::new();
    place.compile("server", SERVER, &["-static", "-pthread"]);
    let derive = ["policy", "./server", "--phases", "--from", "serve"];
    let derived = place.portcullis(&derive).expect(0).stdout;
    // What its analysis cannot exclude is taken away by hand.
    let parts: Vec<&str> = derived.split("\n[[phase]]\n").collect();
    let own = parts.iter().find(|part| {
        part.contains("thread = \"main\"") && part.contains("phase = \"after:serve\"")
    });
    let own = own.unwrap().replace("\"getpgid\", ", "");
    let policy = format!("{}\n[[phase]]\n{own}", parts[0]);
    std::fs::write(place.at("p.toml"), policy).unwrap();
    let policy = ["--policy", "p.toml", "--require-phases"];
    let harmless = format!("-{}", number("getppid"));
    for _ in 0..20 {
        let (done, verdict) = run(&place, &policy, &[&harmless]);
        assert_eq!(done.expect(0).stdout, "served\n");
        let kept = verdict["enforced"].as_array().unwrap().iter();
        let mut names = kept.map(|layer| layer["layer"].as_str().unwrap());
        assert!(names.any(|name| name == "phase main/after:serve"));
    }
    let (done, verdict) = run(&place, &policy, &[&format!("-{}", taken())]);
    done.expect(159);
    assert_eq!(verdict["denials"][0]["code"], "PC0332", "{verdict:#}");
}

#[test]
fn a_stripped_program_is_held_by_address() {
    let place = Place::new();
    let program = place.compile("server", SERVER, &["-pthread"]);
    let listed = Command::new("nm").arg(&program).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let line = listed.lines().find(|line| line.ends_with(" T begin"));
    let address = format!("0x{}", line.unwrap().split(' ').next().unwrap());
    let stripped = Command::new("strip").arg(&program).status().unwrap();
    assert!(stripped.success());
    let options = ["--phases", "--from", &address];
    let (done, verdict) = run(&place, &options, &[&taken()]);
    let done = done.expect(159);
    assert!(done.stderr.contains("PC0332"), "{}", done.stderr);
    assert_eq!(verdict["denials"][0]["code"], "PC0332");
}

#[test]
fn a_policy_holds_its_program_and_no_other() {
    let place = Place::new();
    place.compile("server", SERVER, &["-static", "-pthread"]);
    let derive = [
        "policy", "./server", "--phases", "--from", "begin", "-o", "p.toml",
    ];
    place.portcullis(&derive).expect(0);
    let policy = ["--policy", "p.toml"];
    let taken = taken();
    let (done, verdict) = run(&place, &policy, &[&taken]);
    denied_in_phase(done, &verdict);
    in_force(&verdict);
    let (done, verdict) = run(&place, &policy, &[]);
    done.expect(0);
    in_force(&verdict);

    place.compile(
        "server",
        &format!("{SERVER}\nint more;"),
        &["-static", "-pthread"],
    );
    let (done, verdict) = run(&place, &policy, &[&taken]);
    let done = done.expect(0);
    assert!(done.stderr.contains("another file"), "{}", done.stderr);
    assert!(missing(&verdict).contains("another file"));
    let required = [&policy[..], &["--require-phases"]].concat();
    let (done, _) = run(&place, &required, &[]);
    assert_eq!(done.expect(125).stdout, "");
}

#[test]
fn a_phase_that_never_begins_is_not_enforced() {
    let place = Place::new();
    place.compile("server", SERVER, &["-static", "-pthread"]);
    let (done, verdict) = held(&place, &["--require-phases"], &["early"]);
    done.expect(3);
    assert_eq!(missing(&verdict), "the program ended before it began");
    let (done, verdict) = held(&place, &["--observe"], &[]);
    done.expect(0);
    assert!(missing(&verdict).contains("let through"));
}

/// Its own filter would be asked about ours, and could kill it for that.
#[test]
fn a_program_with_a_filter_of_its_own_is_let_be() {
    let place = Place::new();
    place.compile("server", SERVER, &["-static", "-pthread"]);
    for (word, reason) in [
        ("own", "it has a filter of its own"),
        ("own-thread", "has a filter of its own"),
    ] {
        let (done, verdict) = held(&place, &[], &[word]);
        let done = done.expect(0);
        assert_eq!(done.stdout, "served\n");
        assert!(done.stderr.contains(reason), "{}", done.stderr);
        assert!(missing(&verdict).contains(reason));
        let (done, verdict) = held(&place, &["--require-phases"], &[word]);
        let done = done.expect(125);
        assert_eq!(done.stdout, "");
        assert!(done.stderr.contains(reason), "{}", done.stderr);
        assert_eq!(verdict["outcome"], "failed");
    }
}

#[test]
fn what_is_executed_in_a_phase_keeps_its_filter() {
    let place = Place::new();
    place.compile("server", SERVER, &["-static", "-pthread"]);
    place.compile("other", OTHER, &["-static"]);
    let (done, verdict) = held(&place, &[], &["exec", "./other"]);
    done.expect(159);
    in_force(&verdict);
    // Whichever call of its start it is: the phase needs none of them.
    let denial = &verdict["denials"][0];
    assert_eq!(denial["code"], "PC0332", "{denial:#}");
    let image = denial["image"].as_str().unwrap();
    assert!(image.ends_with("/other"), "{image}");
    // Named, it can do all that it does, whenever that is.
    let (done, _) = held(&place, &["--exec", "./other"], &["exec", "./other"]);
    done.expect(0);
    let (done, verdict) = held(&place, &["--exec", "./other"], &["before", "./other"]);
    done.expect(0);
    assert!(missing(&verdict).contains("executed another one"));
}

#[test]
fn a_child_that_was_there_before_is_not_bound_and_that_is_told() {
    let place = Place::new();
    place.compile("server", SERVER, &["-static", "-pthread"]);
    let (done, verdict) = held(&place, &[], &["fork", &taken()]);
    done.expect(0);
    assert!(in_force(&verdict).contains("1 processes"), "{verdict:#}");
}
