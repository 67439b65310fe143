//! What host and worker say to each other. A worker was taken over by its job, perhaps; and neither side may end, wait or
//! grow because of the other.

use std::io::Write as _;
use std::os::unix::net::UnixStream;

use portcullis_host::hostile::{Side, Taken, take};

/// Bytes of some messages: they fit into a socket's buffer, so that nobody has to read while they are written.
pub(crate) const LONGEST: usize = 4096;
/// The longest body that is taken.
const MOST: usize = 1 << 20;

/// An order for a job with two files, one to prepare a module, and answers. They are what a host and a worker of this
/// version send: numbers of variants, lengths, and what is in them (postcard's wire format).
pub(crate) fn begin() -> Vec<Vec<u8>> {
    let message = |head: &[u8], body: &[u8]| {
        let lengths = [head.len(), body.len()].map(|length| length as u32);
        [&lengths.map(u32::to_le_bytes).concat()[..], head, body].concat()
    };
    let load = message(b"\0\x02\x06\0\0\x80\x80\xfc\xff\x07\x20\0\0\x04", b"");
    let run = message(
        b"\x01\x01\x03arg\x01\x03A=b\x02\x01a\x02\0\x03d/b\x03\x01\x01\x01c\x80\x80\x04\x64\x01\x07\x01\0",
        b"inputaabbb",
    );
    let both = [&run[..], &message(b"\x02", b"")].concat();
    let prepare = message(b"\x03\x01\x80\x01", b"\0asm\x01\0\0\0");
    let answers = [
        message(b"\0", b""),
        message(b"\x01\x07refused", b""),
        message(b"\x02\x01", b""),
        message(b"\x03\x0b", b""),
        message(b"\x04\x90\x4e", b""),
        message(b"\x05", b"artifact"),
        message(b"\x06", b""),
    ];
    vec![load, both, prepare, answers.concat()]
}

/// Asks of these bytes, as messages to either side.
pub fn ask(bytes: &[u8]) {
    for side in [Side::Worker, Side::Host] {
        for taken in all(side, bytes) {
            assert!(taken.body.len() <= MOST);
            if let Some(Some((input, files))) = &taken.job {
                // Nothing of the body is lost, and nothing is there twice.
                let contents = files.iter().map(|file| file.bytes.as_slice());
                let parts: Vec<&[u8]> = [input.as_slice()].into_iter().chain(contents).collect();
                assert_eq!(parts.concat(), taken.body);
            }
            // Sent again it is the same message.
            let again = all(side, &[&taken.front[..], &taken.body].concat());
            assert_eq!(again, [taken]);
        }
    }
}

/// Until one is not taken. They come one by one, as each side waits for the other's answer.
fn all(side: Side, bytes: &[u8]) -> Vec<Taken> {
    let mut rest = bytes;
    let mut messages = Vec::new();
    while !rest.is_empty() {
        let (message, later) = rest.split_at(first(rest));
        let Ok((mut here, there)) = UnixStream::pair() else {
            panic!("no more sockets can be opened");
        };
        assert!(
            here.write_all(message).is_ok(),
            "a socket takes so few bytes"
        );
        drop(here);
        let Ok(Some(taken)) = take(side, &there, MOST) else {
            break;
        };
        messages.push(taken);
        rest = later;
    }
    messages
}

/// How many bytes the first message has, by its lengths, or all.
fn first(bytes: &[u8]) -> usize {
    let length = |at: usize| {
        let length = bytes.get(at..)?.first_chunk()?;
        usize::try_from(u32::from_le_bytes(*length)).ok()
    };
    let whole = length(0).zip(length(4)).map(|(head, body)| 8 + head + body);
    whole.unwrap_or(bytes.len()).min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_begins_with_are_messages_of_this_version() {
        let begin = begin();
        let [load, run, prepare, answers] = begin.as_slice() else {
            panic!("{begin:?}");
        };
        assert_eq!(all(Side::Worker, load).len(), 1);
        assert_eq!(all(Side::Worker, prepare).len(), 1);
        assert_eq!(all(Side::Host, answers).len(), 7);
        let run = all(Side::Worker, run);
        let (input, files) = run[0].job.clone().unwrap().unwrap();
        assert_eq!((run.len(), input.as_slice()), (2, &b"input"[..]));
        assert_eq!(
            (&files[0].bytes[..], &files[1].bytes[..]),
            (&b"aa"[..], &b"bbb"[..])
        );
    }
}
