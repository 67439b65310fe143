//! Texts that mean nothing, and what is said of them. Which text and which message is a snapshot.

use portcullis_abi::Arch;
use portcullis_policy::LineColumn;
use portcullis_policy::format::Format;

use crate::{read, target};

/// An OCI profile with this inside of its only entry.
fn entry(inside: &str) -> String {
    format!("{{\"defaultAction\": \"SCMP_ACT_ERRNO\",\n \"syscalls\": [{{{inside}}}]}}")
}

/// A Firecracker file with this in its only rule.
fn rule(inside: &str) -> String {
    format!(
        "{{\"t\": {{\"default_action\": \"trap\", \"filter_action\": \"allow\",\n \"filter\": [{{{inside}}}]}}}}"
    )
}

fn arg(inside: &str) -> String {
    entry(&format!(
        "\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\",\n \"args\": [{{{inside}}}]"
    ))
}

fn object(spec: &str) -> String {
    format!(
        "apiVersion: security-profiles-operator.x-k8s.io/v1\nkind: SeccompProfile\nmetadata:\n  \
         name: p\nspec:\n{spec}"
    )
}

fn texts() -> Vec<(Format, String)> {
    let oci = [
        "".into(),
        "{".into(),
        "{\"defaultAction\"}".into(),
        "{\"defaultAction\": SCMP_ACT_ERRNO}".into(),
        "{\"a\": 1,}".into(),
        "[1 2]".into(),
        "{\"a\": 01}".into(),
        "{\"a\": \"\\q\"}".into(),
        "{\"a\": \"\\ud800\"}".into(),
        "{\"a\": \"x\ny\"}".into(),
        "{} {}".into(),
        "{\"defaultAction\": \"SCMP_ACT_ERRNO\",\n \"defaultAction\": \"SCMP_ACT_ALLOW\"}".into(),
        "[]".into(),
        "{}".into(),
        "{\"ociVersion\": \"1.0.0\"}".into(),
        "{\"linux\": {}}".into(),
        "{\"defaultAction\": \"SCMP_ACT_MAYBE\"}".into(),
        "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 4096}".into(),
        "{\"defaultAction\": \"SCMP_ACT_TRACE\", \"defaultErrnoRet\": 65536}".into(),
        "{\"defaultAction\": \"SCMP_ACT_KILL\", \"defaultErrnoRet\": 1}".into(),
        "{\"defaultAction\": \"SCMP_ACT_KILL\", \"sycalls\": []}".into(),
        "{\"defaultAction\": \"SCMP_ACT_KILL\", \"architectures\": [\"x86_64\"]}".into(),
        "{\"defaultAction\": \"SCMP_ACT_KILL\", \"flags\": [\"TSYNC\"]}".into(),
        "{\"defaultAction\": \"SCMP_ACT_KILL\", \"listenerPath\": 1}".into(),
        entry("\"names\": [], \"action\": \"SCMP_ACT_ALLOW\""),
        entry("\"names\": [\"\"], \"action\": \"SCMP_ACT_ALLOW\""),
        entry("\"names\": \"read\", \"action\": \"SCMP_ACT_ALLOW\""),
        entry("\"names\": [\"read\"]"),
        entry("\"names\": [\"read\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": -1"),
        entry("\"names\": [\"read\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 1.5"),
        entry("\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\", \"agrs\": []"),
        entry("\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\", \"includes\": {}"),
        arg("\"index\": 6, \"value\": 0, \"op\": \"SCMP_CMP_EQ\""),
        arg("\"index\": 0, \"value\": 18446744073709551616, \"op\": \"SCMP_CMP_EQ\""),
        arg("\"index\": 0, \"value\": 0, \"op\": \"SCMP_CMP_SAME\""),
        arg("\"index\": 0, \"op\": \"SCMP_CMP_EQ\""),
    ];
    let docker = [
        "{\"defaultAction\": \"SCMP_ACT_KILL\", \"architectures\": [\"SCMP_ARCH_X86\"], \"archMap\": [{}]}".into(),
        "{\"defaultAction\": \"SCMP_ACT_KILL\", \"archMap\": [{\"architecture\": \"SCMP_ARCH_Z80\"}]}".into(),
        entry("\"name\": \"read\", \"names\": [\"write\"], \"action\": \"SCMP_ACT_ALLOW\""),
        entry("\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\", \"includes\": {\"minKernel\": \"new\"}"),
        entry("\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\", \"excludes\": {\"caps\": [\"SYS_ADMIN\"]}"),
        entry("\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\", \"excludes\": {\"kernel\": \"4.8\"}"),
        entry("\"names\": [\"read\"], \"action\": \"SCMP_ACT_ERRNO\", \"errno\": \"EPERM\""),
    ];
    let containers = [entry(
        "\"names\": [\"read\"], \"action\": \"SCMP_ACT_ERRNO\", \"errno\": \"ENOTHING\"",
    )];
    let kubernetes = [
        "a: [1".into(),
        "a: &x 1\n".into(),
        "a: *x\n".into(),
        "a: !t 1\n".into(),
        "kind: SeccompProfile\nkind: Pod\n".into(),
        "kind: Pod\n".into(),
        "kind: SeccompProfile\napiVersion: v1\n".into(),
        object("  baseProfileName: runc-v1\n  defaultAction: SCMP_ACT_ERRNO\n"),
        object("  defaultAction: SCMP_ACT_ERRNO\n  disabled: true\n"),
        object(
            "  defaultAction: SCMP_ACT_ERRNO\n  syscalls:\n  - action: SCMP_ACT_ALLOW\n    names: read\n",
        ),
        object("  syscalls: []\n"),
    ];
    let firecracker = [
        "{\"t\": {\"mismatch_action\": \"trap\", \"match_action\": \"allow\", \"filter\": []}}".into(),
        "{\"t\": {\"default_action\": \"trap\", \"filter_action\": \"allow\", \"filter\": []}, \"t\": 1}".into(),
        "{\"t\": {\"default_action\": \"stop\", \"filter_action\": \"allow\", \"filter\": []}}".into(),
        "{\"t\": {\"default_action\": {\"errno\": 5000}, \"filter_action\": \"allow\", \"filter\": []}}".into(),
        "{\"t\": {\"default_action\": {\"errno\": 1, \"trace\": 1}, \"filter_action\": \"allow\", \"filter\": []}}".into(),
        "{\"t\": {\"default_action\": \"allow\", \"filter_action\": \"allow\", \"filter\": [{\"syscall\": \"read\"}]}}".into(),
        rule("\"syscall\": \"raed\""),
        rule("\"syscall\": \"read\", \"arg\": []"),
        rule("\"syscall\": \"read\", \"args\": [{\"index\": 0, \"type\": \"word\", \"op\": \"eq\", \"val\": 1}]"),
        rule("\"syscall\": \"read\", \"args\": [{\"index\": 0, \"type\": \"dword\", \"op\": \"is\", \"val\": 1}]"),
        rule("\"syscall\": \"read\", \"args\": [{\"index\": 0, \"type\": \"dword\", \"op\": {\"mask\": 1}, \"val\": 1}]"),
        rule("\"syscall\": \"read\", \"args\": [{\"index\": 9, \"type\": \"dword\", \"op\": \"eq\", \"val\": 1}]"),
        rule(
            "\"syscall\": \"read\", \"args\": [{\"index\": 0, \"type\": \"qword\", \"op\": \"ge\", \"val\": 1},\n \
             {\"index\": 0, \"type\": \"qword\", \"op\": \"le\", \"val\": 5}]",
        ),
    ];
    let own = |s: String| {
        s.replace("default_action", "mismatch_action")
            .replace("filter_action", "match_action")
    };
    let seccompiler = [
        own(rule("\"syscall\": \"read\", \"args\": []")),
        own(rule("\"syscall\": \"arm_fadvise64_64\"")),
        own(
            "{\"t\": {\"default_action\": \"log\", \"filter_action\": \"log\", \"filter\": []}}"
                .into(),
        ),
    ];
    let of = |format, texts: Vec<String>| texts.into_iter().map(move |t| (format, t));
    let mut all: Vec<(Format, String)> = of(Format::Oci, oci.to_vec()).collect();
    all.extend(of(Format::Docker, docker.to_vec()));
    all.extend(of(Format::Containers, containers.to_vec()));
    all.extend(of(Format::Kubernetes, kubernetes.to_vec()));
    all.extend(of(Format::Firecracker, firecracker.to_vec()));
    all.extend(of(Format::Seccompiler, seccompiler.to_vec()));
    all
}

#[test]
fn what_means_nothing_is_said_where_it_stands() {
    let mut said = Vec::new();
    for (format, text) in texts() {
        let read = read(format, &text, &target(&[Arch::X86_64]));
        let mistake = read.map(|s| s.filters).expect_err(&text);
        let place = mistake.place.map_or("whole".into(), |p| {
            LineColumn::of(&text, p.start).to_string()
        });
        said.push(format!("{format}: {text}\n  {place}: {mistake}\n"));
    }
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_target_says_for_which_architecture() {
    for (format, arches, message) in [
        (Format::Oci, &[][..], "the target has no architecture"),
        (
            Format::Oci,
            &[Arch::X32],
            "x32 is no machine's own architecture",
        ),
        (Format::Firecracker, &[], "the target has no architecture"),
        (
            Format::Seccompiler,
            &[Arch::I386],
            "the format has no filters for i386",
        ),
    ] {
        let text = match format {
            Format::Oci => "{\"defaultAction\": \"SCMP_ACT_KILL\"}",
            _ => "{}",
        };
        let mistake = read(format, text, &target(arches)).expect_err(message);
        assert_eq!((mistake.place, &*mistake.message), (None, message));
    }
}
