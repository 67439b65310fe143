//! What host and worker say to each other: a length of a head, a length of a body, the head (postcard), the body,
//! and descriptors beside the first byte. Both sides bound what they take.

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

/// The longest head: a filter of 4096 instructions, or arguments.
const MOST_HEAD: usize = 256 << 10;
/// The longest body: an input, a module, an artifact.
pub(crate) const MOST_BODY: usize = 256 << 20;

/// The two lengths.
const LENGTHS: usize = 8;
/// What is taken at once: all of most messages.
const AHEAD: usize = 4096;

/// An instruction of a filter.
pub(crate) type Instruction = (u16, u8, u8, u32);

/// From the host.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) enum Order {
    /// Take the artifact, a descriptor, and the filter under which jobs are to run.
    Load { filter: Vec<Instruction> },
    /// Run a job. The body is its input and then its files, where its results go a descriptor, on which so many secrets
    /// wait for it; with `at_once` what it writes is not gathered. The files that are wanted of it have at most `output`
    /// bytes together.
    Run {
        arguments: Vec<String>,
        environment: Vec<String>,
        files: Vec<Placed>,
        wanted: Vec<String>,
        memory: u64,
        output: u64,
        fuel: Option<u64>,
        at_once: bool,
        secrets: u8,
    },
    /// The job has ended and was looked at.
    Reap,
    /// Prepare the module that is the body, with so many bytes in use at one time.
    Prepare { metered: bool, allocations: u64 },
}

/// A file that a job is given: so many bytes of the body.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Placed {
    pub(crate) name: String,
    pub(crate) length: u64,
    pub(crate) executable: bool,
}

/// From a worker.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) enum Answer {
    /// The artifact can be run.
    Loaded,
    /// It cannot, or the module cannot be prepared.
    Refused(String),
    /// The job's process is there; a handle to it is beside. Whether the worker says that it is in the group of jobs.
    Started { apart: bool },
    /// It could not be created.
    NotStarted(i32),
    /// It was reaped; a hint about the memory that it used.
    Reaped { peak_memory: u64 },
    /// The artifact is the body.
    Prepared,
    /// Preparing took more than it may.
    TooLarge,
}

/// One message.
pub(crate) struct Message<T> {
    pub(crate) head: T,
    pub(crate) body: Vec<u8>,
    pub(crate) descriptor: Option<OwnedFd>,
}

/// A message without a body, as it is sent.
pub(crate) fn encoded(head: &impl Serialize) -> io::Result<Vec<u8>> {
    front(head, 0)
}

/// What goes before a body of this length.
pub(crate) fn front(head: &impl Serialize, body: usize) -> io::Result<Vec<u8>> {
    let head = postcard::to_stdvec(head).map_err(io::Error::other)?;
    if head.len() > MOST_HEAD || body > MOST_BODY {
        return Err(too_long());
    }
    let length = |length: usize| u32::try_from(length).map_err(|_| too_long());
    let lengths = [
        length(head.len())?.to_le_bytes(),
        length(body)?.to_le_bytes(),
    ]
    .concat();
    Ok([lengths, head].concat())
}

fn too_long() -> io::Error {
    io::ErrorKind::InvalidInput.into()
}

/// Sends one message. A peer that is gone is an error.
pub(crate) fn send(
    to: &UnixStream,
    head: &impl Serialize,
    body: &[u8],
    descriptor: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let front = front(head, body.len())?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    let descriptor = descriptor.as_slice();
    if !descriptor.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(descriptor)) {
        return Err(too_long());
    }
    let parts = [IoSlice::new(&front), IoSlice::new(body)];
    let sent = loop {
        match sendmsg(to, &parts, &mut beside, SendFlags::NOSIGNAL) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other?,
        }
    };
    let mut to = to;
    match sent.checked_sub(front.len()) {
        Some(of_body) => to.write_all(&body[of_body..]),
        None => to
            .write_all(&front[sent..])
            .and_then(|()| to.write_all(body)),
    }
}

