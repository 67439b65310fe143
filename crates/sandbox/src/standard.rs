//! What the standard streams of a program are.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use portcullis_sys::process;

use crate::descriptors;
use crate::error::Error;

/// A standard stream.
#[derive(Debug, Default)]
pub enum Stdio {
    /// This process's own.
    Inherit,
    /// Nothing is read from it, and what is written is gone.
    #[default]
    Null,
    /// A pipe, whose other end the starter has.
    Pipe,
    /// This file. A directory, or one that was opened as a place (`O_PATH`), is refused.
    File(OwnedFd),
}

/// The starter's ends of pipes: to standard input, from standard output, from standard error.
pub(crate) type Ends = [Option<File>; 3];

/// The descriptors for 0, 1 and 2 where they are not this process's own, and the starter's ends.
pub(crate) fn streams(wanted: [Stdio; 3]) -> Result<([Option<OwnedFd>; 3], Ends), Error> {
    let mut given = [const { None }; 3];
    let mut ends = [const { None }; 3];
    for (number, stream) in wanted.into_iter().enumerate() {
        given[number] = match stream {
            Stdio::Inherit => None,
            Stdio::Null => Some(above_standard(null()?)?),
            Stdio::File(file) => Some(above_standard(file)?),
            Stdio::Pipe => {
                let (read, write) = process::pipe()?;
                let (own, other) = match number {
                    0 => (read, write),
                    _ => (write, read),
                };
                ends[number] = Some(File::from(above_standard(other)?));
                Some(above_standard(own)?)
            }
        };
    }
    Ok((given, ends))
}

/// The same with this process's own streams in place of those that are inherited.
pub(crate) fn all(given: [Option<OwnedFd>; 3]) -> Result<[OwnedFd; 3], Error> {
    let [input, output, error] = given;
    let one = |given: Option<OwnedFd>, own: BorrowedFd<'_>| match given {
        Some(given) => Ok(given),
        None => own.try_clone_to_owned().map_err(|reason| Error::Read {
            path: "a standard stream".into(),
            reason,
        }),
    };
    Ok([
        one(input, io::stdin().as_fd())?,
        one(output, io::stdout().as_fd())?,
        one(error, io::stderr().as_fd())?,
    ])
}

/// As a start does (`descriptors`): a directory or a place leads out of a sandbox.
pub(crate) fn refuse_places(given: &[OwnedFd; 3]) -> Result<(), Error> {
    (0..).zip(given).try_for_each(|(number, given)| {
        descriptors::look(number, given.as_raw_fd(), true).map(drop)
    })
}

/// Empty streams for a sandbox that waits: it holds none of this process's, and what comes with its job gets other
/// numbers.
pub(crate) fn fill(standard: &mut [Option<OwnedFd>; 3]) -> Result<(), Error> {
    for place in standard.iter_mut().filter(|place| place.is_none()) {
        *place = Some(above_standard(null()?)?);
    }
    Ok(())
}

/// Reads as empty, and takes everything.
fn null() -> Result<OwnedFd, Error> {
    let path = PathBuf::from("/dev/null");
    let opened = File::options().read(true).write(true).open(&path);
    opened
        .map(OwnedFd::from)
        .map_err(|reason| Error::Read { path, reason })
}

/// The same file under a number that is none of a standard stream's: a process may have these closed.
pub(crate) fn above_standard(file: OwnedFd) -> Result<OwnedFd, Error> {
    if file.as_raw_fd() > 2 {
        return Ok(file);
    }
    rustix::io::fcntl_dupfd_cloexec(&file, 3).map_err(|e| Error::Read {
        path: "a descriptor".into(),
        reason: io::Error::from(e),
    })
}
