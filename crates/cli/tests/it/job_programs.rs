//! `job run` with native programs: scanned, confined, ended and told.

use std::fs;

use serde_json::{Value, json};

use crate::place::{Done, Place};
use crate::schema;

const PROGRAM: &str = r#"
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (!strcmp(what, "echo")) {
    int c;
    while ((c = getchar()) != EOF) putchar(c);
    fputs(getenv("NAME") ? getenv("NAME") : "", stderr);
    return 0;
  }
  if (!strcmp(what, "copy")) {
    FILE *from = fopen(argv[2], "r"), *to = fopen(argv[3], "w");
    if (!from || !to) return 2;
    int c;
    while ((c = getc(from)) != EOF) putc(c, to);
    return 0;
  }
  if (!strcmp(what, "number")) return syscall(strtol(argv[2], NULL, 10), 2, 0, 0) < 0;
  if (!strcmp(what, "spin")) for (;;);
  return 7;
}
"#;

fn program() -> Place {
    let place = Place::new();
    place.compile("program", PROGRAM, &[]);
    place
}

fn run(place: &Place, words: &[&str]) -> Done {
    place.portcullis(&[&["job", "run", "./program"], words].concat())
}

fn document(done: &Done) -> Value {
    let document =
        serde_json::from_str(&done.stdout).unwrap_or_else(|e| panic!("{e}: {}", done.stderr));
    schema::fits("job", &document);
    document
}

#[test]
fn a_program_runs_as_a_job() {
    let place = program();
    fs::write(place.at("in"), "some words\n").unwrap();
    let words = ["--input", "in", "--env", "NAME=value", "--", "echo"];
    let done = run(&place, &words).expect(0);
    assert_eq!(done.stdout, "some words\n");
    assert!(done.stderr.ends_with("value"), "{}", done.stderr);
    assert_eq!(run(&place, &["--", "else"]).expect(7).stdout, "");

    let json = ["--format", "json", "--engine", "exec"];
    let done = run(&place, &[&json[..], &words].concat()).expect(0);
    let found = document(&done);
    assert_eq!(found["outcome"], "ok");
    assert_eq!(
        found["record"],
        json!({"source": "tracer", "exit_status": 0, "signal": null})
    );
    assert_eq!(found["stdout"]["base64"], "c29tZSB3b3Jkcwo=");
    assert_eq!(found["not_enforced"], json!([]), "{found}");

    let done = run(
        &place,
        &[
            "--format",
            "json",
            "--limit",
            "cpu=100ms,wall=600s",
            "--",
            "spin",
        ],
    )
    .expect(124);
    assert_eq!(document(&done)["limit"], "cpu");
}

#[test]
fn what_the_scan_did_not_find_is_denied_by_name() {
    let place = program();
    // syslog(2) is not in its set.
    let number = libc_syslog().to_string();
    let done = run(&place, &["--", "number", &number]).expect(159);
    assert!(
        done.stderr
            .contains("was ended by its seccomp layer for syslog(0x2, 0x0, 0x0)"),
        "{}",
        done.stderr
    );
    let done = run(&place, &["--format", "json", "--", "number", &number]).expect(159);
    let found = document(&done);
    assert_eq!(
        (&found["outcome"], &found["call"]),
        (&json!("denied"), &json!("syslog(0x2, 0x0, 0x0)"))
    );
    // It has no right to what the call does, and the call is made.
    run(&place, &["--allow", "syslog", "--", "number", &number]).expect(1);
}

fn libc_syslog() -> u32 {
    if cfg!(target_arch = "x86_64") {
        103
    } else {
        116
    }
}

#[test]
fn files_are_given_and_taken() {
    let place = program();
    fs::write(place.at("data"), "content").unwrap();
    fs::create_dir(place.at("to")).unwrap();
    let words = [
        "--give",
        "data:deep/in",
        "--take",
        "out",
        "--take",
        "none",
        "--take-to",
        "to",
    ];
    let copy = ["--", "copy", "deep/in", "out"];
    let done = run(&place, &[&words[..], &copy].concat()).expect(0);
    assert_eq!(fs::read_to_string(place.at("to/out")).unwrap(), "content");
    assert!(
        done.stderr.contains("none was not taken: missing"),
        "{}",
        done.stderr
    );
    let words = [&["--format", "json"], &words[..], &copy].concat();
    let found = document(&run(&place, &words).expect(0));
    let expected = json!([
        {"name": "out", "bytes": 7, "base64": "Y29udGVudA=="},
        {"name": "none", "not_taken": "missing"}
    ]);
    assert_eq!(found["files"], expected);
    // A name leads nowhere else, and the files of several jobs do not take each other's place.
    run(&place, &["--take", "../out", "--", "echo"]).expect(125);
    run(
        &place,
        &[
            "--take", "out", "--input", "data", "--input", "data", "--", "echo",
        ],
    )
    .expect(125);

    fs::write(place.at("secret"), "told to one").unwrap();
    let secret = ["--secret", "key=secret", "--take", "out", "--take-to", "to"];
    run(
        &place,
        &[&secret[..], &["--", "copy", "secrets/key", "out"]].concat(),
    )
    .expect(0);
    assert_eq!(
        fs::read_to_string(place.at("to/out")).unwrap(),
        "told to one"
    );
}

