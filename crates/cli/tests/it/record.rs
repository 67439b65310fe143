//! `record`: what is seen, of whom, and what is left when the recorder is killed.

#[cfg(feature = "ebpf")]
mod ebpf;
mod programs;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::place::Place;
use crate::schema::{against, schema};
use programs::{
    AGAIN, ASKS, BECOMES, BUSY, CHILDREN, DENIES, ENDS, FRESH, GROWS, STOPS, TRACES, UNTRACED,
    VFORKS, WAITS,
};

/// Program, call and values of its arguments.
type Seen = BTreeSet<(String, String, Vec<String>)>;

/// A trace of one run.
struct Recorded(Vec<Value>);

impl Recorded {
    fn read(trace: &Path) -> Recorded {
        let text = fs::read_to_string(trace).unwrap();
        let facts = text.lines().map(|line| serde_json::from_str(line).unwrap());
        Recorded(facts.collect())
    }

    fn told(&self, kind: &str) -> Vec<&Value> {
        self.0.iter().filter_map(|f| f.get(kind)).collect()
    }

    fn calls(&self) -> Vec<(String, &Value)> {
        let images = self.told("image");
        let name = |id: &Value| {
            let image = images.iter().find(|image| image["id"] == *id).unwrap();
            let path = Path::new(image["path"].as_str().unwrap());
            path.file_name().unwrap().to_string_lossy().into_owned()
        };
        let calls = self.told("call").into_iter();
        calls.map(|call| (name(&call["image"]), call)).collect()
    }

    fn seen(&self) -> Seen {
        let values = |call: &Value| {
            let args = call["args"].as_array().unwrap().iter();
            args.map(|a| a["value"].as_str().unwrap().to_owned())
                .collect()
        };
        self.calls()
            .into_iter()
            .map(|(image, call)| {
                (
                    image,
                    call["name"].as_str().unwrap_or("?").to_owned(),
                    values(call),
                )
            })
            .collect()
    }

    fn has(&self, image: &str, call: &str) -> bool {
        self.seen()
            .iter()
            .any(|(i, c, _)| (i.as_str(), c.as_str()) == (image, call))
    }

    /// What a call of an image returned.
    fn returned(&self, image: &str, call: &str) -> BTreeSet<Option<String>> {
        let all = self.calls();
        let ids = all.iter().filter(|(i, c)| i == image && c["name"] == call);
        let ids: Vec<&Value> = ids.map(|(_, c)| &c["id"]).collect();
        let returned = self
            .told("returned")
            .into_iter()
            .filter(|r| ids.contains(&&r["call"]));
        returned
            .map(|r| r["error"].as_str().map(str::to_owned))
            .collect()
    }

    fn remarks(&self) -> Vec<&str> {
        self.told("remark")
            .iter()
            .map(|r| r["code"].as_str().unwrap())
            .collect()
    }

    fn end(&self) -> &Value {
        self.told("end").last().unwrap()
    }
}

fn record(place: &Place, options: &[&str], command: &[&str]) -> (Output, Recorded) {
    let trace = place.at("own.trace");
    let _ = fs::remove_file(&trace);
    let output = place
        .command()
        .args(["record", "-o", "own.trace"])
        .args(options)
        .arg("--")
        .args(command)
        .output()
        .unwrap();
    (output, Recorded::read(&trace))
}

/// Records the program with both back-ends: it behaves alike, and the same calls are seen of the same programs.
/// The recording that let calls run free is returned.
fn alike(place: &Place, command: &[&str]) -> (Output, Recorded) {
    let (native, full) = record(place, &["--full"], command);
    let (output, adaptive) = record(place, &[], command);
    for one in [&native, &output] {
        let text = String::from_utf8_lossy(&one.stderr);
        assert_eq!(one.status.code(), Some(0), "{text}");
    }
    assert_eq!(native.stdout, output.stdout);
    assert_eq!(full.seen(), adaptive.seen());
    assert_eq!(full.end()["filters"], 0);
    (output, adaptive)
}

#[test]
fn known_calls_run_free_and_new_ones_are_seen_in_every_thread() {
    let place = Place::new();
    place.compile("busy", BUSY, &["-pthread"]);
    let (_, seen) = alike(&place, &["./busy"]);
    // Each of the threads has a filter, and makes 20000 calls.
    assert_eq!(seen.end()["filters"], 4, "{}", seen.end());
    assert!(seen.end()["calls"].as_u64().unwrap() < 20_000);
    for call in ["getppid", "getpgrp", "sched_yield"] {
        assert!(seen.has("busy", call), "{call}");
    }
    assert!(
        seen.returned("busy", "fcntl")
            .contains(&Some("EBADF".to_owned()))
    );
}

