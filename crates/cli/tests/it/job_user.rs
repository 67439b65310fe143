//! `job` by an ordinary user, with ids that he was given and without.
//!
//! Root runs these tests, who gives them in a mount namespace of the test alone; newuidmap(1) is needed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::job::{HELLO, document, module};
use crate::place::{Done, Place};

const NOBODY: u32 = 65534;
/// Nobody else's.
const GIVEN: &str = "nobody:1610612736:65536\n";

/// A module as a job of nobody's, where `/etc/subuid` and `/etc/subgid` say `given`. He has no control group.
fn run(given: &str, words: &[&str]) -> Done {
    let place = Place::new();
    let open = |path: &Path| fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    open(&place.at("."));
    // He need not be able to read the build's directory.
    let command = place.at("portcullis");
    fs::copy(env!("CARGO_BIN_EXE_portcullis"), &command).unwrap();
    open(&command);
    fs::write(place.at("list"), given).unwrap();
    let home = place.at("home");
    fs::create_dir(&home).unwrap();
    chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
    fs::write(home.join("m.wasm"), module(HELLO)).unwrap();
    let user = Command::new("unshare")
        .args(["--mount", "--", "sh", "-euc"])
        .arg(
            r#"mount --bind "$1" /etc/subuid; mount --bind "$1" /etc/subgid; shift
            exec setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@""#,
        )
        .arg("sh")
        .args([&place.at("list"), &command])
        .args(["job", "run", "m.wasm"])
        .args(words)
        .current_dir(&home)
        .env("HOME", &home)
        .env_remove("XDG_CACHE_HOME")
        .output()
        .unwrap();
    Done::new(user)
}

/// The layers of the document of a job that ended well: those that it had, and those that it had not.
fn layers(given: &str, allowed: &[&str]) -> [Vec<String>; 2] {
    let mut words = vec!["--format", "json"];
    words.extend(
        allowed
            .iter()
            .flat_map(|layer| ["--allow-insecure", *layer]),
    );
    let document = document(&run(given, &words));
    assert_eq!(document["outcome"], "ok", "{document}");
    ["enforced", "not_enforced"].map(|key| {
        let all = document[key].as_array().unwrap().iter();
        let name = |layer: &Value| layer["layer"].as_str().unwrap().to_owned();
        all.map(name).collect()
    })
}

#[test]
fn a_user_with_ids_runs_modules_as_one_of_them() {
    let [enforced, missing] = layers(GIVEN, &["limits"]);
    for layer in ["ids", "seccomp", "namespaces", "landlock", "worker-proof"] {
        assert!(enforced.contains(&layer.to_owned()), "{enforced:?}");
    }
    assert_eq!(missing, ["limits"]);
}

#[test]
fn a_user_without_ids_is_told_how_to_have_some() {
    let done = run("", &["--allow-insecure", "limits"]).expect(125);
    for named in ["layer ids cannot be had", "--add-subuids", "/etc/subuid"] {
        assert!(done.stderr.contains(named), "{}", done.stderr);
    }
    assert_eq!(layers("", &["limits", "ids"])[1], ["ids", "limits"]);
}

#[test]
fn a_user_without_a_group_is_told_what_he_lacks() {
    let done = run(GIVEN, &[]).expect(125);
    assert!(
        done.stderr.contains("the layer limits cannot be had"),
        "{}",
        done.stderr
    );
}
