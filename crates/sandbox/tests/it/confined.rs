//! What a program must not be able to do, one attempt a line, each with the control that shows that it is the
//! layer which stops it: without the layer the same attempt succeeds.

use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_sandbox::{Confinement, Error, Network, Outcome, Program};

use crate::filter::Denied;
use crate::harness::{self, Case, build};

const PROGRAM: &str = "PORTCULLIS_TEST_ATTEMPT";

/// A directory with a home in it, and what of the machine could be reached from there.
struct Outside {
    directory: tempfile::TempDir,
    /// Of its own, beside it.
    private: tempfile::TempDir,
    _listens: (UnixListener, UnixListener, TcpListener),
    port: String,
    abstract_name: String,
}

impl Outside {
    fn new() -> Outside {
        let directory = tempfile::tempdir_in("/tmp").unwrap();
        let private = tempfile::tempdir_in("/tmp").unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir_all(at("home/.ssh")).unwrap();
        fs::write(at("home/.ssh/key"), "secret").unwrap();
        fs::write(at("home/.netrc"), "secret").unwrap();
        fs::write(at("file"), "data").unwrap();
        fs::create_dir(at("tree")).unwrap();
        fs::write(private.path().join("file"), "data").unwrap();
        let name = directory.path().file_name().unwrap().to_string_lossy();
        let abstract_name = format!("portcullis-{name}");
        let address = SocketAddr::from_abstract_name(&abstract_name).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        Outside {
            port: tcp.local_addr().unwrap().port().to_string(),
            _listens: (
                UnixListener::bind(private.path().join("socket")).unwrap(),
                UnixListener::bind_addr(&address).unwrap(),
                tcp,
            ),
            abstract_name,
            directory,
            private,
        }
    }

