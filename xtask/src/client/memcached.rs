//! Loads of memcached: its protocols, its sockets, its stores.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use super::{Client, PATIENCE};
use crate::process;

/// Asked for the work it makes; the answers are times, addresses and sizes.
const MEASURED: &[&str] = &[
    "stats",
    "stats slabs",
    "stats items",
    "stats sizes",
    "stats settings",
    "stats conns",
    "stats extstore",
    "lru_crawler metadump all",
    "lru_crawler crawl all",
    "slabs reassign 1 2",
    "slabs automove 1",
    "cache_memlimit 32",
    "flush_all",
    "version",
];

/// Stores, reads, counts, deletes; several connections at once; values that go to the disk; what it
/// tells of itself; the binary protocol.
pub(crate) fn memcached(client: &mut Client) -> Result<String> {
    let mut said = String::new();
    let mut streams = Vec::new();
    let watcher = client.connect()?;
    (&watcher).write_all(b"watch fetchers mutations evictions\r\n")?;
    for number in 0..4 {
        let stream = client.connect()?;
        let mut reader = BufReader::new(stream.try_clone()?);
        for (request, lines) in [
            (format!("set key{number} 0 0 5\r\nvalue\r\n"), 1),
            (format!("get key{number}\r\n"), 3),
            (format!("set count{number} 0 0 1\r\n7\r\n"), 1),
            (format!("incr count{number} 35\r\n"), 1),
            (format!("append count{number} 0 0 1\r\n!\r\n"), 1),
            (format!("gat 100 count{number}\r\n"), 3),
            (format!("delete key{number}\r\n"), 1),
            (
                format!("set big{number} 0 60 100000\r\n{}\r\n", "x".repeat(100_000)),
                1,
            ),
            (format!("mg count{number} v\r\n"), 2),
            ("verbosity 1\r\n".to_owned(), 1),
            ("nonsense\r\n".to_owned(), 1),
        ] {
            (&stream).write_all(request.as_bytes())?;
            for _ in 0..lines {
                let mut line = String::new();
                reader.read_line(&mut line)?;
                write!(said, "{line}")?;
            }
        }
        // Enough for the store on disk.
        for index in 0..1000 {
            let value = "v".repeat(8000);
            write!(&stream, "set k{number}-{index} 0 0 8000\r\n{value}\r\n")?;
            let mut line = String::new();
            reader.read_line(&mut line)?;
            ensure!(line == "STORED\r\n", "set k{index}: {line:?}");
        }
        for index in 0..100 {
            write!(&stream, "mg k{number}-{index} s\r\n")?;
            let mut line = String::new();
            reader.read_line(&mut line)?;
        }
        streams.push(stream);
    }
    let stream = client.connect()?;
    let mut reader = BufReader::new(stream.try_clone()?);
    for request in MEASURED {
        write!(&stream, "{request}\r\n")?;
        let mut line = String::new();
        while reader.read_line(&mut line)? > 0 && is_part(&line) {
            line.clear();
        }
    }
    said.push_str(&binary(client, VERSION)?);
    Ok(said)
}

/// True for a line of an answer that more lines follow.
fn is_part(line: &str) -> bool {
    ["STAT ", "key="]
        .iter()
        .any(|start| line.starts_with(start))
}

/// A command of the binary protocol.
const VERSION: u8 = 0x0b;

/// One command of the binary protocol without key and value, and the status of its answer.
fn binary(client: &Client, command: u8) -> Result<String> {
    let mut stream = client.connect()?;
    let mut request = [0; 24];
    (request[0], request[1]) = (0x80, command);
    stream.write_all(&request)?;
    let mut answer = [0; 24];
    stream.read_exact(&mut answer)?;
    Ok(format!("command {command}: {:?}\n", &answer[..8]))
}

/// Datagrams, until what [`memcached_warm`] has left is old enough to be read: memcached takes
/// nothing that was saved in the second in which it starts.
pub(crate) fn memcached_datagrams(client: &mut Client) -> Result<String> {
    // It answers when all of its sockets are there.
    client.ask("version\r\nquit\r\n")?;
    // Request, sequence, datagrams, reserved: 16 bits each.
    let request = [b"\0\x01\0\0\0\x01\0\0".as_slice(), b"get absent\r\n"].concat();
    let answer = client.datagram(client.values.second, &request)?;
    let left = fs::read_to_string(client.values.dir.join("public/memory.meta"))?;
    let saved: u64 = left
        .lines()
        .find_map(|line| line.strip_prefix("Kstop_time "))
        .context("public/memory.meta names no time")?
        .parse()?;
    process::until("the second after the saved one", PATIENCE, || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        Ok((now.as_secs() > saved).then_some(()))
    })?;
    Ok(String::from_utf8_lossy(&answer[8..]).into_owned())
}

/// TLS beside a plain port, and certificates read again.
pub(crate) fn memcached_tls(client: &mut Client) -> Result<String> {
    let line = [
        "openssl",
        "s_client",
        "-quiet",
        "-connect",
        "127.0.0.1:{second}",
    ];
    let mut said = String::new();
    for request in [
        "set key 0 0 5\r\nvalue\r\nget key\r\nquit\r\n",
        "refresh_certs\r\nquit\r\n",
    ] {
        said.push_str(&client.feed(&line, request)?);
    }
    Ok(said)
}

/// A socket in the file system, users of a file, and items that outlive the process.
pub(crate) fn memcached_warm(client: &mut Client) -> Result<String> {
    let mut stream = UnixStream::connect(client.values.dir.join("public/server.socket"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(
        b"set auth 0 0 11\r\nuser secret\r\nget kept\r\nset kept 0 0 1\r\n1\r\nquit\r\n",
    )?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(said)
}
