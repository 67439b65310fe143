//! Programs that a process with other things to do starts.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread;

use portcullis_policy::ActionMap;
use portcullis_sandbox::{Child, Command, Confinement, Error, Filter, Outcome, Stdio};
use portcullis_watch::Denial;

use crate::following::{Following, all_but};
use crate::harness::{Built, build, place, turn};

/// A command that runs `job.c` with `words`.
fn command(built: &Built, words: &[&str]) -> Command {
    let mut command = Command::new(&built.path);
    command.args(words);
    command
}

fn spawn(command: &mut Command) -> Result<Child<Vec<Denial>>, Error> {
    let policy = all_but(&["chroot"]);
    let filter = Filter::new(&policy, &ActionMap::seen())?;
    command.spawn(&filter, || Following(policy))
}

/// The outcome, and what was written to a standard output that is a pipe.
fn outcome(mut child: Child<Vec<Denial>>) -> (Outcome, String) {
    let mut said = String::new();
    if let Some(mut output) = child.stdout.take() {
        output.read_to_string(&mut said).unwrap();
    }
    (child.wait().unwrap().outcome, said)
}

#[test]
fn it_has_its_words_and_nothing_of_the_environment() {
    let _turn = turn();
    let built = build("job", &[]);
    let mut command = command(&built, &["say", "a word"]);
    command.env("NAME", "value").stdout(Stdio::Pipe);
    let (outcome, said) = outcome(spawn(&mut command).unwrap());
    assert_eq!(outcome, Outcome::Exited(0));
    assert_eq!(said, "a word\nNAME=value\n");
}

#[test]
fn streams_are_what_was_chosen() {
    let _turn = turn();
    let built = build("job", &["-static"]);
    let file = built.directory.path().join("file");
    std::fs::write(&file, "from a file").unwrap();

    let mut of_file = command(&built, &["copy"]);
    let input = OwnedFd::from(File::open(&file).unwrap());
    of_file.stdin(Stdio::File(input)).stdout(Stdio::Pipe);
    let (ended, said) = outcome(spawn(&mut of_file).unwrap());
    assert_eq!((ended, &*said), (Outcome::Exited(0), "from a file"));

    let mut of_nothing = command(&built, &["copy"]);
    of_nothing.stdout(Stdio::Pipe);
    let (ended, said) = outcome(spawn(&mut of_nothing).unwrap());
    assert_eq!((ended, &*said), (Outcome::Exited(0), ""));

    let mut of_pipe = command(&built, &["copy"]);
    of_pipe.stdin(Stdio::Pipe).stdout(Stdio::Pipe);
    let mut child = spawn(&mut of_pipe).unwrap();
    child.stdin.take().unwrap().write_all(b"sent").unwrap();
    let (ended, said) = outcome(child);
    assert_eq!((ended, &*said), (Outcome::Exited(0), "sent"));

    let directory = OwnedFd::from(File::open(built.directory.path()).unwrap());
    let mut of_directory = command(&built, &["copy"]);
    of_directory.stdin(Stdio::File(directory));
    let refused = spawn(&mut of_directory).unwrap_err();
    assert!(matches!(refused, Error::Invalid(_)), "{refused}");
}

#[test]
fn it_outlives_the_thread_that_started_it_and_ends_when_it_is_told() {
    let _turn = turn();
    let built = build("job", &[]);
    let started = thread::scope(|scope| {
        let start = || spawn(command(&built, &["wait"]).stdout(Stdio::Pipe)).unwrap();
        scope.spawn(start).join().unwrap()
    });
    let mut child = started;
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "waits\n");
    child.kill();
    assert_eq!(child.wait().unwrap().outcome, Outcome::Signaled(9));
    assert_eq!(output.read_line(&mut line).unwrap(), 0);
}

#[test]
fn dropped_it_is_gone() {
    let _turn = turn();
    let built = build("job", &[]);
    let mut child = spawn(command(&built, &["wait"]).stdout(Stdio::Pipe)).unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    drop(child);
    // It held the other end.
    assert_eq!(output.read_line(&mut line).unwrap(), 0);
}

#[test]
fn a_denial_is_told_with_and_without_layers() {
    let _turn = turn();
    let built = build("job", &["-static"]);
    for confinement in [Confinement::new("/".into()), Confinement::none()] {
        let mut command = command(&built, &["denied"]);
        command.confinement(confinement);
        let verdict = spawn(&mut command).unwrap().wait().unwrap();
        assert_eq!(verdict.outcome, Outcome::Denied);
        assert_eq!(verdict.report.len(), 1);
    }
}