#[test]
fn children_are_followed_and_an_exec_is_another_program() {
    let place = Place::new();
    let program = place.compile("children", CHILDREN, &[]);
    fs::copy(program, place.at("other")).unwrap();
    let (_, seen) = alike(&place, &["./children"]);
    assert!(seen.end()["filters"].as_u64().unwrap() > 0);
    // The other program inherits a filter under which this call runs free.
    assert!(seen.has("children", "getppid") && seen.has("other", "getppid"));
    for call in ["getpgrp", "getsid", "getpriority", "sched_yield"] {
        assert!(seen.has("children", call), "{call}");
    }
    assert!(!seen.has("other", "getsid"));
    let images = seen.told("image");
    assert_eq!(images[1]["by"], 0);
    assert!(
        images[0]["identity"]
            .as_str()
            .unwrap()
            .starts_with("build-id:")
    );
    let calls = seen.calls();
    let (_, exec) = calls.iter().find(|(_, c)| c["name"] == "execve").unwrap();
    assert_eq!(exec["observed"][0]["path"], "./other");
    assert_eq!(exec["callers"][0]["function"], "execve");
}

#[test]
fn who_waits_in_a_vfork_goes_on_whatever_becomes_of_the_child() {
    let place = Place::new();
    place.compile("vforks", VFORKS, &[]);
    let (_, seen) = alike(&place, &["./vforks"]);
    for call in ["getpgid", "getsid"] {
        assert!(seen.has("vforks", call), "{call}");
    }
}

#[test]
fn who_starts_others_runs_free_as_long_as_it_has_no_other_code() {
    let place = Place::new();
    place.compile("grows", GROWS, &["-pthread"]);
    let other = "#include <unistd.h>\n#include <sys/resource.h>\n\
        int main(void) { getpriority(PRIO_PROCESS, 0); for (int i = 0; i < 20; i++) getppid(); return 0; }";
    place.compile("other", other, &[]);
    for more in [&[][..], &["thread"]] {
        let command = [&["./grows"], more].concat();
        let (_, seen) = alike(&place, &command);
        // Of 320 children and what is done for them.

        assert!(
            seen.end()["calls"].as_u64().unwrap() < 300,
            "{}",
            seen.end()
        );
        for call in ["getsid", "sched_yield", "getpgrp"] {
            assert!(seen.has("grows", call), "{call} {more:?}");
        }
        for call in ["getppid", "getpriority"] {
            assert!(
                seen.has("other", call) && !seen.has("grows", call),
                "{call}"
            );
        }
    }
}

#[test]
fn what_a_program_becomes_does_not_bear_with_its_filter() {
    let place = Place::new();
    place.compile("becomes", BECOMES, &[]);
    let other = "#include <unistd.h>\n\
        int main(void) { for (int i = 0; i < 2000; i++) getppid(); return 0; }";
    place.compile("other", other, &[]);
    let (_, seen) = alike(&place, &["./becomes"]);
    // Memory that moves and holds no code leaves the first its filter, and the other one has its own.
    assert_eq!(seen.end()["filters"], 2, "{}", seen.end());
    assert!(
        seen.end()["calls"].as_u64().unwrap() < 600,
        "{}",
        seen.end()
    );
    assert!(seen.has("becomes", "mremap") && seen.has("other", "getppid"));
}

