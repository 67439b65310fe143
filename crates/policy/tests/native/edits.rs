//! Edits change what they are about, and nothing else.

use portcullis_abi::Arch;
use portcullis_policy::{Action, Place, Provenance, Rule, toml};
use proptest::prelude::*;

use crate::model::{call, policy};

const TEXT: &str = r##"# A service.

schema = "portcullis.policy"
version=1
arch = "x86_64"   # for now
baseline = "6.1"
default = "kill"

# Input and output.
[[rule]]
calls = [
  "read", # files
  "write",
]

# Time.
# Two lines of it.
[[rule]]
action = "allow" # yes
call = "clock_gettime"

[[filter]]
name = "vcpu"

# The machine.
[[filter.rule]]
call = "ioctl"

[[filter.rule]]
call = "clock_gettime"
when = ["arg0 == 1"]

[[phase]]
thread = "main"
phase = "loop"
calls = ["read"]
# The end.
"##;

/// The place of a rule: of which filter, and which of its first table.
fn place(text: &str, filter: usize, rule: usize) -> Place {
    let source = toml::source(text, &toml::NoIncludes).expect("a policy");
    source.filters[filter].places[0][rule]
}

/// From the first line that differs to the last one.
fn difference(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[same..], &new[same..]);
    let pairs = old.iter().rev().zip(new.iter().rev());
    let same = pairs.take_while(|(a, b)| a == b).count();
    let gone = old[..old.len() - same].iter().map(|l| format!("-{l}\n"));
    let come = new[..new.len() - same].iter().map(|l| format!("+{l}\n"));
    gone.chain(come).collect()
}

