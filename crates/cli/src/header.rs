//! What the header of an ELF file says of the architecture, also of those that are not analysed.

use portcullis_abi::Arch;

/// Bytes that are looked at: up to `e_machine`.
pub(crate) const BYTES: u64 = 20;

/// The architecture of the program that begins with these bytes, by class, byte order and machine (gABI; psABIs
/// of the machines); `None` of what is no such file, and of others.
pub(crate) fn arch(file: &[u8]) -> Option<Arch> {
    let [0x7f, b'E', b'L', b'F', class, 1, .., low, high] = *file.get(..BYTES as usize)? else {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_architecture_is_told_by_class_and_machine() {
        let header = |class, machine: u16| {
            let [low, high] = machine.to_le_bytes();
            let mut header = [0; 64];
            header[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, 1]);
            header[18..20].copy_from_slice(&[low, high]);
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
            assert_eq!(arch(&header(class, machine)[..20]), expected);
        }
        assert_eq!(arch(&header(1, 3)[..19]), None);
        assert_eq!(arch(b"#!/bin/sh\n"), None);
    }
}
