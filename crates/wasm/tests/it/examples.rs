//! The examples, as programs.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::module::{ECHO, module};

/// An example, built with this test.
fn example(name: &str) -> Command {
    // `<target>/<profile>/deps/<test>`.
    let own = std::env::current_exe().unwrap();
    Command::new(own.ancestors().nth(2).unwrap().join("examples").join(name))
}

fn said(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

/// Behaves by the first byte of its input: loops, traps, ends with a code, takes memory, calls itself; else it echoes.
const MOODY: &str = r#"(func $deeper (param i32) (result i32)
    (i32.add (i32.const 1) (call $deeper (local.get 0))))
  (func (export "_start") (local $length i32) (local $mood i32)
  (local.set $length (call $read))
  (local.set $mood (i32.load8_u (i32.const 1024)))
  (if (i32.eq (local.get $mood) (i32.const 76)) (then (loop (br 0))))
  (if (i32.eq (local.get $mood) (i32.const 84)) (then (unreachable)))
  (if (i32.eq (local.get $mood) (i32.const 69)) (then (call $exit (i32.const 3))))
  (if (i32.eq (local.get $mood) (i32.const 82)) (then (drop (call $deeper (i32.const 0)))))
  (if (i32.eq (local.get $mood) (i32.const 77))
    (then (loop (drop (memory.grow (i32.const 16))) (br 0))))
  (call $write (i32.const 1024) (local.get $length)))"#;

#[test]
fn a_judge_judges() {
    let place = Place::new();
    let submission = place.write("submission.wasm", module(MOODY));
    fs::create_dir(place.at("tests")).unwrap();
    for (name, input, output) in [
        ("1", "abc", "abc"),
        ("2", "abc", "abd"),
        ("3", "Loop", ""),
        ("4", "Trap", ""),
        ("5", "Exit", ""),
        ("6", "Memory", ""),
    ] {
        place.write(&format!("tests/{name}.in"), input);
        place.write(&format!("tests/{name}.out"), output);
    }
    let judge = |submission: &Path| {
        let mut judge = example("judge");
        let judge = judge.arg(submission).arg(place.at("tests"));
        said(&judge.arg(place.at("cache")).output().unwrap())
    };
    let expected =
        "1: right\n2: wrong\n3: too slow\n4: failed\n5: failed\n6: too much memory\n1 of 6\n";
    assert_eq!(judge(&submission), expected);
    let bad = place.write("bad.wasm", "no module");
    assert!(judge(&bad).starts_with("compile error: "));
}

#[test]
fn a_validator_votes_where_everybody_would() {
    let place = Place::new();
    let code = place.write("code.wasm", module(MOODY));
    let names = ["block", "Loop", "Trap", "Exit", "Memory", "Recursion"];
    let candidates = names.map(|name| place.write(name, name));
    let validator = |code: &Path| {
        let mut validator = example("validator");
        let validator = validator.arg(code).arg(place.at("cache"));
        said(&validator.args(&candidates).output().unwrap())
    };
    let votes = validator(&code);
    let votes: Vec<&str> = votes
        .lines()
        .map(|line| line.rsplit_once(": ").unwrap().1)
        .collect();
    let same = ["valid", "invalid", "invalid", "invalid", "invalid"];
    assert_eq!(votes[..5], same);
    assert_eq!(votes[5..], ["no vote"]);
    let bad = place.write("bad.wasm", "no module");
    assert!(validator(&bad).starts_with("code: invalid: "));
}

#[test]
fn plugins_are_told_and_dropped() {
    let place = Place::new();
    let echo = place.write("echo.wasm", module(ECHO));
    let moody = place.write("moody.wasm", module(MOODY));
    let mut host = example("plugins")
        .arg(place.at("cache"))
        .args([echo, moody])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let events = "one\nTrap\nExit\nTrap\nlast\n";
    let mut input = host.stdin.take().unwrap();
    input.write_all(events.as_bytes()).unwrap();
    drop(input);
    let output = host.wait_with_output().unwrap();
    let expected = "echo: one\nmoody: one\necho: Trap\necho: Exit\necho: Trap\necho: last\n";
    assert_eq!(said(&output), expected);
    let log = String::from_utf8(output.stderr).unwrap();
    let ends = |end: &str| {
        let wanted = format!("portcullis_pool_ended_total{{end=\"{end}\"}} ");
        let line = log.lines().find_map(|line| line.strip_prefix(&wanted));
        line.unwrap().parse::<u32>().unwrap()
    };
    assert_eq!((ends("ok"), ends("job_error")), (6, 3), "{log}");
    assert!(
        log.contains("tenant=\"moody\" end=job_error tries=1"),
        "{log}"
    );
}
