//! What each code means that Portcullis gives to a warning, a finding or a denial.

mod code_table;

pub use code_table::CODES;

/// A code and what to do about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// `PC0310`. Never used again for something else.
    pub code: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// What is so, and why it matters.
    pub meaning: &'static str,
    /// What to do.
    pub advice: &'static str,
    /// An example, or where it has happened; empty when there is none.
    pub example: &'static str,
}

/// The explanation of a code, written in either case.
pub fn explain(code: &str) -> Option<&'static Explanation> {
    CODES.iter().find(|e| e.code.eq_ignore_ascii_case(code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::Code;

    #[test]
    fn codes_ascend_and_say_something() {
        assert!(CODES.is_sorted_by(|a, b| a.code < b.code));
        for entry in CODES {
            assert_eq!(entry.code.len(), 6, "{}", entry.code);
            for text in [entry.title, entry.meaning, entry.advice] {
                assert!(text.len() > 10, "{}", entry.code);
            }
        }
    }

    #[test]
    fn every_finding_is_explained() {
        for code in Code::ALL {
            assert!(explain(code.text()).is_some(), "{code}");
        }
        assert_eq!(explain("pc0310").map(|e| e.code), Some("PC0310"));
        assert_eq!(explain("PC9999"), None);
    }
}
