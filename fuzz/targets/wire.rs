//! What host and worker say to each other.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| portcullis_fuzz::wire::ask(bytes));
