//! What a denial says: every answer of a policy, where it came from, and that what it suggests is true.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::place::{Done, Place};
use crate::schema::fits;

/// Makes one call in a thread of its own, in a function that is inlined into another: `call NUMBER`.
const CALLER: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static inline __attribute__((always_inline)) long make(void) { return socket(AF_INET, SOCK_DGRAM, 0); }

__attribute__((noinline)) static long outer(void) {
  long value = make();
  __asm__ volatile("" : "+r"(value));
  return value;
}

static void *work(void *unused) {
  (void)unused;
  prctl(PR_SET_NAME, "a\033[31mred");
  for (int i = 0; i < 2; i++) {
    long value = outer();
    printf("%ld\n", value < 0 ? -errno : 0L);
  }
  return NULL;
}

int main(void) {
  pthread_t thread;
  setvbuf(stdout, NULL, _IONBF, 0);
  pthread_create(&thread, NULL, work, NULL);
  pthread_join(thread, NULL);
  return 4;
}
"#;

fn policy(rules: &str) -> String {
    format!(
        "schema = \"portcullis.policy\"\nversion = 1\narch = [\"x86_64\", \"aarch64\"]\nbaseline = \"6.1\"\n\
         default = \"allow\"\n\n{rules}"
    )
}

fn rule(action: &str) -> String {
    policy(&format!(
        "[[rule]]\ncall = \"socket\"\nwhen = [\"arg0 == AF_INET\"]\naction = \"{action}\"\n"
    ))
}

/// Runs it, and gives the verdict.
fn run(place: &Place, options: &[&str], program: &[&str]) -> (Done, Value) {
    let verdict = place.at("verdict.json");
    let _ = fs::remove_file(&verdict);
    let words = [
        &["run", "--verdict", "verdict.json"],
        options,
        &["--"],
        program,
    ]
    .concat();
    let done = place.portcullis(&words);
    let verdict = fs::read(&verdict).unwrap_or_default();
    (
        done,
        serde_json::from_slice(&verdict).unwrap_or(Value::Null),
    )
}

/// The one denial of a verdict.
fn only(verdict: &Value) -> &Value {
    let denials = verdict["denials"].as_array().unwrap();
    assert_eq!(denials.len(), 1, "{verdict:#}");
    &denials[0]
}

#[test]
fn every_answer_is_told_with_place_thread_and_rule() {
    let place = Place::new();
    place.compile("caller", CALLER, &["-g", "-pthread"]);
    for (action, answer, code, wrote, end) in [
        ("kill", "kill-process", "PC0301", "", 159),
        ("kill-thread", "kill-thread", "PC0301", "", 4),
        ("trap:9", "trap", "PC0301", "", 159),
        ("errno:EACCES", "errno EACCES", "PC0304", "-13\n-13\n", 4),
    ] {
        fs::write(place.at("p.toml"), rule(action)).unwrap();
        let (done, verdict) = run(&place, &["--policy", "p.toml"], &["./caller"]);
        let done = done.expect(end);
        assert_eq!(done.stdout, wrote, "{action}");
        fits("verdict", &verdict);
        let denial = only(&verdict);
        assert_eq!(denial["answer"], answer);
        assert_eq!(denial["code"], code);
        assert_eq!(denial["syscall"], "socket");
        assert_eq!(denial["args"][0]["symbol"], "AF_INET");
        assert_eq!(denial["thread"], "a\u{1b}[31mred");
        assert_eq!(denial["rule_place"], "p.toml:7:1");
        assert_eq!(denial["count"], if !wrote.is_empty() { 2 } else { 1 });
        let named = |name: &str| {
            let frames = denial["backtrace"].as_array().unwrap();
            let found = frames.iter().find(|f| f["function"] == name);
            found.unwrap_or_else(|| panic!("{name}: {denial:#}"))
        };
        assert_eq!(named("make")["inlined"], true);
        assert_eq!(named("make")["line"], 11);
        assert_eq!(named("outer")["line"], 14);
        assert_eq!(named("work")["certain"], true);
        // For a person: nothing of the program's own text reaches the terminal as it is.
        let said = &done.stderr;
        assert!(!said.contains('\u{1b}'), "{said}");
        assert!(said.contains("socket(AF_INET, SOCK_DGRAM, 0x0)"), "{said}");
        assert!(
            said.contains("at make (") && said.contains("p.toml:7:1"),
            "{said}"
        );
    }
}

