//! What a job says to its host, in messages. It is data of whoever wrote the job.

use portcullis_host::Said;
use portcullis_host::hostile::{hear, secret};

/// Bytes of all messages.
pub(crate) const LONGEST: usize = 8192;

/// A job that writes, hands over two files, and ends; another one that is stopped.
pub(crate) fn begin() -> Vec<Vec<u8>> {
    let says = |output: u16, wanted: u8, messages: &[&[u8]]| {
        let mut bytes = output.to_le_bytes().to_vec();
        bytes.push(wanted);
        for message in messages {
            bytes.extend(
                u16::try_from(message.len())
                    .unwrap_or(u16::MAX)
                    .to_le_bytes(),
            );
            bytes.extend_from_slice(message);
        }
        bytes
    };
    vec![
        says(
            100,
            3,
            &[
                b"\x01out",
                b"\x02error",
                b"\x08\0\0one",
                b"\x08\0\0more",
                b"\x09\x01\0\x02",
                b"\x08\x02\0",
                b"\x03\0\0\0\0",
            ],
        ),
        says(7, 0, &[b"\x01out", b"\x04unreachable"]),
        says(7, 0, &[b"\x01too much of it"]),
        says(9, 1, &[b"\x05no such function", b"\x06", b"\x07"]),
    ]
}

/// Asks of one job: a bound of its outputs (two bytes), how many files are wanted (one), and messages, each behind its
/// length (two).
pub fn ask(bytes: &[u8]) {
    let Some((&[low, high, wanted], mut rest)) = bytes.split_first_chunk() else {
        return;
    };
    let output = u16::from_le_bytes([low, high]);
    let mut messages = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes(*length));
        let (message, after) = after.split_at(length.min(after.len()));
        messages.push(message);
        rest = after;
    }
    let heard = hear(output.into(), wanted.into(), &messages);
    let room = usize::from(output);
    for written in &heard.written {
        assert!(written.len() <= room, "{} of {room}", written.len());
    }
    assert_eq!(heard.files.len(), usize::from(wanted));
    let all: usize = heard.files.iter().flatten().map(Vec::len).sum();
    assert!(all <= room, "{all} of {room}");
    // A file counts when the last word was said.
    assert!(heard.said.is_some() || all == 0);
    if let Some(Said::Trap(text) | Said::Refused(text)) = &heard.said {
        // A byte that is no text becomes three.
        assert!(text.len() <= 3 * 1024, "{}", text.len());
    }
    // Each message could be one to the job itself.
    for message in messages {
        if let Some((told, again)) = secret(message) {
            assert_eq!(again, message);
            assert!(told.bytes.len() < message.len());
        }
    }
}
