//! The launcher as a process of its own: its signals, its stops, its death, its user.

use std::io::{BufRead, BufReader, Read, Seek as _};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use portcullis_sandbox::{Confinement, LayerName, Outcome};
use rustix::event::{PollFd, PollFlags, poll};

use crate::filter::{Denied, number};
use crate::harness::{self, Built, Case, build};

const PROGRAM: &str = "PORTCULLIS_TEST_PROGRAM";
const WAY: &str = "PORTCULLIS_TEST_WAY";
/// Set when every layer is to hold.
const CONFINED: &str = "PORTCULLIS_TEST_CONFINED";

/// Not a test: what the tests below start, in a process of its own. Without the variables there
/// is nothing to launch.
#[test]
#[ignore = "started by the other tests of this file"]
fn as_launcher() {
    let (Ok(program), Ok(way)) = (std::env::var(PROGRAM), std::env::var(WAY)) else {
        return;
    };
    let arguments = [way.as_str()];
    let mut case =
        Case::new(Path::new(&program), Denied::kill(&[number("chroot")])).arguments(&arguments);
    if std::env::var_os(CONFINED).is_some() {
        // Its own init is what makes a difference here.
        case.confinement = Confinement::new("/".into());
        let others = [LayerName::Filesystem, LayerName::Landlock];
        case.confinement.without.extend(others);
    }
    let code = match case.run() {
        Ok(verdict) if verdict.outcome == Outcome::Denied => {
            // Unprivileged as well, the denial has its place.
            if verdict.report.denials[0].backtrace.len() > 2 {
                159
            } else {
                158
            }
        }
        Ok(verdict) => verdict.exit_code(),
        Err(error) => panic!("{error}"),
    };
    std::process::exit(code);
}

/// Ends what a failing test would leave behind; the program dies with it.
struct Launcher(Child);

impl Drop for Launcher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(built: &Built, way: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    set_up(&mut command, built, way);
    command
}

fn set_up(command: &mut Command, built: &Built, way: &str) {
    command
        .args([
            "--exact",
            "launcher::as_launcher",
            "--ignored",
            "--nocapture",
        ])
        .env(PROGRAM, &built.path)
        .env(WAY, way)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // A group of its own, with a parent in the session: stop signals are not for orphans.
        .process_group(0);
}

/// Starts, and reads the program's first line: its process number.
fn start(built: &Built, way: &str) -> Running {
    start_by(command(built, way))
}

/// The same behind every layer; the number is the program's own there.
fn start_confined(built: &Built, way: &str) -> Running {
    let mut command = command(built, way);
    command.env(CONFINED, "");
    start_by(command)
}

/// A launcher that runs, what the program writes, and the program's number.
type Running = (Launcher, BufReader<ChildStdout>, i32);

/// Both ways to start.
const WAYS: [fn(&Built, &str) -> Running; 2] = [start, start_confined];

fn start_by(mut command: Command) -> Running {
    let mut child = command.spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let launcher = Launcher(child);
    let mut line = String::new();
    loop {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "no program");
        // The test harness of the launcher prints lines of its own before it.
        if let Some(at) = line.find("program ") {
            let pid = line[at + 8..].trim().parse().unwrap();
            return (launcher, output, pid);
        }
    }
}

fn send(pid: i32, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
}

fn pid_of(launcher: &Launcher) -> i32 {
    launcher.0.id().cast_signed()
}

/// Waits for the launcher to stop or end; the raw status.
fn status(launcher: &Launcher) -> rustix::process::WaitStatus {
    let pid = rustix::process::Pid::from_raw(pid_of(launcher));
    rustix::process::waitpid(pid, rustix::process::WaitOptions::UNTRACED)
        .unwrap()
        .unwrap()
        .1
}

#[test]
fn a_signal_to_the_launcher_reaches_the_program() {
    let built = build("launcher", &[]);
    for (signal, code) in [
        (rustix::process::Signal::TERM, 50),
        (rustix::process::Signal::HUP, 51),
        (rustix::process::Signal::INT, 52),
        (rustix::process::Signal::USR1, 53),
    ] {
        for start in WAYS {
            let (mut launcher, _output, _) = start(&built, "wait");
            send(pid_of(&launcher), signal);
            assert_eq!(launcher.0.wait().unwrap().code(), Some(code), "{signal:?}");
        }
    }
}

#[test]
fn the_program_dies_with_its_launcher() {
    let built = build("launcher", &[]);
    for start in WAYS {
        let (mut launcher, mut output, _) = start(&built, "wait");
        launcher.0.kill().unwrap();
        assert_eq!(launcher.0.wait().unwrap().signal(), Some(9));
        // The program holds the other end until it is gone; left alone it would write after a while.
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }
}

/// A launcher that is stopped is as good as dead when it is killed.
#[test]
fn the_program_dies_with_a_launcher_that_is_stopped() {
    let built = build("launcher", &[]);
    for start in WAYS {
        let (mut launcher, mut output, _) = start(&built, "wait");
        send(pid_of(&launcher), rustix::process::Signal::STOP);
        launcher.0.kill().unwrap();
        assert_eq!(launcher.0.wait().unwrap().signal(), Some(9));
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }
}