#[test]
fn what_is_suggested_allows_the_call_and_no_other() {
    let place = Place::new();
    place.compile("caller", CALLER, &["-g", "-pthread"]);
    let options = ["--policy", "p.toml"];
    let text = rule("errno:EACCES");
    fs::write(place.at("p.toml"), &text).unwrap();
    let (_, verdict) = run(&place, &options, &["./caller"]);
    let allow = &only(&verdict)["allow"];
    // The option, as it is typed.
    let option = allow["option"].as_str().unwrap();
    let call = option
        .strip_prefix("--allow '")
        .and_then(|o| o.strip_suffix('\''));
    let call = call.unwrap();
    assert_eq!(call, "socket(AF_INET, SOCK_DGRAM, 0x0)");
    let (done, verdict) = run(
        &place,
        &[&options[..], &["--allow", call]].concat(),
        &["./caller"],
    );
    assert_eq!(done.expect(4).stdout, "0\n0\n");
    assert_eq!(verdict["denials"], Value::Array(Vec::new()));
    let other = ["--allow", "socket(AF_INET, SOCK_STREAM, 0x0)"];
    let (done, _) = run(&place, &[&options[..], &other].concat(), &["./caller"]);
    assert_eq!(done.expect(4).stdout, "-13\n-13\n");
    // The rule, as it is written.
    let (head, rest) = text.split_at(text.find("[[rule]]").unwrap());
    let line = allow["policy"].as_str().unwrap();
    fs::write(place.at("p.toml"), format!("{head}{line}\n{rest}")).unwrap();
    let (done, verdict) = run(&place, &options, &["./caller"]);
    assert_eq!(done.expect(4).stdout, "0\n0\n");
    assert_eq!(verdict["denials"], Value::Array(Vec::new()));
}

#[test]
fn a_call_that_is_allowed_beside_a_derived_policy_is_made() {
    let place = Place::new();
    let source = "#include <unistd.h>\n#include <stdlib.h>\nint main(int c, char **v) { \
                  return syscall(atol(v[1]), 0, 0, 0) < 0 ? 2 : 3; }";
    place.compile("number", source, &["-g", "-static"]);
    let number = portcullis_abi::Arch::NATIVE
        .number("getpgid")
        .unwrap()
        .0
        .to_string();
    let program = ["./number", number.as_str()];
    let (done, verdict) = run(&place, &[], &program);
    let said = done.expect(159).stderr;
    let denial = only(&verdict);
    assert_eq!(denial["allow"]["option"], "--allow getpgid");
    assert!(said.contains("to allow it: --allow getpgid"), "{said}");
    // What the analysis could not tell is named as it is stated.
    let stated = denial["suggestion"].as_str().unwrap();
    let statement = stated.split_once("--assume: ").unwrap().1;
    fs::write(place.at("stated"), statement).unwrap();
    run(&place, &["--assume", "stated"], &program).0.expect(3);
    run(&place, &["--allow", "getpgid"], &program).0.expect(3);
    let wrong = run(&place, &["--allow", "getpgit"], &program).0;
    assert!(wrong.expect(125).stderr.contains("has no such call"));
}

#[test]
fn a_stripped_static_program_is_told_by_its_tables() {
    let place = Place::new();
    place.compile_static(
        "bare",
        &CALLER.replace(
            "pthread_create(&thread, NULL, work, NULL);\n  pthread_join(thread, NULL)",
            "(void)thread; work(NULL)",
        ),
    );
    let stripped = Command::new("strip")
        .arg(place.at("bare"))
        .status()
        .unwrap();
    assert!(stripped.success());
    fs::write(place.at("p.toml"), rule("kill")).unwrap();
    let (done, verdict) = run(&place, &["--policy", "p.toml"], &["./bare"]);
    done.expect(159);
    let denial = only(&verdict);
    assert_eq!(denial["args"][1]["symbol"], "SOCK_DGRAM");
    let frames = denial["backtrace"].as_array().unwrap();
    assert!(frames.iter().all(|f| f["function"] == Value::Null));
    // The instruction, the function that has it, `work` and `main`; all of one file.
    assert!(frames.len() >= 3, "{denial:#}");
    assert!(
        frames
            .iter()
            .take(3)
            .all(|f| f["object"] == frames[0]["object"])
    );
}

