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
use crate::{fixture, place};

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
            second: free_port()?,
            third: free_port()?,
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
    fs::copy(fixture::certificate()?, dir.join("tls.pem"))?;
    copy(&place::root().join("testdata/scratch"), dir, values)?;
    for name in ["", "tree", "tree/deep"] {
        fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o755))?;
    }
    // For programs that have given up root's rights.
    fs::create_dir(dir.join("public"))?;
    fs::set_permissions(dir.join("public"), fs::Permissions::from_mode(0o777))?;
    Ok(())
}

/// Copies what workloads read, with the placeholders of texts filled in.
fn copy(from: &Path, to: &Path, values: &Values) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("list {}", from.display()))? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            if !to.exists() {
                fs::create_dir(&to)?;
            }
            fs::set_permissions(&to, fs::Permissions::from_mode(0o755))?;
            copy(&from, &to, values)?;
        } else {
            let text = fs::read_to_string(&from).with_context(|| from.display().to_string())?;
            fs::write(&to, values.fill(&text))?;
        }
    }
    Ok(())
}
