//! Debug information and unwind tables.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| portcullis_fuzz::debug::ask(bytes));
