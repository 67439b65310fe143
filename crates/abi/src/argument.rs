//! What each call takes: how many arguments, and of each the kind and how much of its register the
//! kernel reads.
//!
//! The width decides whether a rule means what it says. The kernel takes an `int` from the low half
//! of a register and ignores the rest, so a filter that compares all 64 bits with a constant is
//! passed by whoever sets a high bit (CVE-2019-7303, CVE-2019-10063).

mod argument_table;
mod deciding;

use argument_table as rows;

use crate::names::{Names, names};
use crate::{Arch, Sysno};

/// One argument of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Argument {
    /// Where its name begins in [`NAMES`], and how long it is.
    name: (u16, u8),
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
    /// The kernel's name for it.
    pub fn name(&self) -> &'static str {
        let (begin, length) = (usize::from(self.name.0), usize::from(self.name.1));
        &NAMES[begin..begin + length]
    }

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
type Row = (&'static str, &'static [Written]);

/// An argument as the rows have it.
struct Written {
    name: &'static str,
    kind: ArgKind,
    width: u8,
    signed: bool,
}

const fn argument(name: &'static str, kind: ArgKind, width: u8, signed: bool) -> Written {
    Written {
        name,
        kind,
        width,
        signed,
    }
}

/// What calls take, sorted by the calls' names.
struct Table {
    calls: Names,
    /// Where those of each call end in `arguments`.
    ends: &'static [u16],
    arguments: &'static [Argument],
}

/// The table of constant rows, whose names of arguments begin at `$begin` of [`NAMES`].
macro_rules! table {
    ($rows:ident, $begin:expr) => {{
        const COUNT: usize = rows::$rows.len();
        const ENDS: [u16; COUNT] = ends(rows::$rows);
        const TAKEN: usize = ENDS[COUNT - 1] as usize;
        Table {
            calls: names!(rows::$rows, 0),
            ends: &ENDS,
            arguments: &const { arguments::<TAKEN>(rows::$rows, $begin) },
        }
    }};
}

static WIDE: Table = table!(WIDE, 0);
static X32: Table = table!(X32, length(1));
static AARCH64: Table = table!(AARCH64, length(2));
static NARROW: Table = table!(NARROW, length(3));
static ARM: Table = table!(ARM, length(4));

const ALL: [&[Row]; 5] = [
    rows::WIDE,
    rows::X32,
    rows::AARCH64,
    rows::NARROW,
    rows::ARM,
];

/// The names of the arguments of all rows, one after the other: see [`crate::names`].
static NAMES: &str = match std::str::from_utf8(
    &const {
        let mut text = [0; length(ALL.len())];
        let mut rest = text.as_mut_slice();
        let mut table = 0;
        while table < ALL.len() {
            let mut row = 0;
            while row < ALL[table].len() {
                let mut at = 0;
                while at < ALL[table][row].1.len() {
                    let name = ALL[table][row].1[at].name.as_bytes();
                    let (own, after) = rest.split_at_mut(name.len());
                    own.copy_from_slice(name);
                    rest = after;
                    at += 1;
                }
                row += 1;
            }
            table += 1;
        }
        text
    },
) {
    Ok(text) => text,
    Err(_) => panic!("names are joined where they end"),
};

/// Bytes of the names of arguments in the first `tables` of all.
const fn length(tables: usize) -> usize {
    let (mut length, mut table) = (0, 0);
    while table < tables {
        let mut row = 0;
        while row < ALL[table].len() {
            let mut at = 0;
            while at < ALL[table][row].1.len() {
                length += ALL[table][row].1[at].name.len();
                at += 1;
            }
            row += 1;
        }
        table += 1;
    }
    assert!(length < u16::MAX as usize, "wider places are needed");
    length
}

const fn ends<const COUNT: usize>(rows: &[Row]) -> [u16; COUNT] {
    let mut ends = [0; COUNT];
    let (mut row, mut end) = (0, 0);
    while row < COUNT {
        end += rows[row].1.len();
        ends[row] = end as u16;
        row += 1;
    }
    ends
}

const fn arguments<const COUNT: usize>(rows: &[Row], mut begin: usize) -> [Argument; COUNT] {
    let none = Argument {
        name: (0, 0),
        kind: ArgKind::Int,
        width: 0,
        signed: false,
    };
    let mut arguments = [none; COUNT];
    let (mut row, mut place) = (0, 0);
    while row < rows.len() {
        let mut at = 0;
        while at < rows[row].1.len() {
            let written = &rows[row].1[at];
            arguments[place] = Argument {
                name: (begin as u16, written.name.len() as u8),
                kind: written.kind,
                width: written.width,
                signed: written.signed,
            };
            begin += written.name.len();
            place += 1;
            at += 1;
        }
        row += 1;
    }
    arguments
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
        let name = self.name(number)?;
        let (own, shared) = match self {
            Arch::X86_64 => (None, &WIDE),
            Arch::X32 => (Some(&X32), &WIDE),
            Arch::Aarch64 => (Some(&AARCH64), &WIDE),
            Arch::I386 => (None, &NARROW),
            Arch::Arm => (Some(&ARM), &NARROW),
        };
        let own = own.and_then(|own| own.of(name));
        own.or_else(|| shared.of(name))
    }
}

impl Table {
    fn of(&'static self, call: &str) -> Option<&'static [Argument]> {
        let row = self.calls.find(call)?;
        let begin = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.arguments[usize::from(begin)..usize::from(self.ends[row])])
    }
}