/// musl has no tables, and neither has a program that is built without.
#[test]
fn code_without_unwind_tables_is_followed_to_its_return() {
    let place = Place::new();
    let source = r#"
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/socket.h>

__attribute__((noinline)) static int inner(int n) {
  int value = socket(AF_INET, SOCK_DGRAM, n);
  __asm__ volatile("" : "+r"(value));
  return value;
}

__attribute__((noinline)) static int outer(int n) {
  char text[200];
  int value = inner(n);
  snprintf(text, sizeof text, "%d", value);
  __asm__ volatile("" : "+r"(value) : "r"(text) : "memory");
  return value;
}

int main(int count, char **words) {
  (void)words;
  return outer(count - 1) < 0 ? 4 : 5;
}
"#;
    place.compile_static("musl", source);
    let without = [
        "-static",
        "-O2",
        "-fomit-frame-pointer",
        "-fno-asynchronous-unwind-tables",
        "-fno-unwind-tables",
    ];
    place.compile("bare", source, &without);
    fs::write(place.at("p.toml"), rule("errno:EACCES")).unwrap();
    for program in ["./musl", "./bare"] {
        let (done, verdict) = run(&place, &["--policy", "p.toml"], &[program]);
        done.expect(4);
        let frames = only(&verdict)["backtrace"].as_array().unwrap().clone();
        let names = frames.iter().map(|f| f["function"].as_str().unwrap_or("?"));
        let names: Vec<&str> = names.take(4).collect();
        assert_eq!(names[1..], ["inner", "outer", "main"], "{program}");
        assert!(
            frames[..4].iter().all(|f| f["certain"] == true),
            "{frames:#?}"
        );
    }
}

#[test]
fn lines_are_found_where_debug_information_is_kept_apart() {
    let place = Place::new();
    place.compile(
        "caller",
        CALLER,
        &["-g", "-gz", "-pthread", "-Wl,--build-id"],
    );
    let tool = |words: &[&str]| {
        let done = Command::new("objcopy")
            .args(words)
            .current_dir(place.at(""))
            .status();
        assert!(
            done.expect("objcopy is needed (Debian: binutils)")
                .success()
        );
    };
    tool(&["--only-keep-debug", "caller", "caller.debug"]);
    tool(&["--strip-all", "--add-gnu-debuglink=caller.debug", "caller"]);
    fs::write(place.at("p.toml"), rule("kill")).unwrap();
    let line = |verdict: &Value| {
        let frames = only(verdict)["backtrace"].as_array().unwrap().clone();
        let found = frames.into_iter().find(|f| f["function"] == "make");
        found.map(|f| f["line"].clone())
    };
    let (_, verdict) = run(&place, &["--policy", "p.toml"], &["./caller"]);
    assert_eq!(line(&verdict), Some(Value::from(11)));
    // Another program's is not believed.
    place.compile(
        "other",
        CALLER,
        &["-g", "-O0", "-pthread", "-Wl,--build-id"],
    );
    tool(&["--only-keep-debug", "other", "caller.debug"]);
    let (_, verdict) = run(&place, &["--policy", "p.toml"], &["./caller"]);
    assert_eq!(line(&verdict), None);
}

#[test]
fn a_program_cannot_answer_its_own_calls_in_place_of_the_tracer() {
    let place = Place::new();
    let source = r#"
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
  struct sock_filter all[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
  struct sock_fprog program = {1, all};
  long plain, listening, set;
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  set = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
  plain = set < 0 ? errno : 0;
  set = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
  listening = set < 0 ? errno : 0;
  printf("%ld %ld\n", plain, listening);
  return 0;
}
"#;
    place.compile("supervisor", source, &["-g"]);
    fs::write(place.at("p.toml"), rule("errno:EACCES")).unwrap();
    let (done, verdict) = run(&place, &["--policy", "p.toml"], &["./supervisor"]);
    assert_eq!(done.expect(0).stdout, "0 16\n");
    let denial = only(&verdict);
    assert_eq!(denial["code"], "PC0305");
    assert_eq!(denial["answer"], "errno EBUSY");
    assert_eq!(denial["rule_place"], Value::Null);
    let unconfined = Command::new(place.at("supervisor")).output().unwrap();
    assert_eq!(unconfined.stdout, b"0 0\n");
}

