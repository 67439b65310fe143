//! The kernel's audit records, as it sends them to whoever may read them (`linux/audit.h`, netlink(7)).
//!
//! Nothing here changes what is audited. The kernel answers in its first namespaces of users, processes and
//! networks only (`audit_netlink_ok` of its `audit.c`).
#![expect(unsafe_code, reason = "netlink sockets and their addresses")]

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use crate::process::owned;
use crate::{Error, check};

/// What the kernel says of its auditing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status {
    /// It is on.
    pub enabled: bool,
    /// Records that were lost since the machine was started.
    pub lost: u32,
}

/// One message of the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message<'a> {
    /// A record: its type (`AUDIT_*`) and its text.
    Record(u16, &'a [u8]),
    /// Records were thrown away because they were not read fast enough.
    Overrun,
    /// There is none now.
    None,
}

/// The longest message (`MAX_AUDIT_MESSAGE_LENGTH` and its header).
pub const LONGEST: usize = 9000;

/// `struct nlmsghdr`: length, type and flags, sequence number, port.
const HEADER: usize = 16;
const ERROR: u16 = 2;
const GET: u16 = 1000;
const USER: u16 = 1005;
const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
/// `AUDIT_NLGRP_READLOG`, as a bit.
const READERS: u32 = 1;
/// Where `struct audit_status` has `enabled` and `lost`.
const ENABLED: usize = 4;
const LOST: usize = 24;
/// How long an answer of the kernel may take, in seconds: a thread of its own sends it.
const PATIENCE: i64 = 5;

/// The question for the status. A thread that the kernel makes for it answers (`audit_send_reply` of its `audit.c`):
/// who has something else to do meanwhile need not wait for that.
#[derive(Debug)]
pub struct Question(OwnedFd);

/// Asks for the status (`CAP_AUDIT_CONTROL`).
pub fn ask() -> Result<Question, Error> {
    let socket = socket(0)?;
    set(&socket, libc::SOL_SOCKET, libc::SO_RCVTIMEO, &PATIENT)?;
    send(&socket, GET, REQUEST, &[])?;
    Ok(Question(socket))
}

impl Question {
    /// Waits for the answer.
    pub fn answer(self) -> Result<Status, Error> {
        let mut room = [0; LONGEST];
        loop {
            match received(&self.0, &mut room, 0)? {
                Message::Record(GET, status) => {
                    let word = |at: usize| {
                        let bytes = status.get(at..at + 4).and_then(|b| b.try_into().ok());
                        bytes.map_or(0, u32::from_ne_bytes)
                    };
                    return Ok(Status {
                        enabled: word(ENABLED) != 0,
                        lost: word(LOST),
                    });
                }
                Message::Record(ERROR, answer) => refused("audit(GET)", answer)?,
                _ => {}
            }
        }
    }
}

/// Asks for the status, and waits for it.
pub fn status() -> Result<Status, Error> {
    ask()?.answer()
}

/// A socket that gets every record from now on, with room for `bytes` of them (`CAP_AUDIT_READ`; more room than
/// the machine's bound takes `CAP_NET_ADMIN`, and is not had without).
pub fn records(bytes: i32) -> Result<OwnedFd, Error> {
    let socket = socket(READERS)?;
    if set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &bytes).is_err() {
        set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, &bytes)?;
    }
    Ok(socket)
}

/// The next message that is there.
pub fn next<'a>(socket: BorrowedFd<'_>, room: &'a mut [u8; LONGEST]) -> Result<Message<'a>, Error> {
    received(&socket, room, libc::MSG_DONTWAIT)
}

/// Has a record of type `AUDIT_USER` with this text written, behind all that there are (`CAP_AUDIT_WRITE`).
pub fn write(text: &str) -> Result<(), Error> {
    let socket = socket(0)?;
    set(&socket, libc::SOL_SOCKET, libc::SO_RCVTIMEO, &PATIENT)?;
    // The kernel puts an end behind it in place of its last byte.
    let text = format!("{text}\0");
    send(&socket, USER, REQUEST | ACKNOWLEDGE, text.as_bytes())?;
    let mut room = [0; LONGEST];
    loop {
        if let Message::Record(ERROR, answer) = received(&socket, &mut room, 0)? {
            return refused("audit(USER)", answer);
        }
    }
}

