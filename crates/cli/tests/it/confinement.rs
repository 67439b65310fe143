//! `run`: what a program is given beyond its calls, and `doctor`.

use std::fs;

use serde_json::Value;

use crate::place::Place;
use crate::schema::fits;

/// Writes its second argument to its first; tells the number of the error.
const WRITES: &str = r#"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
  int file = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file < 0) return errno;
  return write(file, argv[2], strlen(argv[2])) < 0 ? errno : 0;
}
"#;

fn writer(place: &Place) -> String {
    let program = place.compile("writes", WRITES, &["-static"]);
    program.display().to_string()
}

#[test]
fn a_tree_is_written_when_it_is_named() {
    let place = Place::new();
    let program = writer(&place);
    fs::create_dir(place.at("data")).unwrap();
    let read_only = rustix::io::Errno::ROFS.raw_os_error();
    let words = ["run", "--", &program, "data/new", "text"];
    place.portcullis(&words).expect(read_only);
    let words = ["run", "--write", "data", "--", &program, "data/new", "text"];
    place.portcullis(&words).expect(0);
    assert_eq!(fs::read_to_string(place.at("data/new")).unwrap(), "text");
    let words = ["run", "--write", "data", "--", &program, "other", "text"];
    place.portcullis(&words).expect(read_only);
    // It has a directory for temporary files, which is not the machine's.
    let temporary = std::path::Path::new("/tmp").join("portcullis-text");
    let temporary = temporary.display().to_string();
    let words = ["run", "--", &program, &temporary, "text"];
    place.portcullis(&words).expect(0);
    assert!(!std::path::Path::new(&temporary).exists());
}

#[test]
fn a_verdict_is_not_where_the_program_writes() {
    let place = Place::new();
    let program = writer(&place);
    let words = [
        "run",
        "--verdict",
        "verdict.json",
        "--write",
        ".",
        "--",
        &program,
        "new",
        "text",
    ];
    let done = place.portcullis(&words).expect(125);
    assert!(done.stderr.contains("verdict"), "{}", done.stderr);
    assert!(!place.at("new").exists());
}

/// A program that may write a tree leaves traps there for what is written there after it.
#[test]
fn a_verdict_goes_through_no_link_and_waits_for_no_reader() {
    let place = Place::new();
    let program = writer(&place);
    fs::create_dir(place.at("data")).unwrap();
    fs::write(place.at("mine"), "mine").unwrap();
    std::os::unix::fs::symlink(place.at("mine"), place.at("data/link")).unwrap();
    let pipe = place.at("data/pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    for (trap, told) in [("data/link", "symbolic link"), ("data/pipe", "named pipe")] {
        let words = [
            "run",
            "--verdict",
            trap,
            "--",
            &program,
            "/dev/null",
            "text",
        ];
        let done = place.portcullis(&words).expect(125);
        assert!(done.stderr.contains(told), "{}", done.stderr);
    }
    assert_eq!(fs::read_to_string(place.at("mine")).unwrap(), "mine");
    let words = [
        "run",
        "--verdict",
        "data/verdict",
        "--",
        &program,
        "/dev/null",
        "text",
    ];
    place.portcullis(&words).expect(0);
    let verdict = fs::read(place.at("data/verdict")).unwrap();
    let verdict: Value = serde_json::from_slice(&verdict).unwrap();
    assert_eq!(verdict["outcome"], "exited");
    // Nothing bounds it, and that is told.
    let missing = verdict["not_enforced"].as_array().unwrap();
    assert_eq!(missing[0]["layer"], "limits");
    let reason = missing[0]["reason"].as_str().unwrap();
    assert!(reason.contains("memory, processes"), "{reason}");
}

#[test]
fn the_cache_is_hidden_even_in_a_tree_that_is_written() {
    let place = Place::new();
    let program = writer(&place);
    let words = [
        "run",
        "--write",
        ".",
        "--",
        &program,
        "cache/portcullis/new",
        "text",
    ];
    // The first run fills the cache.
    for _ in 0..2 {
        place.portcullis(&words);
        assert!(!place.cache().join("new").exists());
    }
}

#[test]
fn the_plan_is_shown_and_nothing_is_done() {
    let place = Place::new();
    let program = writer(&place);
    let words = [
        "run",
        "--dry-run",
        "--write",
        ".",
        "--limit",
        "wall=9s",
        "--",
        &program,
        "new",
        "text",
    ];
    let done = place.portcullis(&words).expect(0);
    for part in [
        "\"/tmp\": its own, writable",
        "writable",
        "wall 9s",
        "landlock",
        "namespaces",
    ] {
        assert!(done.stdout.contains(part), "{part}: {}", done.stdout);
    }
    assert!(!place.at("new").exists());
}

