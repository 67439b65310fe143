//! The examples of portcullis-policy(5) are read as files.

use portcullis_policy::{LineColumn, toml};

const MANUAL: &str = include_str!("../../../../docs/man/portcullis-policy.5");
/// What examples that are parts of a file are put behind.
const HEAD: &str = "schema = \"portcullis.policy\"\nversion = 1\n\
    arch = [\"x86_64\", \"aarch64\"]\nbaseline = \"6.1\"\ndefault = \"kill\"\n";

/// What stands between `.EX` and `.EE`.
fn examples() -> Vec<String> {
    let parts = MANUAL.split("\n.EX\n").skip(1);
    let bodies = parts.map(|part| part.split("\n.EE").next().unwrap_or_default());
    bodies.map(|body| body.replace("\\-", "-")).collect()
}

#[test]
fn every_example_is_a_policy() {
    let examples = examples();
    assert_eq!(examples.len(), 7);
    for example in examples {
        let text = match example.starts_with("schema") {
            true => example,
            false => format!("{HEAD}{example}"),
        };
        assert!(!text.contains('\\'), "an escape of roff is left: {text}");
        let source = toml::source(&text, &toml::NoIncludes).unwrap_or_else(|mistake| {
            let at = mistake
                .place
                .map(|p| LineColumn::of(&text, p.start).to_string());
            panic!("{at:?}: {mistake}\n{text}")
        });
        let tables = source.filters.iter().flat_map(|f| &f.policy.tables);
        assert!(tables.clone().all(|t| !t.rules.is_empty()));
    }
}

#[test]
fn the_limits_are_those_of_the_reader() {
    // One limit that the manual names and a file meets; the others are in the table of mistakes.
    let rule = |conditions: usize| {
        let all: Vec<String> = (0..conditions)
            .map(|n| format!("\"arg2 != {n}\""))
            .collect();
        let when = all.join(", ");
        format!("{HEAD}[[rule]]\ncall = \"read\"\nwhen = [{when}]\n")
    };
    assert!(MANUAL.contains("32 conditions in a rule"));
    assert!(toml::source(&rule(32), &toml::NoIncludes).is_ok());
    assert!(toml::source(&rule(33), &toml::NoIncludes).is_err());
}
