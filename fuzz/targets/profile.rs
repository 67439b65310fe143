//! Profiles, and the small files beside them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| portcullis_fuzz::profile::ask(bytes));
