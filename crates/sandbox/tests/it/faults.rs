//! A launch in which one system call fails, or ends whoever makes it: the launcher, the init or the program's
//! process, at each step of their set-up. Nothing may be left of it, and what fails may not be passed over.
//!
//! The calls fail by a filter of the launcher, which those inherit whom it creates. A process that adopts
//! orphans starts the launchers and waits until no descendant is left.

use std::ffi::{CStr, CString};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use portcullis_abi::Arch;
use portcullis_sandbox::{
    ArmedFilter, Confinement, Cookie, Error, Features, LayerName, Outcome, Program, launch, prove,
};
use portcullis_sys::mount::{self, Attributes};
use portcullis_sys::ptrace::{self, Options};
use portcullis_sys::seccomp::RET_KILL_PROCESS;
use portcullis_sys::wait::{self, Change, End, Stop, event};
use portcullis_sys::{process, seccomp};
use portcullis_watch::Action;

use crate::confined::{NEEDS_ROOT, can_group};
use crate::filter::Denied;
use crate::harness::{self, Case, Tracing, build};

const PROGRAM: &str = "PORTCULLIS_TEST_FAULTS_PROGRAM";
/// The number of the call, and what is answered.
const FAULT: &str = "PORTCULLIS_TEST_FAULT";
/// What is answered to each call in turn.
const ANSWERS: &str = "PORTCULLIS_TEST_FAULT_ANSWERS";

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
    let answers = std::env::var(ANSWERS).unwrap();
    for name in LAYERS.iter().chain(OTHERS) {
        // Not every architecture has each.
        let Some(number) = Arch::NATIVE.number(name) else {
            continue;
        };
        for answer in answers.split(' ') {
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
            reap_all();
        }
    }
    // A call that nobody makes is no fault.
    let most = (LAYERS.len() + OTHERS.len()) * answers.split(' ').count() / 2;
    assert!(ran < most, "{ran} of them ran");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(mounts(), before);
    process::exit_now(REFUSED);
}

/// Whoever a launcher left is this process's now. It is not waited for in vain: who starts this does not wait for
/// ever.
fn reap_all() {
    while let Ok(Some(_)) = rustix::process::wait(rustix::process::WaitOptions::empty()) {}
}

#[test]
fn nothing_is_left_of_a_launch_that_fails() {
    adopt(
        "faults::as_adopter",
        &[RET_KILL_PROCESS, error(libc::EPERM)],
    );
}

/// What the kernel says for want of memory, of tasks, and of room.
#[test]
fn nothing_is_left_of_a_launch_that_lacks_something() {
    let lacks = [libc::ENOMEM, libc::EAGAIN, libc::ENOSPC];
    adopt("faults::as_adopter", &lacks.map(error));
}

/// The launcher stands still at each of its calls, as one that is stopped, while what it has started goes on as far as
/// it can; then it is killed.
#[test]
fn nothing_is_left_of_a_launcher_that_is_stopped_and_killed() {
    adopt("faults::as_killer", &[]);
}

/// Where there is no room, who writes is told so, and nothing else is wrong.
#[test]
fn a_full_place_ends_only_what_needs_room() {
    assert!(rustix::process::geteuid().is_root(), "{NEEDS_ROOT}");
    let _turn = harness::turn();
    // Not in /tmp, which is one of the places.
    let built = harness::build_in(tempfile::tempdir_in("/").unwrap(), "attempt", &[]);
    let place = tempfile::tempdir_in("/").unwrap();
    let small = |options: &[(&CStr, &CStr)], at: &CStr| {
        let tree = mount::fresh(c"tmpfs", options, Attributes::NONE).unwrap();
        mount::attach(tree.as_fd(), at).unwrap();
    };
    // For this thread, which ends with the test.
    #[expect(
        deprecated,
        reason = "unsafe are only the flags by which a thread leaves its descriptors"
    )]
    rustix::thread::unshare(rustix::thread::UnshareFlags::NEWNS).unwrap();
    let root = mount::place(c"/").unwrap();
    mount::set_attributes(root.as_fd(), Attributes::NONE).unwrap();
    let path = CString::new(place.path().to_str().unwrap()).unwrap();
    small(&[(c"size", c"64k"), (c"mode", c"777")], &path);
    small(&[(c"nr_inodes", c"4"), (c"mode", c"1777")], c"/tmp");

    let mut confinement = Confinement::new("/".into());
    confinement.without.insert(LayerName::Ids);
    confinement.write = vec![place.path().to_owned()];
    let outcome = |words: &[&str]| {
        let mut case = Case::new(&built.path, Denied::kill(&[])).arguments(words);
        case.confinement = confinement.clone();
        case.run_in_turn().unwrap().outcome
    };
    let all = place.path().join("all").display().to_string();
    // Again where there is no room any more.
    for _ in 0..2 {
        assert_eq!(outcome(&["fill", &all]), Outcome::Exited(libc::ENOSPC));
    }
    assert_eq!(outcome(&["number"]), Outcome::Exited(RAN));

    // What the break-out test puts there for its attempts does not fit.
    let mut case = Case::new(&built.path, Denied::kill(&[]));
    case.confinement = Confinement::new("/".into());
    let plan = case.plan(Program::open(&built.path).unwrap()).unwrap();
    let refused = prove(&plan, &Features::probe(), None).unwrap_err();
    let is_full = |reason: &std::io::Error| reason.raw_os_error() == Some(libc::ENOSPC);
    assert!(
        matches!(&refused, Error::Read { reason, .. } if is_full(reason)),
        "{refused}"
    );
    assert_eq!(std::fs::read_dir("/tmp").unwrap().count(), 0);
    // Nobody removes a directory on which something is mounted before his eyes.
    mount::detach(&path).unwrap();
}

