//! What tells a loader which libraries a program gets.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| portcullis_fuzz::loader::ask(bytes));
