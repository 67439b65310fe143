//! Recording by programs in the kernel, beside full tracing of the same programs. All of it takes root.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;

use super::programs::{
    AGAIN, BECOMES, BUSY, CHILDREN, DENIES, ENDS, GROWS, KILLS, LEADS, MANY, STOPS, TRACES,
    UNTRACED, WAITS,
};
use super::{Recorded, record};
use crate::place::Place;
use crate::schema::{against, schema};

const EBPF: [&str; 2] = ["--backend", "ebpf"];
/// Of a program without a C library.
const BARE: &[&str] = &["-O1", "-static", "-nostdlib", "-ffreestanding"];

/// Whether this process sees tasks by the numbers that the kernel's tracepoints tell. In a PID namespace (of a container) it
/// does not, and there is one thing to see: that this is said, and nothing is run.
fn sees_all_tasks() -> bool {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test loads programs into the kernel: run it as root"
    );
    // `PROC_PID_INIT_INO` of linux/proc_ns.h.
    let first = fs::metadata("/proc/self/ns/pid").unwrap().ino() == 0xefff_fffc;
    if !first {
        let place = Place::new();
        let done = place.portcullis(&["record", "--backend", "ebpf", "--", "/bin/true"]);
        let done = done.expect(125);
        assert!(
            done.stderr.contains("in a PID namespace"),
            "{}",
            done.stderr
        );
    }
    first
}

/// A program, and what is compiled beside it.
struct Case {
    name: &'static str,
    source: &'static str,
    flags: &'static [&'static str],
    command: &'static [&'static str],
}

const OTHER: &str = "#include <unistd.h>\n#include <sys/resource.h>\n\
    int main(void) { getpriority(PRIO_PROCESS, 0); for (int i = 0; i < 20; i++) getppid(); return 0; }";

const CASES: &[Case] = &[
    Case {
        name: "busy",
        source: BUSY,
        flags: &["-pthread"],
        command: &["./busy"],
    },
    Case {
        name: "children",
        source: CHILDREN,
        flags: &[],
        command: &["./children"],
    },
    Case {
        name: "grows",
        source: GROWS,
        flags: &["-pthread"],
        command: &["./grows"],
    },
    Case {
        name: "grows",
        source: GROWS,
        flags: &["-pthread"],
        command: &["./grows", "thread"],
    },
    Case {
        name: "becomes",
        source: BECOMES,
        flags: &[],
        command: &["./becomes"],
    },
    Case {
        name: "leads",
        source: LEADS,
        flags: &["-pthread"],
        command: &["./leads"],
    },
    Case {
        name: "again",
        source: AGAIN,
        flags: BARE,
        command: &[
            "sh",
            "-c",
            "./again x && ./again x && : > there && ./again x && rm there",
        ],
    },
    Case {
        name: "denies",
        source: DENIES,
        flags: &[],
        command: &["./denies"],
    },
    Case {
        name: "kills",
        source: KILLS,
        flags: &[],
        command: &["./kills"],
    },
    Case {
        name: "untraced",
        source: UNTRACED,
        flags: &[],
        command: &["./untraced"],
    },
    Case {
        name: "stops",
        source: STOPS,
        flags: &[],
        command: &["./stops"],
    },
];

#[test]
fn what_full_tracing_sees_programs_in_the_kernel_see() {
    if !sees_all_tasks() {
        return;
    }
    for case in CASES {
        let place = Place::new();
        place.compile(case.name, case.source, case.flags);
        place.compile("other", OTHER, &[]);
        agree(&place, case.command);
    }
}

/// The same output and end, and in the traces the same calls of the same programs, with the same results and callers.
fn agree(place: &Place, command: &[&str]) -> Recorded {
    let (stopped, full) = record(place, &["--full"], command);
    let (output, seen) = record(place, &EBPF, command);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status, stopped.status, "{command:?}: {text}");
    assert_eq!(output.stdout, stopped.stdout, "{command:?}");
    assert_eq!(full.seen(), seen.seen(), "{command:?}");
    let results = |recorded: &Recorded| {
        let mut all = Vec::new();
        for (image, call, _) in recorded.seen() {
            all.push((recorded.returned(&image, &call), image, call));
        }
        all
    };
    assert_eq!(results(&full), results(&seen), "{command:?}");
    assert_eq!(seen.0[0]["backend"], "ebpf");
    for lost in ["PC0507", "PC0509", "PC0511"] {
        assert!(!seen.remarks().contains(&lost), "{command:?} {lost}");
    }
    seen
}

