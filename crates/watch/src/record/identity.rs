//! What a file holds, in few bytes.

use std::fmt;
use std::fs::File;
use std::io::Read as _;

use object::read::elf::ElfFile64;
use object::{Endianness, Object as _, ReadCache};
use sha2::{Digest as _, Sha256};

/// Larger files without a build id have no identity: to hash them would stop the program for long.
const LARGEST: u64 = 64 << 20;
/// Longest build id: the notes of linkers have 8 to 32 bytes.
const LONGEST: usize = 64;

/// What identifies a file's content.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Identity {
    /// The build id that its linker gave it.
    Build(Vec<u8>),
    /// The SHA-256 of its bytes.
    Sha256([u8; 32]),
}

impl Identity {
    /// Of an open regular file.
    pub(super) fn of(file: &File) -> Option<Identity> {
        build_id(file).or_else(|| {
            if file.metadata().ok()?.len() > LARGEST {
                return None;
            }
            let mut bytes = Vec::new();
            file.take(LARGEST).read_to_end(&mut bytes).ok()?;
            Some(Identity::Sha256(Sha256::digest(&bytes).into()))
        })
    }
}

fn build_id(file: &File) -> Option<Identity> {
    let cache = ReadCache::new(file);
    let elf = ElfFile64::<Endianness, _>::parse(&cache).ok()?;
    let id = elf.build_id().ok()??;
    (!id.is_empty() && id.len() <= LONGEST).then(|| Identity::Build(id.to_vec()))
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, bytes) = match self {
            Identity::Build(id) => ("build-id", id.as_slice()),
            Identity::Sha256(hash) => ("sha256", hash.as_slice()),
        };
        write!(f, "{kind}:")?;
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