/// As the command's own streams are; whoever waits for the verdict may be who reads.
#[test]
fn what_it_writes_is_counted_and_cut() {
    let _turn = turn();
    let built = build("job", &[]);
    let file = built.directory.path().join("file");
    std::fs::write(&file, vec![b'x'; 100_000]).unwrap();
    let limited = |limits: &str, output| {
        let mut confinement = Confinement::new("/".into());
        confinement.limits = limits.parse().unwrap();
        let mut command = command(&built, &["copy"]);
        let input = OwnedFd::from(File::open(&file).unwrap());
        command
            .confinement(confinement)
            .stdin(Stdio::File(input))
            .stdout(output);
        spawn(&mut command).unwrap()
    };
    let (ended, said) = outcome(limited("output=4K", Stdio::Pipe));
    assert_eq!((ended, said.len()), (Outcome::Limit("output"), 4096));
    let into = built.directory.path().join("into");
    let output = OwnedFd::from(File::create(&into).unwrap());
    let child = limited("output=4K", Stdio::File(output));
    assert_eq!(child.wait().unwrap().outcome, Outcome::Limit("output"));
    assert_eq!(std::fs::metadata(&into).unwrap().len(), 4096);

    // More than a pipe holds: read after the verdict, and not at all.
    let mut child = limited("output=1M", Stdio::Pipe);
    let mut output = child.stdout.take().unwrap();
    assert_eq!(child.wait().unwrap().outcome, Outcome::Exited(0));
    let mut said = Vec::new();
    output.read_to_end(&mut said).unwrap();
    assert_eq!(said.len(), 100_000);
    std::fs::write(&file, vec![b'x'; 400_000]).unwrap();
    let mut child = limited("output=1M", Stdio::Pipe);
    let mut output = child.stdout.take().unwrap();
    output.read_exact(&mut [0]).unwrap();
    child.kill();
    assert_eq!(child.wait().unwrap().outcome, Outcome::Signaled(9));
    drop(output);
}

#[test]
fn what_no_kernel_executes_is_an_error() {
    let _turn = turn();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("text");
    place(&path, b"no program");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, mode).unwrap();
    match spawn(&mut Command::new(&path)) {
        Err(Error::Child { reason, .. }) => {
            assert_eq!(reason.raw_os_error(), Some(libc::ENOEXEC));
        }
        other => panic!("{other:?}"),
    }
}

/// A group of version 1 whose processes stand still; thawed and removed in the end.
struct Frozen(PathBuf);

impl Frozen {
    fn new(processes: &[i32]) -> Frozen {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let mut trees = mounts.lines().map(|mount| mount.split(' '));
        let tree = trees.find_map(|mut words| {
            let at = words.nth(1)?;
            let is_freezer = words.next() == Some("cgroup")
                && words.next()?.split(',').any(|option| option == "freezer");
            is_freezer.then_some(at)
        });
        let name = format!("portcullis-frozen-{}", std::process::id());
        let group = Frozen(Path::new(tree.expect("a freezer of version 1")).join(name));
        std::fs::create_dir(&group.0).unwrap();
        for pid in processes {
            std::fs::write(group.0.join("cgroup.procs"), pid.to_string()).unwrap();
        }
        let state = group.0.join("freezer.state");
        std::fs::write(&state, "FROZEN").unwrap();
        // Who reads it finds out whether all of them stand by then; nothing else tells.
        while std::fs::read_to_string(&state).unwrap().trim() != "FROZEN" {
            thread::yield_now();
        }
        group
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = std::fs::write(self.0.join("freezer.state"), "THAWED");
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// The process that executes `program`, and its parent.
fn executing(program: &Path) -> [i32; 2] {
    let own = std::fs::metadata(program).unwrap();
    let all = std::fs::read_dir("/proc").unwrap();
    let mut numbers = all.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let pid: i32 = numbers
        .find(|pid: &i32| {
            let file = std::fs::metadata(format!("/proc/{pid}/exe"));
            file.is_ok_and(|file| (file.dev(), file.ino()) == (own.dev(), own.ino()))
        })
        .expect("it runs");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mut lines = status.lines();
    let parent = lines.find_map(|line| line.strip_prefix("PPid:")).unwrap();
    [pid, parent.trim().parse().unwrap()]
}

#[test]
fn what_stands_still_in_version_1_ends_when_it_is_told() {
    let _turn = turn();
    let built = build("job", &[]);
    // The program alone, and with its init.
    for count in [1, 2] {
        let mut child = spawn(command(&built, &["wait"]).stdout(Stdio::Pipe)).unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let frozen = Frozen::new(&executing(&built.path)[..count]);
        child.kill();
        assert_eq!(child.wait().unwrap().outcome, Outcome::Signaled(9));
        assert_eq!(output.read_line(&mut line).unwrap(), 0);
        drop(frozen);
    }
}