    fn at(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn private(&self, name: &str) -> String {
        self.private.path().join(name).display().to_string()
    }

    fn confinement(&self) -> Confinement {
        let mut confinement = Confinement::new(self.directory.path().to_owned());
        confinement.homes = vec![self.directory.path().join("home")];
        confinement
    }
}

/// A file of the private directory for temporary files.
fn temporary(name: &str) -> String {
    Path::new("/tmp").join(name).display().to_string()
}

/// How the program ends that tries `words` under `confinement`.
fn attempt(program: &Path, words: &[&str], confinement: &Confinement) -> Outcome {
    let mut case = Case::new(program, Denied::kill(&[])).arguments(words);
    case.confinement = confinement.clone();
    match case.run() {
        Ok(verdict) => verdict.outcome,
        Err(error) => panic!("{words:?}: {error}"),
    }
}

/// Every attempt: what it is told, and the error number with which it fails.
fn attempts(outside: &Outside) -> Vec<(Vec<String>, i32)> {
    let own = std::process::id().to_string();
    let attempt = |words: &[&str], errno| {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        (words, errno)
    };
    vec![
        attempt(&["write", &outside.at("file")], libc::EROFS),
        attempt(&["create", &outside.at("new")], libc::EROFS),
        attempt(&["read", &outside.at("home/.ssh/key")], libc::ENOENT),
        attempt(&["read", &outside.private("file")], libc::ENOENT),
        attempt(&["unix", &outside.private("socket")], libc::ENOENT),
        attempt(&["abstract", &outside.abstract_name], libc::ECONNREFUSED),
        attempt(&["tcp", &outside.port], libc::ENETUNREACH),
        attempt(&["signal", &own], libc::ESRCH),
    ]
}

/// Attempts that no ordinary process succeeds with, or that need a privilege: they have no control.
fn without_control() -> Vec<(Vec<String>, i32)> {
    let attempt = |words: &[&str], errno| {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        (words, errno)
    };
    vec![
        // Its owner is root, by whose id the program of an ordinary user is stopped before.
        attempt(
            &["write", "/proc/sys/kernel/hostname"],
            match rustix::process::geteuid().is_root() {
                true => libc::EROFS,
                false => libc::EACCES,
            },
        ),
        attempt(&["trace", "1"], libc::EPERM),
        attempt(&["write", "/proc/1/mem"], libc::EACCES),
        attempt(&["read", "/proc/1/environ"], libc::EACCES),
        attempt(&["read", "/proc/1/ns/mnt"], libc::EACCES),
        attempt(&["mount", "/tmp"], libc::EPERM),
        attempt(&["remount", "/"], libc::EPERM),
        attempt(&["nested-remount", "/"], libc::EPERM),
        attempt(&["device", &temporary("device")], libc::EPERM),
        attempt(&["host-name"], libc::EPERM),
        attempt(&["read", "/dev/kmsg"], libc::ENOENT),
    ]
}

/// Every attempt as the user of this process.
fn try_all(program: &Path) {
    let outside = Outside::new();
    let confined = outside.confinement();
    let none = Confinement::none();
    let words = |words: &[String]| {
        words
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mut wrong = Vec::new();
    for (attempt, errno) in attempts(&outside) {
        let given: Vec<&str> = attempt.iter().map(String::as_str).collect();
        let control = self::attempt(program, &given, &none);
        if control != Outcome::Exited(0) {
            wrong.push(format!("control of {}: {control:?}", words(&attempt)));
        }
        // What the control made is gone before the attempt.
        let _ = fs::remove_file(outside.at("new"));
        let outcome = self::attempt(program, &given, &confined);
        if outcome != Outcome::Exited(errno) {
            wrong.push(format!("{}: {outcome:?}", words(&attempt)));
        }
    }
    for (attempt, errno) in without_control() {
        let given: Vec<&str> = attempt.iter().map(String::as_str).collect();
        let outcome = self::attempt(program, &given, &confined);
        if outcome != Outcome::Exited(errno) {
            wrong.push(format!("{}: {outcome:?}, not {errno}", words(&attempt)));
        }
    }
    // With scopes of Landlock the signal is refused, else it has no effect: everything would end with the init.
    let outcome = self::attempt(program, &["first"], &confined);
    if ![0, libc::EPERM].map(Outcome::Exited).contains(&outcome) {
        wrong.push(format!("first: {outcome:?}"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Its own file, by the descriptor that the kernel has of it, once another program runs instead.
fn own_file(program: &Path) {
    let outside = Outside::new();
    let own = outside.directory.path().join("attempt");
    harness::copy(program, &own);
    let words = ["own", program.to_str().unwrap()];
    let outcome = |confinement: Confinement| attempt(&own, &words, &confinement);
    assert_eq!(outcome(Confinement::none()), Outcome::Exited(0));
    let mut confined = outside.confinement();
    confined.read = vec![program.to_owned()];
    assert_eq!(outcome(confined), Outcome::Exited(libc::EROFS));
}

/// What is given is there.
fn give_all(program: &Path) {
    let outside = Outside::new();
    let works = |words: &[&str], confinement: &Confinement| {
        assert_eq!(
            attempt(program, words, confinement),
            Outcome::Exited(0),
            "{words:?}"
        );
    };
    let default = outside.confinement();
    works(&["read", &outside.at("file")], &default);
    works(&["create", &temporary("new")], &default);
    works(&["create", "/dev/shm/new"], &default);
    works(&["write", "/dev/null"], &default);
    works(&["write", "/proc/self/comm"], &default);
    works(
        &["user", &rustix::process::getuid().as_raw().to_string()],
        &default,
    );
    assert_eq!(attempt(program, &["number"], &default), Outcome::Exited(2));
    assert!(!Path::new(&temporary("new")).exists());

    let mut writable = outside.confinement();
    writable.write = vec![outside.directory.path().join("tree")];
    works(&["create", &outside.at("tree/new")], &writable);
    let made = fs::metadata(outside.at("tree/new")).unwrap();
    let owner = std::os::unix::fs::MetadataExt::uid(&made);
    assert_eq!(owner, rustix::process::getuid().as_raw());
    assert_eq!(
        attempt(program, &["create", &outside.at("new")], &writable),
        Outcome::Exited(libc::EROFS)
    );

    let mut readable = outside.confinement();
    readable.read = vec![
        outside.private.path().to_owned(),
        outside.directory.path().join("home/.ssh/key"),
    ];
    works(&["read", &outside.private("file")], &readable);
    works(&["read", &outside.at("home/.ssh/key")], &readable);
    assert_eq!(
        attempt(program, &["write", &outside.private("file")], &readable),
        Outcome::Exited(libc::EROFS)
    );

    let mut hidden = outside.confinement();
    hidden.hide = vec![outside.directory.path().join("tree")];
    fs::write(outside.at("tree/seen"), "").unwrap();
    assert_eq!(
        attempt(program, &["read", &outside.at("tree/seen")], &hidden),
        Outcome::Exited(libc::ENOENT)
    );

    let mut loopback = outside.confinement();
    loopback.network = Network::Loopback;
    works(&["bind"], &loopback);
    assert_eq!(
        attempt(program, &["tcp", &outside.port], &loopback),
        Outcome::Exited(libc::ECONNREFUSED)
    );
    let mut host = outside.confinement();
    host.network = Network::Host;
    works(&["tcp", &outside.port], &host);
}

/// Not a test: what [`nobody_is_confined_as_well`] starts as another user.
#[test]
#[ignore = "started by another test"]
fn as_nobody() {
    if let Some(program) = std::env::var_os(PROGRAM) {
        let program = PathBuf::from(program);
        try_all(&program);
        own_file(&program);
        give_all(&program);
        leave_nothing(&program);
        limit_all(&program);
    }
}

#[test]
fn attempts_fail_that_succeed_without_the_layer() {
    try_all(&build("attempt", &[]).path);
}

#[test]
fn a_program_cannot_write_its_own_file() {
    own_file(&build("attempt", &[]).path);
}

#[test]
fn what_is_given_is_there() {
    give_all(&build("attempt", &[]).path);
}

/// Without any privilege, started by root or by an ordinary user.
#[test]
fn nobody_is_confined_as_well() {
    let built = build("attempt", &[]);
    let directory = built.directory.path();
    fs::set_permissions(directory, PermissionsExt::from_mode(0o755)).unwrap();
    let copy = directory.join("confined-copy");
    harness::copy(&std::env::current_exe().unwrap(), &copy);
    let mut command = Command::new(&copy);
    command
        .args(["--exact", "confined::as_nobody", "--ignored", "--nocapture"])
        .current_dir("/")
        .env(PROGRAM, &built.path);
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A daemon of another session dies with the program.
fn leave_nothing(program: &Path) {
    let outside = Outside::new();
    let file = fs::File::open(outside.at("file")).unwrap();
    let words = ["leave", &outside.at("file")];
    assert_eq!(
        attempt(program, &words, &outside.confinement()),
        Outcome::Exited(0)
    );
    // It locked the file before the program ended; whose lock it was is gone.
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
}

#[test]
fn nothing_outlives_the_program() {
    leave_nothing(&build("attempt", &[]).path);
}

#[test]
fn a_layer_that_needs_another_is_refused_without_it() {
    let built = build("attempt", &[]);
    let mut case = Case::new(&built.path, Denied::kill(&[]));
    case.confinement = Confinement::new(PathBuf::from("/"));
    case.confinement
        .without
        .insert(portcullis_sandbox::LayerName::Namespaces);
    let error = case.plan(Program::open(&built.path).unwrap()).unwrap_err();
    assert!(matches!(error, Error::Layer { .. }), "{error}");
}

#[test]
fn the_verdict_names_each_layer() {
    let built = build("attempt", &[]);
    let mut case = Case::new(&built.path, Denied::kill(&[])).arguments(&["number"]);
    case.confinement = Confinement::new(PathBuf::from("/"));
    let verdict = case.run().unwrap();
    let layers: Vec<&str> = verdict.enforced.iter().map(|layer| layer.layer).collect();
    let expected = [
        "no_new_privs",
        "seccomp",
        "namespaces",
        "filesystem",
        "network",
        "landlock",
    ];
    assert_eq!(layers, expected);
    let missing: Vec<&str> = verdict.not_enforced.iter().map(|m| m.layer).collect();
    assert_eq!(missing, ["limits"]);
}

/// How the program ends that tries `words` under `limits`.
fn limited(program: &Path, words: &[&str], limits: &str) -> Result<Outcome, Error> {
    let mut case = Case::new(program, Denied::kill(&[])).arguments(words);
    case.confinement = Confinement::new(PathBuf::from("/"));
    case.confinement.limits = limits.parse().unwrap();
    case.run().map(|verdict| verdict.outcome)
}

/// A limit of all processes together: kept, or refused where no cgroup can be made.
fn total(program: &Path, words: &[&str], limits: &str, expected: &Outcome) {
    match limited(program, words, limits) {
        Ok(outcome) => assert_eq!(outcome, *expected, "{words:?} {limits}"),
        // A limit of each process does not stand for one of all: an ordinary user may have to be refused.
        Err(Error::Layer { layer, .. }) => {
            assert_eq!(layer, portcullis_sandbox::LayerName::Limits);
            let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
            let can = rustix::process::geteuid().is_root() && mounts.contains(" - cgroup");
            assert!(!can, "{limits}");
        }
        Err(error) => panic!("{words:?} {limits}: {error}"),
    }
}

fn limit_all(program: &Path) {
    let over = |name| Outcome::Limit(name);
    assert_eq!(
        limited(program, &["wait"], "wall=300ms").unwrap(),
        over("wall")
    );
    assert_eq!(
        limited(program, &["number"], "wall=60s").unwrap(),
        Outcome::Exited(2)
    );
    total(program, &["spin"], "cpu=200ms", &over("cpu"));
    total(program, &["spin-elsewhere"], "cpu=200ms", &over("cpu"));
    total(program, &["memory", "256"], "memory=64M", &over("memory"));
    total(program, &["memory", "8"], "memory=64M", &Outcome::Exited(0));
    total(
        program,
        &["fork", "40"],
        "processes=20",
        &Outcome::Exited(libc::EAGAIN),
    );
    total(
        program,
        &["fork", "10"],
        "processes=20",
        &Outcome::Exited(0),
    );
    assert_eq!(
        limited(program, &["files", "40"], "files=20").unwrap(),
        Outcome::Exited(libc::EMFILE)
    );
    assert_eq!(
        limited(program, &["file-size", "65536"], "file-size=4K").unwrap(),
        Outcome::Signaled(libc::SIGXFSZ)
    );
}

#[test]
fn limits_end_a_program() {
    limit_all(&build("attempt", &[]).path);
}

/// What cannot be made is told by its layer, before anything of the program has run.
#[test]
fn a_step_that_fails_is_its_layers() {
    let built = build("attempt", &[]);
    let outside = Outside::new();
    let mut case = Case::new(&built.path, Denied::kill(&[])).arguments(&["number"]);
    case.confinement = outside.confinement();
    case.confinement.write = vec![outside.directory.path().join("tree")];
    let plan = case.plan(Program::open(&built.path).unwrap()).unwrap();
    // Gone after it was planned.
    fs::remove_dir(outside.at("tree")).unwrap();
    let _turn = harness::turn();
    let error = portcullis_sandbox::rehearse(&plan).unwrap_err();
    let layer = portcullis_sandbox::LayerName::Filesystem;
    assert!(
        matches!(&error, Error::Layer { layer: l, .. } if *l == layer),
        "{error}"
    );
}
