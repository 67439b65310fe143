//! Releases of the kernel, and since which one each call is there.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use crate::{Arch, Sysno, table};

/// A release: `6.1`, or `2.6.16` from the time when features came with the third part.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KernelVersion {
    /// The first part.
    pub major: u16,
    /// The second part.
    pub minor: u16,
    /// The third part. Since 3.0 it counts corrections, which bring no calls: 0 there when the
    /// version names a release.
    pub patch: u16,
}

impl KernelVersion {
    /// The oldest release on which programs are run: what starting and following one needs came with
    /// 5.9 (close_range(2)), and 5.10 is the first of its long-term releases on which
    /// `cargo xtask kernels` tries it.
    pub const OLDEST: KernelVersion = KernelVersion::new(5, 10);

    /// The release `major.minor`.
    pub const fn new(major: u16, minor: u16) -> KernelVersion {
        KernelVersion {
            major,
            minor,
            patch: 0,
        }
    }
}

impl fmt::Display for KernelVersion {
    /// `6.1`, `2.6.16`; what `FromStr` takes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        match self.patch {
            0 => Ok(()),
            patch => write!(f, ".{patch}"),
        }
    }
}

impl FromStr for KernelVersion {
    type Err = NoVersion;

    /// Takes `6.1`, `linux 6.1`, `v6.1`, and what `uname -r` prints: `6.1.0-13-amd64`.
    fn from_str(text: &str) -> Result<KernelVersion, NoVersion> {
        parse(text).ok_or_else(|| NoVersion(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<KernelVersion> {
    let text = text.trim();
    let text = match text.get(..5) {
        Some(word) if word.eq_ignore_ascii_case("linux") => {
            text[5..].trim_start_matches([' ', '-'])
        }
        _ => text,
    };
    let text = text.strip_prefix('v').unwrap_or(text);
    // A packager's part says nothing about calls.
    let text = text.split(['-', '+', '~']).next().unwrap_or(text);
    let mut parts = text.split('.').map(|part| {
        let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse().ok()).flatten()
    });
    let version = KernelVersion {
        major: parts.next()??,
        minor: parts.next()??,
        patch: parts.next().unwrap_or(Some(0))?,
    };
    parts.next().is_none().then_some(version)
}

/// A text that is no release of the kernel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoVersion(pub String);

impl fmt::Display for NoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a version of Linux; write it as 6.1 or \"linux 6.1\"",
            self.0
        )
    }
}

impl Error for NoVersion {}

impl Arch {
    /// The first release of Linux that gives `number` to a call on this architecture; `None` when
    /// the table does not know the number. No call is older than the architecture is in Linux
    /// (x86_64 2.6, x32 3.4, aarch64 3.7, arm's EABI 2.6.16), and slots that no release filled
    /// count from then on. Calls of series that were developed side by side count from the older.
    ///
    /// Sources: syscalls(2) of man-pages 6.03, corrected and continued by hand. Exact for calls of
    /// 3.x and later; before, arm may have got a call some releases after the one that is said.
    pub fn since(self, number: Sysno) -> Option<KernelVersion> {
        let table = table::of(self);
        table.place(number.0).map(|at| version(table.calls[at].1))
    }

    /// The calls that Linux `version` knows, ascending.
    pub fn known_at(self, at: KernelVersion) -> impl Iterator<Item = Sysno> {
        let calls = table::of(self).calls.iter();
        calls
            .filter(move |row| version(row.1) <= at)
            .map(|row| Sysno(row.0))
    }
}

fn version((major, minor, patch): (u8, u8, u8)) -> KernelVersion {
    KernelVersion {
        major: major.into(),
        minor: minor.into(),
        patch: patch.into(),
    }
}
