//! Modules, through the compiler and the runtime.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| portcullis_fuzz::module::ask(bytes));
