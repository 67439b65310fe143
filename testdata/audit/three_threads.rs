//! Builds the program of three threads, for the tests of more than one crate: the same source and the
//! same C library for each architecture, and that library for other programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_abi::Arch;

/// Debian's musl for aarch64 in cargo's build directory, where `cargo xtask needs` puts it.
const MUSL: &str = "musl-arm64/usr";

/// Where the source and the filters are.
pub(crate) fn directory() -> PathBuf {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    above
        .find_map(|directory| Some(directory.join("testdata/audit")).filter(|found| found.is_dir()))
        .expect("testdata/audit")
}

/// Compiles the program for `arch` and links it statically with musl. `target` is cargo's build directory.
pub(crate) fn build(arch: Arch, target: &Path, program: &Path) {
    let built = with_musl(arch, target, &directory().join("three_threads.c"))
        .arg("-o")
        .arg(program)
        .status();
    let built =
        built.expect("this test needs musl-gcc and aarch64-linux-gnu-gcc: cargo xtask needs");
    assert!(built.success());
}

/// The compiler that makes a program of `source` for `arch`, statically linked with musl. `target` is cargo's build
/// directory.
pub(crate) fn with_musl(arch: Arch, target: &Path, source: &Path) -> Command {
    let mut compiler = match arch {
        Arch::Aarch64 => for_aarch64(source, &target.join(MUSL)),
        _ => for_x86_64(source),
    };
    compiler.args(["-static", "-O2"]);
    compiler
}

fn for_x86_64(source: &Path) -> Command {
    let mut compiler = Command::new("musl-gcc");
    // The headers of the kernel are in none of musl's directories.
    for headers in ["/usr/include", "/usr/include/x86_64-linux-gnu"] {
        compiler.args(["-idirafter", headers]);
    }
    compiler.arg(source);
    compiler
}

/// What `musl-gcc` does, which Debian has for the machine's own architecture alone.
fn for_aarch64(source: &Path, musl: &Path) -> Command {
    assert!(
        musl.is_dir(),
        "musl for aarch64 is missing: cargo xtask needs"
    );
    let library = musl.join("lib/aarch64-linux-musl");
    let mut compiler = Command::new("aarch64-linux-gnu-gcc");
    compiler.args(["-nostdinc", "-isystem"]);
    compiler.arg(musl.join("include/aarch64-linux-musl"));
    compiler.args(["-idirafter", "/usr/aarch64-linux-gnu/include", "-nostdlib"]);
    compiler.args(["crt1.o", "crti.o"].map(|start| library.join(start)));
    compiler.arg(source).arg(library.join("libc.a"));
    // What the compiler calls, and what that calls of the C library.
    compiler.arg("-lgcc").arg(library.join("libc.a"));
    compiler.arg(library.join("crtn.o"));
    compiler
}