const PATIENT: libc::timeval = libc::timeval {
    tv_sec: PATIENCE,
    tv_usec: 0,
};

fn socket(groups: u32) -> Result<OwnedFd, Error> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: integers only.
    let value = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_AUDIT) };
    let socket = owned(check("socket(NETLINK_AUDIT)", value.into())?);
    let address = address(groups);
    // SAFETY: the kernel reads one address, which lives.
    let value = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_nl>() as libc::socklen_t,
        )
    };
    check("bind(NETLINK_AUDIT)", value.into())?;
    Ok(socket)
}

/// The kernel's address when there are no groups.
fn address(groups: u32) -> libc::sockaddr_nl {
    // SAFETY: all of it are integers, for which zero is a value.
    let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
    address.nl_groups = groups;
    address
}

fn set<T>(socket: &OwnedFd, level: i32, option: i32, value: &T) -> Result<(), Error> {
    // SAFETY: the kernel reads as many bytes as the value has, which lives.
    let value = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    check("setsockopt", value.into()).map(drop)
}

fn send(socket: &OwnedFd, kind: u16, flags: u16, text: &[u8]) -> Result<(), Error> {
    let length = u32::try_from(HEADER + text.len()).unwrap_or(u32::MAX);
    let mut message = Vec::with_capacity(HEADER + text.len());
    message.extend(length.to_ne_bytes());
    message.extend([kind, flags].map(u16::to_ne_bytes).concat());
    message.extend([1_u32, 0].map(u32::to_ne_bytes).concat());
    message.extend(text);
    let to = address(0);
    // SAFETY: message and address live, with their sizes.
    let value = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            message.as_ptr().cast(),
            message.len(),
            0,
            (&raw const to).cast(),
            size_of::<libc::sockaddr_nl>() as libc::socklen_t,
        )
    };
    check("sendto(NETLINK_AUDIT)", value as libc::c_long).map(drop)
}

/// What the kernel sent; messages of anybody else are none.
fn received<'a>(
    socket: &impl AsRawFd,
    room: &'a mut [u8; LONGEST],
    flags: i32,
) -> Result<Message<'a>, Error> {
    let length = loop {
        let mut from = address(0);
        let mut size = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
        // SAFETY: buffer and address are exclusive, with their sizes.
        let value = unsafe {
            libc::recvfrom(
                socket.as_raw_fd(),
                room.as_mut_ptr().cast(),
                room.len(),
                flags,
                (&raw mut from).cast(),
                &raw mut size,
            )
        };
        match check("recvfrom(NETLINK_AUDIT)", value as libc::c_long) {
            Ok(length) if from.nl_pid == 0 => break usize::try_from(length).unwrap_or(0),
            Ok(_) => {}
            Err(e) if e.errno() == libc::EINTR => {}
            Err(e) if e.errno() == libc::ENOBUFS => return Ok(Message::Overrun),
            Err(e) if e.errno() == libc::EAGAIN && flags != 0 => return Ok(Message::None),
            Err(e) => return Err(e),
        }
    };
    let kind = u16::from_ne_bytes([room[4], room[5]]);
    // The length that audit writes there leaves out the header in some messages: that of the datagram counts.
    Ok(Message::Record(
        kind,
        room.get(HEADER..length).unwrap_or_default(),
    ))
}

/// The error number of an answer, 0 being none.
fn refused(call: &'static str, answer: &[u8]) -> Result<(), Error> {
    let number = answer.get(..4).and_then(|b| b.try_into().ok());
    match number.map_or(0, i32::from_ne_bytes) {
        0 => Ok(()),
        number => Err(Error {
            call,
            reason: std::io::Error::from_raw_os_error(-number),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_ask_is_answered_and_others_are_told_why_not() {
        match status() {
            Ok(_) => {}
            Err(e) => assert!(
                [
                    libc::EPERM,
                    libc::ECONNREFUSED,
                    libc::EPROTONOSUPPORT,
                    libc::EAFNOSUPPORT
                ]
                .contains(&e.errno()),
                "{e}"
            ),
        }
    }

    #[test]
    fn a_refusal_has_its_number() {
        let answer = (-libc::EPERM).to_ne_bytes();
        assert_eq!(refused("x", &answer).unwrap_err().errno(), libc::EPERM);
        assert!(refused("x", &[0; 4]).is_ok());
    }
}
