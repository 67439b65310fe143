//! Secrets of one job: nobody but its own process is given them, and nothing of them is there after it.
//!
//! To a job of a worker they go through the socket of its results, which its worker passes on unread. A native program
//! finds them as files in its directory, which is memory that ends with it.

use std::fmt;
use std::os::fd::{AsFd as _, OwnedFd};

use portcullis_sys::process;
use rustix::net::{SendFlags, send};
use zeroize::Zeroizing;

use crate::directory::is_below;
use crate::error::Error;

/// Something that a job is told and that is kept from all others. What is shown of it is its name alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// What the job knows it by.
    pub name: String,
    /// What it is. Wiped when this is dropped.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// Of one job; what is on its way to it must fit a socket's buffer (`net.core.wmem_default`, 208 KiB).
const MOST_SECRETS: usize = 16;
/// Bytes of all of them, with their names.
const MOST_BYTES: usize = 32 << 10;

/// The directory of a native program's secrets.
pub(crate) const PLACE: &str = "secrets";

impl Secret {
    /// One of these bytes.
    pub fn new(name: impl Into<String>, bytes: Vec<u8>) -> Secret {
        Secret {
            name: name.into(),
            bytes: Zeroizing::new(bytes),
        }
    }

    /// Its length, its name and itself.
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let length = u8::try_from(self.name.len()).unwrap_or(u8::MAX);
        let mut message =
            Zeroizing::new(Vec::with_capacity(1 + self.name.len() + self.bytes.len()));
        message.push(length);
        message.extend_from_slice(self.name.as_bytes());
        message.extend_from_slice(&self.bytes);
        message
    }

    pub(crate) fn decode(message: &[u8]) -> Option<Secret> {
        let (length, rest) = message.split_first()?;
        let (name, bytes) = rest.split_at_checked(usize::from(*length))?;
        let name = String::from_utf8(name.to_vec()).ok()?;
        Some(Secret::new(name, bytes.to_vec()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the secret {:?}", self.name)
    }
}

/// Refuses what cannot be passed on, before anything is begun.
pub(crate) fn check(secrets: &[Secret]) -> Result<(), Error> {
    let unfit = |why: String| Err(Error::Unfit(why));
    let size = |secret: &Secret| secret.name.len() + secret.bytes.len();
    if secrets.len() > MOST_SECRETS || secrets.iter().map(size).sum::<usize>() > MOST_BYTES {
        return unfit(format!(
            "a job has at most {MOST_SECRETS} secrets of {MOST_BYTES} bytes in all"
        ));
    }
    let is_name = |name: &str| is_below(name) && !name.contains(['/', '=']) && name.len() < 128;
    match secrets.iter().find(|secret| !is_name(&secret.name)) {
        Some(secret) => unfit(format!(
            "{secret:?} has no name that a job could know it by"
        )),
        None => Ok(()),
    }
}

/// Puts them where the job's process will look, from the host's end.
pub(crate) fn tell(to: &OwnedFd, secrets: &[Secret]) -> std::io::Result<()> {
    for secret in secrets {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        send(to, &secret.encode(), flags)?;
    }
    Ok(())
}

/// Takes as many, in the job's process, before its filter lets it read no more.
pub(crate) fn hear(from: &OwnedFd, count: usize) -> Option<Vec<Secret>> {
    if count == 0 {
        return Some(Vec::new());
    }
    let mut message = Zeroizing::new(vec![0; 1 + MOST_BYTES]);
    let take = |_| {
        let length = process::read_message(from.as_fd(), &mut message).ok()?;
        Secret::decode(message.get(..length)?)
    };
    (0..count.min(MOST_SECRETS)).map(take).collect()
}

#[cfg(test)]
mod tests {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    #[test]
    fn they_arrive_and_are_shown_by_name_alone() {
        let (kind, none) = (SocketType::SEQPACKET, SocketFlags::empty());
        let (here, there) = socketpair(AddressFamily::UNIX, kind, none, None).unwrap();
        let all = [
            Secret::new("key", b"\0\x01".to_vec()),
            Secret::new("empty", Vec::new()),
            Secret::new("large", vec![7; 30_000]),
        ];
        check(&all).unwrap();
        tell(&here, &all).unwrap();
        assert_eq!(hear(&there, 3).unwrap(), all);
        assert_eq!(format!("{:?}", all[0]), "the secret \"key\"");
        // One less than was promised.
        drop(here);
        assert!(hear(&there, 1).is_none());
    }

    #[test]
    fn what_cannot_be_passed_on_is_refused() {
        let secret = |name: &str, size| vec![Secret::new(name, vec![0; size])];
        for name in ["", "..", "a/b", "a=b", "a\0b", &"x".repeat(128)] {
            assert!(check(&secret(name, 1)).is_err(), "{name:?}");
        }
        assert!(check(&secret("a", MOST_BYTES)).is_err());
        assert!(check(&vec![Secret::new("a", Vec::new()); MOST_SECRETS + 1]).is_err());
    }
}
