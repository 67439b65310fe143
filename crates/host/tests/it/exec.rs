//! Native programs: what each kind of job comes to, and what of its files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use portcullis_abi::Arch;
use portcullis_host::{
    Artifact, Done, Error, Executable, Given, Job, JobError, Limit, Limits, NotTaken, Outcome,
    Pool, Reply, Request, Secret, Settings,
};
use portcullis_policy::{Derivation, Policy};
use portcullis_sys::wait::End;

use crate::jobs::timed_against_the_kill;
use crate::puppet::{Company, ENDLESS, others, prebuilt};

/// The program of these tests, built once for all of them.
fn native() -> PathBuf {
    if let Some(path) = prebuilt("native") {
        return path;
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("native");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/native.c");
    let done = Command::new("gcc")
        .args(["-O1", "-w", "-o"])
        .args([&path, &source])
        .status()
        .expect("gcc is needed for these tests");
    assert!(done.success());
    path
}

/// All calls but one and those that nobody needs.
fn policy() -> Policy {
    let arch = Arch::NATIVE;
    let denied = ["ptrace", "mount", "bpf"].map(|name| arch.number(name).unwrap());
    let calls = arch.syscalls().map(|(number, _)| number);
    Derivation::new(arch, calls.filter(|number| !denied.contains(number))).policy()
}

pub(crate) struct Programs {
    pub(crate) pool: Pool,
    artifact: Arc<Artifact>,
    /// Let go after the pool.
    _company: Company,
}

impl Programs {
    pub(crate) fn new() -> Programs {
        Programs::among(others())
    }

    /// In `company`, which is there before the compiler: that is a child of this process too.
    pub(crate) fn among(company: Company) -> Programs {
        static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
        let program = PROGRAM.get_or_init(native);
        Programs {
            _company: company,
            pool: Pool::new(Settings::programs()).unwrap(),
            artifact: Arc::new(Executable::open(program, policy()).unwrap().into()),
        }
    }

    pub(crate) fn request(&self, words: &[&str]) -> Request {
        let job = Job {
            input: b"input".to_vec(),
            arguments: ["native"]
                .iter()
                .chain(words)
                .map(|w| (*w).to_owned())
                .collect(),
            environment: vec!["NAME=value".to_owned()],
            limits: Limits {
                cpu: Duration::from_millis(500),
                wall: Duration::from_secs(600),
                memory: 64 << 20,
                output: 1 << 20,
                ..Limits::default()
            },
            ..Job::default()
        };
        Request::new("tenant", Arc::clone(&self.artifact), job)
    }

    pub(crate) fn run(&self, words: &[&str]) -> Done {
        self.done(self.request(words))
    }

    /// [`run`](Programs::run), for as long as it takes to fill what it may have.
    pub(crate) fn filled(&self, words: &[&str]) -> Done {
        let mut request = self.request(words);
        if ["memory", "files", "inodes", "flood"].contains(&words[0]) {
            request.job.limits.cpu = ENDLESS;
        }
        self.done(request)
    }

    pub(crate) fn done(&self, request: Request) -> Done {
        let finished = self.pool.run(request).unwrap();
        match finished.reply {
            Reply::Done(done) => done,
            other => panic!("{other:?}"),
        }
    }
}

const SIGKILL: End = End::Signaled(9);

#[test]
fn each_kind_of_program_comes_to_its_class() {
    let programs = Programs::new();
    let exit = |code| Outcome::JobError(JobError::Exit(code));
    let crash = |signal| Outcome::JobError(JobError::Crash(signal));
    let cases: &[(&[&str], Outcome, End)] = &[
        (&["echo"], Outcome::Ok, End::Exited(0)),
        (&["code", "3"], exit(3), End::Exited(3)),
        // Codes that other tools give a meaning buy none.
        (&["code", "124"], exit(124), End::Exited(124)),
        (&["code", "159"], exit(159), End::Exited(159)),
        (&["spin"], Outcome::Limit(Limit::Cpu), SIGKILL),
        (&["helper"], Outcome::Limit(Limit::Cpu), SIGKILL),
        (&["flood"], Outcome::Limit(Limit::Output), SIGKILL),
        (&["memory"], Outcome::Limit(Limit::Memory), SIGKILL),
        // Its directory is memory.
        (&["files"], Outcome::Limit(Limit::Memory), SIGKILL),
        // So are files without anything in them.
        (&["inodes"], Outcome::Limit(Limit::Memory), SIGKILL),
        (&["recurse"], crash(11), End::Signaled(11)),
        (&["socket"], Outcome::Ok, End::Exited(0)),
        // Signals that it sends itself are its own failures.
        (&["sigsys"], crash(31), End::Signaled(31)),
        (&["sigkill"], crash(9), SIGKILL),
        (&["sigxcpu"], crash(24), End::Signaled(24)),
        (&["abort"], crash(6), End::Signaled(6)),
        (&["own"], crash(31), End::Signaled(31)),
        (&["bomb"], exit(7), End::Exited(7)),
        (&["leave"], Outcome::Ok, End::Exited(0)),
        (&["others"], Outcome::Ok, End::Exited(0)),
        (&["group"], Outcome::Ok, End::Exited(0)),
        (&["uring"], Outcome::Ok, End::Exited(0)),
        (&["stop"], Outcome::Ok, End::Exited(0)),
        (&["processes"], Outcome::Ok, End::Exited(0)),
        (&["queues"], Outcome::Ok, End::Exited(0)),
        (&["keys"], Outcome::Ok, End::Exited(0)),
        (&["pipes"], Outcome::Ok, End::Exited(0)),
        (&["close"], Outcome::Ok, End::Exited(0)),
        (&["devices"], Outcome::Ok, End::Exited(0)),
        (&["home"], Outcome::Ok, End::Exited(0)),
        (&["write", "/etc/x"], Outcome::Ok, End::Exited(0)),
        (&["write", "/usr/x"], Outcome::Ok, End::Exited(0)),
    ];
    for (words, outcome, end) in cases {
        let done = programs.filled(words);
        assert_eq!(&done.outcome, outcome, "{words:?}: {done:?}");
        assert_eq!(done.end, Some(*end), "{words:?}");
        if words[0] == "own" {
            // Its policy allows the call.
            assert_eq!(done.denials, []);
        }
        if words[0] == "bomb" {
            assert!(
                done.reached.iter().any(|(limit, _)| *limit == "processes"),
                "{done:?}"
            );
        }
    }
    let done = programs.run(&["echo"]);
    assert_eq!(
        (done.stdout, done.stderr),
        (b"input".to_vec(), b"value".to_vec())
    );
    let done = programs.filled(&["flood"]);
    assert_eq!(done.stdout.len(), 1 << 20);
}

#[test]
fn a_denial_names_its_call() {
    let done = Programs::new().run(&["forbidden"]);
    let call = Some("ptrace(0x0, 0x0, 0x0, 0x0)".to_owned());
    assert_eq!(done.denials, [(call.clone().unwrap(), 1)]);
    assert_eq!(
        done.outcome,
        Outcome::Denied {
            layer: "seccomp",
            call
        }
    );
}

#[test]
fn what_ended_the_program_is_told_and_not_what_ended_its_children() {
    let done = Programs::new().run(&["forbidden-twice"]);
    let count = |name: &str| {
        let of = done
            .denials
            .iter()
            .filter(|(call, _)| call.starts_with(name));
        of.map(|(_, count)| count).sum::<u64>()
    };
    assert_eq!((count("ptrace("), count("bpf(")), (2, 1), "{done:?}");
    let Outcome::Denied {
        call: Some(call), ..
    } = &done.outcome
    else {
        panic!("{done:?}")
    };
    assert!(call.starts_with("ptrace("), "{call}");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_call_of_another_architecture_is_denied() {
    let done = Programs::new().run(&["foreign"]);
    assert_eq!(done.outcome.class(), "denied", "{done:?}");
}

#[test]
fn every_layer_holds_for_each() {
    let programs = Programs::new();
    let finished = programs.pool.run(programs.request(&["echo"])).unwrap();
    for enforced in [
        finished.enforced.unwrap(),
        programs.pool.enforced().unwrap(),
    ] {
        let layers: Vec<&str> = enforced.layers.iter().map(|l| l.layer).collect();
        for layer in [
            "seccomp",
            "namespaces",
            "filesystem",
            "network",
            "landlock",
            "limits",
        ] {
            assert!(layers.contains(&layer), "{layer}: {layers:?}");
        }
        assert!(enforced.missing.is_empty(), "{:?}", enforced.missing);
    }
}

#[test]
fn an_end_timed_against_the_kill_is_one_or_the_other() {
    let programs = Programs::new();
    let mut request = programs.request(&["count", "50000000"]);
    request.job.limits.cpu = ENDLESS;
    timed_against_the_kill(&request, |request| programs.done(request));
}

#[test]
fn the_clock_and_whoever_asked_end_what_sleeps() {
    let programs = Programs::new();
    let mut request = programs.request(&["sleep"]);
    request.job.limits.wall = Duration::from_millis(200);
    let done = programs.done(request);
    assert_eq!(done.outcome, Outcome::Limit(Limit::Wall));
    // Called off, and late.
    let pending = programs.pool.submit(programs.request(&["sleep"])).unwrap();
    pending.cancel();
    assert_eq!(pending.wait().reply, Reply::Cancelled);
    let mut request = programs.request(&["sleep"]);
    request.deadline = Some(Instant::now() + Duration::from_millis(100));
    assert_eq!(programs.pool.run(request).unwrap().reply, Reply::Late);
    assert_eq!(programs.run(&["echo"]).outcome, Outcome::Ok);
}

#[test]
fn files_go_in_and_come_out() {
    let programs = Programs::new();
    let mut request = programs.request(&["copy"]);
    let given = |name: &str, bytes: &[u8], executable| Given {
        name: name.to_owned(),
        bytes: bytes.to_vec(),
        executable,
    };
    let large = vec![7; 300_000];
    request.job.files = vec![
        given("deep/in", &large, false),
        given("run", b"program", true),
    ];
    request.job.wanted = ["out", "sub/out", "none"].map(str::to_owned).into();
    let done = programs.done(request.clone());
    assert_eq!(done.outcome, Outcome::Ok, "{done:?}");
    let found: Vec<_> = done.files.into_iter().map(|file| file.content).collect();
    assert_eq!(
        found,
        [Ok(large), Ok(b"program".to_vec()), Err(NotTaken::Missing)]
    );
    // Nothing of it is there for the next one.
    request.job.arguments[1] = "echo".to_owned();
    let done = programs.done(request);
    let missing = |file: &portcullis_host::Taken| file.content == Err(NotTaken::Missing);
    assert!(done.files.iter().all(missing), "{:?}", done.files);
}

#[test]
fn a_secret_is_there_for_one_job_and_for_nobody_else() {
    let programs = Programs::new();
    let mut request = programs.request(&["show", "secrets/key"]);
    request.job.secrets = vec![Secret::new("key", b"a secret".to_vec())];
    let done = programs.done(request);
    assert_eq!(
        (done.outcome, done.stdout),
        (Outcome::Ok, b"a secret".to_vec())
    );
    let done = programs.run(&["show", "secrets/key"]);
    assert_eq!(done.outcome, Outcome::JobError(JobError::Exit(2)));
}

#[test]
fn where_memory_is_short_a_program_goes_first_then_its_init_and_not_its_host() {
    let programs = Programs::new();
    let own = fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    // The host's own mark counts where it is above that.
    let next = own.trim().parse::<i32>().unwrap().max(900);
    let marks = [("self", 1000), ("1", next)];
    // The init of an ordinary user's program is closed to him.
    let marked = 1 + usize::from(rustix::process::geteuid().is_root());
    for (process, mark) in &marks[..marked] {
        let done = programs.run(&["show", &format!("/proc/{process}/oom_score_adj")]);
        assert_eq!(
            (done.outcome, done.stdout),
            (Outcome::Ok, format!("{mark}\n").into_bytes())
        );
    }
}

#[test]
fn the_course_of_a_program_is_told() {
    let programs = Programs::new();
    let finished = programs.pool.run(programs.request(&["echo"])).unwrap();
    let names: Vec<_> = finished.tried[0]
        .spans
        .iter()
        .map(|span| span.name)
        .collect();
    assert_eq!(names, ["prepare", "set-up", "run", "collect"]);
}

#[test]
fn what_a_job_leaves_for_its_host_to_fall_over_is_not_touched() {
    let programs = Programs::new();
    let mut request = programs.request(&["traps"]);
    request.job.files = vec![Given {
        name: "in".to_owned(),
        bytes: b"in".to_vec(),
        executable: false,
    }];
    let deep = vec!["d"; 16].join("/");
    let names = [
        "link",
        "etc/passwd",
        "pipe",
        "directory",
        "sparse",
        &deep,
        "hard",
    ];
    request.job.wanted = names.map(str::to_owned).into();
    let done = programs.done(request);
    assert_eq!(done.outcome, Outcome::Ok, "{done:?}");
    let found: Vec<_> = done.files.into_iter().map(|file| file.content).collect();
    let expected = [
        Err(NotTaken::Elsewhere),
        Err(NotTaken::Elsewhere),
        Err(NotTaken::NoFile),
        Err(NotTaken::NoFile),
        Err(NotTaken::TooLarge),
        Err(NotTaken::NoFile),
        Ok(b"in".to_vec()),
    ];
    assert_eq!(found, expected);
    // What was ended is asked as well: what it has written until then is there.
    let mut request = programs.request(&["files"]);
    request.job.limits.cpu = ENDLESS;
    request.job.wanted = vec!["file-0".to_owned()];
    let done = programs.done(request);
    assert_eq!(done.outcome, Outcome::Limit(Limit::Memory));
    assert_eq!(done.files[0].content.as_ref().map(Vec::len), Ok(4096));
}

#[test]
fn what_cannot_be_begun_is_no_fault_of_the_host() {
    let programs = Programs::new();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("program");
    for bytes in [&b"\x7fELF and no more"[..], b"#!/none/such\n", b""] {
        fs::write(&path, bytes).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&path, mode).unwrap();
        let mut request = programs.request(&[]);
        request.artifact = Arc::new(Executable::open(&path, policy()).unwrap().into());
        let finished = programs.pool.run(request).unwrap();
        assert_eq!(finished.end(), "job_error", "{finished:?}");
        assert_eq!(finished.tried.len(), 1);
    }
}

#[test]
fn what_an_engine_would_leave_out_is_refused() {
    let programs = Programs::new();
    let mut fuel = programs.request(&["echo"]);
    fuel.job.limits.fuel = Some(1);
    let mut name = programs.request(&["echo"]);
    name.job.wanted = vec!["../x".to_owned()];
    let mut module = programs.request(&["echo"]);
    module.artifact = Arc::new(Artifact::trusted(b"module").unwrap());
    for request in [fuel, name, module] {
        let refused = programs.pool.submit(request);
        assert!(matches!(refused, Err(Error::Unfit(_))));
    }
    // Workers as well: names that lead out, and programs. Two that keep others out would wait for each other.
    let native = Arc::clone(&programs.artifact);
    drop(programs);
    let puppets = crate::puppet::Puppets::start();
    let mut name = puppets.request("echo");
    name.job.wanted = vec!["../x".to_owned()];
    let mut program = puppets.request("echo");
    program.artifact = native;
    for request in [name, program] {
        let refused = puppets.pool.submit(request);
        assert!(matches!(refused, Err(Error::Unfit(_))));
    }
}

/// Behaves by the first word of its input.
const SUBMISSION: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(void) {
  int a = 0, b = 0;
  char word[16] = "";
  scanf("%15s", word);
  if (!strcmp(word, "loop")) for (;;);
  if (!strcmp(word, "memory")) for (;;) memset(malloc(1 << 20), 1, 1 << 20);
  if (!strcmp(word, "fork")) return fork() < 0;
  if (!strcmp(word, "abort")) abort();
  if (!strcmp(word, "file")) return fopen("/etc/passwd", "w") ? 1 : 3;
  scanf("%d %d", &a, &b);
  printf("%d\n", a + b);
}
"#;

#[test]
fn programs_are_compiled_and_judged() {
    let _company = others();
    let place = tempfile::tempdir().unwrap();
    let tests = place.path().join("tests");
    fs::create_dir(&tests).unwrap();
    for (name, input, output) in [
        ("1", "add 40 2", "42\n"),
        ("2", "add 40 2", "43\n"),
        ("3", "loop", ""),
        ("4", "memory", ""),
        ("5", "fork", ""),
        ("6", "abort", ""),
        ("7", "file", ""),
    ] {
        fs::write(tests.join(format!("{name}.in")), input).unwrap();
        fs::write(tests.join(format!("{name}.out")), output).unwrap();
    }
    let judge = |source: &str| {
        let path = place.path().join("source.c");
        fs::write(&path, source).unwrap();
        // `<target>/<profile>/deps/<test>`.
        let own = std::env::current_exe().unwrap();
        let example = own
            .ancestors()
            .nth(2)
            .unwrap()
            .join("examples/compile_and_run");
        let output = Command::new(example)
            .arg(path)
            .arg(&tests)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        String::from_utf8(output.stdout).unwrap()
    };
    let expected = "1: right\n2: wrong\n3: too slow\n4: too much memory\n5: forbidden\n6: failed\n7: failed\n1 of 7\n";
    assert_eq!(judge(SUBMISSION), expected);
    assert!(judge("int main( { }").starts_with("compile error: main.c:"));
    // The compiler sees nothing of anybody's home: with this file it would compile.
    let home = std::env::home_dir().unwrap();
    let hidden = tempfile::tempdir_in(&home).unwrap();
    let header = hidden.path().join("secret.h");
    fs::write(&header, "").unwrap();
    let reads = format!("#include {header:?}\nint main() {{}}");
    assert!(judge(&reads).starts_with("compile error: main.c:1"));
}
