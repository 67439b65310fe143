//! Other compilers of filters, and definitions written apart, as measures of this one.
//!
//! `cargo xtask needs` brings what these tests read: libseccomp's source package for its tables, and the
//! library itself. Without them they fail.
//!
//! How many random policies are tried is proptest's `PROPTEST_CASES`; `cargo xtask test --full` tries many.
#![expect(
    clippy::print_stdout,
    reason = "what was replayed, and what not, is said"
)]

mod asker;
mod library;
mod meaning;
mod points;
mod random;
mod recorded;
mod reference;
mod replay;
mod rows;
mod seccompiler;
