//! Programs of another architecture or ABI, which the kernel may run beside its own.
//!
//! They are not analysed, and need not be: whatever they call is foreign, and a derived policy kills
//! foreign calls. So they are started behind the filter of a program that calls nothing, and their first
//! call gives the verdict.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use portcullis_abi::{Arch, Binary, Language, Linkage, ScannedObject, SyscallSet};
use sha2::{Digest as _, Sha256};

use crate::neutral;

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
    // Up to `e_machine`.
    file.take(20)
        .read_to_end(&mut header)
        .with_context(reading)?;
    Ok(arch(&header).and_then(|arch| match (Arch::NATIVE, arch) {
        (native, arch) if native == arch => None,
        (Arch::X86_64, Arch::I386 | Arch::X32) | (Arch::Aarch64, Arch::Arm) => {
            Some(Foreign::Compatible(arch))
        }
        _ => Some(Foreign::Other(arch)),
    }))
}

/// By class, byte order and machine (gABI; psABIs of the machines).
fn arch(header: &[u8]) -> Option<Arch> {
    let [0x7f, b'E', b'L', b'F', class, 1, .., low, high] = *header else {
        return None;
    };
    match (class, u16::from_le_bytes([low, high])) {
        (1, 3) => Some(Arch::I386),
        (1, 40) => Some(Arch::Arm),
        (1, 62) => Some(Arch::X32),
        (2, 62) => Some(Arch::X86_64),
        (2, 183) => Some(Arch::Aarch64),
        _ => None,
    }
}

/// The set of such a program: it makes no call of the native ABI.
pub(super) fn set(path: &Path) -> Result<SyscallSet> {
    let reading = || format!("reading {}", neutral::path(path));
    let path = std::path::absolute(path).with_context(reading)?;
    let content = std::fs::read(&path).with_context(reading)?;
    let name = path.display().to_string();
    Ok(SyscallSet {
        binary: Binary {
            path: name.clone(),
            script: None,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_architecture_is_told_by_class_and_machine() {
        let header = |class, machine: u16| {
            let [low, high] = machine.to_le_bytes();
            let mut header = [0; 20];
            header[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, 1]);
            header[18..].copy_from_slice(&[low, high]);
            header
        };
        for (class, machine, expected) in [
            (1, 3, Some(Arch::I386)),
            (1, 62, Some(Arch::X32)),
            (2, 62, Some(Arch::X86_64)),
            (2, 183, Some(Arch::Aarch64)),
            (1, 40, Some(Arch::Arm)),
            (2, 3, None),
        ] {
            assert_eq!(arch(&header(class, machine)), expected);
        }
        assert_eq!(arch(&header(1, 3)[..19]), None);
        assert_eq!(arch(b"#!/bin/sh\n"), None);
    }
}
