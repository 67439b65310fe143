//! The start: what the program gets, and what keeps it from starting.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use portcullis_sandbox::{
    ArmedFilter, Cookie, Error, Followed, Observer, Outcome, Program, Root, launch,
};
use portcullis_sys::seccomp::{RET_ALLOW, RET_KILL_PROCESS, SockFilter};
use portcullis_sys::{process, ptrace};
use portcullis_watch::{self as watch, Record};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::filter::{Denied, number};
use crate::harness::{Case, Tracing, build, place, turn};

#[test]
fn the_exit_code_is_the_programs() {
    let built = build("start", &[]);
    for flags in [&[][..], &["-static"], &["-static-pie"], &["-no-pie"]] {
        let built = if flags.is_empty() {
            &built
        } else {
            &build("start", flags)
        };
        let verdict = Case::new(&built.path, Denied::kill(&[]))
            .arguments(&["exit", "42"])
            .run()
            .unwrap();
        assert_eq!(verdict.outcome, Outcome::Exited(42), "{flags:?}");
        assert_eq!(verdict.exit_code(), 42);
        assert!(verdict.report.denials.is_empty());
        assert!(verdict.usage.wall_ns > 0);
        assert!(verdict.usage.peak_memory_bytes > 100_000, "{flags:?}");
    }
}

/// Kills the program at its exec stop, before it follows it.
struct Killing<'a> {
    following: Tracing<'a>,
    /// It is gone but for being reaped, and every request about it fails; else it stands at its end.
    gone: bool,
}

impl Observer for Killing<'_> {
    type Report = Record;

    fn follow(&mut self, root: Root<'_>) -> Result<Followed<Record>, portcullis_sys::Error> {
        let wait = |options| {
            let pid = Pid::from_raw(root.pid).map(WaitId::Pid).unwrap();
            let status = waitid(pid, options | WaitIdOptions::NOWAIT).unwrap();
            status.unwrap().exited() || status.unwrap().killed()
        };
        process::kill_unreaped(root.pid)?;
        let ended = wait(WaitIdOptions::EXITED | WaitIdOptions::STOPPED);
        if self.gone && !ended {
            ptrace::resume(root.pid, 0)?;
            wait(WaitIdOptions::EXITED);
        }
        self.following.follow(root)
    }
}

#[test]
fn a_program_that_is_killed_before_its_first_instruction_has_a_verdict() {
    for flags in [&[][..], &["-static"]] {
        let built = build("start", flags);
        for gone in [false, true] {
            let _turn = turn();
            let denied = Denied::kill(&[]);
            let mut observer = Killing {
                following: Tracing {
                    mode: watch::Mode::Enforce,
                    denied: &denied,
                },
                gone,
            };
            let case = Case::new(&built.path, denied.clone()).arguments(&["exit", "42"]);
            let plan = case.plan(Program::open(&built.path).unwrap()).unwrap();
            let cookie = Cookie::random().unwrap();
            let filter = ArmedFilter::new(denied.program(cookie.value()), cookie).unwrap();
            let verdict = launch(&plan, || Ok(filter), &mut observer).unwrap();
            assert_eq!(verdict.outcome, Outcome::Signaled(9), "{flags:?} {gone}");
            assert!(verdict.report.denials.is_empty());
        }
    }
}

#[test]
fn a_signal_is_the_programs() {
    let built = build("start", &[]);
    let verdict = Case::new(&built.path, Denied::kill(&[]))
        .arguments(&["raise", "15"])
        .run()
        .unwrap();
    assert_eq!(verdict.outcome, Outcome::Signaled(15));
    assert_eq!(verdict.exit_code(), 143);
}

#[test]
fn time_and_memory_are_measured() {
    let built = build("start", &[]);
    let verdict = Case::new(&built.path, Denied::kill(&[]))
        .arguments(&["use"])
        .run()
        .unwrap();
    assert_eq!(verdict.outcome, Outcome::Exited(0));
    assert!(
        verdict.usage.peak_memory_bytes >= 64 << 20,
        "{:?}",
        verdict.usage
    );
    // The program spins for 50 ms of its own processor time.
    assert!(verdict.usage.cpu_ns >= 40_000_000, "{:?}", verdict.usage);
}

