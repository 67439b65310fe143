//! Names of architectures, and what tells two of them apart.

use portcullis_abi::{Arch, Sysno};

#[test]
fn every_name_that_others_use_is_taken() {
    for (arch, names) in [
        (Arch::X86_64, "x86_64 amd64 x86-64 SCMP_ARCH_X86_64"),
        (Arch::X32, "x32 SCMP_ARCH_X32"),
        (Arch::I386, "i386 i686 x86 386 SCMP_ARCH_X86"),
        (Arch::Aarch64, "aarch64 arm64 SCMP_ARCH_AARCH64"),
        (Arch::Arm, "arm armhf armv7l SCMP_ARCH_ARM"),
    ] {
        for name in names.split(' ') {
            assert_eq!(name.parse(), Ok(arch), "{name}");
        }
        assert_eq!(arch.to_string().parse(), Ok(arch));
    }
    for unknown in ["", "X86_64", "SCMP_ARCH_MIPS", "scmp_arch_x86"] {
        assert_eq!(Arch::from_name(unknown), None, "{unknown}");
        let error = unknown.parse::<Arch>().unwrap_err().to_string();
        assert!(error.contains(&format!("{unknown:?}")), "{error}");
    }
}

#[test]
fn x32_differs_by_its_bit_alone() {
    assert_eq!(Arch::X32.audit_arch(), Arch::X86_64.audit_arch());
    assert!(Arch::X32.syscalls().all(|(n, _)| n.0 & Arch::X32_BIT != 0));
    assert!(
        Arch::X86_64
            .syscalls()
            .all(|(n, _)| n.0 & Arch::X32_BIT == 0)
    );
    // A call that both have is one entry of the kernel's table.
    for (name, shared) in [
        ("read", true),
        ("mseal", true),
        ("execve", false),
        ("ioctl", false),
    ] {
        let x32 = Arch::X32.number(name).map(|n| n.0 & !Arch::X32_BIT);
        assert_eq!(
            x32 == Arch::X86_64.number(name).map(|n| n.0),
            shared,
            "{name}"
        );
    }
}

#[test]
fn audit_values_are_the_kernels() {
    // include/uapi/linux/audit.h: the ELF machine, | 0x8000_0000 for 64 bits, | 0x4000_0000 for
    // little-endian.
    let (wide, little) = (0x8000_0000, 0x4000_0000);
    for (arch, machine, bits) in [
        (Arch::X86_64, 62, wide),
        (Arch::I386, 3, 0),
        (Arch::Aarch64, 183, wide),
        (Arch::Arm, 40, 0),
    ] {
        assert_eq!(arch.audit_arch(), machine | bits | little, "{arch}");
        assert_eq!(arch.register_bits() == 64, bits != 0, "{arch}");
    }
}

#[test]
fn the_newest_number_is_the_last_that_is_given_out_in_turn() {
    for arch in Arch::ALL {
        let bit = if arch == Arch::X32 { Arch::X32_BIT } else { 0 };
        assert_eq!(arch.newest(), Sysno(469 | bit), "{arch}");
        assert_eq!(arch.name(arch.newest()), Some("file_setattr"), "{arch}");
    }
}
