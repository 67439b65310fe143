//! The WebAssembly engine of the job host: two static programs and what each of them may call.
//!
//! Nothing of the engine itself is in the host's process. `portcullis-wasm-prepare` (feature `prepare`) has the
//! compiler and no runtime, `portcullis-wasm-execute` (feature `execute`) the runtime and no compiler. With the feature
//! `carried` both are built along, and are there as [`Image`]s.

#[cfg(feature = "execute")]
mod artifact;
#[cfg(feature = "carried")]
pub mod carried;
#[cfg(feature = "prepare")]
mod compile;
#[cfg(any(feature = "execute", test))]
#[cfg_attr(
    not(feature = "execute"),
    allow(dead_code, reason = "tested without what uses it")
)]
mod errno;
#[cfg(feature = "execute")]
mod execute;
#[cfg(any(feature = "execute", test))]
mod room;
#[cfg(any(feature = "execute", feature = "prepare"))]
mod settings;
#[cfg(any(feature = "execute", test))]
#[cfg_attr(
    not(feature = "execute"),
    allow(dead_code, reason = "tested without what uses it")
)]
mod tree;
#[cfg(feature = "execute")]
mod wasi;

use portcullis_host::{Image, audit_hash};

#[cfg(feature = "prepare")]
pub use compile::Compiler;
#[cfg(feature = "execute")]
pub use execute::Runtime;

/// The program that runs artifacts, from its file and the SHA-256 that it had when it was audited.
pub fn execute_image(bytes: &'static [u8], sha256: [u8; 32]) -> Image {
    image(
        "portcullis-wasm-execute",
        (bytes, sha256),
        include_str!("../policy/execute.toml"),
        include_str!("../policy/job.toml"),
    )
}

/// The program that makes them.
pub fn prepare_image(bytes: &'static [u8], sha256: [u8; 32]) -> Image {
    image(
        "portcullis-wasm-prepare",
        (bytes, sha256),
        include_str!("../policy/prepare.toml"),
        // It runs none.
        "",
    )
}

fn image(
    name: &'static str,
    (bytes, sha256): (&'static [u8], [u8; 32]),
    policy: &'static str,
    jobs: &'static str,
) -> Image {
    Image::new(name, bytes, policy, jobs).audited(audit_hash(sha256, policy))
}
