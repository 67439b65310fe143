//! Foreign formats: what profiles mean, what comes back from writing, and what is refused.

mod calls;
mod decisions;
mod mistakes;
mod never_panics;
mod refusals;
mod round_trip;

use portcullis_abi::Arch;
use portcullis_policy::format::{
    Concessions, Format, Newer, Unsayable, docker, firecracker, kubernetes, oci,
};
use portcullis_policy::{Filter, Mistake, Source, Target};

/// The formats of this test.
const FORMATS: [Format; 6] = [
    Format::Oci,
    Format::Docker,
    Format::Containers,
    Format::Kubernetes,
    Format::Firecracker,
    Format::Seccompiler,
];

fn target(arches: &[Arch]) -> Target {
    let capabilities = [
        "CAP_AUDIT_WRITE",
        "CAP_CHOWN",
        "CAP_KILL",
        "CAP_NET_RAW",
        "CAP_SYS_CHROOT",
    ];
    Target {
        arches: arches.to_vec(),
        capabilities: capabilities.map(str::to_owned).to_vec(),
        kernel: (6, 1),
    }
}

fn read(format: Format, text: &str, target: &Target) -> Result<Source, Mistake> {
    match format {
        Format::Docker | Format::Containers => docker::read(text, format, target, Newer::AsDefault),
        Format::Kubernetes => kubernetes::read(text, target, Newer::AsDefault),
        Format::Firecracker | Format::Seccompiler => firecracker::read(text, format, target),
        _ => oci::read(text, target, Newer::AsDefault),
    }
}

fn write(format: Format, filters: &[Filter], conceded: Concessions) -> Result<String, Unsayable> {
    match format {
        Format::Docker | Format::Containers => docker::write(filters, conceded),
        Format::Kubernetes => kubernetes::write(filters, conceded),
        Format::Firecracker | Format::Seccompiler => firecracker::write(filters, format, conceded),
        _ => oci::write(filters, conceded),
    }
}

/// A file of `testdata/policy/profiles`.
fn profile(name: &str) -> String {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../testdata/policy/profiles"
    );
    std::fs::read_to_string(format!("{folder}/{name}")).expect(name)
}

const PROFILES: [&str; 6] = [
    "small.oci.json",
    "small.docker.json",
    "small.containers.json",
    "small.kubernetes.yaml",
    "small.firecracker.json",
    "small.seccompiler.json",
];
