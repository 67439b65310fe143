//! Readers of hostile texts end, with a policy or a mistake.

use portcullis_abi::Arch;
use portcullis_policy::format::{kafel, minijail, systemd};
use portcullis_policy::{Place, lint::lint};
use proptest::prelude::*;

use crate::cases::target;

/// Texts made of what the forms are made of, so that parsers get beyond the first word.
fn text() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "read",
        "write",
        "arg0",
        "arg1",
        "==",
        "!=",
        "<",
        ">=",
        "&",
        "|",
        "||",
        "&&",
        "in",
        "~",
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        ":",
        ";",
        ",",
        "!",
        "=",
        "#",
        "#define",
        "#include \"a\"",
        "@include ./a",
        "@default",
        "@denylist",
        "@frequency",
        "return",
        "allow",
        "kill",
        "1",
        "0x7f",
        "-1",
        "99999999999999999999",
        "EPERM",
        "\n",
        "\\\n",
        "//",
        "/*",
        "*/",
        "POLICY",
        "USE",
        "ALLOW",
        "ERRNO",
        "TRAP",
        "DEFAULT",
        "SYSCALL",
        "ON",
        "x86_64",
        "fd",
        "count",
        "é",
        "\0",
        "[Service]\n",
        "SystemCallFilter=",
        "SystemCallLog=",
        "SystemCallArchitectures=",
        "native",
        "SystemCallErrorNumber=",
        "~@default",
        "@known",
        "mount:EPERM",
    ]);
    let words = prop::collection::vec((word, prop::bool::ANY), 0..40);
    let joined = words.prop_map(|all| {
        let spaced = all
            .into_iter()
            .map(|(w, space)| format!("{w}{}", if space { " " } else { "" }));
        spaced.collect::<String>()
    });
    prop_oneof![joined, "\\PC{0,60}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn a_reader_never_panics(text in text(), included in text()) {
        let include = |_: &str| Ok(included.clone());
        for arches in [&[][..], &[Arch::X86_64], &[Arch::I386, Arch::X32]] {
            let target = target(arches);
            for read in [
                minijail::read(&text, &target, &include),
                kafel::read(&text, &target, &include),
                systemd::read(&text, &target),
            ] {
                let places: Vec<Place> = match read {
                    Err(mistake) => mistake.place.into_iter().collect(),
                    Ok(source) => lint(&source.filters[0]).iter().map(|f| f.place).collect(),
                };
                for place in places {
                    prop_assert!(place.start <= place.end && place.end <= text.len());
                }
            }
        }
    }
}

#[test]
fn depth_and_size_have_bounds() {
    let target = target(&[Arch::X86_64]);
    let none = |_: &str| Err("no file".to_owned());
    let deep = "(".repeat(100_000);
    assert!(minijail::read(&format!("read: arg0 == {deep}"), &target, &none).is_err());
    assert!(kafel::read(&format!("ALLOW {{ read {{ {deep}"), &target, &none).is_err());
    let not = "!".repeat(100_000);
    assert!(kafel::read(&format!("ALLOW {{ read {{ {not}"), &target, &none).is_err());
    let bits = " & fd".repeat(100_000);
    assert!(
        kafel::read(
            &format!("ALLOW {{ read {{ fd{bits} == 1 }} }}"),
            &target,
            &none
        )
        .is_err()
    );
    let product = vec!["(fd == 1 || fd == 2)"; 40].join(" && ");
    let kafel = kafel::read(&format!("ALLOW {{ read {{ {product} }} }}"), &target, &none);
    let message = kafel.expect_err("2^40 alternatives").message;
    assert_eq!(message, "the expression has more than 4096 alternatives");
    // A file that includes itself sixteen times a line doubles sixteen times.
    let own = |_: &str| Ok("#include \"a\" \"a\"\n".repeat(8));
    assert!(kafel::read("#include \"a\"\n", &target, &own).is_err());
    let own = |_: &str| Ok("@include ./a\n@include ./a\n".repeat(8));
    assert!(minijail::read("@include ./a\n", &target, &own).is_err());
}
