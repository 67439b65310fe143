//! Whose workers are, outside: ids of their own, of root's or of those that an ordinary user was given.
//!
//! The tests of an ordinary user need root, who gives him ids in a mount namespace of the test alone, and newuidmap(1).

use std::fs;
use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use portcullis_host::{Outcome, Pool};
use portcullis_sandbox::LayerName;

use crate::faults::worker;
use crate::puppet::{Puppets, built, lacking, others, settings};
use crate::recorded::each_with;

/// Tells the host below what it was given.
const GIVEN: &str = "PORTCULLIS_TEST_IDS";
/// Users outside: the upper half of what is given.
const UPPER: std::ops::Range<u32> = 0x6000_0000 + 0x8000..0x6001_0000;
const NOBODY: u32 = 65534;

/// User and group of the worker of this process, and the groups that it is in beside.
fn owner() -> (u32, u32, String) {
    let (_, program) = worker();
    let status = fs::read_to_string(format!("/proc/{program}/status")).unwrap();
    let line = |name| status.lines().find_map(|line| line.strip_prefix(name));
    let id = |name| {
        let ids: Vec<u32> = line(name)
            .unwrap()
            .split_whitespace()
            .map(|id| id.parse().unwrap())
            .collect();
        // Real, effective, saved, and of its files.
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        ids[0]
    };
    let others = line("Groups:").unwrap().trim().to_owned();
    (id("Uid:"), id("Gid:"), others)
}

/// The owners of two workers, one after the other.
fn owners(puppets: &Puppets) -> [(u32, u32, String); 2] {
    let first = owner();
    assert_eq!(puppets.run("echo").outcome, Outcome::Ok);
    // The answer to this one comes from the worker after it.
    let mut pending = puppets.endless("speak-and-spin");
    pending.streams = true;
    let mut pending = puppets.pool.submit(pending).unwrap();
    let pieces = pending.output().unwrap();
    pieces.recv().unwrap();
    let second = owner();
    pending.cancel();
    [first, second]
}

#[test]
fn each_worker_of_root_has_ids_of_its_own() {
    let mut settings = settings(1);
    settings.lifetime = NonZeroU32::MIN;
    let [first, second] = owners(&Puppets::alone(settings));
    let own = rustix::process::getuid().as_raw();
    assert!(first.0 != second.0 && first.0 != own && second.0 != own);
}

/// Not a test: the host of an ordinary user.
#[test]
#[ignore = "started by another test"]
fn as_user() {
    let Ok(given) = std::env::var(GIVEN) else {
        return;
    };
    let mut secure = settings(1);
    // He has no control group.
    secure.memory = None;
    secure.lifetime = NonZeroU32::MIN;
    secure.without.clear();
    if given.is_empty() {
        let error = Pool::new(secure).map(drop).unwrap_err().to_string();
        for named in ["layer ids cannot be had", "/etc/subuid", "--add-subuids"] {
            assert!(error.contains(named), "{error}");
        }
        let mut allowed = settings(1);
        allowed.memory = None;
        allowed.without = vec![LayerName::Ids];
        let puppets = Puppets::alone(allowed);
        assert_eq!(owner().0, NOBODY);
        let finished = puppets.pool.run(puppets.request("echo")).unwrap();
        assert_eq!(
            lacking(&finished.enforced.unwrap()),
            ["ids", "limits", "worker-audit"]
        );
        return;
    }
    let puppets = Puppets::alone(secure);
    let enforced = puppets.pool.enforced().unwrap();
    assert_eq!(lacking(&enforced), ["limits", "worker-audit"]);
    let layer = |wanted| enforced.layers.iter().find(|layer| layer.layer == wanted);
    assert!(layer("ids").unwrap().mechanism.contains("newuidmap"));
    // It was proved as it is.
    assert!(layer("worker-proof").is_some());
    let owners = owners(&puppets);
    assert_ne!(owners[0].0, owners[1].0);
    for (uid, gid, others) in owners {
        assert!(UPPER.contains(&uid) && UPPER.contains(&gid), "{uid} {gid}");
        assert_eq!(others, "");
    }
    drop(puppets);
    // Their tracer is another user as well.
    each_with(|settings| {
        settings.memory = None;
        settings.without.clear();
    });
}

/// Has a host of nobody's run where `/etc/subuid` and `/etc/subgid` say `given`.
fn host(given: &str) {
    // It is a child of this process, as the one worker of another test is.
    let _company = others();
    let scratch = tempfile::tempdir().unwrap();
    let open = |path: &Path| fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    open(scratch.path());
    // Neither the build's directory nor its programs need be open to nobody.
    for (name, from) in [
        ("puppet", built("puppet")),
        ("host", std::env::current_exe().unwrap()),
    ] {
        let copy = scratch.path().join(name);
        fs::copy(from, &copy).unwrap();
        open(&copy);
    }
    let list = scratch.path().join("list");
    fs::write(&list, given).unwrap();
    let host = Command::new("unshare")
        .args(["--mount", "--", "sh", "-euc"])
        .arg(
            r#"mount --bind "$1" /etc/subuid; mount --bind "$1" /etc/subgid
            exec setpriv --reuid "$2" --regid "$2" --clear-groups -- "$3" \
                --exact ids::as_user --ignored --nocapture --test-threads=1"#,
        )
        .arg("sh")
        .args([
            &list,
            Path::new(&NOBODY.to_string()),
            &scratch.path().join("host"),
        ])
        .current_dir("/")
        .env("PORTCULLIS_PREBUILT", scratch.path())
        .env(GIVEN, given)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (told, complained) = (text(&host.stdout), text(&host.stderr));
    assert!(host.status.success(), "{told}{complained}");
    assert!(told.contains("1 passed"), "{told}");
}

#[test]
fn a_user_has_workers_of_ids_that_he_was_given() {
    host(&format!("root:1:1\n{NOBODY}:{}:65536\n", 0x6000_0000));
    host(&format!("nobody:{}:65536\n", 0x6000_0000));
}

#[test]
fn a_user_without_ids_is_refused_unless_he_says_so() {
    host("");
}
