//! Programs of another architecture or ABI, which the kernel may run beside its own.
//!
//! They are not analysed, and need not be: whatever they call is foreign, and a derived policy kills
//! foreign calls. So they are started behind the filter of a program that calls nothing, and their first
//! call gives the verdict.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use portcullis_abi::{Arch, Binary, Language, Linkage, ScannedObject, SyscallSet};
use portcullis_scan::link::interpreter;
use sha2::{Digest as _, Sha256};

use crate::{header, neutral};

/// A program that is not the native one.
pub(super) enum Foreign {
    /// A kernel like this one can be built to run it.
    Compatible(Arch),
    /// None can.
    Other(Arch),
}

/// What the file at `path` is, when it is an ELF file of a known architecture other than the native one.
pub(super) fn kind(path: &Path) -> Result<Option<Foreign>> {
    let reading = || format!("reading {}", neutral::path(path));
    let mut header = Vec::new();
    let file = File::open(path).with_context(reading)?;
    file.take(header::BYTES)
        .read_to_end(&mut header)
        .with_context(reading)?;
    Ok(
        header::arch(&header).and_then(|arch| match (Arch::NATIVE, arch) {
            (native, arch) if native == arch => None,
            (Arch::X86_64, Arch::I386 | Arch::X32) | (Arch::Aarch64, Arch::Arm) => {
                Some(Foreign::Compatible(arch))
            }
            _ => Some(Foreign::Other(arch)),
        }),
    )
}

/// The set of a program that is not analysed: of such a one, which makes no call of the native ABI, or of one
/// whose policy is given. A script is its interpreter.
pub(super) fn set(path: &Path) -> Result<SyscallSet> {
    let reading = || format!("reading {}", neutral::path(path));
    let mut path = std::path::absolute(path).with_context(reading)?;
    let mut content = std::fs::read(&path).with_context(reading)?;
    let script = interpreter(&content).map(|found| {
        let script = path.display().to_string();
        (found.program, (script, found.argument))
    });
    let script = match script {
        None => None,
        Some((program, script)) => {
            content = std::fs::read(&program).with_context(reading)?;
            ensure!(
                interpreter(&content).is_none(),
                "{}: its interpreter is a script itself",
                neutral::path(&path)
            );
            path = program;
            Some(script)
        }
    };
    let name = path.display().to_string();
    Ok(SyscallSet {
        binary: Binary {
            path: name.clone(),
            script,
            arch: Arch::NATIVE,
            // Of these three nothing is known, and nobody who runs a program asks.
            linkage: Linkage::Static,
            stripped: true,
            languages: vec![Language::C],
        },
        objects: vec![ScannedObject {
            path: name,
            soname: None,
            sha256: Sha256::digest(&content).into(),
        }],
        syscalls: Vec::new(),
        sets: Vec::new(),
        residuals: Vec::new(),
        assumed: Vec::new(),
        warnings: Vec::new(),
    })
}
