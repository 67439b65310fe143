//! Paths and socket addresses that a call's pointers lead to, as they were when it was seen.

use std::net::{Ipv4Addr, Ipv6Addr};

use portcullis_abi::{Arch, Sysno};

use crate::decide::Call;
use crate::memory::Memory;
use crate::paths;

/// `sizeof(struct sockaddr_storage)`.
const LONGEST: u64 = 128;

/// What one argument led to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Observed {
    /// Which argument.
    pub index: u8,
    /// What was there.
    pub what: What,
}

/// What was there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// A path.
    Path(Vec<u8>),
    /// The address of a socket, as text: of the program, but for a path in it (`unix:PATH`).
    Address(Vec<u8>),
}

/// What the pointers of a native call lead to.
pub(crate) fn observed(tid: i32, call: &Call) -> Vec<Observed> {
    if call.is_foreign() {
        return Vec::new();
    }
    let name = Arch::NATIVE.name(Sysno(call.number)).unwrap_or_default();
    let address = address(name);
    if address.is_none() && !paths::has(name) {
        return Vec::new();
    }
    let Ok(memory) = Memory::open(tid) else {
        return Vec::new();
    };
    let of_path = |(index, text)| Observed {
        index,
        what: What::Path(text),
    };
    let mut all: Vec<Observed> = paths::observed(&memory, call)
        .into_iter()
        .map(of_path)
        .collect();
    if let Some((index, length)) = address
        && let size = (call.args[usize::from(length)] & 0xffff_ffff).min(LONGEST)
        && let at = call.args[usize::from(index)]
        && let Some(what) = socket_address(&memory.read_some(at, size as usize))
    {
        all.push(Observed {
            index,
            what: What::Address(what),
        });
    }
    all
}

/// The arguments of the call `name` that are the address of a socket's, and its length.
pub(super) fn address(name: &str) -> Option<(u8, u8)> {
    match name {
        "connect" | "bind" => Some((1, 2)),
        "sendto" => Some((4, 5)),
        _ => None,
    }
}

/// The text of a `struct sockaddr`; `None` of none.
pub(super) fn socket_address(bytes: &[u8]) -> Option<Vec<u8>> {
    let half = |at: usize| Some([*bytes.get(at)?, *bytes.get(at + 1)?]);
    let port = || half(2).map(u16::from_be_bytes);
    let family = u16::from_ne_bytes(half(0)?);
    Some(match i32::from(family) {
        libc::AF_INET => {
            let address: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            format!("{}:{}", Ipv4Addr::from(address), port()?).into_bytes()
        }
        libc::AF_INET6 => {
            let address: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            format!("[{}]:{}", Ipv6Addr::from(address), port()?).into_bytes()
        }
        libc::AF_UNIX => {
            let mut text = b"unix:".to_vec();
            match &bytes[2..] {
                // An abstract name begins with a zero and may hold more (unix(7)).
                [0, name @ ..] if !name.is_empty() => {
                    text.push(b'@');
                    text.extend(name);
                }
                path => text.extend(path.iter().take_while(|b| **b != 0)),
            }
            text
        }
        other => format!("family {other}").into_bytes(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_short_ones_are_nothing() {
        let family = |family: i32, rest: &[u8]| {
            let mut bytes = (family as u16).to_ne_bytes().to_vec();
            bytes.extend(rest);
            socket_address(&bytes).map(|t| String::from_utf8(t).unwrap())
        };
        let told = family(libc::AF_INET, &[0, 53, 127, 0, 0, 1]);
        assert_eq!(told.as_deref(), Some("127.0.0.1:53"));
        assert_eq!(family(libc::AF_INET, &[0, 53, 127]), None);
        let told = family(libc::AF_UNIX, b"/run/x\0junk");
        assert_eq!(told.as_deref(), Some("unix:/run/x"));
        assert_eq!(
            family(libc::AF_UNIX, b"\0bus").as_deref(),
            Some("unix:@bus")
        );
        assert_eq!(family(libc::AF_UNIX, b"").as_deref(), Some("unix:"));
        assert_eq!(
            family(libc::AF_NETLINK, &[0; 10]).as_deref(),
            Some("family 16")
        );
        assert_eq!(socket_address(&[1]), None);
    }
}
