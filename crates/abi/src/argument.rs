//! What each call takes: how many arguments, and of each the kind and how much of its register the
//! kernel reads.
//!
//! The width decides whether a rule means what it says. The kernel takes an `int` from the low half
//! of a register and ignores the rest, so a filter that compares all 64 bits with a constant is
//! passed by whoever sets a high bit (CVE-2019-7303, CVE-2019-10063).

mod argument_table;
mod deciding;

use crate::{Arch, Sysno};

/// One argument of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Argument {
    /// The kernel's name for it.
    pub name: &'static str,
    /// What it is.
    pub kind: ArgKind,
    /// Bits of the register that the kernel takes: 32 or 64. On 32-bit architectures always 32.
    pub width: u8,
    /// The kernel's type for it has a sign.
    pub signed: bool,
}

/// What an argument is. The type that the kernel declares decides, and for plain integers its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum ArgKind {
    /// A file descriptor, or `AT_FDCWD`; of any width.
    Fd,
    /// A signed integer of 32 bits: `int`, `key_t`, `timer_t`.
    Int,
    /// An unsigned integer of 32 bits.
    Unsigned,
    /// A signed word: `long`.
    Long,
    /// An unsigned word: `unsigned long`, also where it is an address that need not be mapped.
    UnsignedLong,
    /// `size_t`.
    Size,
    /// `off_t` or `loff_t`; on 32-bit architectures one of its two halves.
    Offset,
    /// Bits with meanings of their own; of any width.
    Flags,
    /// `umode_t`. The kernel takes 16 bits: see [`Argument::kernel_bits`].
    Mode,
    /// A process, thread or process group.
    Pid,
    /// A user id.
    Uid,
    /// A group id.
    Gid,
    /// A user id of 16 bits.
    Uid16,
    /// A group id of 16 bits.
    Gid16,
    /// A signal.
    Signal,
    /// `clockid_t`.
    Clock,
    /// A pointer to a path.
    Path,
    /// A pointer to another text that a zero ends.
    Text,
    /// A pointer to one structure, or to an array of it.
    Struct,
    /// Another pointer.
    Pointer,
}

impl ArgKind {
    /// The value is an address: what it leads to can change after any look at it, and a filter
    /// cannot see it at all.
    pub fn is_pointer(self) -> bool {
        matches!(
            self,
            ArgKind::Path | ArgKind::Text | ArgKind::Struct | ArgKind::Pointer
        )
    }
}

impl Argument {
    /// Bits of the value that reach the kernel's function: 16 for modes and old user ids, whose
    /// type is `unsigned short`, else [`Argument::width`].
    pub fn kernel_bits(&self) -> u8 {
        match self.kind {
            ArgKind::Mode | ArgKind::Uid16 | ArgKind::Gid16 => 16,
            _ => self.width,
        }
    }
}

/// `(call, its arguments)`.
type Row = (&'static str, &'static [Argument]);

const fn argument(name: &'static str, kind: ArgKind, width: u8, signed: bool) -> Argument {
    Argument {
        name,
        kind,
        width,
        signed,
    }
}

impl Arch {
    /// The arguments of a call in the order of its registers, at most six; `None` when the table
    /// does not know the number. Empty also for numbers that no kernel since 2.6 answers. On
    /// 32-bit architectures a value of 64 bits is two arguments, `NAME_low` and `NAME_high`, and on
    /// arm a register may be left `unused` before them.
    ///
    /// Sources: include/linux/syscalls.h of Linux 6.12; by hand what is newer (to 6.18), private to
    /// an architecture, or gone.
    pub fn arguments(self, number: Sysno) -> Option<&'static [Argument]> {
        use argument_table::{AARCH64, ARM, NARROW, WIDE, X32};
        let name = self.name(number)?;
        let (own, shared): (&[Row], &[Row]) = match self {
            Arch::X86_64 => (&[], WIDE),
            Arch::X32 => (X32, WIDE),
            Arch::Aarch64 => (AARCH64, WIDE),
            Arch::I386 => (&[], NARROW),
            Arch::Arm => (ARM, NARROW),
        };
        find(own, name).or_else(|| find(shared, name))
    }
}

/// Rows are sorted by name.
fn find(rows: &[Row], name: &str) -> Option<&'static [Argument]> {
    let at = rows.binary_search_by(|row| row.0.cmp(name)).ok()?;
    Some(rows[at].1)
}