#[test]
fn the_course_of_each_job_is_a_trace() {
    let place = program();
    fs::write(place.at("a"), "a").unwrap();
    fs::write(place.at("b"), "b").unwrap();
    let words = [
        "--spans", "spans", "--input", "a", "--input", "b", "--", "echo",
    ];
    run(&place, &words).expect(0);
    let text = fs::read_to_string(place.at("spans")).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_ne!(
        trace(&lines[0])[0]["traceId"],
        trace(&lines[1])[0]["traceId"]
    );
    for line in &lines {
        let spans = trace(line);
        let names: Vec<&str> = spans
            .iter()
            .map(|span| span["name"].as_str().unwrap())
            .collect();
        assert_eq!(
            names,
            [
                "job", "artifact", "queue", "prepare", "set-up", "run", "collect"
            ]
        );
        let root = &spans[0];
        assert_eq!(root["status"]["code"], 1);
        assert_eq!(root["traceId"].as_str().unwrap().len(), 32);
        let time =
            |span: &Value, key: &str| -> u128 { span[key].as_str().unwrap().parse().unwrap() };
        for span in &spans[1..] {
            assert_eq!(span["parentSpanId"], root["spanId"]);
            assert_eq!(span["traceId"], root["traceId"]);
            let (begin, end) = (
                time(span, "startTimeUnixNano"),
                time(span, "endTimeUnixNano"),
            );
            assert!(time(root, "startTimeUnixNano") <= begin && begin <= end);
        }
    }
}

fn trace(line: &Value) -> &Vec<Value> {
    line["resourceSpans"][0]["scopeSpans"][0]["spans"]
        .as_array()
        .unwrap()
}

#[test]
fn a_script_is_a_job_of_its_interpreter() {
    let place = Place::new();
    fs::write(
        place.at("script"),
        "#!/bin/sh\nread line\necho \"$1 $line $(pwd)\"\n",
    )
    .unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(place.at("script"), mode).unwrap();
    fs::write(place.at("in"), "words\n").unwrap();
    let words = ["job", "run", "./script", "--input", "in", "--", "first"];
    let done = place.portcullis(&words).expect(0);
    assert_eq!(done.stdout, "first words /tmp\n", "{}", done.stderr);
}

#[test]
fn a_program_is_recorded_under_its_filter() {
    let place = program();
    for name in ["1.in", "2.in"] {
        fs::write(place.at(name), "words\n").unwrap();
    }
    let both = [
        "--input",
        "1.in",
        "--input",
        "2.in",
        "--record",
        "job.trace",
    ];
    let done = run(&place, &[&both[..], &["--", "echo"]].concat()).expect(0);
    assert_eq!(done.stdout, "words\nwords\n");
    let trace = || {
        let done = place.portcullis(&["record", "show", "--format", "json", "job.trace"]);
        serde_json::from_str::<Value>(&done.expect(0).stdout).unwrap()
    };
    let found = trace();
    assert_eq!(found["runs"], 2);
    let images = found["images"].as_array().unwrap();
    assert_eq!(images.len(), 1, "{found}");
    assert!(images[0]["path"].as_str().unwrap().ends_with("/program"));
    // Nothing was seen that the analysis had not found.
    let difference = place.portcullis(&["diff", "job.trace", "./program"]);
    assert!(
        difference.stdout.contains("kill -> allow") && !difference.stdout.contains("allow -> "),
        "{}",
        difference.stdout
    );

    // A denied call is the job's end, with its class, and is in the trace as denied.
    let number = ptrace_number();
    let words = [
        "--record",
        "job.trace",
        "--format",
        "json",
        "--",
        "number",
        number,
    ];
    let found = document(&run(&place, &words));
    assert_eq!(found["outcome"], "denied", "{found}");
    let trace = trace();
    let calls = trace["images"][0]["calls"].as_array().unwrap();
    let denied = calls.iter().find(|call| call["name"] == "ptrace").unwrap();
    assert_eq!(denied["denied"], json!(["kill"]), "{denied}");
    assert_eq!(denied["succeeded"], false, "{denied}");
}

fn ptrace_number() -> &'static str {
    match cfg!(target_arch = "aarch64") {
        true => "117",
        false => "101",
    }
}
