//! Loads of the web servers and proxies.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;

use anyhow::{Result, ensure};
use rustix::process::Signal;

use super::{Client, PATIENCE};
use crate::process;

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
                // How a body is cut into chunks is a matter of time.
                let body = match text.split_once("\r\n\r\n") {
                    Some((head, _)) if head.contains("chunked") => "in chunks".to_owned(),
                    Some((_, body)) => format!("{} bytes", body.len()),
                    None => "no head".to_owned(),
                };
                writeln!(said, "{method} {path} {more:?}: {status}, {body}")?;
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

/// What curl is told to fetch from a server, and the status that each gave.
fn fetch(client: &Client, asked: &[&[&str]]) -> Result<String> {
    let mut said = String::new();
    for words in asked {
        let mut line = vec!["curl", "-sk", "-o", "{dir}/answer", "-w", "%{http_code}\n"];
        line.extend(*words);
        let answer = client.run(&line)?;
        writeln!(said, "{}: {}", words.join(" "), answer.trim_end())?;
    }
    Ok(said)
}

/// What [`http`] asks, and what each module of nginx does; then logs that begin anew and a new
/// configuration, while it serves.
pub(crate) fn nginx(client: &mut Client) -> Result<String> {
    let mut said = http(client)?;
    said.push_str(&fetch(
        client,
        &[
            &["http://127.0.0.1:{port}/list/"],
            &["http://127.0.0.1:{port}/web/large"],
            &[
                "http://127.0.0.1:{port}/web/echo",
                "--data-binary",
                "@{dir}/www/large",
            ],
            &["http://127.0.0.1:{port}/cached/large"],
            &["http://127.0.0.1:{port}/cached/large"],
            &["http://127.0.0.1:{port}/stored/file"],
            &["http://127.0.0.1:{port}/unbuffered/large"],
            &[
                "http://127.0.0.1:{port}/upload/new/numbers",
                "-T",
                "{dir}/numbers",
            ],
            &["http://127.0.0.1:{port}/upload/made/", "-X", "MKCOL"],
            &[
                "http://127.0.0.1:{port}/upload/new/numbers",
                "-X",
                "COPY",
                "-H",
                "Destination: /upload/made/copy",
            ],
            &[
                "http://127.0.0.1:{port}/upload/new/numbers",
                "-X",
                "MOVE",
                "-H",
                "Destination: /upload/made/moved",
            ],
            &["http://127.0.0.1:{port}/upload/made/", "-X", "DELETE"],
            &["http://127.0.0.1:{port}/secret/file"],
            &["http://127.0.0.1:{port}/secret/file", "-u", "user:secret"],
            &["http://127.0.0.1:{port}/threads/large"],
            &["http://127.0.0.1:{port}/direct/large"],
            &["http://127.0.0.1:{port}/fastcgi"],
            &["http://127.0.0.1:{port}/named"],
            &["http://127.0.0.1:{port}/included"],
            &["http://127.0.0.1:{port}/status"],
            &["http://127.0.0.1:{port}/moved", "-L"],
            &["http://127.0.0.1:{port}/rewritten"],
            &[
                "--unix-socket",
                "{dir}/nginx.socket",
                "http://localhost/file",
            ],
            &[
                "--unix-socket",
                "{dir}/nginx.tls",
                "https://localhost/large",
            ],
            &[
                "--unix-socket",
                "{dir}/nginx.tls",
                "--http1.1",
                "https://localhost/file",
            ],
        ],
    )?);
    fs::rename(
        client.values.dir.join("nginx.access"),
        client.values.dir.join("nginx.access.1"),
    )?;
    client.signal(Signal::USR1)?;
    client.until("nginx.errors", "reopening logs")?;
    client.signal(Signal::HUP)?;
    client.until("nginx.errors", "gracefully shutting down")?;
    said.push_str(&fetch(client, &[&["http://127.0.0.1:{port}/file"]])?);
    Ok(said)
}

