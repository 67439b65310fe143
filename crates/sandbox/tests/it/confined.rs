//! What a confined program is given, what bounds it, and what is left of it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_sandbox::{Confinement, Error, LayerName, Network, Outcome, Program, Verdict};
use portcullis_watch::Record;

use crate::breakout;
use crate::filter::Denied;
use crate::harness::{self, Case, build};

const PROGRAM: &str = "PORTCULLIS_TEST_ATTEMPT";
/// There is nobody else whose programs have other ids outside.
pub(crate) const NEEDS_ROOT: &str = "this test is about what root starts: run it as root";

/// A directory with a home in it, and what of the machine could be reached from there.
struct Outside {
    directory: tempfile::TempDir,
    /// Of its own, beside it.
    private: tempfile::TempDir,
    _listens: TcpListener,
    port: String,
}

impl Outside {
    fn new() -> Outside {
        let directory = tempfile::tempdir_in("/tmp").unwrap();
        let private = tempfile::tempdir_in("/tmp").unwrap();
        let at = |name: &str| directory.path().join(name);
        // Closed to nobody: what stops a program here is no permission of the file.
        open_to_all(directory.path());
        open_to_all(private.path());
        fs::create_dir_all(at("home/.ssh")).unwrap();
        fs::write(at("home/.ssh/key"), "secret").unwrap();
        fs::write(at("file"), "data").unwrap();
        open_to_all(&at("file"));
        fs::create_dir(at("tree")).unwrap();
        fs::write(private.path().join("file"), "data").unwrap();
        open_to_all(&private.path().join("file"));
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        Outside {
            port: tcp.local_addr().unwrap().port().to_string(),
            _listens: tcp,
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

fn open_to_all(path: &Path) {
    fs::set_permissions(path, PermissionsExt::from_mode(0o777)).unwrap();
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

/// Its own file, by the descriptor that the kernel has of it, once another program runs instead.
fn own_file(program: &Path) {
    let outside = Outside::new();
    let own = outside.directory.path().join("attempt");
    harness::copy(program, &own);
    open_to_all(&own);
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

/// How long the machine has been up is not told: every program's clocks begin with a day.
#[test]
fn clocks_are_its_own() {
    let built = build("attempt", &[]);
    let outcome = attempt(&built.path, &["uptime"], &Confinement::new("/".into()));
    assert_eq!(outcome, Outcome::Exited(24));
}

/// What is written is the caller's outside; a program of root has other ids meanwhile.
fn give_a_tree_to_write(program: &Path) {
    let outside = Outside::new();
    let tree = outside.directory.path().join("tree");
    let mut writable = outside.confinement();
    writable.write = vec![tree.clone()];
    let new = outside.at("tree/new");
    let words = ["create", &new];
    let mut case = Case::new(program, Denied::kill(&[])).arguments(&words);
    case.confinement = writable.clone();
    let ended = case.run().map(|verdict| verdict.outcome);
    if rustix::process::geteuid().is_root() && !maps_owners(&tree) {
        assert!(
            matches!(&ended, Err(Error::Layer { layer, .. }) if *layer == LayerName::Ids),
            "{ended:?}"
        );
        return;
    }
    assert_eq!(ended.unwrap(), Outcome::Exited(0));
    let made = fs::metadata(&new).unwrap();
    assert_eq!(made.uid(), rustix::process::getuid().as_raw());
    assert_eq!(made.gid(), rustix::process::getgid().as_raw());
    assert_eq!(
        attempt(program, &["create", &outside.at("new")], &writable),
        Outcome::Exited(libc::EROFS)
    );
}

/// Whether owners of files there can be seen as others (mount_setattr(2)).
fn maps_owners(path: &Path) -> bool {
    let device = fs::metadata(path).unwrap().dev();
    let device = format!(
        "{}:{}",
        rustix::fs::major(device),
        rustix::fs::minor(device)
    );
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mut lines = mounts.lines();
    let line = lines.find(|line| line.split(' ').nth(2) == Some(device.as_str()));
    let (_, after) = line.unwrap().split_once(" - ").unwrap();
    match after.split(' ').next().unwrap() {
        "tmpfs" => harness::release() >= (6, 3),
        kind => !["rootfs", "ramfs", "overlay"].contains(&kind),
    }
}

#[test]
fn what_is_written_is_the_callers() {
    give_a_tree_to_write(&build("attempt", &[]).path);
}

/// What only the machine's root may read, a program of root may not; what is its own tree it may.
#[test]
fn a_program_of_root_owns_nothing_of_the_machine() {
    assert!(rustix::process::geteuid().is_root(), "{NEEDS_ROOT}");
    let built = build("attempt", &[]);
    // Not below /tmp, which the program has anew.
    let closed = tempfile::tempdir_in("/").unwrap();
    let secret = closed.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    fs::set_permissions(closed.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let secret = secret.display().to_string();
    let mut confined = Confinement::new(PathBuf::from("/"));
    let read = |confined: &Confinement| attempt(&built.path, &["read", &secret], confined);
    assert_eq!(read(&confined), Outcome::Exited(libc::EACCES));
    // To every user it is closed by its own mode as well.
    open_to_all(closed.path());
    fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(read(&confined), Outcome::Exited(libc::EACCES));
    let mut control = confined.clone();
    control.without.insert(LayerName::Ids);
    assert_eq!(read(&control), Outcome::Exited(0));
    assert_eq!(
        attempt(&built.path, &["user", "0"], &confined),
        Outcome::Exited(0)
    );
    // The directory in which it works is its own, where owners can be mapped.
    confined.directory = closed.path().to_owned();
    let own = match maps_owners(closed.path()) {
        true => 0,
        false => libc::EACCES,
    };
    assert_eq!(read(&confined), Outcome::Exited(own));
}

/// Servers of root become their own user: who he is inside, he is in their tree.
#[test]
fn a_program_of_root_becomes_another_user() {
    assert!(rustix::process::geteuid().is_root(), "{NEEDS_ROOT}");
    let built = build("attempt", &[]);
    let outside = Outside::new();
    let tree = outside.directory.path().join("tree");
    rustix::fs::chown(
        &tree,
        Some(rustix::fs::Uid::from_raw(33)),
        Some(rustix::fs::Gid::from_raw(34)),
    )
    .unwrap();
    let mut writable = outside.confinement();
    writable.write = vec![tree];
    let new = outside.at("tree/new");
    let outcome = attempt(&built.path, &["become", &new], &writable);
    assert_eq!(outcome, Outcome::Exited(0));
    let made = fs::metadata(&new).unwrap();
    assert_eq!((made.uid(), made.gid()), (33, 34));
}

/// Not a test: what [`nobody_is_confined_as_well`] starts as another user.
#[test]
#[ignore = "started by another test"]
fn as_nobody() {
    if let Some(program) = std::env::var_os(PROGRAM) {
        let program = PathBuf::from(program);
        breakout::try_all(&program);
        signal_the_init(&program);
        own_file(&program);
        give_all(&program);
        give_a_tree_to_write(&program);
        leave_nothing(&program);
        limit_all(&program);
    }
}

#[test]
fn a_program_cannot_write_its_own_file() {
    own_file(&build("attempt", &[]).path);
}

/// Its loader needs none either.
#[test]
fn no_memory_becomes_executable_where_none_has_to() {
    let built = build("attempt", &[]);
    let mut fixed = Confinement::new(PathBuf::from("/"));
    let execute = |confined: &Confinement| attempt(&built.path, &["execute"], confined);
    assert_eq!(execute(&fixed), Outcome::Exited(0));
    fixed.fixed_code = true;
    assert_eq!(execute(&fixed), Outcome::Exited(libc::EACCES));
    // What it starts has it as well.
    let path = built.path.display().to_string();
    let started = attempt(&built.path, &["again", &path, "execute"], &fixed);
    assert_eq!(started, Outcome::Exited(libc::EACCES));
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

/// With scopes of Landlock the signal is refused, else it has no effect: everything would end with the init.
fn signal_the_init(program: &Path) {
    let outcome = attempt(program, &["first"], &Confinement::new(PathBuf::from("/")));
    assert!(
        [0, libc::EPERM].map(Outcome::Exited).contains(&outcome),
        "{outcome:?}"
    );
}

#[test]
fn the_init_is_not_ended_from_below() {
    signal_the_init(&build("attempt", &[]).path);
}

/// A daemon of another session dies with the program.
fn leave_nothing(program: &Path) {
    let outside = Outside::new();
    let file = fs::File::open(outside.at("file")).unwrap();
    for way in ["leave", "leave-stopped"] {
        let words = [way, &outside.at("file")];
        assert_eq!(
            attempt(program, &words, &outside.confinement()),
            Outcome::Exited(0)
        );
        // It locked the file before the program ended; whose lock it was is gone.
        rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
        rustix::fs::flock(&file, rustix::fs::FlockOperation::Unlock).unwrap();
    }
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
    case.confinement.without.insert(LayerName::Namespaces);
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
    let mut expected = vec![
        "no_new_privs",
        "seccomp",
        "namespaces",
        "ids",
        "filesystem",
        "network",
        "landlock",
    ];
    if !rustix::process::geteuid().is_root() {
        expected.retain(|layer| *layer != "ids");
    }
    assert_eq!(layers, expected);
    let missing: Vec<&str> = verdict.not_enforced.iter().map(|m| m.layer).collect();
    assert_eq!(missing, ["limits"]);
}

/// How the program ends that tries `words` under `limits`.
fn limited(program: &Path, words: &[&str], limits: &str) -> Result<Outcome, Error> {
    under(program, words, limits).map(|verdict| verdict.outcome)
}

fn under(program: &Path, words: &[&str], limits: &str) -> Result<Verdict<Record>, Error> {
    let mut case = Case::new(program, Denied::kill(&[])).arguments(words);
    case.confinement = Confinement::new(PathBuf::from("/"));
    case.confinement.limits = limits.parse().unwrap();
    case.run()
}

/// A limit of all processes together: kept, or refused where no cgroup can be made.
fn total(program: &Path, words: &[&str], limits: &str, expected: &Outcome) {
    match limited(program, words, limits) {
        Ok(outcome) => assert_eq!(outcome, *expected, "{words:?} {limits}"),
        // A limit of each process does not stand for one of all: an ordinary user may have to be refused.
        Err(Error::Layer { layer, .. }) => {
            assert_eq!(layer, LayerName::Limits);
            assert!(!can_group(limits), "{limits}");
        }
        Err(error) => panic!("{words:?} {limits}: {error}"),
    }
}

/// Whether a group can be made that counts for one of these limits: kernels since Linux 6.11 may lack version 1 of
/// some (`CONFIG_MEMCG_V1`).
pub(crate) fn can_group(limits: &str) -> bool {
    if !rustix::process::geteuid().is_root() {
        return false;
    }
    let name = match limits.split('=').next() {
        Some("cpu") => "cpuacct",
        Some("memory") => "memory",
        _ => "pids",
    };
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mut mounts = mounts.lines().filter_map(|mount| mount.split_once(" - "));
    mounts.any(|(_, mount)| {
        let mut words = mount.split(' ');
        let kind = words.next();
        let options = words.nth(1).unwrap_or_default();
        kind == Some("cgroup2") || (kind == Some("cgroup") && options.split(',').any(|o| o == name))
    })
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
    // Its files in memory count.
    total(
        program,
        &["fill", &temporary("all")],
        "memory=64M",
        &over("memory"),
    );
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
    // The group counts what was refused, and nothing is told of what was not.
    for (many, refused) in [("40", true), ("10", false)] {
        let Ok(verdict) = under(program, &["fork", many], "processes=20") else {
            continue;
        };
        let layer = verdict.enforced.iter().find(|l| l.layer == "limits");
        let counts = layer.is_some_and(|l| l.mechanism.starts_with("cgroup"));
        let told = verdict.reached.iter().map(|r| (r.limit, r.count));
        let expected = (counts && refused).then_some(("processes", 1));
        assert_eq!(told.collect::<Vec<_>>(), Vec::from_iter(expected), "{many}");
    }
    // What is written beside the program's end is cut all the same.
    for words in [&["output", "5000", "waits"][..], &["output", "200000"]] {
        assert_eq!(
            limited(program, words, "output=4K").unwrap(),
            over("output")
        );
    }
    assert_eq!(
        limited(program, &["output", "4096"], "output=4K").unwrap(),
        Outcome::Exited(0)
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
    let layer = LayerName::Filesystem;
    assert!(
        matches!(&error, Error::Layer { layer: l, .. } if *l == layer),
        "{error}"
    );
}
