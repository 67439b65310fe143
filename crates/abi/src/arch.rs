//! Architectures and system call numbers.

use std::fmt;

use crate::x86_64_table;

/// A system call number of one architecture.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Sysno(pub u32);

impl fmt::Display for Sysno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An architecture whose programs Portcullis understands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Arch {
    /// AMD64, the 64-bit ABI; x32 and i386 calls are foreign to it.
    X86_64,
}

impl Arch {
    /// The name that the kernel gives to the call `number`, if the table knows it.
    pub fn name(self, number: Sysno) -> Option<&'static str> {
        let table = self.table();
        table
            .binary_search_by_key(&number.0, |&(n, _)| n)
            .ok()
            .map(|at| table[at].1)
    }

    /// The number of the call called `name`.
    pub fn number(self, name: &str) -> Option<Sysno> {
        self.table()
            .iter()
            .find(|(_, n)| *n == name)
            .map(|&(n, _)| Sysno(n))
    }

    /// Every call of the table, in ascending order of numbers.
    pub fn syscalls(self) -> impl Iterator<Item = (Sysno, &'static str)> {
        self.table().iter().map(|&(n, name)| (Sysno(n), name))
    }

    /// The highest number of the table: what is above it is unknown to this version.
    pub fn newest(self) -> Sysno {
        Sysno(self.table()[self.table().len() - 1].0)
    }

    /// `AUDIT_ARCH_*` of `linux/audit.h`, as `seccomp_data.arch` carries it.
    pub fn audit_arch(self) -> u32 {
        match self {
            Arch::X86_64 => 0xc000_003e,
        }
    }

    fn table(self) -> &'static [(u32, &'static str)] {
        match self {
            Arch::X86_64 => x86_64_table::SYSCALLS,
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Arch::X86_64 => "x86_64",
        })
    }
}
