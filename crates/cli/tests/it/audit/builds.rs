//! Builds of a program against each other: `diff OLD NEW` and `audit --history`.

use crate::place::Place;

/// A program that makes some calls and ends.
fn build(place: &Place, name: &str, calls: &str) {
    let source = format!(
        "#include <fcntl.h>\n#include <sys/syscall.h>\n#include <unistd.h>\n\
         static void calls(void) {{ {calls} }}\n\
         int main(void) {{ calls(); for (;;) syscall(SYS_exit_group, 0); }}\n"
    );
    place.compile_static(name, &source);
}

const FCNTL: &str = "syscall(SYS_fcntl, 1, F_GETFD);";
const OTHER_FCNTL: &str = "syscall(SYS_fcntl, 1, F_GETFL);";
const GETUID: &str = "syscall(SYS_getuid);";

#[test]
fn two_programs_differ_by_calls_and_by_what_they_pass() {
    let place = Place::new();
    build(&place, "old", &format!("{FCNTL} {GETUID}"));
    build(
        &place,
        "new",
        &format!("{OTHER_FCNTL} syscall(SYS_sethostname, \"\", 0);"),
    );
    let done = place.portcullis(&["diff", "old", "new", "--format", "json"]);
    let document = done.expect(1).json();
    assert_eq!(document["equal"], false);
    let calls = |of: &str| -> Vec<String> {
        let all = document[of].as_array().unwrap().iter();
        let one = |made: &serde_json::Value| {
            let way = made["witness"].as_array().unwrap();
            assert!(!way.is_empty(), "{made}");
            assert!(
                way.iter()
                    .all(|step| step["address"].as_str().unwrap().starts_with("0x"))
            );
            assert_eq!(made["within"][0], "main/main");
            let text = |key: &str| made[key].as_str().unwrap().to_owned();
            format!("{} {}", text("syscall"), text("args"))
                .trim_end()
                .to_owned()
        };
        all.map(one).collect()
    };
    assert_eq!(calls("gained"), ["fcntl arg1 = 0x3", "sethostname"]);
    assert_eq!(calls("lost"), ["fcntl arg1 = 0x1", "getuid"]);

    let text = place.portcullis(&["diff", "old", "new"]).expect(1).stdout;
    for expected in [
        "calls gained",
        "+ sethostname (main/main, main/startup)",
        "calls lost",
        "- getuid (main/main, main/startup)",
    ] {
        assert!(text.contains(expected), "{text}");
    }
    let same = place
        .portcullis(&["diff", "old", "old", "--format", "json"])
        .expect(0)
        .json();
    assert_eq!(same["gained"], serde_json::json!([]));
    assert_eq!(same["equal"], true);
}

#[test]
fn a_history_says_in_which_build_it_happened() {
    let place = Place::new();
    std::fs::create_dir(place.at("builds")).unwrap();
    build(&place, "builds/1", &format!("{FCNTL} {GETUID}"));
    build(&place, "builds/2", FCNTL);
    build(
        &place,
        "builds/3",
        &format!("{FCNTL} syscall(SYS_sethostname, \"\", 0);"),
    );
    for name in ["1", "2", "3"] {
        std::fs::remove_file(place.at(&format!("builds/{name}.c"))).unwrap();
    }
    std::fs::rename(place.at("builds/3"), place.at("program")).unwrap();
    place
        .portcullis(&["policy", "builds/1", "-o", "policy.toml"])
        .expect(0);
    let all = [
        "audit",
        "./program",
        "policy.toml",
        "--after",
        "start",
        "--history",
        "builds",
    ];
    let done = place
        .portcullis(&[&all[..], &["--format", "json"]].concat())
        .expect(1)
        .json();
    let history = done["history"].as_array().unwrap().iter();
    let history: Vec<(&str, &str, &str, bool)> = history
        .map(|event| {
            let text = |key: &str| event[key].as_str().unwrap();
            let way = event["witness"].as_array().unwrap();
            (
                text("build"),
                text("what"),
                text("subject"),
                !way.is_empty(),
            )
        })
        .collect();
    assert_eq!(
        history,
        [
            ("builds/2", "lost", "main/main getuid", false),
            ("builds/2", "lost", "main/startup getuid", false),
            ("builds/2", "redundant", "getuid: allow", false),
            ("./program", "gained", "main/main sethostname", true),
            ("./program", "gained", "main/startup sethostname", true),
        ]
    );
    let text = place.portcullis(&all).expect(1).stdout;
    let at = text
        .find("./program: appeared: main/main sethostname\n")
        .expect(&text);
    let next = text[at..].lines().nth(1).unwrap();
    assert!(next.starts_with("    ") && next.contains(" 0x"), "{text}");
    assert!(
        text.contains("builds/2: became redundant: getuid: allow\n"),
        "{text}"
    );
}
