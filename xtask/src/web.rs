//! The web server that stands beside a workload: what clients fetch from, what proxies pass to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// Starts the server on a free loopback port; it lives as long as this process.
pub(crate) fn serve() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("listen on loopback")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that goes away early is part of some workloads.
            thread::spawn(move || answer(&stream).ok());
        }
    });
    Ok(port)
}

/// Answers one request and closes the connection.
fn answer(stream: &TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let (mut length, mut expects) = (0, false);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse::<u64>()?.min(1 << 20);
        }
        expects |= name.eq_ignore_ascii_case("expect");
    }
    let mut out = stream;
    if expects {
        out.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    let mut words = request.split_whitespace();
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let (status, content) = match path {
        "/file" => ("200 OK", b"served from a file\n".to_vec()),
        "/large" => ("200 OK", b"0123456789abcdef".repeat(16_384)),
        "/echo" => ("200 OK", body),
        _ => ("404 Not Found", b"nothing here\n".to_vec()),
    };
    write!(
        out,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        content.len()
    )?;
    if method != "HEAD" {
        out.write_all(&content)?;
    }
    Ok(())
}