/// Installs the filter in a file, if there is one, and makes a call for each three arguments.
const JUDGED: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int count, char **words) {
  static struct sock_filter room[4096];
  FILE *file = fopen(words[1], "rb");
  if (file) {
    struct sock_fprog program = {fread(room, sizeof *room, 4096, file), room};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
      return 2;
  }
  for (int at = 2; at + 2 < count; at += 3) {
    unsigned long a[3];
    for (int i = 0; i < 3; i++)
      a[i] = strtoul(words[at + i], NULL, 0);
    errno = 0;
    syscall(SYS_getppid, a[0], a[1], a[2]);
    printf("%d\n", errno);
  }
  return 0;
}
"#;

/// Numbers that look random and are the same each time (the generator of Knuth's MMIX).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    /// Few values, so that conditions meet, in all parts of a register.
    fn value(&mut self) -> u64 {
        self.below(4) << [0, 16, 31, 32, 48][self.below(5) as usize]
    }
}

/// The kernel runs the filter of a policy as it is compiled; the tracer answers by the policy. Both answer the same
/// to every call, and the rule that is told is the one whose answer it was.
#[test]
fn the_rule_that_is_told_is_the_one_that_the_kernel_answers_by() {
    const RULES: u64 = 12;
    const CALLS: usize = 150;
    /// Errors that the call itself never gives; which rule it was, is the number.
    const FIRST: u64 = 70;
    let place = Place::new();
    place.compile("judged", JUDGED, &[]);
    let mut numbers = Numbers(20_261_126);
    let mut answering = BTreeSet::new();
    for _ in 0..4 {
        let mut rules = String::new();
        for index in 0..RULES {
            let mut when = Vec::new();
            // Of two conditions each is about an argument of its own, so that neither excludes the other.
            let first = numbers.below(3);
            for arg in (first..=first + numbers.below(2)).map(|arg| arg % 3) {
                let value = numbers.value();
                when.push(match numbers.below(8) {
                    0 => {
                        let mask = value.max(1);
                        format!("\"arg{arg} & {mask:#x} == {:#x}\"", mask & numbers.value())
                    }
                    1 => format!("\"arg{arg} >= {:#x}\"", value.max(1 << 32)),
                    2 => format!("\"arg{arg} < {:#x}\"", value.max(1)),
                    _ => format!("\"arg{arg} == {value:#x}\""),
                });
            }
            let action = match numbers.below(6) {
                0 => "allow".to_owned(),
                _ => format!("errno:{}", FIRST + index),
            };
            let when = when.join(", ");
            writeln!(
                rules,
                "[[rule]]\ncall = \"getppid\"\nwhen = [{when}]\naction = \"{action}\"\n"
            )
            .unwrap();
        }
        let text = policy(&rules);
        fs::write(place.at("p.toml"), &text).unwrap();
        let compiled = ["compile", "p.toml", "--format", "raw", "-o", "p.bpf"];
        place.portcullis(&compiled).expect(0);
        let arguments: Vec<String> = (0..3 * CALLS)
            .map(|_| numbers.value().to_string())
            .collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let kernel = Command::new(place.at("judged"));
        let mut kernel = kernel;
        let kernel = kernel
            .arg(place.at("p.bpf"))
            .args(&arguments)
            .output()
            .unwrap();
        assert!(kernel.status.success());
        let kernel = String::from_utf8(kernel.stdout).unwrap();
        let program = [&["./judged", "none"][..], &arguments].concat();
        let (done, verdict) = run(&place, &["--policy", "p.toml"], &program);
        assert_eq!(done.expect(0).stdout, kernel);
        let mut expected: BTreeMap<u64, u64> = BTreeMap::new();
        for line in kernel.lines().filter(|line| *line != "0") {
            *expected.entry(line.parse().unwrap()).or_default() += 1;
        }
        answering.extend(expected.keys().copied());
        let mut told: BTreeMap<u64, u64> = BTreeMap::new();
        for denial in verdict["denials"].as_array().unwrap() {
            let answer = denial["answer"]
                .as_str()
                .unwrap()
                .strip_prefix("errno ")
                .unwrap();
            let number = portcullis_abi::errno(answer).map(u64::from);
            let number = number.unwrap_or_else(|| answer.parse().unwrap());
            *told.entry(number).or_default() += denial["count"].as_u64().unwrap();
            // The place is that of the rule with this number.
            let line = denial["rule_place"]
                .as_str()
                .unwrap()
                .split(':')
                .nth(1)
                .unwrap();
            let line: usize = line.parse().unwrap();
            let action = text.lines().nth(line + 2).unwrap();
            assert_eq!(action, format!("action = \"errno:{number}\""), "{denial:#}");
        }
        assert_eq!(told, expected);
    }
    // Most rules had their turn.
    assert!(answering.len() >= 8, "{answering:?}");
}