#[test]
fn ways_out_are_tried_before_the_start() {
    let place = Place::new();
    let program = writer(&place);
    let words = ["run", "--prove", "--", &program, "/dev/shm/new", "text"];
    let done = place.portcullis(&words).expect(0);
    assert!(done.stderr.contains("none leads out"), "{}", done.stderr);
    let limited = [&["run", "--limit", "files=99,file-size=1M"], &words[1..]].concat();
    let more = place.portcullis(&limited).expect(0);
    assert!(more.stderr.contains("none leads out"), "{}", more.stderr);
    assert_ne!(done.stderr, more.stderr);
}

#[test]
fn a_limit_of_time_ends_a_program() {
    let place = Place::new();
    const WAITS: &str = "#include <unistd.h>\nint main(void) { for (;;) pause(); }\n";
    let program = place
        .compile("waits", WAITS, &["-static"])
        .display()
        .to_string();
    let words = [
        "run",
        "--verdict",
        "verdict.json",
        "--limit",
        "wall=200ms",
        "--",
        &program,
    ];
    let done = place.portcullis(&words).expect(124);
    assert!(done.stderr.contains("limit of wall"), "{}", done.stderr);
    let verdict = place.json(&place.at("verdict.json"));
    assert_eq!(verdict["outcome"], "limit");
    assert_eq!(verdict["limit"], "wall");
    let words = ["run", "--limit", "wall=forever", "--", &program];
    place.portcullis(&words).expect(2);
}

#[test]
fn doctor_tries_every_layer() {
    let place = Place::new();
    let done = place.portcullis(&["doctor", "--format", "json"]).expect(0);
    let document: Value = done.json();
    assert_eq!(document["schema"], "portcullis.doctor");
    assert_eq!(document["default"], true);
    let checks = document["checks"].as_array().unwrap();
    for layer in [
        "seccomp",
        "tracing",
        "namespaces",
        "ids",
        "filesystem",
        "network",
        "landlock",
        "limits",
    ] {
        assert!(
            checks.iter().any(|check| check["layer"] == layer),
            "{layer}"
        );
    }
    fits("doctor", &document);
    assert_eq!(document["reachable"], true);
    let done = place.portcullis(&["doctor"]).expect(0);
    assert!(done.stdout.contains("every layer"), "{}", done.stdout);
}

/// Ends where clone(2) with namespaces is answered EPERM, as in a container.
const WITHOUT_NAMESPACES: &str = r#"
#include <errno.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int count, char **words) {
  struct sock_filter rows[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_NEWUSER, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog filter = {6, rows};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (count < 2 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
    return 2;
  return execv(words[1], words + 1);
}
"#;

#[test]
fn without_namespaces_a_program_is_refused_and_the_cause_is_told() {
    let place = Place::new();
    let program = writer(&place);
    let without = place.compile("without", WITHOUT_NAMESPACES, &[]);
    let under = |words: &[&str]| {
        let mut command = std::process::Command::new(&without);
        let portcullis = place.command();
        command.arg(portcullis.get_program()).args(words);
        command.current_dir(place.at(""));
        command.env("XDG_CACHE_HOME", place.at("cache"));
        crate::place::Done::new(command.output().unwrap())
    };
    let done = under(&["run", "--", &program, "/dev/null", "text"]).expect(125);
    assert!(
        done.stderr.contains("namespaces cannot be had"),
        "{}",
        done.stderr
    );
    assert!(
        done.stderr.contains("seccomp filter holds"),
        "{}",
        done.stderr
    );
    let layers = ["namespaces", "ids", "filesystem", "network", "landlock"];
    let without: Vec<&str> = layers
        .iter()
        .flat_map(|w| ["--allow-insecure", w])
        .collect();
    let words = [
        &["run"],
        &without[..],
        &["--", &program, "/dev/null", "text"],
    ]
    .concat();
    let done = under(&words).expect(0);
    // Nobody but root has ids of others.
    let ids = |layer: &&str| *layer != "ids" || rustix::process::geteuid().is_root();
    let left_out: Vec<&str> = layers.into_iter().filter(ids).collect();
    let said = format!("not enforced: {}", left_out.join(", "));
    assert!(done.stderr.contains(&said), "{}", done.stderr);
    let done = under(&["doctor"]).expect(1);
    assert!(done.stdout.contains("FAILS"), "{}", done.stdout);
    assert!(
        done.stdout.contains("would help: a seccomp filter holds"),
        "{}",
        done.stdout
    );
    let document = under(&["doctor", "--level", "filter", "--format", "json"]).expect(0);
    let document = document.json();
    assert_eq!(document["level"], "filter");
    assert_eq!(document["reachable"], true);
    assert_eq!(document["default"], false);
    fits("doctor", &document);
    under(&["doctor", "--level", "full"]).expect(1);
}

/// Connects by TCP to the port that it is told, or sends it a datagram; tells the number of the error.
const CONNECTS: &str = r#"
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(int argc, char **argv) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int made = socket(AF_INET, argc > 2 ? SOCK_DGRAM : SOCK_STREAM, 0);
  return made < 0 || connect(made, (struct sockaddr *)&to, sizeof to) ? errno : 0;
}
"#;

