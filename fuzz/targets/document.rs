//! Documents of scans, and entries of the cache.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| portcullis_fuzz::document::ask(bytes));
