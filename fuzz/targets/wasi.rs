//! What a module asks of its host's interface.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| portcullis_fuzz::wasi::ask(bytes));