#[test]
fn a_rule_goes_with_its_comments() {
    let removed = toml::remove_rule(TEXT, place(TEXT, 0, 2)).expect("a rule");
    insta::assert_snapshot!(difference(TEXT, &removed), @r#"
    -# Time.
    -# Two lines of it.
    -[[rule]]
    -action = "allow" # yes
    -call = "clock_gettime"
    -
    "#);
    let removed = toml::remove_rule(TEXT, place(TEXT, 1, 1)).expect("a rule");
    insta::assert_snapshot!(difference(TEXT, &removed), @r#"
    -[[filter.rule]]
    -call = "clock_gettime"
    -when = ["arg0 == 1"]
    -
    "#);
    let nothing = toml::remove_rule(TEXT, Place { start: 3, end: 9 });
    assert!(nothing.is_err());
}

#[test]
fn a_rule_is_put_in_the_place_of_another() {
    let rule = Rule {
        calls: Arch::X86_64.number("ioctl").expect("a call").into(),
        conditions: Vec::new(),
        action: Action::Log,
        provenance: vec![Provenance::Note("seen".into())],
    };
    let rule = toml::write_rule(Arch::X86_64, &rule);
    let replaced = toml::replace_rule(TEXT, place(TEXT, 1, 0), &rule).expect("a rule");
    insta::assert_snapshot!(difference(TEXT, &replaced), @r#"
    +action = "log"
    +from = ["note seen"]
    "#);
    let first = toml::insert_rule(TEXT, None, Some(place(TEXT, 0, 0)), &rule).expect("a place");
    insta::assert_snapshot!(difference(TEXT, &first), @r#"
    +[[rule]]
    +call = "ioctl"
    +action = "log"
    +from = ["note seen"]
    +
    "#);
    let last = toml::insert_rule(TEXT, Some("vcpu"), None, &rule).expect("a filter");
    insta::assert_snapshot!(difference(TEXT, &last), @r#"
    +[[filter.rule]]
    +call = "ioctl"
    +action = "log"
    +from = ["note seen"]
    +
    "#);
    for text in [&replaced, &first, &last] {
        assert!(toml::source(text, &toml::NoIncludes).is_ok(), "{text}");
    }
    let other = toml::insert_rule(TEXT, None, Some(place(TEXT, 1, 0)), &rule);
    assert!(other.is_err(), "the place is in another filter");
    for wrong in [
        "",
        "call = \"read\"",
        "[[rule]]\n[[rule]]",
        "default = \"allow\"\n[[rule]]\n",
    ] {
        assert!(
            toml::insert_rule(TEXT, None, None, wrong).is_err(),
            "{wrong}"
        );
    }
}

#[test]
fn a_call_is_denied_in_every_filter() {
    let denied = toml::deny(TEXT, "clock_gettime", Action::ENOSYS).expect("a call");
    insta::assert_snapshot!(denied, @r#"
    # A service.

    schema = "portcullis.policy"
    version=1
    arch = "x86_64"   # for now
    baseline = "6.1"
    default = "kill"

    [[rule]]
    call = "clock_gettime"
    action = "errno:38"
    note = "denied on purpose"

    # Input and output.
    [[rule]]
    calls = [
      "read", # files
      "write",
    ]

    [[filter]]
    name = "vcpu"

    [[filter.rule]]
    call = "clock_gettime"
    action = "errno:38"
    note = "denied on purpose"

    # The machine.
    [[filter.rule]]
    call = "ioctl"

    [[phase]]
    thread = "main"
    phase = "loop"
    calls = ["read"]
    # The end.
    "#);
    let denied = toml::deny(TEXT, "read", Action::KillProcess).expect("a call");
    insta::assert_snapshot!(denied, @r#"
    # A service.

    schema = "portcullis.policy"
    version=1
    arch = "x86_64"   # for now
    baseline = "6.1"
    default = "kill"

    [[rule]]
    call = "read"
    action = "kill"
    note = "denied on purpose"

    # Input and output.
    [[rule]]
    calls = [
      "write",
    ]

    # Time.
    # Two lines of it.
    [[rule]]
    action = "allow" # yes
    call = "clock_gettime"

    [[filter]]
    name = "vcpu"

    [[filter.rule]]
    call = "read"
    action = "kill"
    note = "denied on purpose"

    # The machine.
    [[filter.rule]]
    call = "ioctl"

    [[filter.rule]]
    call = "clock_gettime"
    when = ["arg0 == 1"]

    [[phase]]
    thread = "main"
    phase = "loop"
    calls = ["read"]
    # The end.
    "#);
    let unknown = toml::deny(TEXT, "raed", Action::KillProcess).expect_err("no call");
    assert_eq!(
        unknown.message,
        "`raed` is no call of x86_64; did you mean `read`?"
    );
    assert!(toml::deny(TEXT, "read", Action::Log).is_err());
}

#[test]
fn a_file_has_one_layout() {
    insta::assert_snapshot!(toml::fmt(TEXT).expect("TOML"), @r#"
    # A service.

    schema = "portcullis.policy"
    version = 1
    arch = "x86_64" # for now
    baseline = "6.1"
    default = "kill"

    # Input and output.
    [[rule]]
    calls = [
      "read", # files
      "write",
    ]

    # Time.
    # Two lines of it.
    [[rule]]
    call = "clock_gettime"
    action = "allow" # yes

    [[filter]]
    name = "vcpu"

    # The machine.
    [[filter.rule]]
    call = "ioctl"

    [[filter.rule]]
    call = "clock_gettime"
    when = ["arg0 == 1"]

    [[phase]]
    thread = "main"
    phase = "loop"
    calls = ["read"]

    # The end.
    "#);
}

/// Comments wherever TOML has them.
#[test]
fn no_comment_is_lost() {
    let text = "# a\n\n# b\nversion = 1 # c\n# d\nschema = 'portcullis.policy' # e\n\n# f\n\n\
        # g\n[[rule]] # h\n# i\nfrom = [ # j\n  # k\n  'note a', # l\n  # m\n  'note b' # n\n \
        # o\n  , # p\n  # q\n] # r\ncall = 'read'\n# s\n[for.x86_64] # t\nx32 = 'native'\n\
        [groups]\n'@b' = [] # u\n'@a' = [ # v\n]\n# w\n\n# x\n";
    let laid = toml::fmt(text).expect("TOML");
    for letter in 'a'..='x' {
        let comment = format!("# {letter}");
        assert_eq!(laid.matches(&comment).count(), 1, "{comment}\n{laid}");
    }
    assert_eq!(toml::fmt(&laid).as_deref(), Ok(&*laid));
}

/// A text with comments and spaces strewn in.
fn strewn(text: &str, seeds: &[u8]) -> String {
    let mut out = String::new();
    let mut seeds = seeds.iter().cycle();
    for line in text.lines() {
        match seeds.next() {
            Some(0) => out += "# above\n",
            Some(1) => out += "\n\n",
            Some(2) => out += "  # apart\n\n",
            _ => {}
        }
        let spaced = match seeds.next() {
            Some(0) => line.replacen(" = ", "=", 1),
            Some(1) => line.replacen(" = ", "   =  ", 1),
            _ => line.to_owned(),
        };
        out += &spaced;
        out += match seeds.next() {
            Some(0) => "   # behind\n",
            Some(1) => "\t\n",
            _ => "\n",
        };
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn layout_keeps_meaning_and_comments(policy in policy(), seeds in prop::collection::vec(0u8..5, 1..40)) {
        let text = strewn(&toml::write(&policy), &seeds);
        let laid = toml::fmt(&text).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
        prop_assert_eq!(toml::read(&laid), toml::read(&text));
        for comment in ["# above", "# apart", "# behind"] {
            prop_assert_eq!(laid.matches(comment).count(), text.matches(comment).count());
        }
        prop_assert_eq!(toml::fmt(&laid), Ok(laid));
    }

    /// A denied call is answered so whatever its arguments are, and no other call is answered
    /// otherwise than before.
    #[test]
    fn what_is_denied_is_denied(policy in policy(), calls in prop::collection::vec(call(), 48)) {
        let Some(table) = policy.tables.first() else {
            return Ok(());
        };
        let text = toml::write(&policy);
        let denied = toml::deny(&text, "read", Action::Errno(99));
        let denied = denied.map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
        let after = toml::read(&denied).map_err(|e| TestCaseError::fail(format!("{e}\n{denied}")))?;
        for call in calls {
            let same = |arch: Arch| {
                arch.audit_arch() == call.arch && arch.number("read").is_some_and(|n| n.0 == call.number)
            };
            match policy.tables.iter().any(|t| same(t.arch)) {
                true => prop_assert_eq!(after.decide(&call).action, Action::Errno(99)),
                false => prop_assert_eq!(after.decide(&call).action, policy.decide(&call).action, "{}\n{}", text, denied),
            }
        }
        prop_assert!(!table.rules.is_empty() || denied.contains("[[rule]]"));
    }

    /// Rules that are taken out one by one leave the others.
    #[test]
    fn the_others_stay(policy in policy(), choice in any::<prop::sample::Index>()) {
        let text = toml::write(&policy);
        let source = toml::source(&text, &toml::NoIncludes).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let mut places: Vec<Place> = source.filters[0].places.concat();
        places.sort_unstable();
        places.dedup();
        if places.is_empty() {
            return Ok(());
        }
        let gone = places[choice.index(places.len())];
        let removed = toml::remove_rule(&text, gone).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let left: String = removed.split_whitespace().collect();
        let expected: String = format!("{}{}", &text[..gone.start], &text[gone.end..]);
        // The comment behind a rule's last line goes too; those of `never` are not on it.
        prop_assert_eq!(left, expected.split_whitespace().collect::<String>());
    }
}

proptest! {
    /// Any text is read, laid out and edited, or refused; what is laid out or edited is still what
    /// the reader takes.
    #[test]
    fn no_text_is_too_odd(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0usize..6, "[\\[\\]{}\"'#=,.\\\\@\n\ra-z0-9é| ]{0,6}"), 0..4),
        at in any::<prop::sample::Index>(),
    ) {
        let mut text: Vec<char> = TEXT.chars().collect();
        for (from, length, new) in cuts {
            let from = from.index(text.len());
            let to = (from + length).min(text.len());
            text.splice(from..to, new.chars());
        }
        let text: String = text.into_iter().collect();
        let read = toml::source(&text, &toml::NoIncludes);
        let laid = toml::fmt(&text);
        if let Ok(laid) = &laid {
            prop_assert_eq!(&toml::fmt(laid), &Ok(laid.clone()));
            prop_assert_eq!(laid.matches('#').count(), text.matches('#').count(), "{}", laid);
        }
        if let Ok(read) = read {
            let again = laid.map(|laid| toml::source(&laid, &toml::NoIncludes));
            let policies = |s: portcullis_policy::Source| s.filters.into_iter().map(|f| (f.name, f.policy)).collect::<Vec<_>>();
            prop_assert_eq!(again.map(|s| s.map(policies)), Ok(Ok(policies(read))));
            let denied = toml::deny(&text, "read", Action::Trap(0));
            let denied = denied.map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert!(toml::source(&denied, &toml::NoIncludes).is_ok(), "{}", denied);
        }
        let start = at.index(text.len().max(1));
        let _ = toml::remove_rule(&text, Place { start, end: start + 1 });
    }
}
