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

/// The family of the socket that `descriptor` is open for; nothing where it is no socket, or closed.
pub fn family(descriptor: i32) -> Option<i32> {
    let mut family: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the kernel writes one integer and its length.
    let value = unsafe {
        libc::getsockopt(
            descriptor,
            libc::SOL_SOCKET,
            libc::SO_DOMAIN,
            (&raw mut family).cast(),
            &raw mut length,
        )
    };
    (value == 0).then_some(family)
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

/// Whether [`hear`] would say something within so many milliseconds, that the other end is closed included.
pub fn speaks(from: BorrowedFd<'_>, within: i32) -> Result<bool, Error> {
    let mut of = libc::pollfd {
        fd: from.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    loop {
        // SAFETY: the kernel reads and writes one structure, which lives.
        let value = unsafe { libc::poll(&raw mut of, 1, within) };
        match check("poll", value.into()) {
            Err(e) if e.errno() == libc::EINTR => {}
            other => return other.map(|ready| ready > 0),
        }
    }
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

/// Descriptors that one message can carry here.
pub const MOST_CARRIED: usize = 4;

/// Bytes of a control message that carries that many: its header and the numbers, each part aligned to 8.
const CARRIES: usize = 16 + MOST_CARRIED * 4;

/// Two ends that keep messages apart, close-on-exec; what is sent can carry descriptors.
pub fn both_ways() -> Result<(OwnedFd, OwnedFd), Error> {
    let mut ends = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: the kernel writes two descriptors into the array.
    let value = unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) };
    check("socketpair", value.into())?;
    Ok((owned(ends[0].into()), owned(ends[1].into())))
}

/// Sends `bytes` as one message that carries `descriptors`, without a SIGPIPE when nobody will hear it.
pub fn send(
    to: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: [BorrowedFd<'_>; MOST_CARRIED],
) -> Result<(), Error> {
    let mut control = [0_u64; CARRIES / 8];
    let mut part = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: a zeroed msghdr is valid.
    let mut message = unsafe { MaybeUninit::<libc::msghdr>::zeroed().assume_init() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = CARRIES as _;
    // SAFETY: `control` has room for a header.
    let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    let head = libc::cmsghdr {
        cmsg_len: CARRIES as _,
        cmsg_level: libc::SOL_SOCKET,
        cmsg_type: libc::SCM_RIGHTS,
    };
    // SAFETY: CMSG_FIRSTHDR points into `control`, which is large enough and aligned.
    unsafe { header.write(head) };
    // SAFETY: the header is valid.
    let data = unsafe { libc::CMSG_DATA(header) };
    let numbers = descriptors.map(|d| d.as_raw_fd());
    // SAFETY: the numbers fit behind the header, by CARRIES.
    unsafe { data.cast::<[i32; MOST_CARRIED]>().write_unaligned(numbers) };
    loop {
        // SAFETY: all that `message` points to lives, with its sizes; the kernel only reads it.
        let value =
            unsafe { libc::sendmsg(to.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
        match check("sendmsg", value as libc::c_long) {
            Err(e) if e.errno() == libc::EINTR => {}
            other => return other.map(drop),
        }
    }
}

/// Waits for a message: its length and the numbers of the descriptors that it carried, close-on-exec; a length of 0
/// when the other end is closed. `sixth` stands in the register of the sixth argument, which the call does not have
/// and a filter can read. May be called by a child before its exec.
pub fn receive(
    from: BorrowedFd<'_>,
    into: &mut [u8],
    sixth: u64,
) -> Result<(usize, [i32; MOST_CARRIED]), Error> {
    let mut control = [0_u64; CARRIES / 8];
    let mut part = libc::iovec {
        iov_base: into.as_mut_ptr().cast(),
        iov_len: into.len(),
    };
    // SAFETY: a zeroed msghdr is valid.
    let mut message = unsafe { MaybeUninit::<libc::msghdr>::zeroed().assume_init() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = CARRIES as _;
    let flags = libc::MSG_CMSG_CLOEXEC;
    let length = loop {
        // SAFETY: all that `message` points to lives and is exclusive, with its sizes.
        let value = unsafe {
            libc::syscall(
                libc::SYS_recvmsg,
                from.as_raw_fd(),
                &raw mut message,
                flags,
                0,
                0,
                sixth,
            )
        };
        match check("recvmsg", value) {
            Err(e) if e.errno() == libc::EINTR => {}
            other => break usize::try_from(other?).unwrap_or(0),
        }
    };
    if length == 0 {
        return Ok((0, [-1; MOST_CARRIED]));
    }
    let cut = libc::MSG_TRUNC | libc::MSG_CTRUNC;
    // SAFETY: `message` is as recvmsg left it.
    let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    if message.msg_flags & cut != 0 || header.is_null() {
        return Err(Error {
            call: "recvmsg",
            reason: std::io::Error::from_raw_os_error(libc::EMSGSIZE),
        });
    }
    // SAFETY: the header is valid.
    let data = unsafe { libc::CMSG_DATA(header) };
    // SAFETY: `send` carries as many, and nothing was cut off.
    let numbers = unsafe { data.cast::<[i32; MOST_CARRIED]>().read_unaligned() };
    Ok((length, numbers))
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

    #[test]
    fn descriptors_come_with_a_message_and_the_end_is_told() {
        let (one, other) = both_ways().unwrap();
        let (read, write) = process::pipe().unwrap();
        let all = [write.as_fd(), read.as_fd(), read.as_fd(), read.as_fd()];
        send(one.as_fd(), b"job", all).unwrap();
        let mut word = [0; 8];
        let (length, numbers) = receive(other.as_fd(), &mut word, 7).unwrap();
        assert_eq!(&word[..length], b"job");
        let [carried, rest @ ..] = numbers.map(|n| owned(n.into()));
        drop(rest);
        process::write_message(carried.as_fd(), b"x").unwrap();
        assert_eq!(process::read_message(read.as_fd(), &mut word).unwrap(), 1);
        drop(one);
        assert_eq!(receive(other.as_fd(), &mut word, 7).unwrap().0, 0);
    }

    #[test]
    fn a_message_without_room_is_an_error() {
        let (one, other) = both_ways().unwrap();
        let all = [one.as_fd(); MOST_CARRIED];
        send(one.as_fd(), b"longer", all).unwrap();
        let error = receive(other.as_fd(), &mut [0; 2], 0).unwrap_err();
        assert_eq!(error.errno(), libc::EMSGSIZE);
    }

    #[test]
    fn it_speaks_when_something_is_said_and_when_nothing_will_be() {
        let (hears, other) = pair().unwrap();
        assert!(!speaks(hears.as_fd(), 0).unwrap());
        crate::process::write_message(other.as_fd(), b"G").unwrap();
        assert!(speaks(hears.as_fd(), 0).unwrap());
        assert_eq!(hear(hears.as_fd(), &mut [0; 2]).unwrap().0, 1);
        assert!(!speaks(hears.as_fd(), 0).unwrap());
        drop(other);
        assert!(speaks(hears.as_fd(), 0).unwrap());
    }
}