#[test]
fn a_program_that_is_started_again_has_its_filter_from_the_beginning() {
    let place = Place::new();
    place.compile(
        "again",
        AGAIN,
        &["-O1", "-static", "-nostdlib", "-ffreestanding"],
    );
    let script = "./again x && ./again x && ./again x && : > there && ./again x && rm there";
    let (_, seen) = alike(&place, &["sh", "-c", script]);
    // From the second time on, before its first instruction: its stack is as it was.
    assert_eq!(seen.end()["filters"], 3, "{}", seen.end());
    assert!(seen.has("again", "getpid"));
    let returned = BTreeSet::from([None, Some("ENOENT".to_owned())]);
    // What a known call returns where it runs free is not seen.
    assert!(returned.is_superset(&seen.returned("again", "truncate")));
    let counts = seen.told("counts").last().unwrap()["calls"].clone();
    let calls = seen.calls();
    let of = |name| {
        calls
            .iter()
            .find(|(i, c)| i == "again" && c["name"] == name)
    };
    let (_, getuid) = of("getuid").unwrap();
    let count = counts
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c[0] == getuid["id"]);
    assert_eq!(count.unwrap()[1], 30);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_program_that_loads_its_filter_by_itself_begins_like_any_other() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test gives privileges up: run it as root"
    );
    let place = Place::new();
    fs::set_permissions(place.at("."), fs::Permissions::from_mode(0o755)).unwrap();
    let flags = [
        "-O1",
        "-static",
        "-nostdlib",
        "-ffreestanding",
        "-fno-stack-protector",
    ];
    place.compile("fresh", FRESH, &flags);
    let script = ["sh", "-c", "./fresh && ./fresh && ./fresh"];
    let becomes = [
        "setpriv",
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
    ];
    for (before, expected) in [
        (&[][..], "none\nmore\nmore\n"),
        // Without privileges and without the promise never to gain any the kernel refuses it: once, it is led then.
        (&becomes[..], "none\nmore\nnone\n"),
    ] {
        let (output, seen) = record(&place, &[], &[before, &script].concat());
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!((output.status.code(), &*told), (Some(0), expected));
        assert_eq!(seen.end()["filters"], 2, "{}", seen.end());
        assert!(seen.has("fresh", "write") && seen.has("fresh", "exit_group"));
        assert!(!seen.has("fresh", "seccomp") && !seen.has("fresh", "prctl"));
    }
}

#[test]
fn what_a_filter_of_the_programs_own_denies_is_seen() {
    let place = Place::new();
    place.compile("denies", DENIES, &[]);
    let (_, seen) = alike(&place, &["./denies"]);
    assert!(seen.remarks().contains(&"PC0501"), "{:?}", seen.remarks());
    let denied = BTreeSet::from([Some("EACCES".to_owned())]);
    assert_eq!(seen.returned("denies", "acct"), denied);
    let by_own = |seen: &Recorded| {
        let of = |call: &str| {
            let made = seen.calls().into_iter();
            let made =
                made.filter(|(image, told)| image.ends_with("denies") && told["name"] == call);
            let ids: Vec<_> = made.map(|(_, told)| told["id"].clone()).collect();
            let told = seen.told("denied").into_iter();
            let told = told.filter(|denied| ids.contains(&denied["call"]));
            told.map(|denied| (denied["by"].clone(), denied["answer"].clone()))
                .collect::<Vec<_>>()
        };
        (of("acct"), of("getppid"))
    };
    // EACCES, as the program asks.
    let own = (Value::from("own-filter"), Value::from("errno:13"));
    assert_eq!(by_own(&seen), (vec![own], Vec::new()));
}

/// A policy that allows everything but a few calls.
fn write_policy(place: &Place, rules: &str) {
    let text = format!(
        "schema = \"portcullis.policy\"\nversion = 1\narch = \"{}\"\n\
         default = \"allow\"\nnewer = \"allow\"\nforeign = \"kill\"\nbaseline = \"6.1\"\n\n{rules}",
        std::env::consts::ARCH
    );
    fs::write(place.at("p.toml"), text).unwrap();
}

