//! A prepared module: code that the engine runs without looking at it, so only bytes that a preparation of this
//! host made may come to a worker. A keyed hash says so; no worker has the key.

use std::fs::File;
use std::os::fd::AsRawFd as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::image::{each_piece, sealed};

/// The hash of an artifact.
pub(crate) type Tag = [u8; 32];

/// What artifacts are authenticated with. Only the host has it.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// Of these bytes, which must be random.
    pub fn new(bytes: [u8; 32]) -> Key {
        Key(Zeroizing::new(bytes))
    }

    /// A new one from the kernel's generator.
    pub fn random() -> Result<Key, Error> {
        let mut key = Key::new([0; 32]);
        let mut filled = 0;
        while filled < key.0.len() {
            let flags = rustix::rand::GetRandomFlags::empty();
            filled +=
                rustix::rand::getrandom(&mut key.0[filled..], flags).map_err(|e| Error::File {
                    path: "the kernel's random numbers".into(),
                    reason: e.into(),
                })?;
        }
        Ok(key)
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn mac(&self, name: &[u8; 32], file: &File) -> Result<Hmac<Sha256>, Error> {
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0[..]) else {
            return Err(Error::Image);
        };
        // For which module it was made belongs to what is said of it.
        mac.update(name);
        each_piece(file, |piece| mac.update(piece))?;
        Ok(mac)
    }
}

/// A prepared module, sealed in memory.
#[derive(Debug)]
pub struct Artifact {
    file: File,
    length: u64,
}

impl Artifact {
    /// Seals what needs no preparation: the embedding program answers for these bytes, which an engine may run
    /// without looking at them.
    pub fn trusted(bytes: &[u8]) -> Result<Artifact, Error> {
        Artifact::seal(bytes)
    }

    /// Seals what a preparation gave for the module that `name` stands for. The hash is of what is sealed.
    pub(crate) fn made(bytes: &[u8], name: &[u8; 32], key: &Key) -> Result<(Artifact, Tag), Error> {
        let artifact = Artifact::seal(bytes)?;
        let tag = key
            .mac(name, &artifact.file)?
            .finalize()
            .into_bytes()
            .into();
        Ok((artifact, tag))
    }

    /// Seals what was kept somewhere, when it is what was made for `name`; `None` when it is not.
    pub(crate) fn kept(
        bytes: &[u8],
        tag: &Tag,
        name: &[u8; 32],
        key: &Key,
    ) -> Result<Option<Artifact>, Error> {
        let artifact = Artifact::seal(bytes)?;
        // Compared in constant time.
        let same = key.mac(name, &artifact.file)?.verify_slice(tag).is_ok();
        Ok(same.then_some(artifact))
    }

    fn seal(bytes: &[u8]) -> Result<Artifact, Error> {
        Ok(Artifact {
            file: sealed("artifact", bytes, false)?,
            length: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        })
    }

    /// Its bytes, to be read and not written, and from a place of their own: a descriptor that workers share would have
    /// one place in the file for all of them.
    pub(crate) fn open(&self) -> Result<File, Error> {
        let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        File::open(&path).map_err(|reason| Error::File {
            path: path.into(),
            reason,
        })
    }

    /// How many bytes it has.
    pub fn length(&self) -> u64 {
        self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_made_for_a_name_with_the_key_is_kept() {
        let (key, other) = (Key::random().unwrap(), Key::random().unwrap());
        let (name, another) = ([1; 32], [2; 32]);
        let (made, tag) = Artifact::made(b"code", &name, &key).unwrap();
        assert_eq!(made.length(), 4);
        let kept = |bytes: &[u8], tag, name, key| Artifact::kept(bytes, tag, name, key).unwrap();
        assert!(kept(b"code", &tag, &name, &key).is_some());
        assert!(kept(b"Code", &tag, &name, &key).is_none());
        assert!(kept(b"code", &[0; 32], &name, &key).is_none());
        assert!(kept(b"code", &tag, &another, &key).is_none());
        assert!(kept(b"code", &tag, &name, &other).is_none());
    }
}
