//! What tells a loader which libraries a program gets: its cache, the list of those that are always loaded, and the
//! configuration of name services.

use crate::elf::{library, program, scanned, system};

/// Bytes of all of it.
pub(crate) const LONGEST: usize = 2048;
/// The files, in their order.
const FILES: [&str; 3] = [
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/nsswitch.conf",
];

/// A cache of two entries and two levels of processors; with others of each file.
pub(crate) fn begin() -> Vec<Vec<u8>> {
    let services = b"passwd: files systemd\nhosts: files mdns4 [NOTFOUND=return] dns\n";
    vec![
        joined([&cache(), b"/far/b.so a.so # c.so\n", services]),
        joined([b"", b"/lib64/a.so:a.so", b""]),
    ]
}

/// Asks of the files, each behind its length (two bytes).
pub fn ask(bytes: &[u8]) {
    let mut files = system();
    let mut rest = bytes;
    for path in FILES {
        let Some((length, after)) = rest.split_first_chunk() else {
            break;
        };
        let length = usize::from(u16::from_le_bytes(*length));
        let (content, after) = after.split_at(length.min(after.len()));
        files.insert(path, content.to_vec());
        rest = after;
    }
    files.insert("/program", program(&["a.so"]));
    files.insert("/far/a.so", library("a.so"));
    files.insert("/far/b.so", library("b.so"));
    files.insert("/lib64/libnss_systemd.so.2", library("libnss_systemd.so.2"));
    scanned(&files);
}

fn joined(parts: [&[u8]; 3]) -> Vec<u8> {
    let length = |part: &[u8]| u16::try_from(part.len()).unwrap_or(u16::MAX).to_le_bytes();
    let behind = |part: &&[u8]| [&length(part)[..], part].concat();
    parts.iter().flat_map(behind).collect()
}

/// As glibc 2.32 and later write it (sysdeps/generic/dl-cache.h): a header of 48 bytes, entries of 24, strings, and the
/// names of levels.
fn cache() -> Vec<u8> {
    const ENTRIES: u32 = 2;
    let strings = b"a.so\0/far/a.so\0x86-64-v3\0\0\0\0\0\0\0\0";
    let at = 48 + ENTRIES * 24;
    let extensions = at + strings.len() as u32;
    let mut file = b"glibc-ld.so.cache1.1".to_vec();
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut add = |part: Vec<u8>| file.extend(part);
    add(words(&[
        ENTRIES,
        strings.len() as u32,
        2,
        extensions,
        0,
        0,
        0,
    ]));
    // The first is for a level of processors, the second for all.
    add(words(&[0x0303, at, at + 5, 0, 0, 1 << 30]));
    add(words(&[0x0303, at, at + 5, 0, 0, 0]));
    add(strings.to_vec());
    add(words(&[0xeaa4_2174, 1, 1, 0, extensions + 24, 4, at + 15]));
    file
}
