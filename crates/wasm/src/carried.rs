//! Both programs, built with this crate.

use portcullis_host::Image;

include!(concat!(env!("OUT_DIR"), "/workers.rs"));

/// The program that runs artifacts.
pub fn execute() -> Image {
    crate::execute_image(EXECUTE, EXECUTE_SHA256)
}

/// The program that makes them.
pub fn prepare() -> Image {
    crate::prepare_image(PREPARE, PREPARE_SHA256)
}
