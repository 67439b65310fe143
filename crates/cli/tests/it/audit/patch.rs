//! Suggestions as patches that git takes, and what they leave.

use std::process::Command;

use super::{audit, edit, place};
use crate::place::{Done, Place};

/// Makes a fault of each kind in the policy: a rule goes, one is added, one is widened.
fn spoil(place: &Place) {
    edit(place, "\"mmap\"", None);
    edit(place, "\"getpid\"", Some("    {\"syscall\": \"execve\"},"));
    let narrow = "\"val\": 1}]},\n    {\"syscall\": \"fsync\"}";
    let wide = "    {\"syscall\": \"fcntl\"},";
    let file = place.at("policy.json");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(narrow), "the rule of fcntl is before fsync's");
    edit(place, "\"fcntl\"", Some(wide));
    edit_away(place, "\"fcntl\", \"args\"");
}

/// Removes the first line that has a text.
fn edit_away(place: &Place, line: &str) {
    edit(place, line, None);
}

/// What `git apply` says of a patch, checked before it is made.
fn apply(place: &Place, patch: &str) {
    std::fs::write(place.at("change.patch"), patch).unwrap();
    for args in [&["apply", "--check"][..], &["apply"]] {
        let done = Command::new("git")
            .args(args)
            .arg("change.patch")
            .current_dir(place.at("."))
            .output()
            .expect("this test needs git (Debian: git)");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{said}\n{patch}");
    }
}

/// An audit of the other form of the policy.
fn audit_of(place: &Place, policy: &str, more: &[&str]) -> Done {
    let all = [
        &["audit", "./program", policy, "--thread", "vmm=main"],
        more,
    ]
    .concat();
    place.portcullis(&all)
}

#[test]
fn the_patch_repairs_what_was_spoilt() {
    let place = place();
    spoil(&place);
    let patch = audit(&place, &["--format", "patch"]).expect(1).stdout;
    assert!(patch.starts_with("--- a/policy.json\n+++ b/policy.json\n@@ "));
    assert!(
        patch.contains("\n-    {\"syscall\": \"execve\"},\n"),
        "{patch}"
    );
    assert!(
        patch.contains(
            "\n-    {\"syscall\": \"fcntl\"},\n+    {\"syscall\": \"fcntl\", \"args\": [{"
        )
    );
    apply(&place, &patch);
    audit(&place, &["--strict"]).expect(0);
    assert_eq!(audit(&place, &["--format", "patch"]).expect(0).stdout, "");
}

#[test]
fn each_finding_has_a_patch_of_its_own() {
    let place = place();
    spoil(&place);
    let spoilt = std::fs::read(place.at("policy.json")).unwrap();
    let findings = audit(&place, &["--format", "json"]).expect(1).json();
    let findings = findings["findings"].as_array().unwrap().clone();
    assert_eq!(findings.len(), 3);
    for finding in &findings {
        std::fs::write(place.at("policy.json"), &spoilt).unwrap();
        apply(&place, finding["patch"].as_str().unwrap());
        let left = audit(&place, &["--format", "json"]).expect(1).json();
        let left = left["findings"].as_array().unwrap();
        assert_eq!(left.len(), 2, "{finding}");
        let same = |f: &serde_json::Value| {
            (&f["code"], &f["syscall"]) == (&finding["code"], &finding["syscall"])
        };
        assert!(!left.iter().any(same), "{finding}");
    }
}

#[test]
fn native_policies_are_patched_where_calls_share_a_rule() {
    let place = place();
    spoil(&place);
    place
        .portcullis(&[
            "policy",
            "convert",
            "policy.json",
            "--to",
            "native",
            "-o",
            "own.toml",
        ])
        .expect(0);
    let text = std::fs::read_to_string(place.at("own.toml")).unwrap();
    assert!(
        text.contains("\"set_tid_address\", \"execve\", \"getpid\""),
        "{text}"
    );
    std::fs::write(
        place.at("own.toml"),
        format!("# Why it is.\n{text}\n# The end.\n"),
    )
    .unwrap();
    let patch = audit_of(&place, "own.toml", &["--format", "patch"])
        .expect(1)
        .stdout;
    apply(&place, &patch);
    audit_of(&place, "own.toml", &["--strict"]).expect(0);
    let text = std::fs::read_to_string(place.at("own.toml")).unwrap();
    assert!(text.starts_with("# Why it is.\n") && text.ends_with("\n# The end.\n"));
    assert!(!text.contains("execve"));
}

#[test]
fn an_entry_of_several_names_loses_one_of_them() {
    let place = place();
    let source = "#include <fcntl.h>\n#include <sys/syscall.h>\n#include <unistd.h>\n\
        int main(void) { syscall(SYS_fcntl, 1, F_GETFD); for (;;) syscall(SYS_exit_group, 0); }\n";
    place.compile_static("small", source);
    let done = place
        .portcullis(&["scan", "small", "--format", "json"])
        .expect(0)
        .json();
    let calls = done["syscalls"].as_array().unwrap().iter();
    let mut names: Vec<&str> = calls.map(|c| c["name"].as_str().unwrap()).collect();
    names.retain(|n| *n != "exit_group");
    names.insert(1, "sethostname");
    let names: Vec<String> = names.iter().map(|n| format!("\"{n}\"")).collect();
    let text = format!(
        "{{\n  \"defaultAction\": \"SCMP_ACT_KILL_PROCESS\",\n  \"syscalls\": [\n    {{\n      \
         \"names\": [{}],\n      \"action\": \"SCMP_ACT_ALLOW\"\n    }}\n  ]}}",
        names.join(", ")
    );
    std::fs::write(place.at("oci.json"), text).unwrap();
    let all = ["audit", "./small", "oci.json", "--after", "start"];
    let patch = place
        .portcullis(&[&all[..], &["--format", "patch"]].concat())
        .expect(1)
        .stdout;
    assert!(patch.contains("\\ No newline at end of file"), "{patch}");
    apply(&place, &patch);
    let text = std::fs::read_to_string(place.at("oci.json")).unwrap();
    assert!(!text.contains("sethostname"), "{text}");
    assert!(
        text.contains("\n    },\n    {\n      \"names\": [\"exit_group\"],\n      \"action\""),
        "{text}"
    );
    let fcntl = "\"args\": [{\"index\": 1, \"value\": ";
    assert!(text.contains(fcntl), "{text}");
    place.portcullis(&all).expect(0);
}

#[test]
fn what_is_no_edit_is_said() {
    let place = place();
    // Nothing makes the call; what else is missing does not matter here.
    std::fs::write(place.at("vcpu.policy"), "sethostname: 1\n").unwrap();
    let all = [
        "audit",
        "./program",
        "vcpu.policy",
        "--after",
        "start",
        "--from",
        "minijail",
    ];
    let done = place
        .portcullis(&[&all[..], &["--format", "json"]].concat())
        .expect(1)
        .json();
    let finding = &done["findings"][0];
    assert_eq!(finding["patch"], serde_json::Value::Null);
    assert_eq!(
        finding["no_patch"],
        "files in the form `minijail` are not edited"
    );
    let text = place.portcullis(&all).expect(1).stdout;
    assert!(
        text.contains("  no patch says that: files in the form `minijail`"),
        "{text}"
    );
    let patch = place
        .portcullis(&[&all[..], &["--format", "patch"]].concat())
        .expect(1);
    assert_eq!(patch.stdout, "");
    assert!(
        patch.stderr.contains("no patch: files in the form"),
        "{}",
        patch.stderr
    );
}
