//! The program of a worker: carried by the command, or the embedding program itself; sealed in memory when it is used.

use std::borrow::Cow;
use std::fs::{File, Permissions};
use std::io::{Seek as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use sha2::{Digest as _, Sha256};

use crate::error::Error;

/// A static program, and what it may call.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its name, for messages.
    pub name: &'static str,
    /// The file.
    pub bytes: Cow<'static, [u8]>,
    /// What it had when it was built.
    pub sha256: [u8; 32],
    /// The policy of the worker, in TOML.
    pub policy: &'static str,
    /// The policy of its jobs.
    pub jobs: &'static str,
}

impl Image {
    /// The program, sealed in memory and hashed there: what is executed is what was hashed.
    pub(crate) fn seal(&self) -> Result<File, Error> {
        let file = sealed(self.name, &self.bytes, true)?;
        match sha256(&file)? == self.sha256 {
            true => Ok(file),
            false => Err(Error::Image),
        }
    }
}

/// Memory with `bytes` that nobody can change any more.
pub(crate) fn sealed(name: &str, bytes: &[u8], executable: bool) -> Result<File, Error> {
    let failed = |reason: std::io::Error| Error::File {
        path: format!("memory for {name}").into(),
        reason,
    };
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let kind = match executable {
        true => MemfdFlags::EXEC,
        false => MemfdFlags::NOEXEC_SEAL,
    };
    // Kernels before 6.3 know neither kind, and all such files can be executed.
    let memory = memfd_create(name, flags | kind)
        .or_else(|_| memfd_create(name, flags))
        .map_err(|e| failed(e.into()))?;
    let mut file = File::from(memory);
    file.write_all(bytes).map_err(failed)?;
    // Whoever gets it by a descriptor has the same place in it.
    file.rewind().map_err(failed)?;
    if executable {
        file.set_permissions(Permissions::from_mode(0o555))
            .map_err(failed)?;
    }
    let all = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(&file, all).map_err(|e| failed(e.into()))?;
    Ok(file)
}

/// The same memory, to be read and not written, and from a place of its own: descriptors that are copies of one another
/// share their place.
pub(crate) fn reopened(file: &File) -> Result<File, Error> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    File::open(&path).map_err(|reason| Error::File {
        path: path.into(),
        reason,
    })
}

/// Of all of a file, by its own bytes.
pub(crate) fn sha256(file: &File) -> Result<[u8; 32], Error> {
    let mut hash = Sha256::new();
    each_piece(file, |piece| hash.update(piece))?;
    Ok(hash.finalize().into())
}

/// Shows `take` all of a file in order.
pub(crate) fn each_piece(file: &File, mut take: impl FnMut(&[u8])) -> Result<(), Error> {
    use std::os::unix::fs::FileExt as _;
    let mut piece = vec![0; 256 << 10];
    let mut at = 0;
    loop {
        let got = file.read_at(&mut piece, at).map_err(|reason| Error::File {
            path: "sealed memory".into(),
            reason,
        })?;
        if got == 0 {
            return Ok(());
        }
        take(&piece[..got]);
        at += u64::try_from(got).unwrap_or(u64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_is_sealed_stays_as_it_is() {
        let mut file = sealed("test", b"content", false).unwrap();
        assert!(file.write_all(b"x").is_err());
        assert!(file.set_len(0).is_err());
        assert_eq!(
            sha256(&file).unwrap(),
            <[u8; 32]>::from(Sha256::digest(b"content"))
        );
    }

    #[test]
    fn another_program_than_the_built_one_is_refused() {
        let image = Image {
            name: "test",
            bytes: Cow::Borrowed(b"#!/bin/sh"),
            sha256: [0; 32],
            policy: "",
            jobs: "",
        };
        assert!(matches!(image.seal(), Err(Error::Image)));
    }
}
