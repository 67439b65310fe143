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
}
