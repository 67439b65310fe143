//! A judge of C programs: the compiler is a job, and what it makes is run on every test as others.
//!
//! `compile_and_run SOURCE.c TESTS` compiles the source, runs it on each `NAME.in` of the directory TESTS and compares
//! what it writes with `NAME.out`. One line per test, and one for all.
#![expect(clippy::print_stdout, reason = "it is a program")]

use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use portcullis_host::{
    Artifact, Executable, Given, Job, Limit, Limits, Outcome, Pool, Reply, Request, Settings,
};
use portcullis_policy::toml;

/// A compiler starts programs, and writes files.
const COMPILER: &str = r#"
schema = "portcullis.policy"
version = 1
arch = ["x86_64", "aarch64"]
baseline = "6.1"
default = "kill"

[[rule]]
calls = ["@default", "@basic-io", "@file-system", "@io-event", "@ipc", "@process", "@resources", "@signal", "@sync", "sysinfo", "umask", "madvise", "mremap", "ioctl"]
"#;

/// A submission computes. That it writes no file is the policy's affair; that it starts nothing, too.
const SUBMISSION: &str = r#"
schema = "portcullis.policy"
version = 1
arch = ["x86_64", "aarch64"]
baseline = "6.1"
default = "kill"

[[rule]]
calls = ["@basic-io", "exit", "exit_group", "rt_sigreturn", "restart_syscall", "brk", "munmap", "mremap", "madvise"]

[[rule]]
calls = ["mmap", "mprotect", "futex", "clock_gettime", "clock_nanosleep", "getrandom", "uname"]

[[rule]]
calls = ["rt_sigaction", "rt_sigprocmask", "sigaltstack", "getpid", "gettid", "tgkill"]
note = "abort(3)"

[[rule]]
calls = ["openat", "fstat", "newfstatat", "statx", "faccessat", "set_tid_address", "set_robust_list", "rseq", "prlimit64"]
note = "the loader and the C library when they start; what can be opened is for the other layers to say"

[[rule]]
calls = ["access", "readlink", "arch_prctl"]
arch = "x86_64"

[[rule]]
call = "execve"
note = "only so that the program itself can be started behind the filter"
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [source, tests] = &words[..] else {
        return Err("usage: compile_and_run SOURCE.c TESTS".into());
    };
    let pool = Pool::new(Settings::programs())?;
    let program = match compile(&pool, &fs::read(source)?)? {
        Ok(program) => program,
        Err(why) => {
            println!("compile error: {why}");
            return Ok(());
        }
    };
    // A file of the judge's own, that nobody changes: the program as it is run.
    let place = tempfile::tempdir()?;
    let path = place.path().join("submission");
    fs::write(&path, program)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    let submission: Arc<Artifact> = artifact(&path, SUBMISSION)?;

    let mut pending = Vec::new();
    for name in names(tests)? {
        let job = Job {
            input: fs::read(tests.join(&name).with_extension("in"))?,
            arguments: vec!["submission".to_owned()],
            limits: Limits {
                cpu: Duration::from_secs(1),
                wall: Duration::from_secs(60),
                memory: 64 << 20,
                output: 1 << 20,
                processes: 1,
                ..Limits::default()
            },
            ..Job::default()
        };
        let request = Request::new("contestant", Arc::clone(&submission), job);
        pending.push((name, pool.submit(request)?));
    }
    let mut right = 0;
    let all = pending.len();
    for (name, pending) in pending {
        let expected = fs::read(tests.join(&name).with_extension("out"))?;
        let verdict = verdict(&pending.wait().reply, &expected);
        right += usize::from(verdict == "right");
        println!("{name}: {verdict}");
    }
    println!("{right} of {all}");
    Ok(())
}

fn artifact(program: &Path, policy: &str) -> Result<Arc<Artifact>, Box<dyn Error>> {
    let policy = toml::read(policy).map_err(|e| e.to_string())?;
    Ok(Arc::new(Executable::open(program, policy)?.into()))
}

/// The program, or why there is none. A source may be made to keep the compiler busy, or to have it read what it should
/// not: it is confined as what it makes is.
fn compile(pool: &Pool, source: &[u8]) -> Result<Result<Vec<u8>, String>, Box<dyn Error>> {
    let job = Job {
        arguments: ["gcc", "-O2", "-o", "program", "main.c"]
            .map(str::to_owned)
            .into(),
        // Where it finds the assembler and the linker.
        environment: vec!["PATH=/usr/bin".to_owned()],
        files: vec![Given {
            name: "main.c".to_owned(),
            bytes: source.to_vec(),
            executable: false,
        }],
        wanted: vec!["program".to_owned()],
        limits: Limits {
            memory: 512 << 20,
            ..Limits::default()
        },
        ..Job::default()
    };
    let compiler = artifact(&fs::canonicalize("/usr/bin/gcc")?, COMPILER)?;
    let finished = pool.run(Request::new("contestant", compiler, job))?;
    let Reply::Done(done) = finished.reply else {
        return Err("the compiler was called off".into());
    };
    Ok(match (&done.outcome, done.files.into_iter().next()) {
        (Outcome::Ok, Some(file)) => file.content.map_err(|why| why.name().to_owned()),
        (Outcome::JobError(_), _) => {
            if let Some((call, _)) = done.denials.first() {
                return Ok(Err(format!("forbidden: {call}")));
            }
            let said = String::from_utf8_lossy(&done.stderr);
            Err(said
                .lines()
                .next()
                .unwrap_or("no reason")
                .escape_debug()
                .to_string())
        }
        (outcome, _) => Err(format!("the compiler came to {outcome:?}")),
    })
}

/// What a contestant is told. What is nobody's fault is not called his.
fn verdict(reply: &Reply, expected: &[u8]) -> &'static str {
    let Reply::Done(done) = reply else {
        return "not judged";
    };
    match &done.outcome {
        Outcome::Ok if done.stdout == expected => "right",
        Outcome::Ok => "wrong",
        Outcome::Limit(Limit::Cpu | Limit::Wall | Limit::Fuel) => "too slow",
        Outcome::Limit(Limit::Memory) => "too much memory",
        Outcome::Limit(Limit::Output) => "too much output",
        Outcome::JobError(_) => "failed",
        Outcome::Denied { .. } => "forbidden",
        Outcome::Ambiguous(_) | Outcome::Infra(_) => "not judged",
    }
}

/// The tests' names, in order.
fn names(tests: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(tests)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "in")
            && let Some(name) = path.file_stem()
        {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
