//! Clients that put a load on the servers. What a client returns depends only on what the server
//! answered, so that a confined run can be compared with a native one.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// How long an answer may take: a traced server is slow, a stopped one must not block the test.
const PATIENCE: Duration = Duration::from_secs(20);

/// A place that clients connect to.
pub(crate) struct Client {
    /// The server's port on loopback.
    pub(crate) port: u16,
}

impl Client {
    /// A new connection.
    pub(crate) fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))
            .with_context(|| format!("connect to port {}", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// Sends `request` and returns what comes until the server closes.
    fn ask(&self, request: &str) -> Result<Vec<u8>> {
        let mut stream = self.connect()?;
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    }
}

/// GET, HEAD, a part, a large file, a missing file, a kept connection, a broken request.
pub(crate) fn http(client: &mut Client) -> Result<String> {
    let mut said = String::new();
    for round in 0..20 {
        for (method, path, more) in [
            ("GET", "/file", ""),
            ("HEAD", "/file", ""),
            ("GET", "/large", "Accept-Encoding: gzip\r\n"),
            ("GET", "/missing", ""),
            ("GET", "/file", "Range: bytes=0-5\r\n"),
        ] {
            let answer = client.ask(&format!(
                "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{more}Connection: close\r\n\r\n"
            ))?;
            let text = String::from_utf8_lossy(&answer);
            let status = text.lines().next().unwrap_or("closed");
            ensure!(
                !answer.is_empty(),
                "round {round}: {method} {path}: no answer"
            );
            if round == 0 {
                let body = text.split("\r\n\r\n").nth(1).map_or(0, str::len);
                writeln!(said, "{method} {path} {more:?}: {status}, {body} bytes")?;
            }
        }
    }
    let kept = client.connect()?;
    let mut reader = BufReader::new(&kept);
    for _ in 0..5 {
        (&kept).write_all(b"HEAD /file HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let mut lines = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line == "\r\n" {
                break;
            }
            lines += 1;
        }
        if lines == 0 {
            break;
        }
    }
    // Large enough that it would not fit into one buffer of the server.
    let answer = client.ask(&format!("NONSENSE {}\r\n\r\n", "x".repeat(9000)))?;
    let text = String::from_utf8_lossy(&answer);
    writeln!(
        said,
        "nonsense: {}",
        text.lines().next().unwrap_or("closed")
    )?;
    Ok(said)
}

/// Stores, reads, counts, deletes; several connections at once; a large value; statistics.
pub(crate) fn memcached(client: &mut Client) -> Result<String> {
    let mut said = String::new();
    let mut streams = Vec::new();
    for number in 0..4 {
        let stream = client.connect()?;
        let mut reader = BufReader::new(stream.try_clone()?);
        for (request, lines) in [
            (format!("set key{number} 0 0 5\r\nvalue\r\n"), 1),
            (format!("get key{number}\r\n"), 3),
            (format!("set count{number} 0 0 1\r\n7\r\n"), 1),
            (format!("incr count{number} 35\r\n"), 1),
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
        for index in 0..500 {
            write!(&stream, "set k{index} 0 0 1\r\n1\r\n")?;
            let mut line = String::new();
            reader.read_line(&mut line)?;
            ensure!(line == "STORED\r\n", "set k{index}: {line:?}");
        }
        streams.push(stream);
    }
    client.ask("stats\r\nstats slabs\r\nflush_all\r\nquit\r\n")?;
    Ok(said)
}

/// Strings, lists, sets, a script, a snapshot in a child and in the foreground, several clients.
pub(crate) fn redis(client: &mut Client) -> Result<String> {
    let mut said = String::new();
    let mut streams = Vec::new();
    for number in 0..4 {
        let stream = client.connect()?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut ask = |words: &[&str]| -> Result<String> {
            let mut request = format!("*{}\r\n", words.len());
            for word in words {
                write!(request, "${}\r\n{word}\r\n", word.len())?;
            }
            (&stream).write_all(request.as_bytes())?;
            reply(&mut reader)
        };
        for words in [
            &["PING"][..],
            &["SET", "key", "value"],
            &["GET", "key"],
            &["DEL", "list", "set", "zset"],
            &["RPUSH", "list", "a", "b", "c"],
            &["LRANGE", "list", "0", "-1"],
            &["SADD", "set", "x"],
            &["ZADD", "zset", "1", "one"],
            &["EVAL", "return redis.call('GET', KEYS[1])", "1", "key"],
            &["EXPIRE", "key", "100"],
            &["SCAN", "0", "COUNT", "0"],
            &["NONSENSE"],
            &["SAVE"],
        ] {
            writeln!(said, "{}: {}", words[0], ask(words)?)?;
        }
        for index in 0..500 {
            ask(&["SET", &format!("k{index}"), &"v".repeat(100)])?;
        }
        ask(&["INFO"])?;
        ask(&["CLIENT", "LIST"])?;
        ask(&["CONFIG", "GET", "*"])?;
        if number == 3 {
            writeln!(said, "BGREWRITEAOF: {}", ask(&["BGREWRITEAOF"])?)?;
            crate::process::until("the end of the rewrite", PATIENCE, || {
                let info = ask(&["INFO", "persistence"])?;
                Ok(info.contains("aof_rewrite_in_progress:0").then_some(()))
            })?;
            writeln!(said, "BGSAVE: {}", ask(&["BGSAVE"])?)?;
            crate::process::until("the end of the snapshot", PATIENCE, || {
                let info = ask(&["INFO", "persistence"])?;
                Ok(info.contains("rdb_bgsave_in_progress:0").then_some(()))
            })?;
            let info = ask(&["INFO", "persistence"])?;
            for field in ["rdb_last_bgsave_status", "aof_last_bgrewrite_status"] {
                let line = info.lines().find(|line| line.starts_with(field));
                writeln!(said, "{}", line.unwrap_or(field))?;
            }
        }
        streams.push(stream);
    }
    Ok(said)
}

/// One reply of Redis' protocol, arrays in brackets.
fn reply(reader: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    ensure!(
        reader.read_line(&mut line)? > 0,
        "the connection was closed"
    );
    let (kind, rest) = line.trim_end().split_at(1);
    Ok(match kind {
        "$" => {
            let length: i64 = rest.parse()?;
            let Ok(length) = usize::try_from(length) else {
                return Ok("nil".to_owned());
            };
            let mut bytes = vec![0; length + 2];
            reader.read_exact(&mut bytes)?;
            bytes.truncate(length);
            String::from_utf8_lossy(&bytes).into_owned()
        }
        "*" => {
            let count: usize = rest.parse()?;
            let items: Result<Vec<_>> = (0..count).map(|_| reply(reader)).collect();
            format!("[{}]", items?.join(", "))
        }
        _ => line.trim_end().to_owned(),
    })
}