#[test]
fn what_a_policy_denies_is_denied_and_told() {
    let place = Place::new();
    place.compile("asks", ASKS, &[]);
    write_policy(
        &place,
        "[[rule]]\ncalls = [\"getsid\"]\naction = \"errno:EXDEV\"\n\n\
         [[rule]]\ncalls = [\"getpriority\"]\naction = \"errno:EDOM\"\n\n\
         [[rule]]\ncalls = [\"sync\"]\naction = \"kill\"\n",
    );
    let options = ["--policy", "p.toml"];
    let answers = |seen: &Recorded| -> BTreeSet<(String, String)> {
        let calls = seen.calls();
        let of = |id: &Value| calls.iter().find(|(_, c)| c["id"] == *id).unwrap();
        let told = seen.told("denied").into_iter().map(|fact| {
            let name = of(&fact["call"]).1["name"].as_str().unwrap().to_owned();
            (name, fact["answer"].as_str().unwrap().to_owned())
        });
        told.collect()
    };
    let one = |name: &str, answer: &str| (name.to_owned(), answer.to_owned());
    let errnos = [one("getsid", "errno:18"), one("getpriority", "errno:33")];
    for full in [&["--full"][..], &[]] {
        let options = [&options, full].concat();
        let (output, seen) = record(&place, &options, &["./asks"]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.stdout, b"15\n", "{text}");
        assert_eq!(answers(&seen), BTreeSet::from(errnos.clone()));
        let free = if full.is_empty() { 1 } else { 0 };
        assert_eq!(seen.end()["filters"], free);
        // An exec under the policy, and the end of a process by it.
        let (output, seen) = record(&place, &options, &["sh", "-c", "./asks x; echo $?"]);
        assert_eq!(output.stdout, b"15\n137\n");
        let killed = [one("sync", "kill")];
        assert_eq!(
            answers(&seen),
            errnos.iter().cloned().chain(killed).collect()
        );
    }
    let shown = place
        .portcullis(&["record", "show", "own.trace"])
        .expect(0)
        .stdout;
    assert!(shown.contains("denied (errno:18)"), "{shown}");
    // An answer that only the kernel gives: every call stops, and it is seen all the same.
    write_policy(
        &place,
        "[[rule]]\ncalls = [\"getsid\"]\naction = \"trap\"\n",
    );
    let (output, seen) = record(&place, &options, &["./asks"]);
    assert_eq!(output.status.code(), Some(159));
    assert_eq!(answers(&seen), BTreeSet::from([one("getsid", "trap")]));
    assert_eq!(seen.0[0]["reason"], "policy");
}

#[test]
fn a_child_that_asks_for_no_tracer_is_seen() {
    let place = Place::new();
    place.compile("untraced", UNTRACED, &[]);
    let (_, seen) = alike(&place, &["./untraced"]);
    assert!(seen.end()["filters"].as_u64().unwrap() > 0);
    assert!(seen.has("untraced", "getpgrp"));
    assert_eq!(seen.remarks(), ["PC0506"]);
}

#[test]
fn who_traces_is_told_that_it_cannot() {
    let place = Place::new();
    place.compile("traces", TRACES, &[]);
    let (output, seen) = record(&place, &[], &["./traces"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(seen.remarks(), ["PC0503"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("PC0503"));
}

#[test]
fn stops_and_signals_are_the_programs_own() {
    let place = Place::new();
    place.compile("stops", STOPS, &[]);
    let (output, _) = alike(&place, &["./stops"]);
    assert_eq!(output.stdout, b"stopped continued handled 300\n");
}

#[test]
fn the_programs_own_end_passes_through() {
    let place = Place::new();
    place.compile("ends", ENDS, &[]);
    let code = |words: &[&str]| {
        let words = [&["./ends"], words].concat();
        record(&place, &[], &words).0.status.code()
    };
    assert_eq!(code(&["7"]), Some(7));
    assert_eq!(code(&["15", "x"]), Some(143));
    let done = place.portcullis(&["record", "--", "no-such-program"]);
    done.expect(127);
}

#[test]
fn a_killed_recorder_leaves_what_was_seen_and_no_program() {
    let place = Place::new();
    place.compile("waits", WAITS, &[]);
    let mut recorder = place
        .command()
        .args(["record", "-o", "own.trace", "--", "./waits"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(recorder.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "waiting\n");
    recorder.kill().unwrap();
    recorder.wait().unwrap();
    // The program held the other end: it is gone when this one ends.
    assert_eq!(output.read_to_end(&mut Vec::new()).unwrap(), 0);
    let trace = place.at("own.trace");
    let mut bytes = fs::read(&trace).unwrap();
    let killed = Recorded::read(&trace);
    assert!(killed.has("waits", "getpgrp") && killed.has("waits", "write"));
    assert!(killed.told("end").is_empty());
    // A line that was cut off is passed over, and another run is added behind it.
    let cut = bytes.len() - 7;
    bytes.truncate(cut);
    fs::write(&trace, bytes).unwrap();
    place.portcullis(&["record", "show", "own.trace"]).expect(0);
    place
        .portcullis(&["record", "-o", "own.trace", "--", "true"])
        .expect(0);
    let shown = place
        .portcullis(&["record", "show", "--format", "json", "own.trace"])
        .expect(0)
        .json();
    assert_eq!(shown["runs"], 2);
    assert_eq!(shown["images"].as_array().unwrap().len(), 2);
}

#[test]
fn a_program_that_would_lose_privileges_is_not_started() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test gives a file away: run it as root"
    );
    let place = Place::new();
    let program = place.compile("ends", ENDS, &[]);
    for path in [place.at("."), program.clone()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o4777)).unwrap();
    }
    let output = place
        .command()
        .args(["record", "-o", "own.trace", "--", "./ends", "0"])
        .uid(65534)
        .gid(65534)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{text}");
    assert!(text.contains("set-user-ID"), "{text}");
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    let plain = place
        .command()
        .args(["record", "-o", "plain.trace", "--", "./ends", "0"])
        .uid(65534)
        .gid(65534)
        .output()
        .unwrap();
    assert_eq!(
        plain.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&plain.stderr)
    );
}