#[test]
fn one_port_is_given_and_others_are_denied_and_told() {
    let place = Place::new();
    let program = place.compile("connects", CONNECTS, &["-static"]);
    let program = program.display().to_string();
    let listen = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (given, other) = (listen(), listen());
    let port = |listens: &std::net::TcpListener| listens.local_addr().unwrap().port().to_string();
    let [given, other] = [port(&given), port(&other)];
    let net = format!("tcp-connect={given}");
    let refused = rustix::io::Errno::ACCESS.raw_os_error();
    let run = |words: &[&str]| {
        let run = [
            "run",
            "--net",
            &net,
            "--verdict",
            "verdict.json",
            "--",
            &program,
        ];
        place.portcullis(&[&run, words].concat())
    };
    run(&[&given]).expect(0);
    let verdict: Value =
        serde_json::from_slice(&fs::read(place.at("verdict.json")).unwrap()).unwrap();
    let layers = verdict["enforced"].as_array().unwrap();
    let network = layers
        .iter()
        .find(|layer| layer["layer"] == "network")
        .unwrap();
    assert!(
        network["detail"].as_str().unwrap().contains(&given),
        "{network}"
    );
    run(&[&other]).expect(refused);
    let done = run(&[&given, "datagram"]).expect(refused);
    assert!(done.stderr.contains("denied: socket"), "{}", done.stderr);
    for (net, told) in [
        ("tcp-bind=80", "listen"),
        ("tcp-connect=example.org:80", "hosts"),
    ] {
        let words = ["run", "--net", net, "--", &program, &given];
        let done = place.portcullis(&words).expect(2);
        assert!(done.stderr.contains(told), "{}", done.stderr);
    }
    let words = ["run", "--prove", "--net", &net, "--", &program, &given];
    let done = place.portcullis(&words).expect(0);
    assert!(done.stderr.contains("none leads out"), "{}", done.stderr);
}

/// A program that is understood as a whole needs no memory that becomes executable, one that makes some does.
#[test]
fn memory_becomes_executable_only_where_it_may_have_to() {
    let place = Place::new();
    // Without a C library, whose own residuals would be the reason.
    let source = |body: &str| {
        format!(
            "#include <sys/mman.h>\n#include <sys/syscall.h>\n\
             static long call(long n, long a, long b, long c, long d, long e, long f) {{ long r;\n\
             register long r10 __asm__(\"r10\") = d, r8 __asm__(\"r8\") = e, r9 __asm__(\"r9\") = f;\n\
             __asm__ volatile(\"syscall\" : \"=a\"(r) : \"0\"(n), \"D\"(a), \"S\"(b), \"d\"(c), \"r\"(r10), \"r\"(r8), \"r\"(r9)\n\
             : \"rcx\", \"r11\", \"memory\"); return r; }}\n\
             void _start(void) {{ {body} call(SYS_exit_group, 3, 0, 0, 0, 0, 0); for (;;) ; }}\n"
        )
    };
    let flags = [
        "-static",
        "-nostdlib",
        "-fno-stack-protector",
        "-fno-pie",
        "-no-pie",
    ];
    let map = "call(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);";
    for (name, body, needs) in [("plain", "", false), ("writer", map, true)] {
        place.compile(name, &source(body), &flags);
        let program = format!("./{name}");
        let run = ["run", "--verdict", "v.json", "--", &program];
        place.portcullis(&run).expect(3);
        let verdict = place.json(&place.at("v.json"));
        let has = |list: &str| {
            let all = verdict[list].as_array().unwrap().iter();
            all.clone().any(|layer| layer["layer"] == "mdwe")
        };
        assert_eq!(
            (has("enforced"), has("not_enforced")),
            (!needs, needs),
            "{verdict:#}"
        );
    }
}
