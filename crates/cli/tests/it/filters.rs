//! Policies and filters: `policy convert|lint|fmt|show|--deny`, `compile`, `verify`, `diff`, `explain`,
//! `cost`, `codes`.

use crate::place::Place;

const POLICY: &str = r#"schema = "portcullis.policy"
version = 1
arch = "x86_64"
baseline = "6.1"
default = "kill"

# Input and output.
[[rule]]
calls = ["read", "write"]

[[rule]]
call = "socket"
when = ["arg0 in {AF_UNIX, AF_INET}"]

[[rule]]
call = "exit_group"
"#;

fn place(policy: &str) -> Place {
    let place = Place::new();
    std::fs::write(place.at("p.policy.toml"), policy).unwrap();
    place
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_filter_is_verified_or_a_call_is_shown() {
    let place = place(POLICY);
    let raw = ["compile", "p.policy.toml", "--format", "raw", "-o", "p.bpf"];
    place.portcullis(&raw).expect(0);
    let equal = place
        .portcullis(&["verify", "p.policy.toml", "p.bpf"])
        .expect(0);
    assert_eq!(equal.stdout, "equal\n");

    let narrower = POLICY.replace("AF_UNIX, AF_INET", "AF_UNIX");
    std::fs::write(place.at("q.policy.toml"), narrower).unwrap();
    let verify = ["verify", "q.policy.toml", "p.bpf", "--format", "json"];
    let different = json(&place.portcullis(&verify).expect(1).stdout);
    assert_eq!(different["schema"], "portcullis.verify");
    assert_eq!(different["equal"], false);
    let witness = different["witness"]["call"].as_str().unwrap();
    assert!(witness.starts_with("socket(0x2, "), "{witness}");
    assert_eq!(different["witness"]["policy"], "kill");
    assert_eq!(different["witness"]["filter"], "allow");

    // What no kernel takes is no filter.
    std::fs::write(place.at("cut.bpf"), [0u8; 12]).unwrap();
    let cut = place.portcullis(&["verify", "p.policy.toml", "cut.bpf", "--from", "native"]);
    assert_eq!(cut.code, 2);
}

#[test]
fn a_difference_is_told_by_calls_and_conditions() {
    let place = place(POLICY);
    let other = POLICY
        .replace("AF_UNIX, AF_INET", "AF_UNIX")
        .replace("\"write\"", "\"getpid\"");
    std::fs::write(place.at("q.policy.toml"), other).unwrap();
    let diff = place
        .portcullis(&["diff", "p.policy.toml", "q.policy.toml"])
        .expect(1)
        .stdout;
    insta::assert_snapshot!(diff);
    let same = place
        .portcullis(&["diff", "p.policy.toml", "p.policy.toml"])
        .expect(0);
    assert_eq!(same.stdout, "equal\n");
    let diff = ["diff", "p.policy.toml", "q.policy.toml", "--format", "json"];
    let document = json(&place.portcullis(&diff).expect(1).stdout);
    assert_eq!(document["differences"].as_array().unwrap().len(), 3);
}

#[test]
fn programs_and_filters_are_compared() {
    let place = place(POLICY);
    let source = |call| {
        format!(
            "#include <sys/syscall.h>\n\
             void _start(void) {{ long r; \
             __asm__ volatile(\"syscall\" : \"=a\"(r) : \"0\"((long){call}), \"D\"(0l)); \
             for (;;) __asm__ volatile(\"syscall\" : \"=a\"(r) : \"0\"((long)SYS_exit), \"D\"(0l)); }}"
        )
    };
    let flags = ["-static", "-nostdlib"];
    place.compile("old", &source("SYS_getpid"), &flags);
    place.compile("new", &source("SYS_getuid"), &flags);
    let diff = place
        .portcullis(&["diff", "./old", "./new", "--format", "json"])
        .expect(1);
    let document = json(&diff.stdout);
    let found = document["differences"].as_array().unwrap();
    let told = found
        .iter()
        .map(|d| format!("{} {} {}", d["calls"][0], d["first"], d["second"]));
    let told: Vec<String> = told.map(|t| t.replace('"', "")).collect();
    assert_eq!(told, ["getpid allow kill", "getuid kill allow"]);
}

#[test]
fn a_call_is_explained() {
    let place = place(POLICY);
    let open = place.portcullis(&["explain", "p.policy.toml", "socket(_, SOCK_STREAM, 0)"]);
    insta::assert_snapshot!(open.expect(0).stdout);
    let said = [
        "explain",
        "p.policy.toml",
        "socket(AF_INET6)",
        "--format",
        "json",
    ];
    let document = json(&place.portcullis(&said).expect(0).stdout);
    assert_eq!(document["answers"].as_array().unwrap().len(), 1);
    assert_eq!(document["answers"][0]["answer"], "kill");
    assert_eq!(document["answers"][0]["unlisted"], "the default");
    let unknown = place
        .portcullis(&["explain", "p.policy.toml", "sokcet(1)"])
        .expect(2);
    assert!(unknown.stderr.contains("`sokcet`"), "{}", unknown.stderr);
}

#[test]
fn the_cost_is_shown() {
    let place = place(POLICY);
    let cost = ["cost", "p.policy.toml", "--format", "json"];
    let document = json(&place.portcullis(&cost).expect(0).stdout);
    assert_eq!(document["cached"][0]["arch"], "x86_64");
    let calls = document["cached"][0]["calls"].to_string();
    assert_eq!(calls, r#"["read","write","exit_group"]"#);
    assert!(document["longest_path"].as_u64() < document["instructions"].as_u64());
}

#[test]
fn policies_go_to_other_forms_and_back() {
    let place = place(POLICY);
    let cut = [
        "policy",
        "convert",
        "p.policy.toml",
        "--to",
        "docker",
        "-o",
        "p.json",
    ];
    // Docker's profiles have no class of newer calls: that is said, not dropped.
    let refused = place.portcullis(&cut).expect(2);
    assert!(refused.stderr.contains("docker"), "{}", refused.stderr);
    assert!(!place.at("p.json").exists());
    let conceded = [&cut[..], &["--concede-newer", "--concede-foreign"]].concat();
    place.portcullis(&conceded).expect(0);
    let back = place.portcullis(&["explain", "p.json", "socket(AF_INET)", "--format", "json"]);
    assert_eq!(
        json(&back.expect(0).stdout)["answers"][0]["answer"],
        "allow"
    );

    // A filter program is a policy as well, and the same one.
    place
        .portcullis(&["compile", "p.policy.toml", "--format", "raw", "-o", "p.bpf"])
        .expect(0);
    let read = ["policy", "convert", "p.bpf", "-o", "back.policy.toml"];
    place.portcullis(&read).expect(0);
    place
        .portcullis(&["verify", "back.policy.toml", "p.bpf"])
        .expect(0);
    place
        .portcullis(&["diff", "p.policy.toml", "back.policy.toml"])
        .expect(0);
}

#[test]
fn a_mistake_has_its_line() {
    let place = place(&POLICY.replace("\"write\"", "\"wirte\""));
    for verb in [
        &["compile"][..],
        &["cost"],
        &["policy", "show"],
        &["policy", "lint"],
    ] {
        let done = place
            .portcullis(&[verb, &["p.policy.toml"]].concat())
            .expect(2);
        let place = "p.policy.toml:9:18: ";
        assert!(done.stderr.contains(place), "{}", done.stderr);
        assert!(done.stderr.contains("write"), "{}", done.stderr);
        assert!(done.stderr.contains("^^^^^^^"), "{}", done.stderr);
        assert_eq!(done.stdout, "");
    }
}

#[test]
fn a_rule_that_repeats_or_contradicts_another_is_a_mistake() {
    for (action, says) in [
        ("allow", "repeats the rule for `read` at line 8;"),
        (
            "errno:EPERM",
            "contradicts the rule for `read` at line 8, which answers allow;",
        ),
    ] {
        let again = format!("{POLICY}\n[[rule]]\ncall = \"read\"\naction = \"{action}\"\n");
        let done = place(&again)
            .portcullis(&["compile", "p.policy.toml"])
            .expect(2);
        assert!(
            done.stderr.contains("p.policy.toml:18:1: "),
            "{}",
            done.stderr
        );
        assert!(done.stderr.contains(says), "{}", done.stderr);
    }
}

#[test]
fn lint_finds_and_codes_explain() {
    let shadowed = POLICY.replace("\"read\", \"write\"", "\"read\", \"write\", \"@basic-io\"");
    let shadowed = format!("{shadowed}\n[[rule]]\ncall = \"close\"\naction = \"errno:EPERM\"\n");
    let place = place(&shadowed);
    let done = place
        .portcullis(&["policy", "lint", "p.policy.toml", "--format", "json"])
        .expect(1);
    let document = json(&done.stdout);
    let found = document["findings"].as_array().unwrap();
    let rule = found.iter().find(|f| f["place"] == "18:1").unwrap();
    let code = rule["code"].as_str().unwrap();
    let explained = place.portcullis(&["codes", code]).expect(0).stdout;
    assert!(explained.starts_with(code), "{explained}");
    let all = place.portcullis(&["codes"]).expect(0).stdout;
    for finding in found {
        assert!(all.contains(finding["code"].as_str().unwrap()), "{finding}");
    }
    place.portcullis(&["codes", "PC9999"]).expect(2);
}

#[test]
fn a_layout_keeps_comments() {
    let ugly = POLICY.replace(
        "[[rule]]\ncall = \"socket\"\nwhen",
        "\n\n[[rule]]\ncall=\"socket\"\nwhen",
    );
    let place = place(&ugly);
    place
        .portcullis(&["policy", "fmt", "--check", "p.policy.toml"])
        .expect(1);
    place
        .portcullis(&["policy", "fmt", "p.policy.toml"])
        .expect(0);
    place
        .portcullis(&["policy", "fmt", "--check", "p.policy.toml"])
        .expect(0);
    let text = std::fs::read_to_string(place.at("p.policy.toml")).unwrap();
    assert!(text.contains("# Input and output.\n[[rule]]"), "{text}");
    assert!(text.contains("call = \"socket\"\n"), "{text}");
}

#[test]
fn a_call_is_taken_out_of_a_derived_policy() {
    let place = Place::new();
    let source = "#include <unistd.h>\nint main(void) { return getppid() == 1; }";
    place.compile("program", source, &["-static"]);
    let deny = [
        "policy",
        "./program",
        "--deny",
        "getppid",
        "-o",
        "p.policy.toml",
    ];
    let done = place.portcullis(&deny).expect(0);
    assert!(done.stderr.contains("makes getppid: "), "{}", done.stderr);
    assert!(done.stderr.contains("main"), "{}", done.stderr);
    let explain = ["explain", "p.policy.toml", "getppid", "--format", "json"];
    let answer = json(&place.portcullis(&explain).expect(0).stdout);
    assert_eq!(answer["answers"][0]["answer"], "kill");
    let errno = [&deny[..], &["--deny-action", "errno:EPERM"]].concat();
    place.portcullis(&errno).expect(0);
    let answer = json(&place.portcullis(&explain).expect(0).stdout);
    assert_eq!(answer["answers"][0]["answer"], "errno:1");
}

#[test]
fn a_trace_is_compared_and_says_what_is_hot() {
    let place = place(POLICY);
    let trace = "12 read(0, \"\", 1) = 0\n12 write(1, \"x\", 1) = 1\n12 write(1, \"y\", 1) = 1\n\
        12 getpid() = 12\n+++ exited with 0 +++\n";
    std::fs::write(place.at("run.trace"), trace).unwrap();
    let diff = ["diff", "run.trace", "p.policy.toml", "--format", "json"];
    let document = json(&place.portcullis(&diff).expect(1).stdout);
    let found = document["differences"].as_array().unwrap();
    let of = |call: &str| {
        let of_call = |d: &&serde_json::Value| d["calls"].to_string().contains(call);
        let told = found.iter().find(of_call).unwrap();
        format!("{} {}", told["first"], told["second"])
    };
    assert_eq!(of("getpid"), r#""allow" "kill""#);
    assert_eq!(of("exit_group"), r#""kill" "allow""#);
    let hot = [
        "compile",
        "p.policy.toml",
        "--hot-trace",
        "run.trace",
        "--format",
        "raw",
        "-o",
        "p.bpf",
    ];
    place.portcullis(&hot).expect(0);
    place
        .portcullis(&["verify", "p.policy.toml", "p.bpf"])
        .expect(0);
    let seen = place.portcullis(&["policy", "run.trace"]).expect(0).stdout;
    assert!(
        seen.contains("trace run.trace") && seen.contains("getpid"),
        "{seen}"
    );
    let none = ["compile", "p.policy.toml", "--hot-trace", "p.policy.toml"];
    let none = place.portcullis(&none).expect(2);
    assert!(none.stderr.contains("no trace"), "{}", none.stderr);
}

#[test]
fn what_only_the_policy_says_of_high_numbers_is_not_lost_beside_x32() {
    let place = place(
        "schema = \"portcullis.policy\"\nversion = 1\narch = [\"x86_64\", \"x32\"]\n\
         baseline = \"none\"\ndefault = \"allow\"\nforeign = \"kill-thread\"\n\
         [[rule]]\narch = \"x86_64\"\ncall = \"2147483648..3221225471\"\naction = \"kill-thread\"\n\
         [[rule]]\ncall = \"ptrace\"\naction = \"errno:1\"\n",
    );
    for form in ["oci", "docker", "kubernetes"] {
        let convert = [
            "policy",
            "convert",
            "p.policy.toml",
            "--to",
            form,
            "-o",
            "out",
        ];
        place.portcullis(&convert).expect(2);
        assert!(!place.at("out").exists(), "{form}");
    }
}

#[test]
fn the_number_of_a_trap_is_part_of_the_answer() {
    let place = place(&POLICY.replace("default = \"kill\"", "default = \"trap:7\""));
    let raw = ["compile", "p.policy.toml", "--format", "raw", "-o", "p.bpf"];
    place.portcullis(&raw).expect(0);
    std::fs::write(
        place.at("q.policy.toml"),
        POLICY.replace("\"kill\"", "\"trap\""),
    )
    .unwrap();
    place
        .portcullis(&["verify", "q.policy.toml", "p.bpf"])
        .expect(1);
    let shown = place.portcullis(&["policy", "show", "p.bpf"]).expect(0);
    assert!(shown.stdout.contains("\"trap:7\""), "{}", shown.stdout);
    let oci = ["policy", "convert", "p.policy.toml", "--to", "oci"];
    let conceded = [&oci[..], &["--concede-newer", "--concede-foreign"]].concat();
    let refused = place.portcullis(&conceded).expect(2);
    assert!(refused.stderr.contains("trap"), "{}", refused.stderr);
}

#[test]
fn a_filter_that_is_not_there_is_no_filter_without_findings() {
    let place = place(POLICY);
    let typo = ["policy", "lint", "p.policy.toml", "--filter", "nosuch"];
    place.portcullis(&typo).expect(2);
}

#[test]
fn only_regular_files_are_included() {
    let place = place(&format!("include = [\"pipe\"]\n{POLICY}"));
    let made = std::process::Command::new("mkfifo")
        .arg(place.at("pipe"))
        .status()
        .unwrap();
    assert!(made.success());
    let done = place.portcullis(&["compile", "p.policy.toml"]).expect(2);
    assert!(done.stderr.contains("no regular file"), "{}", done.stderr);
    std::fs::write(
        place.at("p.policy.toml"),
        format!("include = [\"-\"]\n{POLICY}"),
    )
    .unwrap();
    place.portcullis(&["compile", "p.policy.toml"]).expect(2);
}

#[test]
fn hostile_filters_and_policies_come_to_an_end() {
    let place = Place::new();
    let word = |code: u16, jt: u8, k: u32| {
        let mut bytes = code.to_ne_bytes().to_vec();
        bytes.extend([jt, 0]);
        bytes.extend(k.to_ne_bytes());
        bytes
    };
    let mut ways: Vec<u8> = (0..40u32)
        .flat_map(|i| {
            [
                word(0x20, 0, 16 + 4 * (i % 12)),
                word(0x45, 0, 1 << (i % 32)),
                word(0, 0, 0),
            ]
        })
        .flatten()
        .collect();
    ways.extend(word(0x06, 0, 0x7fff_0000));
    std::fs::write(place.at("ways.bpf"), ways).unwrap();
    let explain = place.portcullis(&["explain", "ways.bpf", "read(_)", "--format", "json"]);
    assert_eq!(json(&explain.expect(0).stdout)["cut"], true);
    let entries = (0..800).map(|i| {
        let condition = format!(r#"{{"index":{},"value":{i},"op":"SCMP_CMP_EQ"}}"#, i % 6);
        format!(r#"{{"names":["read"],"action":"SCMP_ACT_ERRNO","args":[{condition}]}}"#)
    });
    let entries: Vec<String> = entries.collect();
    let profile = format!(
        r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{}]}}"#,
        entries.join(",")
    );
    std::fs::write(place.at("many.json"), profile).unwrap();
    let refused = place
        .portcullis(&["compile", "many.json", "-o", "out"])
        .expect(2);
    assert!(
        refused.stderr.contains("too many ways"),
        "{}",
        refused.stderr
    );
    assert!(!place.at("out").exists());
}

/// A file that means something else for another architecture, and a trace, say that it was chosen.
#[test]
fn an_architecture_that_nobody_says_is_told() {
    const FILTER: &str = r#"{"main": {"default_action": "trap", "filter_action": "allow", "filter": [
        {"syscall": "read"}]}}"#;
    let place = place(POLICY);
    std::fs::write(place.at("f.json"), FILTER).unwrap();
    std::fs::write(
        place.at("run.trace"),
        "12 read(0, \"\", 1) = 0\n12 +++ exited with 0 +++\n",
    )
    .unwrap();
    let convert = |arch: &[&str]| {
        let all = [&["policy", "convert", "f.json"], arch].concat();
        place.portcullis(&all).expect(0)
    };
    let of_trace = |arch: &[&str]| {
        let all = [&["policy", "run.trace"], arch].concat();
        place.portcullis(&all).expect(0)
    };
    for chosen in [&convert as &dyn Fn(&[&str]) -> _, &of_trace] {
        let done = chosen(&[]);
        assert!(
            done.stderr.contains(": read for x86_64; "),
            "{}",
            done.stderr
        );
        assert!(done.stdout.contains("arch = \"x86_64\""), "{}", done.stdout);
        let done = chosen(&["--arch", "aarch64"]);
        assert!(!done.stderr.contains("--arch"), "{}", done.stderr);
        assert!(
            done.stdout.contains("arch = \"aarch64\""),
            "{}",
            done.stdout
        );
    }
    let own = place
        .portcullis(&["policy", "show", "p.policy.toml"])
        .expect(0);
    assert!(!own.stderr.contains("--arch"), "{}", own.stderr);
}