#[test]
fn other_layers_are_told_of_every_call_of_a_denial() {
    let place = Place::new();
    let source = r#"
#include <fcntl.h>

int main(void) {
  const char *all[] = {"/etc/portcullis-a", "/etc/portcullis-b", "relative", "/etc/portcullis-a", "/usr/portcullis-c"};
  for (int i = 0; i < 5; i++) open(all[i], O_WRONLY | O_CREAT, 0600);
  return 3;
}
"#;
    place.compile("program", source, &["-g"]);
    let rules = "[[rule]]\ncalls = [\"open\", \"openat\"]\nwhen = [\"arg2 & 0o100 == 0o100\"]\naction = \"errno:EPERM\"\n";
    fs::write(place.at("p.toml"), policy(rules)).unwrap();
    let (done, verdict) = run(&place, &["--policy", "p.toml"], &["./program"]);
    let said = done.expect(3).stderr;
    let [denial] = verdict["denials"].as_array().unwrap().as_slice() else {
        panic!("{verdict:#}");
    };
    assert_eq!(
        (&denial["count"], &denial["also_unknown"]),
        (&5.into(), &1.into())
    );
    let mut refused = BTreeMap::new();
    for also in denial["also"].as_array().unwrap() {
        let layer = also["layer"].as_str().unwrap();
        *refused.entry(layer).or_insert(0) += also["count"].as_u64().unwrap();
    }
    assert_eq!(
        refused,
        BTreeMap::from([("filesystem", 4), ("landlock", 4)]),
        "{denial:#}"
    );
    assert!(said.contains(" of 5 as well: "), "{said}");
}

/// What a program must be allowed for more than one reason is said at once.
#[test]
fn other_layers_that_would_refuse_a_call_are_told() {
    let place = Place::new();
    let source = r#"
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

int main(void) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80)};
  inet_pton(AF_INET, "192.0.2.1", &to.sin_addr);
  open("/etc/portcullis-other", O_WRONLY | O_CREAT, 0600);
  open("relative", O_RDWR | O_CREAT, 0600);
  chmod("/etc/hostname", 0600);
  connect(socket(AF_INET, SOCK_DGRAM, 0), (struct sockaddr *)&to, sizeof to);
  return 3;
}
"#;
    place.compile("program", source, &["-g"]);
    let rules = "[[rule]]\ncalls = [\"open\", \"openat\"]\nwhen = [\"arg2 & 0o100 == 0o100\"]\naction = \"errno:EPERM\"\n\n\
                 [[rule]]\ncalls = [\"chmod\", \"fchmodat\", \"connect\"]\naction = \"errno:EPERM\"\n";
    fs::write(place.at("p.toml"), policy(rules)).unwrap();
    let also = |options: &[&str]| {
        let options = [&["--policy", "p.toml"], options].concat();
        let (done, verdict) = run(&place, &options, &["./program"]);
        let said = done.expect(3).stderr;
        let denials = verdict["denials"].as_array().unwrap().clone();
        let of = |index: usize| match &denials[index]["also"] {
            Value::Null => None,
            all => {
                let all = all.as_array().unwrap().iter();
                let one = |a: &Value| format!("{} {}", a["layer"], a["answer"]).replace('"', "");
                Some(all.map(one).collect::<Vec<_>>())
            }
        };
        assert_eq!(denials.len(), 4, "{said}");
        ([of(0), of(1), of(2), of(3)], said)
    };
    let texts = |all: &[&str]| Some(all.iter().map(|&text| text.to_owned()).collect::<Vec<_>>());
    let (found, said) = also(&[]);
    let expected = [
        texts(&["filesystem errno EROFS", "landlock errno EACCES"]),
        None,
        texts(&["filesystem errno EROFS"]),
        texts(&["network errno ENETUNREACH"]),
    ];
    assert_eq!(found, expected);
    assert!(
        said.contains("network would refuse it as well: no network device is up (ENETUNREACH)"),
        "{said}"
    );
    // What was given is not refused.
    let (found, _) = also(&[
        "--net",
        "--allow-insecure",
        "filesystem",
        "--allow-insecure",
        "landlock",
    ]);
    assert_eq!(found, [texts(&[]), None, texts(&[]), texts(&[])]);
}