/// Takes one message whose body has at most `most` bytes; `None` when the peer has closed its end. Each side waits for the
/// other's answer before it says more, so that what comes at once is one message: more is an error.
pub(crate) fn receive<T: DeserializeOwned>(
    from: &UnixStream,
    most: usize,
) -> io::Result<Option<Message<T>>> {
    let mut ahead = [0; AHEAD];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let mut got = loop {
        let mut part = [IoSliceMut::new(&mut ahead)];
        match recvmsg(from, &mut part, &mut beside, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other?.bytes,
        }
    };
    if got == 0 {
        return Ok(None);
    }
    let descriptor = beside.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut all) => all.next(),
        _ => None,
    });
    if got < LENGTHS {
        let mut from = from;
        from.read_exact(&mut ahead[got..LENGTHS])?;
        got = LENGTHS;
    }
    let length = |at: usize| {
        let bytes = ahead[at..at + 4].try_into().unwrap_or_default();
        usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX)
    };
    let (head, body) = (length(0), length(4));
    if head > MOST_HEAD || body > most || got - LENGTHS > head + body {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a message of {head} and {body} bytes is not taken"),
        ));
    }
    let (of_head, of_body) = ahead[LENGTHS..got].split_at(head.min(got - LENGTHS));
    // What of it is needed is copied out.
    let head = Zeroizing::new(exactly(of_head, from, head)?);
    let body = exactly(of_body, from, body)?;
    // Nor is what a job was given left on the stack.
    ahead[..got].zeroize();
    let head =
        postcard::from_bytes(&head).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    Ok(Some(Message {
        head,
        body,
        descriptor,
    }))
}

/// So many bytes, which begin with what is known. Memory grows as bytes come, not as they are announced, and what was too small
/// is wiped: what one job was given is not there for the next.
fn exactly(known: &[u8], mut from: &UnixStream, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length.min(1 << 20)];
    let (begin, rest) = bytes.split_at_mut(known.len());
    begin.copy_from_slice(known);
    from.read_exact(rest)?;
    while bytes.len() < length {
        let mut larger = vec![0; length.min(2 * bytes.len())];
        let (known, rest) = larger.split_at_mut(bytes.len());
        known.copy_from_slice(&bytes);
        bytes.zeroize();
        from.read_exact(rest)?;
        bytes = larger;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd as _;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_arrives_with_its_descriptor() {
        let (here, there) = UnixStream::pair().unwrap();
        let file = File::open("/dev/null").unwrap();
        let body = vec![7; 100_000];
        send(&here, &Order::Reap, &body, Some(file.as_fd())).unwrap();
        let message: Message<Order> = receive(&there, MOST_BODY).unwrap().unwrap();
        assert!(matches!(message.head, Order::Reap));
        assert_eq!(message.body, body);
        assert!(message.descriptor.is_some());
        drop(here);
        assert!(receive::<Order>(&there, 0).unwrap().is_none());
    }

    #[test]
    fn a_length_is_not_believed() {
        let (mut here, there) = UnixStream::pair().unwrap();
        here.write_all(&[0xff; 8]).unwrap();
        assert!(receive::<Answer>(&there, MOST_BODY).is_err());

        let (here, there) = UnixStream::pair().unwrap();
        send(&here, &Answer::Prepared, &[0; 10], None).unwrap();
        assert!(receive::<Answer>(&there, 9).is_err());
    }

    #[test]
    fn a_message_comes_in_pieces_and_alone() {
        let bytes = encoded(&Answer::Reaped { peak_memory: 300 }).unwrap();
        for at in 1..bytes.len() {
            let (mut here, there) = UnixStream::pair().unwrap();
            let (first, rest) = bytes.split_at(at);
            here.write_all(first).unwrap();
            std::thread::scope(|scope| {
                let taken = scope.spawn(|| receive::<Answer>(&there, 0));
                here.write_all(rest).unwrap();
                let taken = taken.join().unwrap().unwrap().unwrap();
                assert!(matches!(taken.head, Answer::Reaped { peak_memory: 300 }));
            });
        }
        let (mut here, there) = UnixStream::pair().unwrap();
        here.write_all(&[&bytes[..], &bytes[..]].concat()).unwrap();
        assert!(receive::<Answer>(&there, 0).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300), small in 0..16_u8) {
            let (mut here, there) = UnixStream::pair().unwrap();
            let lengths = [small, 0, 0, 0, 16 - small, 0, 0, 0];
            here.write_all(&lengths).unwrap();
            here.write_all(&bytes).unwrap();
            drop(here);
            // No panic, no endless wait, and no more memory than there are bytes.
            let _ = receive::<Answer>(&there, 1 << 10);
        }
    }
}