/// What [`http`] asks, and what each module of lighttpd does; then logs that begin anew, and a new
/// configuration.
pub(crate) fn lighttpd(client: &mut Client) -> Result<String> {
    let mut said = http(client)?;
    said.push_str(&fetch(
        client,
        &[
            &["http://127.0.0.1:{port}/list/"],
            &["http://127.0.0.1:{port}/cgi/script.sh?query"],
            &[
                "http://127.0.0.1:{port}/cgi/script.sh",
                "--data-binary",
                "@{dir}/www/large",
            ],
            &["http://127.0.0.1:{port}/page.shtml"],
            &["http://127.0.0.1:{port}/status"],
            &["http://127.0.0.1:{port}/secret/file"],
            &["http://127.0.0.1:{port}/secret/file", "-u", "user:secret"],
            &["http://127.0.0.1:{port}/moved", "-L"],
            &["http://127.0.0.1:{port}/rewritten"],
            &[
                "http://127.0.0.1:{port}/echo",
                "--data-binary",
                "@{dir}/www/large",
            ],
            &["http://127.0.0.1:{port}/nobody"],
            &[
                "--unix-socket",
                "{dir}/public/lighttpd.socket",
                "http://localhost/file",
            ],
        ],
    )?);
    client.signal(Signal::HUP)?;
    client.until("public/lighttpd.errors", "logfiles cycled")?;
    said.push_str(&fetch(client, &[&["http://127.0.0.1:{port}/file"]])?);
    Ok(said)
}

/// A compressed answer, and two encrypted ones.
pub(crate) fn lighttpd_tls(client: &mut Client) -> Result<String> {
    fetch(
        client,
        &[
            &["http://127.0.0.1:{port}/large", "--compressed"],
            &["https://127.0.0.1:{second}/large"],
            &["--http2", "https://127.0.0.1:{second}/file"],
        ],
    )
}

/// What [`http`] asks, what each rule of haproxy does, and what an administrator asks at its socket.
pub(crate) fn haproxy(client: &mut Client) -> Result<String> {
    let mut said = http(client)?;
    said.push_str(&fetch(
        client,
        &[
            &["http://127.0.0.1:{port}/denied"],
            &["http://127.0.0.1:{port}/moved", "-L"],
            &["http://127.0.0.1:{port}/secret"],
            &["http://127.0.0.1:{port}/secret", "-u", "user:secret"],
            &["http://127.0.0.1:{port}/lua"],
            &["http://127.0.0.1:{port}/metrics"],
            &["http://127.0.0.1:{port}/words"],
            &["http://127.0.0.1:{port}/statistics"],
            &["http://127.0.0.1:{port}/nobody"],
            &["http://127.0.0.1:{port}/large", "--compressed"],
            &[
                "http://127.0.0.1:{port}/echo",
                "--data-binary",
                "@{dir}/www/large",
            ],
            &[
                "--unix-socket",
                "{dir}/haproxy.front",
                "http://localhost/file",
            ],
            &[
                "--unix-socket",
                "{dir}/haproxy.tls",
                "https://localhost/large",
            ],
            &[
                "--unix-socket",
                "{dir}/haproxy.tls",
                "--http1.1",
                "https://localhost/file",
            ],
            &[
                "--unix-socket",
                "{dir}/haproxy.plain",
                "http://localhost/large",
            ],
        ],
    )?);
    for asked in [
        "show info",
        "show stat",
        "show servers state",
        "show sess",
        "show fd",
        "show pools",
        "show activity",
        "show threads",
        "show resolvers",
        "show table front",
        "show cache",
        "show ssl cert",
        "show events",
        "disable server back/two",
        "enable server back/two",
        "set server back/two addr 127.0.0.1",
        "add map {dir}/haproxy.map /more more",
        "show profiling",
        "set profiling tasks on",
        "help",
    ] {
        let answer = administer(client, asked)?;
        ensure!(!answer.is_empty(), "{asked}: no answer");
    }
    client.signal(Signal::HUP)?;
    client.signal(Signal::QUIT)?;
    said.push_str(&fetch(client, &[&["http://127.0.0.1:{port}/file"]])?);
    Ok(said)
}

/// One command at haproxy's socket.
fn administer(client: &Client, asked: &str) -> Result<String> {
    let mut socket = UnixStream::connect(client.values.dir.join("haproxy.socket"))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    writeln!(socket, "{}", client.values.fill(asked))?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer)
}

/// A master of haproxy that starts itself anew, while it serves.
pub(crate) fn haproxy_master(client: &mut Client) -> Result<String> {
    let mut said = fetch(client, &[&["http://127.0.0.1:{port}/file"]])?;
    // A signal is lost while the master is still about to wait for some; when it answers, it waits.
    process::until("the master", PATIENCE, || {
        let Ok(mut socket) = UnixStream::connect(client.values.dir.join("haproxy.master")) else {
            return Ok(None);
        };
        socket.set_read_timeout(Some(PATIENCE))?;
        writeln!(socket, "show proc")?;
        // It keeps the connection, so there is no end to wait for.
        Ok(socket.read(&mut [0; 64]).ok())
    })?;
    client.signal(Signal::USR2)?;
    // How the master ends depends on whether the former worker has ended before.
    client.until("standard-error", "exited with code 0")?;
    said.push_str(&fetch(client, &[&["http://127.0.0.1:{port}/file"]])?);
    Ok(said)
}
