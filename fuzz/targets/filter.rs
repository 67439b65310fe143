//! Programs of the kernel's form, as bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| portcullis_fuzz::filter::ask(bytes));
