//! Wrong files: each is told exactly what is wrong, and where. The cases are data.

use portcullis_policy::{LineColumn, toml};

const CASES: &str = include_str!("mistakes.txt");
/// What cases begin with that are not about it: five lines, so that a case begins at line 6.
const HEAD: &str = "schema = \"portcullis.policy\"\nversion = 1\n\
    arch = [\"x86_64\", \"aarch64\"]\nbaseline = \"6.1\"\ndefault = \"kill\"\n";

/// Files that cases include.
struct Files;

impl toml::Includes for Files {
    fn text(&self, name: &str) -> Result<String, String> {
        match name {
            "wrong.toml" => Ok("[[rule]]\ncall = \"raed\"\n".into()),
            "outer.toml" => Ok("include = \"wrong.toml\"\n".into()),
            "circle.toml" => Ok("include = [\"circle.toml\"]\n".into()),
            "policy.toml" => Ok(HEAD.into()),
            "groups.toml" => Ok("[groups]\n\"@mine\" = [\"read\"]\n".into()),
            "broken.toml" => Ok("[[rule]\n".into()),
            _ => Err("no such file".into()),
        }
    }
}

fn said(text: &str) -> String {
    match toml::source(text, &Files) {
        Ok(_) => "nothing is wrong".into(),
        Err(mistake) => match mistake.place {
            Some(place) => {
                let at = LineColumn::of(text, place.start);
                format!("{at}: {mistake}")
            }
            None => mistake.to_string(),
        },
    }
}

#[test]
fn every_mistake_is_said_with_its_place() {
    let cases: Vec<&str> = CASES.split("\n====\n").collect();
    assert!(cases.len() >= 60, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let (text, expected) = case.rsplit_once("\n--> ").unwrap_or((case, ""));
        let text = match text.strip_prefix("whole\n") {
            Some(whole) => whole.to_owned(),
            None => format!("{HEAD}{text}"),
        };
        let said = said(&text);
        if said != expected.trim_end() {
            wrong.push(format!("{case}\n==> {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n====\n"));
}

/// What is deep, long or much is refused, and costs neither the stack nor the memory.
#[test]
fn hostile_files_are_bounded() {
    let head = |rest: &str| format!("{HEAD}{rest}");
    let deep = format!("x = {}", "[".repeat(100_000));
    let values: Vec<String> = (0..9_000).map(|n| n.to_string()).collect();
    let set = format!(
        "[[rule]]\ncall = \"read\"\nwhen = [\"arg2 in {{{}}}\"]",
        values.join(",")
    );
    // Each group is defined before the one that it needs.
    let groups: Vec<String> = (0..40)
        .rev()
        .map(|n| {
            format!(
                "\"@g{}\" = [\"@g{n}\", \"{}..{}\"]",
                n + 1,
                n * 2,
                n * 2 + 1
            )
        })
        .collect();
    let groups = format!(
        "[groups]\n\"@g0\" = [\"read\"]\n{}\n[[rule]]\ncall = \"@g40\"",
        groups.join("\n")
    );
    let many = "[[rule]]\ncall = \"@known\"\n".repeat(4000);
    for (text, expected) in [
        (head(&deep), "this is no TOML"),
        (head(&set), "more than 8192 values"),
        (head(&many), "too many rules"),
        (" ".repeat((16 << 20) + 1), "at most 16777216 are read"),
    ] {
        let said = said(&text);
        assert!(
            said.contains(expected),
            "{}",
            said.chars().take(200).collect::<String>()
        );
    }
    assert!(said(&head(&groups)).contains("at most 32 deep"));
}
