//! A program of workers, audited by its build: the hash that the audit tells is what a host asks for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::place::Place;

/// Both examples of the library, built as a worker is.
fn built() -> [PathBuf; 2] {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    // `<target>/<profile>/deps/<test>`.
    let own = std::env::current_exe().unwrap();
    let directory = own.ancestors().nth(3).unwrap().join("worker");
    let names = ["functions", "functions_worker"];
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--profile", "worker"])
        .args(["--package", "portcullis-host", "--target", &target])
        .args(names.map(|name| format!("--example={name}")))
        .arg("--target-dir")
        .arg(&directory)
        .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .current_dir(root)
        .status()
        .unwrap();
    assert!(status.success());
    names.map(|name| directory.join(&target).join("worker/examples").join(name))
}

/// What an audit says.
fn audited(place: &Place, words: &[&str]) -> Value {
    let worker = ["audit", "--format", "json", "worker"];
    place.portcullis(&[&worker, words].concat()).json()
}

fn run(host: &Path, words: &[&str]) -> Output {
    Command::new(host).args(words).output().unwrap()
}

#[test]
fn a_host_takes_the_worker_that_its_build_audited_and_no_other() {
    let [host, worker] = built();
    let place = Place::new();
    fs::copy(worker, place.at("worker")).unwrap();
    let policy = String::from_utf8(run(&host, &["policy"]).stdout).unwrap();
    fs::write(place.at("worker.toml"), &policy).unwrap();
    let from_start = ["worker.toml", "--after", "start"];
    let document = audited(&place, &from_start);
    assert_eq!(document["summary"]["missing"], 0);
    let hash = document["audited"].as_str().unwrap();

    let path = place.at("worker");
    let path = path.to_str().unwrap();
    let taken = run(&host, &[path, hash]);
    let error = String::from_utf8_lossy(&taken.stderr);
    assert!(taken.status.success(), "{error}");
    let said = String::from_utf8(taken.stdout).unwrap();
    assert!(said.starts_with("sum: ok: 42\n"), "{said}");
    assert!(!said.contains("without"), "{said}");

    let refused = |words: &[&str], why: &str| {
        let output = run(&host, words);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && output.stdout.is_empty());
        assert!(error.contains(why), "{error}");
    };
    refused(&[path], "was not audited");
    refused(&[path, "deadbeef"], "64 hexadecimal digits");
    // One byte more at its end, which nothing reads.
    let mut bytes = fs::read(path).unwrap();
    bytes.push(0);
    fs::write(path, bytes).unwrap();
    refused(&[path, hash], "is not what was audited");
    // With the name of what is missing it is taken, and each result has that.
    let insecure = run(&host, &[path, "--allow-insecure", "worker-audit"]);
    let said = String::from_utf8(insecure.stdout).unwrap();
    assert!(
        said.contains("sum: ok: 42\n  without worker-audit\n"),
        "{said}"
    );

    // It is another program, and has another hash.
    let other = audited(&place, &from_start);
    assert_ne!(other["audited"].as_str().unwrap(), hash);
    // No audit that leaves something out has one.
    assert_eq!(audited(&place, &["worker.toml"])["audited"], Value::Null);
    fs::write(place.at("none.toml"), "").unwrap();
    let accepted = [&from_start[..], &["--accept", "none.toml"]].concat();
    assert_eq!(audited(&place, &accepted)["audited"], Value::Null);
    let less = policy.replace("[[rule]]\ncalls = [\"waitid\"]\n", "");
    assert_ne!(less, policy);
    fs::write(place.at("less.toml"), &less).unwrap();
    let document = audited(&place, &["less.toml", "--after", "start"]);
    assert_eq!(document["findings"][0]["syscall"], "waitid");
    assert_eq!(document["audited"], Value::Null);
}
