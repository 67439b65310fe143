//! The profiles that come with the command, and the policies that they name.

/// A name, and the text of a file of `profiles/`.
type File = (&'static str, &'static str);

/// Profiles, by name.
pub(crate) const PROFILES: &[File] = &[
    (
        "batch-tool",
        include_str!("../../../../profiles/batch-tool.profile.toml"),
    ),
    (
        "browser",
        include_str!("../../../../profiles/browser.profile.toml"),
    ),
    (
        "compiler",
        include_str!("../../../../profiles/compiler.profile.toml"),
    ),
    (
        "interpreter",
        include_str!("../../../../profiles/interpreter.profile.toml"),
    ),
    (
        "network-client",
        include_str!("../../../../profiles/network-client.profile.toml"),
    ),
    (
        "static-server",
        include_str!("../../../../profiles/static-server.profile.toml"),
    ),
    (
        "wasm-worker",
        include_str!("../../../../profiles/wasm-worker.profile.toml"),
    ),
];

/// Policies that a profile can name.
pub(crate) const POLICIES: &[File] = &[
    (
        "container-default",
        include_str!("../../../../profiles/container-default.toml"),
    ),
    (
        "network-server",
        include_str!("../../../../profiles/network-server.toml"),
    ),
    (
        "static-strict",
        include_str!("../../../../profiles/static-strict.toml"),
    ),
];
