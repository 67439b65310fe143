//! The JSON contracts of the command.
//!
//! Each document has its own structures here: a change of a library's types cannot change what
//! scripts read. Fields may be added; those that are there stay.

pub(crate) mod audit;
pub(crate) mod doctor;
pub(crate) mod filter;
#[cfg(feature = "host")]
pub(crate) mod job;
pub(crate) mod lint;
pub(crate) mod otlp;
pub(crate) mod record;
pub(crate) mod scan;
pub(crate) mod scan_input;
#[cfg(feature = "host")]
pub(crate) mod spans;
pub(crate) mod trace;
pub(crate) mod verdict;

/// A code of the form `PC0104` that lives as long as the results that carry it, which is as long
/// as the command: it reads few documents, each with few kinds of warnings.
pub(crate) fn warning_code(code: &str) -> Option<&'static str> {
    let digits = code.strip_prefix("PC")?;
    (digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit()))
        .then(|| &*Box::leak(code.to_owned().into_boxed_str()))
}