#[test]
fn programs_paths_and_callers_are_told_and_all_calls_are_counted() {
    if !sees_all_tasks() {
        return;
    }
    let place = Place::new();
    place.compile("children", CHILDREN, &[]);
    place.compile("other", OTHER, &[]);
    let seen = agree(&place, &["./children"]);
    let images = seen.told("image");
    assert_eq!(images[1]["by"], 0);
    for image in images {
        let identity = image["identity"].as_str().unwrap();
        assert!(identity.starts_with("build-id:"), "{image}");
    }
    let calls = seen.calls();
    let of = |name: &str| {
        let mut all = calls.iter();
        let own = all.find(|(image, call)| image == "children" && call["name"] == name);
        own.unwrap().1
    };
    let exec = of("execve");
    assert_eq!(exec["observed"][0]["path"], "./other");
    assert_eq!(exec["callers"][0]["function"], "execve");
    let of_line = schema("trace");
    for line in &seen.0 {
        let mut wrong = Vec::new();
        against(&of_line, &of_line, line, "trace", &mut wrong);
        assert_eq!(wrong, Vec::<String>::new(), "{line}");
    }
    let counts = seen.told("counts").last().unwrap()["calls"].clone();
    let mut counts = counts.as_array().unwrap().iter();
    let own = counts.find(|count| count[0] == of("getppid")["id"]);
    assert_eq!(own.unwrap()[1], 20_000);
}

#[test]
fn programs_that_end_at_once_are_known() {
    if !sees_all_tasks() {
        return;
    }
    let place = Place::new();
    place.compile("ends", ENDS, &[]);
    // Where they are found by a name that is none in the directory of the recorder.
    let script = "mkdir d && cp ends d/quick && cd d && for i in 1 2 3 4 5 6 7 8 9; do ./quick 0; done; cd .. && rm -r d";
    let (output, seen) = record(&place, &EBPF, &["sh", "-c", script]);
    assert_eq!(output.status.code(), Some(0));
    assert!(seen.has("quick", "exit_group"), "{:?}", seen.told("image"));
}

