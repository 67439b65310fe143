//! Architectures and system call numbers.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use crate::table;

/// A system call number of one architecture.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Sysno(pub u32);

impl fmt::Display for Sysno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An architecture, as a filter tells them apart: by `seccomp_data.arch` and, for the two that
/// share its value, by a bit of the number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Arch {
    /// AMD64, the 64-bit ABI; x32 and i386 calls are foreign to it.
    X86_64,
    /// The ABI of AMD64 with pointers of 32 bits. Its numbers carry [`Arch::X32_BIT`], and
    /// `seccomp_data.arch` is that of [`Arch::X86_64`].
    X32,
    /// IA-32, natively or on a 64-bit kernel.
    I386,
    /// ARM64, the 64-bit ABI.
    Aarch64,
    /// ARM with the EABI, natively or on a 64-bit kernel.
    Arm,
}

/// Numbers from here on are private calls of arm (`__ARM_NR_BASE` of its `asm/unistd.h`).
const ARM_PRIVATE: u32 = 0x000f_0000;

/// `(architecture, alias, name in its table)`: the same number under two names, and no others.
/// `umount` is not one: where a table has `umount2` alone, the call of that name does not exist.
const ALIASES: &[(Arch, &str, &str)] = &[
    // arch/arm/include/uapi/asm/unistd.h: `__NR_sync_file_range2` is `__NR_arm_sync_file_range`.
    (Arch::Arm, "sync_file_range2", "arm_sync_file_range"),
];

/// Names before Linux 2.6, on every architecture that has the call (syscalls(2)).
const RENAMED: &[(&str, &str)] = &[("pread", "pread64"), ("pwrite", "pwrite64")];

impl Arch {
    /// Every architecture.
    pub const ALL: [Arch; 5] = [
        Arch::X86_64,
        Arch::X32,
        Arch::I386,
        Arch::Aarch64,
        Arch::Arm,
    ];

    /// The architecture of the kernel that this program is built for: programs of another one, or of
    /// another ABI, are foreign to it.
    pub const NATIVE: Arch = if cfg!(target_arch = "aarch64") {
        Arch::Aarch64
    } else {
        Arch::X86_64
    };

    /// `__X32_SYSCALL_BIT` of `asm/unistd.h`: set in every number of [`Arch::X32`] and in none of
    /// [`Arch::X86_64`].
    pub const X32_BIT: u32 = 0x4000_0000;

