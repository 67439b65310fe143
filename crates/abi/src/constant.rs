//! The kernel's constants by name, as people write them in policies, and errors both ways.

mod constant_table;

use crate::Arch;
use constant_table::{AARCH64, ARM, ERRORS, I386, SHARED, X32, X86_64};

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
    find(SHARED, name).or_else(|| {
        let mut values = Arch::ALL.iter().filter_map(|arch| find(own(*arch), name));
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
        find(SHARED, name).or_else(|| find(own(self), name))
    }
}

/// The number of the error called `name` (`ENOSYS`), aliases (`EWOULDBLOCK`) included. All
/// architectures here number errors alike.
pub fn errno(name: &str) -> Option<u16> {
    let value = name.starts_with('E').then(|| find(SHARED, name))??;
    let number = u16::try_from(value).ok()?;
    // Not every constant that begins with an E is an error.
    errno_name(number)?;
    (!name.contains('_') && !name.starts_with("EPOLL")).then_some(number)
}

/// The name of an error: of two for one number the one that is not an alias.
pub fn errno_name(number: u16) -> Option<&'static str> {
    let at = ERRORS.binary_search_by_key(&number, |&(n, _)| n).ok()?;
    Some(ERRORS[at].1)
}

fn own(arch: Arch) -> &'static [(&'static str, u64)] {
    match arch {
        Arch::X86_64 => X86_64,
        Arch::X32 => X32,
        Arch::I386 => I386,
        Arch::Aarch64 => AARCH64,
        Arch::Arm => ARM,
    }
}

/// Tables are sorted by name.
fn find(table: &[(&str, u64)], name: &str) -> Option<u64> {
    let at = table.binary_search_by(|row| row.0.cmp(name)).ok()?;
    Some(table[at].1)
}
