//! A launch in which one system call fails, or ends whoever makes it: the launcher, the init or the program's
//! process, at each step of their set-up. Nothing may be left of it, and what fails may not be passed over.
//!
//! The calls fail by a filter of the launcher, which those inherit whom it creates. A process that adopts
//! orphans starts the launchers and waits until no descendant is left.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use portcullis_abi::Arch;
use portcullis_sandbox::{Confinement, Outcome};
use portcullis_sys::seccomp::RET_KILL_PROCESS;
use portcullis_sys::{process, seccomp};
use portcullis_watch::Action;

use crate::filter::Denied;
use crate::harness::{self, Case, build};

const PROGRAM: &str = "PORTCULLIS_TEST_FAULTS_PROGRAM";
/// The number of the call, and what is answered.
const FAULT: &str = "PORTCULLIS_TEST_FAULT";

/// `SECCOMP_RET_ERRNO`.
const RET_ERRNO: u32 = 0x0005_0000;

/// What a launcher ends with when it was refused to start the program.
const REFUSED: i32 = 9;
/// And when the program ran: what that ends with, its number in its namespace.
const RAN: i32 = 2;

/// Calls by which a layer is made: one that fails is a refusal.
const LAYERS: &[&str] = &[
    "clone",
    "fsmount",
    "fsopen",
    "landlock_add_rule",
    "landlock_create_ruleset",
    "landlock_restrict_self",
    "mount_setattr",
    "move_mount",
    "open_tree",
    "pivot_root",
    "capset",
    "umount2",
    "unshare",
];

/// Others of a launch, with which its processes come and go, talk and find their way.
const OTHERS: &[&str] = &[
    "chdir",
    "close",
    "close_range",
    "dup3",
    "execveat",
    "fchdir",
    "fcntl",
    "fsconfig",
    "getrusage",
    "keyctl",
    "kill",
    "mkdirat",
    "mmap",
    "openat",
    "openat2",
    "pidfd_open",
    "pipe2",
    "prctl",
    "prlimit64",
    "ptrace",
    "read",
    "recvmsg",
    "rt_sigaction",
    "seccomp",
    "sendmsg",
    "setgroups",
    "setresgid",
    "setresuid",
    "socketpair",
    "statx",
    "symlinkat",
    "waitid",
    "write",
];

/// Not a test: a launch behind the fault that the environment names.
#[test]
#[ignore = "started by another test"]
fn as_faulty_launcher() {
    let (Ok(program), Ok(fault)) = (std::env::var(PROGRAM), std::env::var(FAULT)) else {
        return;
    };
    let (number, answer) = fault.split_once(' ').unwrap();
    let denied = Denied {
        numbers: number.parse().into_iter().collect(),
        answer: answer.parse().unwrap(),
        action: Action::Kill,
    };
    let mut case = Case::new(Path::new(&program), Denied::kill(&[])).arguments(&["number"]);
    case.confinement = Confinement::new("/".into());
    process::no_new_privileges().unwrap();
    seccomp::install(&denied.program(1)).unwrap();
    let code = match case.run() {
        Ok(verdict) => match verdict.outcome {
            Outcome::Exited(code) => code,
            _ => REFUSED,
        },
        Err(_) => REFUSED,
    };
    process::exit_now(code);
}

/// Whether nobody makes the call on this machine: the initial RAM file system cannot be replaced (pivot_root(2)), and
/// what is mounted on it is not detached.
fn is_spared(name: &str) -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let initial = |line: &str| line.contains(" / / ") && line.contains(" - rootfs ");
    ["pivot_root", "umount2"].contains(&name) && mounts.lines().any(initial)
}

/// Not a test: starts the launchers, adopts whom they leave, and waits for all.
#[test]
#[ignore = "started by another test"]
fn as_adopter() {
    let Ok(program) = std::env::var(PROGRAM) else {
        return;
    };
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let mounts = || std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let before = mounts();
    let own = std::env::current_exe().unwrap();
    let mut wrong = Vec::new();
    let mut ran = 0;
    for name in LAYERS.iter().chain(OTHERS) {
        // Not every architecture has each.
        let Some(number) = Arch::NATIVE.number(name) else {
            continue;
        };
        for answer in [RET_KILL_PROCESS, RET_ERRNO | libc::EPERM as u32] {
            let mut launcher = Command::new(&own)
                .args(["--exact", "faults::as_faulty_launcher", "--ignored"])
                .env(PROGRAM, &program)
                .env(FAULT, format!("{} {answer}", number.0))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let code = launcher.wait().unwrap().code();
            ran += usize::from(code == Some(RAN));
            if LAYERS.contains(name) && !is_spared(name) && code == Some(RAN) {
                wrong.push(format!("{name}: the program ran without what it makes"));
            }
            // Whoever is left is this process's now. It is not waited for in vain: who starts this does not
            // wait for ever.
            while let Ok(Some(_)) = rustix::process::wait(rustix::process::WaitOptions::empty()) {}
        }
    }
    // A call that nobody makes is no fault.
    assert!(ran < LAYERS.len() + OTHERS.len(), "{ran} of them ran");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(mounts(), before);
    process::exit_now(REFUSED);
}

#[test]
fn nothing_is_left_of_a_launch_that_fails() {
    let built = build("attempt", &[]);
    // Who has no root either can read it there.
    let directory = built.directory.path();
    std::fs::set_permissions(
        directory,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let mut adopter = Command::new(std::env::current_exe().unwrap());
    adopter
        .args(["--exact", "faults::as_adopter", "--ignored", "--nocapture"])
        .env(PROGRAM, &built.path)
        .stdout(Stdio::null());
    let adopter = adopter.spawn().unwrap();
    let handle = process::handle(adopter.id().cast_signed()).unwrap();
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || done.send(adopter.wait_with_output()));
    match ended.recv_timeout(Duration::from_secs(600)) {
        Ok(output) => assert_eq!(output.unwrap().status.code(), Some(REFUSED)),
        Err(_) => {
            process::signal_process(std::os::fd::AsFd::as_fd(&handle), libc::SIGKILL).unwrap();
            panic!("a process of a launch that failed is still there");
        }
    }
}

/// Signals at every moment of the set-up, which interrupt whatever the launcher waits in.
#[test]
fn a_storm_of_signals_disturbs_no_launch() {
    let built = build("attempt", &[]);
    let own = rustix::process::getpid();
    let (stop, stopped) = mpsc::channel::<()>();
    let storm = std::thread::spawn(move || {
        let mut sent = 0_u64;
        while stopped.try_recv() != Err(mpsc::TryRecvError::Disconnected) {
            // Passed on to the program, which ignores it.
            rustix::process::kill_process(own, rustix::process::Signal::WINCH).unwrap();
            sent += 1;
        }
        sent
    });
    for _ in 0..20 {
        let mut case = Case::new(&built.path, Denied::kill(&[])).arguments(&["number"]);
        case.confinement = Confinement::new("/".into());
        assert_eq!(case.run().unwrap().outcome, Outcome::Exited(RAN));
    }
    drop(stop);
    assert!(storm.join().unwrap() > 20);
    drop(harness::turn());
}
