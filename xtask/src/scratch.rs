//! The directory in which one run of a workload happens, and what it finds there.
//!
//! It lies beneath the machine's directory for temporary files and is open to others, because
//! servers that are started by root give their rights up and must still reach their files.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::workload::Values;

/// A fresh directory with everything that any workload reads.
pub(crate) struct Scratch {
    dir: TempDir,
    /// The values of the placeholders.
    pub(crate) values: Values,
}

impl Scratch {
    /// Makes one; `http` is the port of the web server beside it.
    pub(crate) fn new(http: u16) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("portcullis-")
            .tempdir()
            .context("make a directory for temporary files")?;
        let values = Values {
            dir: dir.path().to_owned(),
            port: free_port()?,
            http,
        };
        fill(&values).with_context(|| format!("fill {}", dir.path().display()))?;
        Ok(Scratch { dir, values })
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// A port that is free at this moment.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("find a free port")?;
    Ok(listener.local_addr()?.port())
}

fn fill(values: &Values) -> Result<()> {
    let dir = &values.dir;
    fs::write(dir.join("words"), "portcullis\nscan\npolicy\nfilter\nrun\n")?;
    let mut numbers = String::new();
    // Long enough that sort starts a second thread and spills to a file.
    for index in 0..160_000_u64 {
        writeln!(numbers, "{}", index.wrapping_mul(7919) % 1_000_003)?;
    }
    fs::write(dir.join("numbers"), numbers)?;
    fs::create_dir_all(dir.join("tree/deep"))?;
    fs::write(dir.join("tree/one"), "one\n")?;
    fs::write(dir.join("tree/deep/two"), "two\n")?;
    fs::create_dir(dir.join("www"))?;
    fs::write(dir.join("www/file"), "served from a file\n")?;
    fs::write(dir.join("www/large"), "0123456789abcdef".repeat(16_384))?;
    for (name, text) in [
        ("nginx.conf", NGINX),
        ("lighttpd.conf", LIGHTTPD),
        ("haproxy.cfg", HAPROXY),
    ] {
        fs::write(dir.join(name), values.fill(text))?;
    }
    for name in ["", "tree", "tree/deep", "www"] {
        fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o755))?;
    }
    // For programs that have given up root's rights.
    fs::create_dir(dir.join("public"))?;
    fs::set_permissions(dir.join("public"), fs::Permissions::from_mode(0o777))?;
    Ok(())
}

/// A master and two workers, as Debian runs it.
const NGINX: &str = "\
daemon off;
worker_processes 2;
pid {dir}/nginx.pid;
error_log {dir}/nginx.errors;
events { worker_connections 64; }
http {
    access_log {dir}/nginx.access;
    client_body_temp_path {dir}/nginx.body;
    proxy_temp_path {dir}/nginx.proxy;
    fastcgi_temp_path {dir}/nginx.fastcgi;
    uwsgi_temp_path {dir}/nginx.uwsgi;
    scgi_temp_path {dir}/nginx.scgi;
    sendfile on;
    gzip on;
    server { listen 127.0.0.1:{port}; root {dir}/www; }
}
";

/// One process with the modules that Debian builds in, and one that is loaded.
const LIGHTTPD: &str = "\
server.port = {port}
server.bind = \"127.0.0.1\"
server.document-root = \"{dir}/www\"
server.errorlog = \"{dir}/lighttpd.errors\"
server.modules = ( \"mod_access\", \"mod_accesslog\" )
accesslog.filename = \"{dir}/lighttpd.access\"
";

/// A proxy in front of the web server that stands beside the workload.
const HAPROXY: &str = "\
global
    maxconn 64
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
frontend front
    bind 127.0.0.1:{port}
    default_backend back
backend back
    server one 127.0.0.1:{http}
";
