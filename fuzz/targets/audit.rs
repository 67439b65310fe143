//! Audit records of the kernel.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| portcullis_fuzz::audit::ask(bytes));