#[test]
fn an_observation_ends_with_rules_that_allow_what_was_let_through() {
    let place = Place::new();
    place.compile("caller", CALLER, &["-g", "-pthread"]);
    let text = rule("kill");
    fs::write(place.at("p.toml"), &text).unwrap();
    let options = ["--policy", "p.toml"];
    let (done, verdict) = run(
        &place,
        &[&options[..], &["--observe"]].concat(),
        &["./caller"],
    );
    let done = done.expect(4);
    assert_eq!(done.stdout, "0\n0\n");
    let rules = verdict["patch"]["rules"].as_str().unwrap();
    let shown = "to use it: put them before the first rule of p.toml";
    assert!(done.stderr.contains(shown), "{}", done.stderr);
    assert!(done.stderr.contains(rules.trim_end()), "{}", done.stderr);
    // As it says.
    let (head, rest) = text.split_at(text.find("[[rule]]").unwrap());
    fs::write(place.at("p.toml"), format!("{head}{rules}\n{rest}")).unwrap();
    let (done, verdict) = run(&place, &options, &["./caller"]);
    assert_eq!(done.expect(4).stdout, "0\n0\n");
    assert_eq!(verdict["denials"], Value::Array(Vec::new()));
    assert_eq!(verdict["patch"], Value::Null);
}

#[test]
fn what_was_let_through_beside_a_derived_policy_is_allowed_by_what_is_told() {
    let place = Place::new();
    let source = "#include <unistd.h>\n#include <stdlib.h>\nint main(int c, char **v) { \
                  return syscall(atol(v[1]), 0, 0, 0) < 0 ? 2 : 3; }";
    place.compile("number", source, &["-static"]);
    let number = portcullis_abi::Arch::NATIVE.number("getpgid").unwrap().0;
    let program = ["./number", &number.to_string()];
    let (_, verdict) = run(&place, &["--observe"], &program);
    let patch = &verdict["patch"];
    let apply = patch["apply"].as_str().unwrap();
    let words: Vec<&str> = apply.split(", ").next().unwrap().split(' ').collect();
    assert_eq!(words[0], "portcullis");
    place.portcullis(&words[1..]).expect(0);
    let derived = fs::read_to_string(place.at("number.toml")).unwrap();
    let (head, rest) = derived.split_at(derived.find("[[rule]]").unwrap());
    let rules = patch["rules"].as_str().unwrap();
    let with = |rules: &str| {
        fs::write(place.at("number.toml"), format!("{head}{rules}\n{rest}")).unwrap();
        run(&place, &["--policy", "number.toml"], &program).0
    };
    with(rules).expect(3);
    with("").expect(159);
}

#[test]
fn a_policy_that_was_not_tried_enough_is_not_enforced() {
    let place = Place::new();
    place.compile_static("caller", "int main(void) { return 4; }");
    let untried = policy("");
    let tried = untried.replace(
        "default = ",
        "ramp-runs = 20\nramp-since = \"2026-11-02\"\ndefault = ",
    );
    for (text, wanted, code, said) in [
        (&untried, "1", 125, "tells of no runs"),
        (&tried, "21", 125, "seen on 20 runs since 2026-11-02"),
        (&tried, "20", 4, ""),
    ] {
        fs::write(place.at("p.toml"), text).unwrap();
        let options = ["--policy", "p.toml", "--require-ramp", wanted];
        let done = run(&place, &options, &["./caller"]).0.expect(code);
        assert!(done.stderr.contains(said), "{}", done.stderr);
    }
}
