//! The program of a worker: carried by the command, or the embedding program itself; sealed in memory when it is used.

use std::borrow::Cow;
use std::fs::{File, Permissions};
use std::io::{Seek as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;

use portcullis_sandbox::{Layer, Missing};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use sha2::{Digest as _, Sha256};

use crate::error::Error;

/// A static program, and what it may call.
///
/// No program is started as a worker unless it was audited under its policy ([`Image::audited`]), or somebody says that it
/// was not ([`Image::unaudited`]), which is in every result.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its name, for messages.
    pub name: &'static str,
    /// The file.
    pub bytes: Cow<'static, [u8]>,
    /// The policy of the worker, in TOML.
    pub policy: &'static str,
    /// The policy of its jobs.
    pub jobs: &'static str,
    audit: Audit,
}

/// What is known of a program and its policy.
#[derive(Clone, Copy, Debug)]
enum Audit {
    /// Nothing.
    None,
    /// Nobody asks.
    Waived,
    /// An audit found nothing missing in what has this hash.
    Passed([u8; 32]),
}

/// The name under which the audit is in results, as layers are under theirs.
const WORKER_AUDIT: &str = "worker-audit";

/// The hash of a worker's program and of the policy that it was audited under: the SHA-256 of the program's SHA-256 and the
/// policy's, one after the other. `portcullis audit --after start` tells it (`audited`) where nothing is missing.
pub fn audit_hash(program_sha256: [u8; 32], policy: &str) -> [u8; 32] {
    let both = [program_sha256, Sha256::digest(policy).into()];
    Sha256::digest(both.as_flattened()).into()
}

impl Image {
    /// One of which no audit is known yet.
    pub fn new(
        name: &'static str,
        bytes: impl Into<Cow<'static, [u8]>>,
        policy: &'static str,
        jobs: &'static str,
    ) -> Image {
        Image {
            name,
            bytes: bytes.into(),
            policy,
            jobs,
            audit: Audit::None,
        }
    }

    /// What has this [`audit_hash`] passed an audit: another program, or another policy, is refused when it is to be
    /// started.
    #[must_use]
    pub fn audited(mut self, hash: [u8; 32]) -> Image {
        self.audit = Audit::Passed(hash);
        self
    }

    /// The same from how `portcullis audit` writes it: 64 hexadecimal digits.
    pub fn audited_as(self, text: &str) -> Result<Image, Error> {
        let unfit = || Error::Unfit("the hash of an audit is 64 hexadecimal digits".to_owned());
        let (digits, []) = text.trim().as_bytes().as_chunks::<2>() else {
            return Err(unfit());
        };
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok();
        let bytes: Option<Vec<u8>> = digits.iter().map(byte).collect();
        let hash = bytes.and_then(|bytes| bytes.try_into().ok());
        hash.map(|hash| self.audited(hash)).ok_or_else(unfit)
    }

    /// Goes without an audit. Results say so, under the name `worker-audit`.
    #[must_use]
    pub fn unaudited(mut self) -> Image {
        self.audit = Audit::Waived;
        self
    }

    /// The program, sealed in memory and hashed there: what is executed is what was hashed.
    pub(crate) fn seal(&self) -> Result<File, Error> {
        let file = sealed(self.name, &self.bytes, true)?;
        match self.audit {
            Audit::None => Err(Error::Unaudited(self.name)),
            Audit::Waived => Ok(file),
            Audit::Passed(hash) if audit_hash(sha256(&file)?, self.policy) == hash => Ok(file),
            Audit::Passed(_) => Err(Error::Image(self.name)),
        }
    }

    /// What tells it from other programs: what is started has this hash.
    pub(crate) fn program(&self) -> [u8; 32] {
        match self.audit {
            Audit::Passed(hash) => hash,
            Audit::None | Audit::Waived => Sha256::digest(&self.bytes).into(),
        }
    }

    /// What results say of its audit.
    pub(crate) fn audit(&self) -> Result<Layer, Missing> {
        match self.audit {
            Audit::Passed(_) => Ok(Layer {
                layer: WORKER_AUDIT,
                mechanism: "analysis of the program under its policy, bound by a hash",
                scope: "worker",
                detail: self.name.to_owned(),
            }),
            Audit::None | Audit::Waived => Err(Missing {
                layer: WORKER_AUDIT,
                reason: "left out by the program that has the workers".to_owned(),
                surprises: true,
            }),
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
    fn only_what_was_audited_is_sealed() {
        let policy = "policy";
        let image = Image::new("test", b"#!/bin/sh".as_slice(), policy, "");
        assert!(matches!(image.seal(), Err(Error::Unaudited("test"))));
        let hash = audit_hash(Sha256::digest(&image.bytes).into(), policy);
        let image = image.audited(hash);
        image.seal().unwrap();
        let other = Image {
            bytes: Cow::Borrowed(b"#!/bin/sy"),
            ..image.clone()
        };
        assert!(matches!(other.seal(), Err(Error::Image("test"))));
        let other = Image {
            policy: "another",
            ..image.clone()
        };
        assert!(matches!(other.seal(), Err(Error::Image("test"))));
        assert_eq!(image.audit().unwrap().layer, WORKER_AUDIT);
        let waived = other.unaudited();
        waived.seal().unwrap();
        assert_eq!(waived.audit().unwrap_err().layer, WORKER_AUDIT);
    }

    #[test]
    fn a_hash_is_read_as_it_is_written() {
        let image = || Image::new("test", b"program".as_slice(), "", "");
        let hash = audit_hash(Sha256::digest(b"program").into(), "");
        let text: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let read = image().audited_as(&format!("{text}\n")).unwrap();
        read.seal().unwrap();
        for wrong in ["", &text[1..], &text[2..], &format!("{}g", &text[1..])] {
            assert!(image().audited_as(wrong).is_err(), "{wrong}");
        }
    }
}
