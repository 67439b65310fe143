//! The kernel's constants by name, as people write them in policies, and errors both ways.

mod constant_table;

use crate::Arch;
use crate::names::{Names, names};

/// Constants by name, sorted by it.
struct Table {
    names: Names,
    values: &'static [u64],
}

/// The table of constant rows.
macro_rules! table {
    ($rows:ident) => {
        Table {
            names: names!(constant_table::$rows, 0),
            values: &const { values::<{ constant_table::$rows.len() }>(constant_table::$rows) },
        }
    };
}

static SHARED: Table = table!(SHARED);
static X86_64: Table = table!(X86_64);
static X32: Table = table!(X32);
static I386: Table = table!(I386);
static AARCH64: Table = table!(AARCH64);
static ARM: Table = table!(ARM);
static ERROR_NAMES: Names = names!(constant_table::ERRORS, 1);
static ERROR_NUMBERS: [u16; constant_table::ERRORS.len()] = {
    let mut numbers = [0; constant_table::ERRORS.len()];
    let mut row = 0;
    while row < numbers.len() {
        numbers[row] = constant_table::ERRORS[row].0;
        row += 1;
    }
    numbers
};

const fn values<const COUNT: usize>(rows: &[(&str, u64)]) -> [u64; COUNT] {
    let mut values = [0; COUNT];
    let mut row = 0;
    while row < COUNT {
        values[row] = rows[row].1;
        row += 1;
    }
    values
}

/// The value of a constant that has one value wherever it exists; `None` for unknown names and for
/// those, like `O_DIRECTORY`, that architectures give different values: see [`Arch::constant`].
///
/// A negative constant (`AT_FDCWD`) is extended to 64 bits; compare it at the width of the argument.
///
/// ```
/// assert_eq!(portcullis_abi::constant("AF_INET6"), Some(10));
/// assert_eq!(portcullis_abi::constant("O_DIRECTORY"), None);
/// ```
pub fn constant(name: &str) -> Option<u64> {
    SHARED.value(name).or_else(|| {
        let mut values = Arch::ALL.iter().filter_map(|arch| own(*arch).value(name));
        let first = values.next()?;
        values.all(|value| value == first).then_some(first)
    })
}

impl Arch {
    /// The value of the constant called `name` in programs of this architecture; `None` when its
    /// headers have none. The families that are known are those of arguments of system calls:
    /// `AF_`, `AT_`, `CLONE_`, `E…`, `F_`, `MAP_`, `O_`, `PR_`, `PROT_`, `SIG…`, `SOCK_` and others,
    /// and all numbers of ioctls in the headers that are read.
    ///
    /// Source: the uapi headers of Linux 6.12, compiled for each architecture; by hand what the C
    /// library defines alone.
    pub fn constant(self, name: &str) -> Option<u64> {
        SHARED.value(name).or_else(|| own(self).value(name))
    }
}

/// The number of the error called `name` (`ENOSYS`), aliases (`EWOULDBLOCK`) included. All
/// architectures here number errors alike.
pub fn errno(name: &str) -> Option<u16> {
    let value = name.starts_with('E').then(|| SHARED.value(name))??;
    let number = u16::try_from(value).ok()?;
    // Not every constant that begins with an E is an error.
    errno_name(number)?;
    (!name.contains('_') && !name.starts_with("EPOLL")).then_some(number)
}

/// The name of an error: of two for one number the one that is not an alias.
pub fn errno_name(number: u16) -> Option<&'static str> {
    let at = ERROR_NUMBERS.binary_search(&number).ok()?;
    Some(ERROR_NAMES.at(at))
}

fn own(arch: Arch) -> &'static Table {
    match arch {
        Arch::X86_64 => &X86_64,
        Arch::X32 => &X32,
        Arch::I386 => &I386,
        Arch::Aarch64 => &AARCH64,
        Arch::Arm => &ARM,
    }
}

impl Table {
    fn value(&self, name: &str) -> Option<u64> {
        Some(self.values[self.names.find(name)?])
    }
}