#[test]
fn without_privileges_filters_are_taken_because_of_a_promise_made_at_the_start() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test gives privileges up: run it as root"
    );
    let place = Place::new();
    fs::set_permissions(place.at("."), fs::Permissions::from_mode(0o777)).unwrap();
    let script = "for i in 1 2 3; do grep NoNewPrivs /proc/self/status; done";
    let recorded = |name: &str, options: &[&str]| {
        let mut command = place.command();
        command
            .args(["record", "-o", name])
            .args(options)
            .args(["--", "sh", "-c", script]);
        let output = command.uid(65534).gid(65534).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{text}");
        let told = String::from_utf8(output.stdout).unwrap();
        (
            told,
            Recorded::read(&place.at(name)).end()["filters"].clone(),
        )
    };
    let (told, filters) = recorded("own.trace", &[]);
    assert_eq!(
        (told.as_str(), filters),
        ("NoNewPrivs:\t1\n".repeat(3).as_str(), 2.into())
    );
    let (told, filters) = recorded("full.trace", &["--full"]);
    assert_eq!(
        (told.as_str(), filters),
        ("NoNewPrivs:\t0\n".repeat(3).as_str(), 0.into())
    );
}

#[test]
fn traces_are_merged_and_become_policies() {
    let place = Place::new();
    let echo = fs::canonicalize("/bin/echo").unwrap();
    let echo = echo.to_str().unwrap();
    for _ in 0..2 {
        place
            .portcullis(&["record", "-o", "a.trace", "--", "echo", "x"])
            .expect(0);
    }
    place
        .portcullis(&["record", "-o", "b.trace", "--", "true"])
        .expect(0);
    place
        .portcullis(&["record", "merge", "a.trace", "b.trace", "-o", "c.trace"])
        .expect(0);
    place
        .portcullis(&["record", "merge", "c.trace", "c.trace", "-o", "d.trace"])
        .expect(0);
    let shown = |name: &str| {
        place
            .portcullis(&["record", "show", "--format", "json", name])
            .expect(0)
            .json()
    };
    let writes = |document: &Value| {
        let images = document["images"].as_array().unwrap();
        let echo = images
            .iter()
            .find(|i| i["path"].as_str().unwrap().ends_with("/echo"))
            .unwrap();
        let calls = echo["calls"].as_array().unwrap();
        let write = calls.iter().find(|c| c["name"] == "write").unwrap();
        (
            document["runs"].as_u64(),
            write["runs"].as_u64(),
            write["count"].as_u64(),
        )
    };
    assert_eq!(writes(&shown("c.trace")), (Some(3), Some(2), Some(2)));
    assert_eq!(writes(&shown("d.trace")), (Some(6), Some(4), Some(4)));
    let metrics = place
        .portcullis(&["record", "show", "--format", "prometheus", "c.trace"])
        .expect(0)
        .stdout;
    assert!(metrics.contains("call=\"write\"") && metrics.contains("portcullis_record_runs 3"));
    let metrics = place
        .portcullis(&["record", "show", "--format", "otlp", "c.trace"])
        .expect(0)
        .json();
    let scope = &metrics["resourceMetrics"][0]["scopeMetrics"][0];
    let runs = &scope["metrics"][0];
    assert_eq!(runs["name"], "portcullis.record.runs");
    // 64-bit numbers are texts in the JSON of protocol buffers.
    assert_eq!(runs["sum"]["dataPoints"][0]["asInt"], "3");
    let points = scope["metrics"][1]["sum"]["dataPoints"].as_array().unwrap();
    let has = |point: &Value, key: &str, value: &str| {
        let all = point["attributes"].as_array().unwrap();
        let own = |a: &Value| a["key"] == key && a["value"]["stringValue"] == value;
        all.iter().any(own)
    };
    let write =
        |p: &&Value| has(p, "portcullis.call", "write") && has(p, "process.executable.path", echo);
    assert_eq!(points.iter().find(write).unwrap()["asInt"], "2");
    // A trace is a policy; together with a scan, each rule says where it comes from.
    let seen = place.portcullis(&["policy", "a.trace"]).expect(0).stdout;
    assert!(seen.contains("\"trace a.trace, runs: 2, since "), "{seen}");
    let both = place
        .portcullis(&["policy", echo, "--trace", "a.trace", "--seen"])
        .expect(0)
        .stdout;
    let rules = both
        .split("[[rule]]")
        .skip(1)
        .filter(|rule| rule.contains("\"allow\""));
    for rule in rules {
        assert!(
            rule.contains("\"site ") && rule.contains("\"trace "),
            "{rule}"
        );
    }
    // The policy tells its runs, and can be refused for them.
    assert!(seen.contains("ramp-runs = 2\nramp-since = \"20"), "{seen}");
    place
        .portcullis(&["policy", "a.trace", "-o", "seen.toml"])
        .expect(0);
    for (wanted, code) in [("2", 0), ("3", 2)] {
        let done = place.portcullis(&["compile", "seen.toml", "--require-ramp", wanted]);
        done.expect(code);
    }
    // With the values that were seen.
    place
        .portcullis(&["policy", "a.trace", "--values", "-o", "values.toml"])
        .expect(0);
    let asked = |flags: &str| {
        let call = format!("openat(0, 0, {flags}, 0)");
        let explain = ["explain", "values.toml", &call, "--format", "json"];
        place.portcullis(&explain).expect(0).json()["answers"][0]["answer"].clone()
    };
    assert_eq!([asked("0x80000"), asked("0x241")], ["allow", "kill"]);
    // What the scan allows beyond what was seen.
    let headroom = place
        .portcullis(&["diff", "a.trace", echo])
        .expect(1)
        .stdout;
    assert!(headroom.contains("kill -> allow"), "{headroom}");
}