/// All of a run ends with its init, whoever ends that.
#[test]
fn the_program_dies_with_its_init() {
    let built = build("launcher", &[]);
    let (mut launcher, mut output, _) = start_confined(&built, "wait");
    let inits = children(pid_of(&launcher));
    assert_eq!(inits.len(), 1);
    send(inits[0], rustix::process::Signal::KILL);
    assert_eq!(launcher.0.wait().unwrap().code(), Some(128 + 9));
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert!(!rest.contains("alive"), "{rest}");
}

/// The children of all threads of a process.
fn children(pid: i32) -> Vec<i32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let lists = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("children")));
    let numbers = |list: String| {
        let numbers = list.split_whitespace().map(|pid| pid.parse().unwrap());
        numbers.collect::<Vec<i32>>()
    };
    lists.flat_map(|list| numbers(list.unwrap())).collect()
}

/// A control group of version 2 with processes that stand still; gone with the last of them.
struct Frozen(PathBuf);

impl Frozen {
    fn new(processes: &[i32]) -> Frozen {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let mut trees = mounts
            .lines()
            .filter(|mount| mount.split(' ').nth(2) == Some("cgroup2"));
        let tree = trees
            .next()
            .expect("a tree of version 2")
            .split(' ')
            .nth(1)
            .unwrap();
        let name = format!("portcullis-frozen-{}", std::process::id());
        let group = Frozen(Path::new(tree).join(name));
        std::fs::create_dir(&group.0).unwrap();
        for pid in processes {
            std::fs::write(group.0.join("cgroup.procs"), pid.to_string()).unwrap();
        }
        std::fs::write(group.0.join("cgroup.freeze"), "1").unwrap();
        group.wait_for("frozen 1");
        group
    }

    /// Each change of the file is an event (cgroups(7)).
    fn wait_for(&self, state: &str) {
        let mut events = std::fs::File::open(self.0.join("cgroup.events")).unwrap();
        loop {
            let mut text = String::new();
            events.rewind().unwrap();
            events.read_to_string(&mut text).unwrap();
            if text.contains(state) {
                return;
            }
            poll(&mut [PollFd::new(&events, PollFlags::PRI)], None).unwrap();
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.wait_for("populated 0");
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn a_frozen_program_dies_with_its_launcher() {
    let built = build("launcher", &[]);
    for start in WAYS {
        let (mut launcher, mut output, _) = start(&built, "wait");
        let first = children(pid_of(&launcher));
        let all: Vec<i32> = first
            .iter()
            .copied()
            .chain(first.iter().flat_map(|pid| children(*pid)))
            .collect();
        let frozen = Frozen::new(&all);
        launcher.0.kill().unwrap();
        assert_eq!(launcher.0.wait().unwrap().signal(), Some(9));
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
        drop(frozen);
    }
}

#[test]
fn the_launcher_stops_with_its_program_and_both_go_on() {
    let built = build("launcher", &[]);
    for start in WAYS {
        let (launcher, _output, _) = start(&built, "suspend");
        assert!(status(&launcher).stopped());
        send_group(&launcher, rustix::process::Signal::CONT);
        assert_eq!(status(&launcher).exit_status(), Some(6));
    }
}

/// What a terminal does with its suspend character: the signal goes to the whole group.
#[test]
fn a_suspended_group_stops_and_goes_on() {
    let built = build("launcher", &[]);
    for start in WAYS {
        let (launcher, _output, _) = start(&built, "wait");
        send_group(&launcher, rustix::process::Signal::TSTP);
        assert!(status(&launcher).stopped());
        send_group(&launcher, rustix::process::Signal::CONT);
        send(pid_of(&launcher), rustix::process::Signal::TERM);
        assert_eq!(status(&launcher).exit_status(), Some(50));
    }
}

/// Who stops the program alone continues it alone: the launcher keeps serving.
#[test]
fn a_program_stopped_by_another_process_is_continued_by_it() {
    let built = build("launcher", &[]);
    let (mut launcher, _output, program) = start(&built, "wait");
    send(program, rustix::process::Signal::STOP);
    send(program, rustix::process::Signal::CONT);
    send(program, rustix::process::Signal::TERM);
    assert_eq!(launcher.0.wait().unwrap().code(), Some(50));
}

#[test]
fn what_outlives_the_program_is_ended() {
    let built = build("launcher", &[]);
    let (mut launcher, mut output, _) = start(&built, "leave-child");
    assert_eq!(launcher.0.wait().unwrap().code(), Some(8));
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert!(!rest.contains("alive"), "{rest}");
}

/// Without any privilege: a user who owns nothing here but what he is given.
#[test]
fn no_privilege_is_needed() {
    let built = build("launcher", &[]);
    let directory = built.directory.path();
    std::fs::set_permissions(directory, PermissionsExt::from_mode(0o755)).unwrap();
    let copy = directory.join("launcher-copy");
    harness::copy(&std::env::current_exe().unwrap(), &copy);
    for (way, code) in [("fail", 9), ("denied", 159)] {
        let mut command = Command::new(&copy);
        set_up(&mut command, &built, way);
        if rustix::process::geteuid().is_root() {
            command.uid(65534).gid(65534);
        }
        let mut launcher = Launcher(command.spawn().unwrap());
        assert_eq!(launcher.0.wait().unwrap().code(), Some(code), "{way}");
    }
}

fn send_group(launcher: &Launcher, signal: rustix::process::Signal) {
    let group = rustix::process::Pid::from_raw(pid_of(launcher)).unwrap();
    rustix::process::kill_process_group(group, signal).unwrap();
}
