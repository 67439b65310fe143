//! A pair of connected sockets over which the launcher learns who speaks: a process of another namespace
//! knows its own number there, the kernel knows it here.
#![expect(unsafe_code, reason = "recvmsg(2) and its control message")]

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use crate::process::owned;
use crate::{Error, check};

/// Two ends that keep messages apart, close-on-exec: the one that hears with the sender's number, the other.
pub fn pair() -> Result<(OwnedFd, OwnedFd), Error> {
    let mut ends = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: the kernel writes two descriptors into the array.
    let value = unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) };
    check("socketpair", value.into())?;
    let (hears, other) = (owned(ends[0].into()), owned(ends[1].into()));
    let on: libc::c_int = 1;
    // SAFETY: the kernel reads one integer, which lives.
    let value = unsafe {
        libc::setsockopt(
            hears.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PASSCRED,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    check("setsockopt(SO_PASSCRED)", value.into())?;
    Ok((hears, other))
}

/// The next message: its length (0 when the other end is closed) and the number of the process that sent it,
/// as it is in the caller's namespace (unix(7)).
pub fn hear(from: BorrowedFd<'_>, into: &mut [u8]) -> Result<(usize, i32), Error> {
    // Room for one `struct ucred` and its header, aligned as the header needs.
    let mut control = [0_u64; 8];
    let mut part = libc::iovec {
        iov_base: into.as_mut_ptr().cast(),
        iov_len: into.len(),
    };
    // SAFETY: a zeroed msghdr is valid.
    let mut message = unsafe { MaybeUninit::<libc::msghdr>::zeroed().assume_init() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    let length = loop {
        // SAFETY: all that `message` points to lives and is exclusive, with its sizes.
        let value = unsafe { libc::recvmsg(from.as_raw_fd(), &raw mut message, 0) };
        match check("recvmsg", value as libc::c_long) {
            Err(e) if e.errno() == libc::EINTR => {}
            other => break other?,
        }
    };
    // SAFETY: `message` is as recvmsg left it.
    let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    if header.is_null() {
        return Ok((usize::try_from(length).unwrap_or(0), 0));
    }
    // SAFETY: not null, so within `control`, which is aligned for it.
    let kind = unsafe { (*header).cmsg_type };
    if kind != libc::SCM_CREDENTIALS {
        return Ok((usize::try_from(length).unwrap_or(0), 0));
    }
    // SAFETY: the header is valid.
    let data = unsafe { libc::CMSG_DATA(header) };
    // SAFETY: SCM_CREDENTIALS carries one ucred.
    let sender = unsafe { data.cast::<libc::ucred>().read_unaligned() };
    Ok((usize::try_from(length).unwrap_or(0), sender.pid))
}

/// Room for the header and one descriptor, aligned as the header needs.
type Control = [u64; 4];

/// Passes `descriptor` to who hears at the other end, or tells that there is none (unix(7), `SCM_RIGHTS`).
pub fn pass(to: BorrowedFd<'_>, descriptor: Option<BorrowedFd<'_>>) -> Result<(), Error> {
    let mut word = [u8::from(descriptor.is_some())];
    let mut control: Control = [0; 4];
    let mut part = one_byte(&mut word);
    let mut message = about(&mut part, &mut control);
    match descriptor {
        Some(descriptor) => {
            // SAFETY: the control buffer has room for one header.
            let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
            // SAFETY: it is within the buffer, aligned as it needs, and nothing else refers to it.
            let header = unsafe { &mut *header };
            header.cmsg_level = libc::SOL_SOCKET;
            header.cmsg_type = libc::SCM_RIGHTS;
            // SAFETY: arithmetic only.
            header.cmsg_len = unsafe { libc::CMSG_LEN(size_of::<libc::c_int>() as u32) } as _;
            // SAFETY: arithmetic only.
            let length = unsafe { libc::CMSG_SPACE(size_of::<libc::c_int>() as u32) };
            message.msg_controllen = length as _;
            // SAFETY: the header is within the buffer, which has room for an integer after it.
            let data = unsafe { libc::CMSG_DATA(header) }.cast::<libc::c_int>();
            // SAFETY: as above.
            unsafe { data.write_unaligned(descriptor.as_raw_fd()) };
        }
        None => message.msg_controllen = 0,
    }
    // SAFETY: all that `message` points to lives, with its sizes.
    let value = unsafe { libc::sendmsg(to.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
    check("sendmsg", value as libc::c_long).map(drop)
}

/// What the other end passed, close-on-exec; `None` when it told that there is nothing. A closed end is
/// `EPIPE`. May be called by a child before its exec.
pub fn take(from: BorrowedFd<'_>) -> Result<Option<OwnedFd>, Error> {
    let mut word = [0];
    let mut control: Control = [0; 4];
    let mut part = one_byte(&mut word);
    let mut message = about(&mut part, &mut control);
    let length = loop {
        // SAFETY: all that `message` points to lives and is exclusive, with its sizes.
        let value =
            unsafe { libc::recvmsg(from.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
        match check("recvmsg", value as libc::c_long) {
            Err(e) if e.errno() == libc::EINTR => {}
            other => break other?,
        }
    };
    if length != 1 {
        return Err(Error {
            call: "recvmsg",
            reason: std::io::Error::from_raw_os_error(libc::EPIPE),
        });
    }
    // SAFETY: `message` is as recvmsg left it.
    let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    if header.is_null() {
        return Ok(None);
    }
    // SAFETY: not null, so within `control`, which is aligned for it.
    let kind = unsafe { (*header).cmsg_type };
    if kind != libc::SCM_RIGHTS {
        return Ok(None);
    }
    // SAFETY: the header is valid.
    let data = unsafe { libc::CMSG_DATA(header) };
    // SAFETY: there is room for one descriptor and no more, so the kernel left exactly one.
    let descriptor = unsafe { data.cast::<libc::c_int>().read_unaligned() };
    Ok(Some(owned(descriptor.into())))
}

fn one_byte(word: &mut [u8; 1]) -> libc::iovec {
    libc::iovec {
        iov_base: word.as_mut_ptr().cast(),
        iov_len: 1,
    }
}

fn about(part: &mut libc::iovec, control: &mut Control) -> libc::msghdr {
    // SAFETY: a zeroed msghdr is valid.
    let mut message = unsafe { MaybeUninit::<libc::msghdr>::zeroed().assume_init() };
    message.msg_iov = part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    // SAFETY: arithmetic only.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(size_of::<libc::c_int>() as u32) } as _;
    message
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::process;

    #[test]
    fn who_speaks_is_known() {
        let (hears, other) = pair().unwrap();
        process::write_message(other.as_fd(), b"word").unwrap();
        let mut word = [0; 8];
        let own = std::process::id().cast_signed();
        assert_eq!(hear(hears.as_fd(), &mut word).unwrap(), (4, own));
        drop(other);
        assert_eq!(hear(hears.as_fd(), &mut word).unwrap().0, 0);
    }

    #[test]
    fn a_descriptor_is_passed() {
        let (here, there) = pair().unwrap();
        let (read, write) = process::pipe().unwrap();
        pass(here.as_fd(), Some(write.as_fd())).unwrap();
        pass(here.as_fd(), None).unwrap();
        drop(write);
        let passed = take(there.as_fd()).unwrap().unwrap();
        assert!(take(there.as_fd()).unwrap().is_none());
        process::write_message(passed.as_fd(), b"w").unwrap();
        let mut word = [0; 2];
        assert_eq!(process::read_message(read.as_fd(), &mut word).unwrap(), 1);
        drop(here);
        assert_eq!(take(there.as_fd()).unwrap_err().errno(), libc::EPIPE);
    }
}
