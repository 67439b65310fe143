//! A prepared module: code that the engine runs without looking at it, so only bytes that a preparation of this
//! host made may come to a worker. A keyed hash says so; no worker has the key.

use std::fmt;
use std::fs::File;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::exec::Executable;
use crate::image::{each_piece, reopened, sealed};

/// What the memory is called.
const NAME: &str = "artifact";

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
            return Err(Error::Image("the artifact's key"));
        };
        // For which module it was made belongs to what is said of it.
        mac.update(name);
        each_piece(file, |piece| mac.update(piece))?;
        Ok(mac)
    }
}

/// What jobs run: a prepared module, sealed in memory, or a native program.
pub struct Artifact(Content);

enum Content {
    Sealed { file: File, length: u64 },
    Program(Box<Executable>),
}

impl From<Executable> for Artifact {
    fn from(program: Executable) -> Artifact {
        Artifact(Content::Program(Box::new(program)))
    }
}

impl fmt::Debug for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Content::Sealed { length, .. } => write!(f, "{length} sealed bytes"),
            Content::Program(_) => f.write_str("a native program"),
        }
    }
}

impl Artifact {
    /// Seals what needs no preparation: the embedding program answers for these bytes, which an engine may run
    /// without looking at them.
    pub fn trusted(bytes: &[u8]) -> Result<Artifact, Error> {
        Ok(Artifact::of(sealed(NAME, bytes, false)?, bytes.len()))
    }

    /// Seals what a preparation gave for the module that `name` stands for. The hash is of what is sealed.
    pub(crate) fn made(bytes: &[u8], name: &[u8; 32], key: &Key) -> Result<(Artifact, Tag), Error> {
        let file = sealed(NAME, bytes, false)?;
        let tag = key.mac(name, &file)?.finalize().into_bytes().into();
        Ok((Artifact::of(file, bytes.len()), tag))
    }

    /// Seals what was kept somewhere, when it is what was made for `name`; `None` when it is not.
    pub(crate) fn kept(
        bytes: &[u8],
        tag: &Tag,
        name: &[u8; 32],
        key: &Key,
    ) -> Result<Option<Artifact>, Error> {
        let file = sealed(NAME, bytes, false)?;
        // Compared in constant time.
        let same = key.mac(name, &file)?.verify_slice(tag).is_ok();
        Ok(same.then(|| Artifact::of(file, bytes.len())))
    }

    fn of(file: File, length: usize) -> Artifact {
        Artifact(Content::Sealed {
            file,
            length: u64::try_from(length).unwrap_or(u64::MAX),
        })
    }

    /// Its bytes, for a worker.
    pub(crate) fn open(&self) -> Result<File, Error> {
        match &self.0 {
            Content::Sealed { file, .. } => reopened(file),
            Content::Program(_) => Err(Error::Unfit("a worker runs no native program".to_owned())),
        }
    }

    /// The program, when it is one.
    pub(crate) fn program(&self) -> Option<&Executable> {
        match &self.0 {
            Content::Program(program) => Some(program),
            Content::Sealed { .. } => None,
        }
    }

    /// How many bytes it has.
    pub fn length(&self) -> u64 {
        match &self.0 {
            Content::Sealed { length, .. } => *length,
            Content::Program(program) => program.length(),
        }
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
