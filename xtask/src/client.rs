//! Clients that put a load on the servers. What a client returns depends only on what the server
//! answered, so that a confined run can be compared with a native one.

mod http;
mod memcached;
mod redis;
mod small;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::workload::Values;
use crate::{play, process};

pub(crate) use http::{haproxy, haproxy_master, http, lighttpd, lighttpd_tls, nginx};
pub(crate) use memcached::{memcached, memcached_datagrams, memcached_tls, memcached_warm};
pub(crate) use redis::{redis, redis_cluster, redis_sentinel};
pub(crate) use small::{
    dnsmasq, mosquitto, mosquitto_kept, nats, nats_stored, relay, rsync, socat_tls, stunnel,
    tinyproxy,
};

/// How long an answer may take: a traced server is slow, a stopped one must not block the test.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server, and what its clients need to know of it.
pub(crate) struct Client {
    /// Ports and places.
    pub(crate) values: Values,
    /// What was started: the server, or what stands in front of it.
    started: u32,
    /// The server's file.
    image: PathBuf,
}

impl Client {
    /// Of the server that `started` is, or starts from the file `image`.
    pub(crate) fn new(values: &Values, started: &Child, image: &Path) -> Self {
        Client {
            values: values.clone(),
            started: started.id(),
            image: image.to_owned(),
        }
    }

    /// A new connection.
    pub(crate) fn connect(&self) -> Result<TcpStream> {
        reach(self.values.port)
    }

    /// True when the server takes connections, at its port or at `public/server.socket`.
    pub(crate) fn is_served(&self) -> bool {
        self.connect().is_ok()
            || UnixStream::connect(self.values.dir.join("public/server.socket")).is_ok()
    }

    /// Sends `request` and returns what comes until the server closes.
    fn ask(&self, request: &str) -> Result<Vec<u8>> {
        let mut stream = self.connect()?;
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    }

    /// Sends a datagram to `port` and returns the answer.
    fn datagram(&self, port: u16, request: &[u8]) -> Result<Vec<u8>> {
        let socket = UdpSocket::bind(("127.0.0.1", 0))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.send_to(request, ("127.0.0.1", port))?;
        let mut answer = vec![0; 1500];
        let length = socket.recv(&mut answer)?;
        answer.truncate(length);
        Ok(answer)
    }

    /// Sends the server itself a signal, as an administrator does who knows its process.
    fn signal(&self, signal: Signal) -> Result<()> {
        let server = process::running(self.started, &self.image)
            .with_context(|| format!("no process runs {}", self.image.display()))?;
        play::signal(server, signal)
    }

    /// Waits until a file of the scratch directory has `text` in it.
    fn until(&self, file: &str, text: &str) -> Result<()> {
        process::until(text, PATIENCE, || {
            let said = fs::read(self.values.dir.join(file)).unwrap_or_default();
            Ok(String::from_utf8_lossy(&said).contains(text).then_some(()))
        })
    }

    /// Starts a server that the load needs, and waits until it takes connections at `port`.
    fn beside(&self, words: &[&str], port: u16) -> Result<Beside> {
        let mut command = self.command(words);
        let nowhere = command.stdin(Stdio::null()).stdout(Stdio::null());
        let started = nowhere.stderr(Stdio::null()).spawn();
        let beside = Beside(started.with_context(|| format!("start {}", words[0]))?);
        process::until(words[0], PATIENCE, || Ok(reach(port).ok()))?;
        Ok(beside)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(words[0]);
        let rest = words[1..].iter().map(|word| self.values.fill(word));
        command.args(rest).current_dir(&self.values.dir);
        command
    }

    /// Runs a client that Debian brings, in the scratch directory: its output, and how it failed.
    fn run(&self, words: &[&str]) -> Result<String> {
        self.feed(words, "")
    }

    /// The same with standard input.
    fn feed(&self, words: &[&str], input: &str) -> Result<String> {
        let outcome = process::take(&mut self.command(words), input.as_bytes(), PATIENCE)?;
        let text = String::from_utf8_lossy(&outcome.stdout).into_owned();
        Ok(match outcome.status.code() {
            Some(0) => text,
            code => format!("{text}ended with {code:?}\n"),
        })
    }
}

/// A server that ends with the load that needs it.
struct Beside(Child);

impl Drop for Beside {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A connection to a port of loopback.
fn reach(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))
        .with_context(|| format!("connect to port {port}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // A request that is written in pieces would wait for the first piece's acknowledgement.
    stream.set_nodelay(true)?;
    Ok(stream)
}
