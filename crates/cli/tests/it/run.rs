//! `run`: real programs behind their filters.

use std::fs;
use std::process::Output;

use serde_json::Value;

use crate::place::Place;

/// A program whose only way to a call's number is its command line.
const NUMBER: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/syscall.h>

int main(int argc, char **argv) {
  long number = argc > 1 ? atol(argv[1]) : SYS_getpid;
  printf("%d\n", syscall(number, 3, 4, 5) != -1);
  return argc;
}
"#;

fn run(place: &Place, words: &[&str]) -> (Output, Value) {
    let verdict = place.at("verdict.json");
    let output = place
        .command()
        .arg("run")
        .arg("--verdict")
        .arg(&verdict)
        .args(words)
        .output()
        .unwrap();
    let text = fs::read_to_string(&verdict).unwrap_or_default();
    (output, serde_json::from_str(&text).unwrap_or(Value::Null))
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn number_program(place: &Place) -> String {
    let program = place.compile("number", NUMBER, &["-static"]);
    program.display().to_string()
}

#[test]
fn the_programs_own_code_passes_through() {
    let place = Place::new();
    let program = number_program(&place);
    for words in [&["--", &program][..], &["--", &program, "39", "x", "y"]] {
        let (output, verdict) = run(&place, words);
        assert_eq!(
            output.status.code(),
            Some(words.len() as i32 - 1),
            "{}",
            stderr(&output)
        );
        assert_eq!(output.stdout, b"1\n");
        assert_eq!(verdict["outcome"], "exited");
        assert_eq!(verdict["mode"], "enforce");
        let layers = verdict["enforced"].as_array().unwrap();
        assert!(layers.iter().any(|l| l["layer"] == "seccomp"), "{verdict}");
    }
    let (output, verdict) = run(&place, &["--", &program]);
    assert!(
        !stderr(&output).contains("not enforced"),
        "{}",
        stderr(&output)
    );
    let layers = verdict["enforced"].as_array().unwrap();
    for layer in ["namespaces", "filesystem", "network", "landlock"] {
        assert!(layers.iter().any(|l| l["layer"] == layer), "{verdict}");
    }
    let without = ["--allow-insecure", "landlock", "--", &program];
    let (output, verdict) = run(&place, &without);
    assert!(
        stderr(&output).contains("not enforced: landlock"),
        "{}",
        stderr(&output)
    );
    assert_eq!(verdict["not_enforced"][0]["layer"], "landlock");
}

#[test]
fn a_call_outside_the_set_is_stopped_and_explained() {
    let place = Place::new();
    let program = number_program(&place);
    // 103 is syslog: nothing in a C program makes it.
    let (output, verdict) = run(&place, &["--", &program, "103"]);
    assert_eq!(output.status.code(), Some(159), "{}", stderr(&output));
    assert_eq!(verdict["outcome"], "denied");
    let denial = &verdict["denials"][0];
    assert_eq!(denial["syscall"], "syslog");
    assert_eq!(denial["args"][0]["value"], "0x3");
    let functions: Vec<&str> = denial["backtrace"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|f| f["function"].as_str())
        .collect();
    assert!(
        functions.contains(&"syscall") && functions.contains(&"main"),
        "{functions:?}"
    );
    assert!(stderr(&output).contains("denied: syslog("));
}

#[test]
fn observation_lets_through_and_says_so() {
    let place = Place::new();
    let program = number_program(&place);
    let (output, verdict) = run(&place, &["--observe", "--", &program, "103"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert_eq!(verdict["mode"], "observe");
    assert_eq!(verdict["not_enforced"][0]["layer"], "seccomp");
    assert_eq!(verdict["denials"][0]["syscall"], "syslog");
    // The core stays denied: 101 is ptrace.
    let (output, _) = run(&place, &["--observe", "--", &program, "101"]);
    assert_eq!(output.stdout, b"0\n");
}

#[test]
fn an_exec_that_the_set_lacks_is_stopped() {
    let place = Place::new();
    let program = number_program(&place);
    for number in ["59", "322"] {
        let (output, verdict) = run(&place, &["--", &program, number]);
        assert_eq!(output.status.code(), Some(159), "{}", stderr(&output));
        assert_eq!(verdict["outcome"], "denied");
    }
}

#[test]
fn what_cannot_be_started_has_the_shells_codes() {
    let place = Place::new();
    let absent = place
        .command()
        .args(["run", "--", "no-such-program"])
        .output()
        .unwrap();
    assert_eq!(absent.status.code(), Some(127));
    let directory = place
        .command()
        .args(["run", "--", "/usr"])
        .output()
        .unwrap();
    assert_eq!(directory.status.code(), Some(126));
    let text = place.at("text");
    fs::write(&text, "just text\n").unwrap();
    let plain = place
        .command()
        .args(["run", "--"])
        .arg(&text)
        .output()
        .unwrap();
    assert_eq!(plain.status.code(), Some(126));
}

#[test]
fn a_derived_policy_compiles_to_a_proved_filter() {
    let place = Place::new();
    let program = number_program(&place);
    let policy = place.command().args(["policy", &program]).output().unwrap();
    assert!(policy.status.success(), "{}", stderr(&policy));
    let file = place.at("policy.toml");
    fs::write(&file, &policy.stdout).unwrap();
    let listing = place.command().arg("compile").arg(&file).output().unwrap();
    assert!(listing.status.success(), "{}", stderr(&listing));
    assert!(String::from_utf8_lossy(&listing.stdout).contains("ld arch"));
    fs::write(&file, "default = \"kill\"\n").unwrap();
    let broken = place.command().arg("compile").arg(&file).output().unwrap();
    assert_eq!(broken.status.code(), Some(2));
}

#[test]
fn a_statement_about_a_residual_is_believed_and_its_contradiction_is_told() {
    let place = Place::new();
    let program = number_program(&place);
    let scan = place
        .portcullis(&["scan", "--format", "json", &program])
        .expect(0)
        .json();
    let residuals = scan["residuals"].as_array().unwrap();
    let number = residuals.iter().find(|r| r["kind"] == "number").unwrap();
    let id = number["id"].as_str().unwrap();
    let state = |calls: &str| {
        fs::write(
            place.at("stated"),
            format!("# Why.\n{id} = {{ {calls} }}\n"),
        )
        .unwrap();
        let with = ["--assume", "stated"];
        let scan = ["scan", "--format", "json"];
        let scan = place
            .portcullis(&[&scan[..], &with, &[&program]].concat())
            .expect(0)
            .json();
        let (output, verdict) = run(&place, &[&with[..], &["--", &program, "103"]].concat());
        (scan, output, verdict)
    };

    let (scan, output, verdict) = state("syslog, getpid");
    assert_eq!(scan["assumed"][0]["residual"]["id"], id);
    assert_eq!(scan["assumed"][0]["numbers"].as_array().unwrap().len(), 2);
    assert!(
        scan["residuals"]
            .as_array()
            .unwrap()
            .iter()
            .all(|r| r["id"] != id)
    );
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert_eq!(verdict["outcome"], "exited");
    let policy = place
        .portcullis(&["policy", "--assume", "stated", &program])
        .expect(0);
    assert!(policy.stdout.contains(id), "{}", policy.stdout);

    let (_, output, verdict) = state("getpid");
    assert_eq!(output.status.code(), Some(159));
    let rule = verdict["denials"][0]["rule"].as_str().unwrap();
    assert!(rule.contains("contradicts") && rule.contains(id), "{rule}");

    fs::write(place.at("stated"), "number:gone:f = {}\n").unwrap();
    let scan = place
        .portcullis(&["scan", "--assume", "stated", &program])
        .expect(0);
    assert!(scan.stdout.contains("PC0205"), "{}", scan.stdout);
    fs::write(place.at("stated"), "number:gone:f is nothing\n").unwrap();
    place
        .portcullis(&["scan", "--assume", "stated", &program])
        .expect(2);
}

#[test]
fn a_started_program_needs_to_be_named() {
    let place = Place::new();
    const STARTS: &str = "#include <unistd.h>\n\
        int main(int c, char **v) { return execv(v[1], v + 1) * c; }\n";
    let starts = place
        .compile("starts", STARTS, &["-static"])
        .display()
        .to_string();
    // uname(2) is a call that the first does not make.
    let denied = run(&place, &["--", &starts, "/bin/uname", "-r"]).0;
    assert_eq!(denied.status.code(), Some(159), "{}", stderr(&denied));
    let named = ["--exec", "/bin/uname", "--", &starts, "/bin/uname", "-r"];
    let (output, verdict) = run(&place, &named);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(verdict["outcome"], "exited");
    assert!(!output.stdout.is_empty());
    let policy = place
        .portcullis(&["policy", "--exec", "/bin/uname", &starts])
        .expect(0);
    assert!(policy.stdout.contains("\"uname\""), "{}", policy.stdout);
}

/// It tries the launch exec again, with what stands in policies at rest in place of the secret.
const LAUNCHES: &str = r#"
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
  long number = argc > 1 ? atol(argv[1]) : 39;
  char *arguments[] = {"true", 0};
  register long r10 __asm__("r10") = 0;
  register long r8 __asm__("r8") = 0;
  register long r9 __asm__("r9") = 0x706f727463756c6c;
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(-100L), "S"("/bin/true"), "d"(arguments), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result < 0 ? 7 : 8;
}
"#;

#[test]
fn the_launch_cannot_be_repeated_by_what_stands_for_the_secret() {
    let place = Place::new();
    let program = place
        .compile("launches", LAUNCHES, &[])
        .display()
        .to_string();
    for options in [&[][..], &["--no-late"]] {
        let (output, verdict) = run(&place, &[options, &["--", &program, "322"]].concat());
        assert_eq!(
            output.status.code(),
            Some(159),
            "{options:?}: {}",
            stderr(&output)
        );
        assert_eq!(verdict["outcome"], "denied");
        assert_eq!(verdict["denials"][0]["syscall"], "execveat");
    }
    let (_, verdict) = run(&place, &["--observe", "--", &program, "322"]);
    assert_eq!(verdict["denials"][0]["syscall"], "execveat");
}

#[test]
fn an_old_kernel_is_refused() {
    let place = Place::new();
    // The kernel tells a process with this personality that it is of 2.6 (personality(2), UNAME26).
    let output = std::process::Command::new("setarch")
        .arg("--uname-2.6")
        .arg(place.command().get_program())
        .args(["run", "--", "/bin/true"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(125));
    let said = stderr(&output);
    assert!(
        said.contains("on Linux 5.10 and newer, and this is 2.6."),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
}

/// Starts a program where seccomp(2) is answered ENOSYS, as by a kernel without it.
const WITHOUT_SECCOMP: &str = r#"
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int count, char **words) {
  struct sock_filter rows[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_seccomp, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog filter = {4, rows};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (count < 2 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
    return 2;
  return execv(words[1], words + 1);
}
"#;

#[test]
fn a_kernel_without_filters_is_refused() {
    let place = Place::new();
    let without = place.compile("without", WITHOUT_SECCOMP, &[]);
    let output = std::process::Command::new(without)
        .arg(place.command().get_program())
        .args(["run", "--", "/bin/true"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(125));
    let said = stderr(&output);
    assert!(said.contains("this kernel takes no filters"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}
