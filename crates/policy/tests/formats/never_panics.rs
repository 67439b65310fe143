//! Hostile texts are answered, whatever they are.

use portcullis_abi::Arch;
use portcullis_policy::format::{Concessions, Format};
use proptest::prelude::*;

use crate::{FORMATS, PROFILES, profile, read, target, write};

fn all(text: &str) {
    Format::detect(text.as_bytes());
    for arches in [&[Arch::X86_64, Arch::I386][..], &[Arch::Aarch64]] {
        for format in FORMATS {
            match read(format, text, &target(arches)) {
                Ok(source) => {
                    for to in FORMATS {
                        // Refusals are answers too.
                        let _ = write(to, &source.filters, Concessions::default());
                    }
                }
                Err(mistake) => {
                    if let Some(place) = mistake.place {
                        assert!(
                            place.start <= place.end && place.start <= text.len(),
                            "{mistake:?}"
                        );
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn texts(text in any::<String>()) {
        all(&text);
    }

    #[test]
    fn words(words in prop::collection::vec(prop::sample::select(vec![
        "{", "}", "[", "]", ",", ":", "\"", "\\u", "d800", "-", "0", "1e9", "null", "\"syscalls\"",
        "\"names\"", "&a ", "*a", "!t ", "? ", "- ", "\n", "  ", "|", ">", "%", "---\n", "é", "\t",
    ]), 0..60)) {
        all(&words.concat());
    }

    #[test]
    fn changed_profiles(
        file in prop::sample::select(PROFILES.to_vec()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0u8..4), 1..4),
    ) {
        let mut text: Vec<char> = profile(file).chars().collect();
        for (at, from, how) in changes {
            let (at, from) = (at.index(text.len()), from.index(text.len()));
            match how {
                0 => { text.remove(at); }
                1 => text[at] = text[from],
                2 => text.truncate(at.max(1)),
                _ => {
                    let part: Vec<char> = text[from..text.len().min(from + 40)].to_vec();
                    text.splice(at..at, part);
                }
            }
        }
        all(&text.into_iter().collect::<String>());
    }
}

#[test]
fn deep_and_long_texts_end() {
    for open in ["[", "{\"a\":", "- ", "a:\n", "? "] {
        all(&open.repeat(100_000));
    }
    all(&" ".repeat(5 << 20));
    all(&format!("{{{}}}", "\"a\":1,".repeat(50_000)));
}