#[test]
fn each_line_is_as_its_schema_says() {
    let place = Place::new();
    place.compile("denies", DENIES, &[]);
    write_policy(
        &place,
        "[[rule]]\ncalls = [\"acct\"]\naction = \"errno:EPERM\"\n",
    );
    record(&place, &["--policy", "p.toml"], &["./denies"]);
    place
        .portcullis(&["record", "merge", "own.trace", "-o", "merged.trace"])
        .expect(0);
    let of_line = schema("trace");
    let mut kinds = BTreeSet::new();
    let shown = place
        .portcullis(&["record", "show", "--format", "json", "merged.trace"])
        .expect(0)
        .json();
    let mut wrong = Vec::new();
    let document = schema("record");
    against(&document, &document, &shown, "record", &mut wrong);
    assert_eq!(wrong, Vec::<String>::new());
    for name in ["own.trace", "merged.trace"] {
        for line in Recorded::read(&place.at(name)).0 {
            let mut wrong = Vec::new();
            against(&of_line, &of_line, &line, name, &mut wrong);
            assert_eq!(wrong, Vec::<String>::new(), "{line}");
            kinds.extend(line.as_object().unwrap().keys().cloned());
        }
    }
    for kind in [
        "run", "image", "call", "returned", "denied", "free", "counts", "remark", "end",
    ] {
        assert!(kinds.contains(kind), "{kind}");
    }
}

/// A 64-bit program makes a call by the way of i386.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_call_of_another_architecture_is_told_as_that() {
    let place = Place::new();
    let source = "int main(void) { long r; for (int i = 0; i < 5000; i++) \
                  asm volatile(\"int $0x80\" : \"=a\"(r) : \"a\"(64L) : \"memory\", \"r8\", \"r9\", \"r10\", \"r11\"); \
                  return r <= 0; }";
    place.compile("foreign", source, &[]);
    let (_, seen) = alike(&place, &["./foreign"]);
    let calls = seen.calls();
    let own = |(_, call): &&(String, &Value)| call["arch"] == "i386" && call["name"] == "getppid";
    assert_eq!(calls.iter().filter(own).count(), 1);
}