#[test]
fn who_traces_can() {
    if !sees_all_tasks() {
        return;
    }
    let place = Place::new();
    place.compile("traces", TRACES, &[]);
    // It expects to be refused, as it is by a tracer.
    let (output, seen) = record(&place, &EBPF, &["./traces"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(seen.remarks().is_empty());
    assert!(seen.returned("traces", "ptrace").contains(&None));
}

#[test]
fn more_calls_than_are_told_apart_are_said() {
    if !sees_all_tasks() {
        return;
    }
    let place = Place::new();
    place.compile("many", MANY, &[]);
    // Of one call 256 values are told apart.
    let (_, seen) = record(&place, &EBPF, &["./many", "values"]);
    let all = seen.calls();
    let own = |(image, call): &&(String, &serde_json::Value)| {
        image == "many" && call["name"] == "madvise"
    };
    let any = |(_, call): &&(String, &serde_json::Value)| call["any"] == true;
    assert_eq!(all.iter().filter(own).count(), 257);
    assert_eq!(all.iter().filter(own).filter(any).count(), 1);
    assert!(seen.remarks().is_empty(), "{:?}", seen.remarks());
    // Of all calls as many as the table holds, whether there was room to tell of each at once or not.
    let (_, seen) = record(&place, &EBPF, &["./many", "numbers"]);
    assert!(seen.remarks().contains(&"PC0507"), "{:?}", seen.remarks());
    assert_eq!(seen.told("call").len(), 1 << 15);
}

#[test]
fn a_killed_recorder_leaves_what_was_seen_and_nothing_in_the_kernel() {
    if !sees_all_tasks() {
        return;
    }
    let place = Place::new();
    place.compile("waits", WAITS, &[]);
    place.compile("gone", GONE, &[]);
    let mut recorder = place
        .command()
        .args([
            "record",
            "--backend",
            "ebpf",
            "-o",
            "own.trace",
            "--",
            "./waits",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(recorder.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "waiting\n");
    // The recorder reads while the program goes on: what that did last is in the trace a little later.
    let trace = place.at("own.trace");
    while !fs::read_to_string(&trace).unwrap().contains("\"pause\"") {
        std::thread::yield_now();
    }
    let own = format!("/proc/{}/fdinfo", recorder.id());
    let mut ids = Vec::new();
    for entry in fs::read_dir(own).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
        for kind in ["prog_id", "map_id", "link_id"] {
            let mut lines = text.lines();
            let own = lines.find_map(|line| line.strip_prefix(kind)?.strip_prefix(':'));
            ids.extend(own.map(|id| format!("{kind}{}", id.trim())));
        }
    }
    assert!(ids.len() > 10, "{ids:?}");
    recorder.kill().unwrap();
    recorder.wait().unwrap();
    let killed = Recorded::read(&trace);
    assert!(killed.has("waits", "getpgrp") && killed.has("waits", "write"));
    assert!(killed.told("end").is_empty());
    let mut gone = std::process::Command::new(place.at("gone"));
    assert!(gone.args(ids).status().unwrap().success());
    // The program goes on, unrecorded.
    let image = fs::read_link(place.at("waits")).unwrap_or(place.at("waits"));
    let mut all = fs::read_dir("/proc").unwrap().flatten();
    let found =
        all.find(|entry| fs::read_link(entry.path().join("exe")).ok() == Some(image.clone()));
    let pid = found.unwrap().file_name().into_string().unwrap();
    let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert_eq!(output.read_to_end(&mut Vec::new()).unwrap(), 0);
}

/// Waits until the kernel has nothing any more of what it was given the numbers of; it takes them away some time after the
/// last descriptor was closed.
const GONE: &str = r#"
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/bpf.h>
#include <sys/syscall.h>

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    int command = argv[i][0] == 'p' ? BPF_PROG_GET_FD_BY_ID
      : argv[i][0] == 'm' ? BPF_MAP_GET_FD_BY_ID : BPF_LINK_GET_FD_BY_ID;
    for (;;) {
      union bpf_attr attributes;
      memset(&attributes, 0, sizeof attributes);
      attributes.prog_id = atoi(strpbrk(argv[i], "0123456789"));
      int fd = syscall(SYS_bpf, command, &attributes, sizeof attributes);
      if (fd < 0) {
        if (errno != ENOENT) return 2;
        break;
      }
      close(fd);
      sched_yield();
    }
  }
  return 0;
}
"#;

#[test]
fn what_cannot_be_is_refused_before_anything_runs() {
    if !sees_all_tasks() {
        return;
    }
    let place = Place::new();
    fs::set_permissions(place.at("."), fs::Permissions::from_mode(0o777)).unwrap();
    let words = ["record", "--backend", "ebpf", "-o", "own.trace"];
    let refused = |command: &mut std::process::Command, word: &str| {
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(125), "{text}");
        assert!(text.contains(word), "{text}");
        assert!(output.stdout.is_empty() && !place.at("own.trace").exists());
    };
    let mut command = place.command();
    command.args(words).args(["--", "echo", "x"]);
    refused(command.uid(65534).gid(65534), "CAP_BPF");
    let mut command = std::process::Command::new("unshare");
    command
        .args(["--pid", "--fork"])
        .arg(place.command().get_program());
    command.args(words).args(["--", "echo", "x"]);
    refused(command.current_dir(place.at(".")), "PID namespace");
    super::write_policy(&place, "");
    let mut command = place.command();
    command
        .args(words)
        .args(["--policy", "p.toml", "--", "echo", "x"]);
    refused(&mut command, "behind its filter");
}

/// A 64-bit program makes a call by the way of i386.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_call_of_another_architecture_is_that() {
    if !sees_all_tasks() {
        return;
    }
    let place = Place::new();
    let source = "int main(void) { long r; for (int i = 0; i < 50; i++) \
                  asm volatile(\"int $0x80\" : \"=a\"(r) : \"a\"(64L) : \"memory\", \"r8\", \"r9\", \"r10\", \"r11\"); \
                  return r <= 0; }";
    place.compile("foreign", source, &[]);
    let seen = agree(&place, &["./foreign"]);
    let calls = seen.calls();
    let own = |(_, call): &&(String, &serde_json::Value)| {
        call["arch"] == "i386" && call["name"] == "getppid"
    };
    assert_eq!(calls.iter().filter(own).count(), 1);
}