fn error(number: i32) -> u32 {
    RET_ERRNO | number.unsigned_abs()
}

/// Has a process that adopts do what `way` says.
fn adopt(way: &str, answers: &[u32]) {
    let answers: Vec<String> = answers.iter().map(u32::to_string).collect();
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
        .args(["--exact", way, "--ignored", "--nocapture"])
        .env(PROGRAM, &built.path)
        .env(ANSWERS, answers.join(" "))
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

/// Not a test: says which thread launches, and launches when it is told.
#[test]
#[ignore = "started by another test"]
fn as_watched_launcher() {
    let Ok(program) = std::env::var(PROGRAM) else {
        return;
    };
    let program = Path::new(&program);
    let mut case = Case::new(program, Denied::kill(&[])).arguments(&["number"]);
    case.confinement = bounded();
    let plan = case.plan(Program::open(program).unwrap()).unwrap();
    let cookie = Cookie::random().unwrap();
    let filter = case.denied.program(cookie.value());
    let filter = ArmedFilter::new(filter, cookie).unwrap();
    let mut observer = Tracing {
        mode: portcullis_watch::Mode::Enforce,
        denied: &case.denied,
    };
    let own = rustix::thread::gettid();
    writeln!(std::io::stdout(), "thread {}", own.as_raw_nonzero()).unwrap();
    std::io::stdin().read_exact(&mut [0]).unwrap();
    let verdict = launch(&plan, || Ok(filter), &mut observer).unwrap();
    process::exit_now(verdict.exit_code());
}

/// With a group, where one can be made.
fn bounded() -> Confinement {
    let mut confinement = Confinement::new("/".into());
    if can_group("processes=20") {
        confinement.limits = "processes=20".parse().unwrap();
    }
    confinement
}

/// Starts a launcher, which is killed at its call number `calls` after the beginning of the launch; `false` when it
/// ended before.
fn killed_at(program: &str, calls: usize) -> bool {
    let mut launcher = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "faults::as_watched_launcher",
            "--ignored",
            "--nocapture",
        ])
        .env(PROGRAM, program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The test harness prints lines of its own before it.
    let mut lines = BufReader::new(launcher.stdout.take().unwrap()).lines();
    let thread = lines.find_map(|line| line.unwrap().split_once("thread ")?.1.parse().ok());
    let thread = thread.expect("a launcher that begins");
    ptrace::seize(thread, Options::ALONE).unwrap();
    ptrace::interrupt(thread).unwrap();
    let stopped = wait::next_of(thread).unwrap().unwrap().1;
    assert!(matches!(
        stopped,
        Change::Stopped(Stop::Event(event::STOP, _))
    ));
    ptrace::resume_to_syscall(thread, 0).unwrap();
    launcher.stdin.take().unwrap().write_all(b"g").unwrap();
    // Each call stops it twice.
    let mut left = 2 * calls;
    let end = loop {
        let stop = match wait::next_of(thread).unwrap().unwrap().1 {
            Change::Ended(end, _) => break end,
            Change::Stopped(stop) => stop,
        };
        match stop {
            Stop::Syscall if left == 0 => launcher.kill().unwrap(),
            Stop::Signal(signal) => ptrace::resume_to_syscall(thread, signal).unwrap(),
            stop => {
                left -= usize::from(stop == Stop::Syscall);
                ptrace::resume_to_syscall(thread, 0).unwrap();
            }
        }
    };
    launcher.wait().unwrap();
    match end {
        End::Signaled(libc::SIGKILL) => true,
        end => {
            assert_eq!(end, End::Exited(RAN));
            false
        }
    }
}

/// Not a test: ends a launcher at each of its calls, adopts whom it leaves, and waits for all.
#[test]
#[ignore = "started by another test"]
fn as_killer() {
    let Ok(program) = std::env::var(PROGRAM) else {
        return;
    };
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let mounts = || std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let before = mounts();
    let mut calls = 0;
    while killed_at(&program, calls) {
        reap_all();
        calls += 1;
    }
    reap_all();
    assert!(calls > 50, "a launch of {calls} calls");
    assert_eq!(mounts(), before);
    // The last launch removed the groups of those that were killed.
    assert_eq!(groups_of_nobody(), Vec::<PathBuf>::new());
    process::exit_now(REFUSED);
}

/// Control groups of launchers that are gone.
fn groups_of_nobody() -> Vec<PathBuf> {
    let below = |path: PathBuf| std::fs::read_dir(path).into_iter().flatten().flatten();
    let trees = below("/sys/fs/cgroup".into()).map(|entry| entry.path());
    let all = trees.chain(["/sys/fs/cgroup".into()]).flat_map(below);
    let gone = |path: &PathBuf| {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let maker = name
            .strip_prefix("portcullis-")
            .and_then(|rest| rest.split('-').next());
        maker.is_some_and(|pid| !Path::new("/proc").join(pid).exists())
    };
    all.map(|entry| entry.path()).filter(gone).collect()
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