    /// The name that the kernel gives to the call `number`, if the table knows it.
    pub fn name(self, number: Sysno) -> Option<&'static str> {
        let table = table::of(self);
        table.place(number.0).map(|at| table.names.at(at))
    }

    /// The number of the call called `name`. Takes the few aliases that mean the same call as
    /// well: `pread` and `pwrite`, which were renamed, and `sync_file_range2` on arm.
    pub fn number(self, name: &str) -> Option<Sysno> {
        let table = table::of(self);
        let known = table.number(name).or_else(|| {
            let own = ALIASES.iter().find(|a| (a.0, a.1) == (self, name));
            let old = RENAMED.iter().find(|a| a.0 == name);
            table.number(own.map(|a| a.2).or(old.map(|a| a.1))?)
        });
        known.map(Sysno)
    }

    /// Every call of the table, in ascending order of numbers.
    pub fn syscalls(self) -> impl Iterator<Item = (Sysno, &'static str)> {
        let table = table::of(self);
        let calls = table.calls.iter().enumerate();
        calls.map(|(at, &(number, _))| (Sysno(number), table.names.at(at)))
    }

    /// The highest number that the kernel gives out in turn: what is above it is unknown to this
    /// version. Two ranges that are not in turn stand above or beside it: the private calls of arm
    /// (from 0xf0000), and the 512 to 547 of x32, which no later call will get (since 5.1 new
    /// calls have one number on all architectures, above 423).
    pub fn newest(self) -> Sysno {
        let in_turn = |number: &u32| match self {
            Arch::X32 => !(512..548).contains(&(number & !Arch::X32_BIT)),
            _ => *number < ARM_PRIVATE,
        };
        let numbers = table::of(self).calls.iter().map(|row| row.0);
        Sysno(numbers.rev().find(in_turn).unwrap_or_default())
    }

    /// The architectures whose calls carry this `AUDIT_ARCH_*`: one, or x86_64 and x32, or none.
    pub fn of_audit(audit_arch: u32) -> impl Iterator<Item = Arch> + Clone {
        let all = Arch::ALL.into_iter();
        all.filter(move |arch| arch.audit_arch() == audit_arch)
    }

    /// The architecture of a call as a filter sees it: by its `AUDIT_ARCH_*` and, for the two that share one,
    /// by the bit of its number. The number -1 has no bits: the kernel answers it before it looks.
    pub fn of_call(audit_arch: u32, number: u32) -> Option<Arch> {
        let is_x32 = number & Arch::X32_BIT != 0 && number != u32::MAX;
        Arch::of_audit(audit_arch).find(|arch| match arch {
            Arch::X86_64 => !is_x32,
            Arch::X32 => is_x32,
            _ => true,
        })
    }

    /// The architecture of the 64-bit kernels that answer its calls.
    pub fn kernel(self) -> Arch {
        match self {
            Arch::X86_64 | Arch::X32 | Arch::I386 => Arch::X86_64,
            Arch::Aarch64 | Arch::Arm => Arch::Aarch64,
        }
    }

    /// `AUDIT_ARCH_*` of `linux/audit.h`, as `seccomp_data.arch` carries it. X32 has the value of
    /// X86_64: the kernel tells them apart by [`Arch::X32_BIT`] alone.
    pub fn audit_arch(self) -> u32 {
        match self {
            Arch::X86_64 | Arch::X32 => 0xc000_003e,
            Arch::I386 => 0x4000_0003,
            Arch::Aarch64 => 0xc000_00b7,
            Arch::Arm => 0x4000_0028,
        }
    }

    /// Bits of a register, and of `unsigned long` in the kernel that answers a native call. X32
    /// passes arguments in registers of 64 bits.
    pub fn register_bits(self) -> u32 {
        match self {
            Arch::X86_64 | Arch::X32 | Arch::Aarch64 => 64,
            Arch::I386 | Arch::Arm => 32,
        }
    }

    /// Whether a filter can see bits above the 32nd in the argument of a call that takes 32. Of i386 it
    /// can: a 64-bit program makes its calls by `int 0x80` with whole registers, which the filter sees as
    /// they are (`syscall_get_arguments` of arch/x86/include/asm/syscall.h) and the call does not.
    /// Programs of arm have no wider registers.
    pub fn has_upper_halves(self) -> bool {
        self != Arch::Arm
    }

    /// The architecture called `name` here, by uname(2), by Debian, by Go or by OCI
    /// (`SCMP_ARCH_*` of the runtime specification); case counts.
    pub fn from_name(name: &str) -> Option<Arch> {
        Some(match name {
            "x86_64" | "x86-64" | "amd64" | "SCMP_ARCH_X86_64" => Arch::X86_64,
            "x32" | "SCMP_ARCH_X32" => Arch::X32,
            "i386" | "i486" | "i586" | "i686" | "x86" | "386" | "ia32" | "SCMP_ARCH_X86" => {
                Arch::I386
            }
            "aarch64" | "arm64" | "SCMP_ARCH_AARCH64" => Arch::Aarch64,
            "arm" | "armhf" | "armel" | "armv6l" | "armv7l" | "armv8l" | "SCMP_ARCH_ARM" => {
                Arch::Arm
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Arch::X86_64 => "x86_64",
            Arch::X32 => "x32",
            Arch::I386 => "i386",
            Arch::Aarch64 => "aarch64",
            Arch::Arm => "arm",
        })
    }
}

impl FromStr for Arch {
    type Err = UnknownArch;

    fn from_str(name: &str) -> Result<Arch, UnknownArch> {
        Arch::from_name(name).ok_or_else(|| UnknownArch(name.to_owned()))
    }
}

/// A name that no architecture has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownArch(pub String);

impl fmt::Display for UnknownArch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the architecture {:?} is not known; known are: x86_64, x32, i386, aarch64, arm",
            self.0
        )
    }
}

impl Error for UnknownArch {}