/// Dispositions, mask, no-new-privileges, descriptors, environment: the program looks for itself.
#[test]
fn the_program_starts_as_it_would_without_a_launcher() {
    let built = build("start", &[]);
    let kept = fs::File::open("/dev/null").unwrap();
    let descriptor = kept.as_raw_fd().to_string();
    let mut case = Case::new(&built.path, Denied::kill(&[]));
    // Of this process' own dispositions other tests change some while they run theirs; what it was
    // started with ignored, its parent ignores.
    let parent = std::os::unix::process::parent_id();
    let status = fs::read_to_string(format!("/proc/{parent}/status")).unwrap();
    let ignored = status.lines().find_map(|l| l.strip_prefix("SigIgn:"));
    let arguments = ["state", descriptor.as_str(), ignored.unwrap().trim()];
    case = case.arguments(&arguments);
    case.environment = &["PROBE=kept"];
    case.keep = vec![kept.as_raw_fd()];
    assert_eq!(case.run().unwrap().outcome, Outcome::Exited(0));
}

#[test]
fn a_missing_program_is_not_found() {
    let missing = Path::new("/nonexistent/program");
    assert!(matches!(
        Program::open(missing),
        Err(Error::NotFound { path }) if path == missing
    ));
}

#[test]
fn what_cannot_be_executed_is_refused_before_anything_starts() {
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("data");
    place(&file, b"data");
    assert!(matches!(
        Program::open(&file),
        Err(Error::NotExecutable { .. })
    ));
    assert!(matches!(
        Program::open(directory.path()),
        Err(Error::NotExecutable { .. })
    ));
    assert!(matches!(
        Program::open(Path::new("/dev/null")),
        Err(Error::NotExecutable { .. })
    ));
    // Executable by its bits, and nothing that the kernel knows: the exec itself fails.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    let error = Case::new(&file, Denied::kill(&[])).run().unwrap_err();
    assert!(
        matches!(&error, Error::Child { reason, .. } if reason.raw_os_error() == Some(libc::ENOEXEC)),
        "{error}"
    );
}

#[test]
fn a_filter_without_this_starts_cookie_stops_the_launch() {
    let built = build("start", &[]);
    let denied = Denied::kill(&[number("execveat")]);
    let program = Program::open(&built.path).unwrap();
    let filter = ArmedFilter::new(denied.program(7), Cookie::from_value(8)).unwrap();
    let error = Case::new(&built.path, denied)
        .run_with(program, filter)
        .unwrap_err();
    assert!(matches!(error, Error::FilterRefusedLaunch), "{error}");
}

/// The filter that loads is the one that denies: it may even deny the child's own way out.
#[test]
fn a_failing_exec_is_told_even_when_the_filter_allows_nothing_else() {
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("data");
    place(&file, b"data");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    let instruction = |code, jt, jf, k| SockFilter { code, jt, jf, k };
    let only_execveat = vec![
        instruction(0x20, 0, 0, 0),
        instruction(0x15, 0, 1, number("execveat")),
        instruction(0x06, 0, 0, RET_ALLOW),
        instruction(0x06, 0, 0, RET_KILL_PROCESS),
    ];
    let filter = ArmedFilter::new(only_execveat, Cookie::from_value(1)).unwrap();
    let error = Case::new(&file, Denied::kill(&[]))
        .run_with(Program::open(&file).unwrap(), filter)
        .unwrap_err();
    assert!(
        matches!(&error, Error::Child { reason, .. } if reason.raw_os_error() == Some(libc::ENOEXEC)),
        "{error}"
    );
}

#[test]
fn a_malformed_filter_is_the_childs_complaint() {
    let built = build("start", &[]);
    let endless = vec![SockFilter {
        code: 0x20,
        jt: 0,
        jf: 0,
        k: 0,
    }];
    let filter = ArmedFilter::new(endless, Cookie::from_value(1)).unwrap();
    let error = Case::new(&built.path, Denied::kill(&[]))
        .run_with(Program::open(&built.path).unwrap(), filter)
        .unwrap_err();
    assert!(
        matches!(&error, Error::Child { step: "load the filter", reason } if reason.raw_os_error() == Some(libc::EINVAL)),
        "{error}"
    );
}

#[test]
fn the_plan_prints_what_will_be_done() {
    let built = build("start", &[]);
    let case = Case::new(&built.path, Denied::kill(&[]));
    let plan = case.plan(Program::open(&built.path).unwrap()).unwrap();
    let text = plan.to_string();
    assert!(text.contains("enforced     seccomp by seccomp"), "{text}");
    assert!(text.contains("not enforced network"), "{text}");
}
