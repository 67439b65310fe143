//! The real programs that this repository brings itself: compiled here, with the machine's
//! compilers, from `testdata/programs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context, Result};

use crate::{go, place, process};

/// A program of `testdata/programs`, and how it is built.
#[derive(Debug)]
pub(crate) struct Fixture {
    /// The name of what comes out.
    pub(crate) name: &'static str,
    /// The source, beneath `testdata/programs`.
    pub(crate) source: &'static str,
    /// The compiler and its arguments.
    pub(crate) compiler: &'static [&'static str],
    /// The suite of Debian whose newest Go it is, if it is not this machine's.
    pub(crate) go_of: Option<&'static str>,
}

/// Every fixture.
pub(crate) const FIXTURES: &[Fixture] = &[
    Fixture {
        name: "c-musl-static",
        source: "files.c",
        compiler: &["musl-gcc", "-static", "-O2"],
        go_of: None,
    },
    Fixture {
        name: "c-glibc-static-threads",
        source: "threads.c",
        compiler: &["gcc", "-static", "-O2", "-pthread"],
        go_of: None,
    },
    Fixture {
        name: "rust-static",
        source: "sockets.rs",
        compiler: &[
            "rustc",
            "--edition=2024",
            "-O",
            "-C",
            "target-feature=+crt-static",
        ],
        go_of: None,
    },
    Fixture {
        name: "rust-dynamic",
        source: "sockets.rs",
        compiler: &["rustc", "--edition=2024", "-O"],
        go_of: None,
    },
    Fixture {
        name: "cxx-exceptions",
        source: "objects.cc",
        compiler: &["g++", "-O2", "-pthread"],
        go_of: None,
    },
    Fixture {
        name: "go-static",
        source: "tasks.go",
        compiler: &["env", "CGO_ENABLED=0", "go", "build", "-ldflags=-s"],
        go_of: None,
    },
    Fixture {
        name: "go-dynamic",
        source: "tasks.go",
        compiler: &["env", "CGO_ENABLED=1", "go", "build"],
        go_of: None,
    },
    Fixture {
        name: "go-newer",
        source: "tasks.go",
        compiler: &["env", "CGO_ENABLED=0", "go", "build", "-ldflags=-s"],
        go_of: Some("trixie"),
    },
    Fixture {
        name: "go-newest",
        source: "tasks.go",
        compiler: &["env", "CGO_ENABLED=0", "go", "build", "-ldflags=-s"],
        go_of: Some("sid"),
    },
];

/// The built program, compiled anew when its source is newer.
pub(crate) fn built(name: &str) -> Result<PathBuf> {
    let fixture = FIXTURES
        .iter()
        .find(|fixture| fixture.name == name)
        .with_context(|| format!("no fixture is called {name}"))?;
    let dir = place::target().join("programs");
    fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    let source = place::root().join("testdata/programs").join(fixture.source);
    let binary = dir.join(fixture.name);
    if newer(&binary, &source)? {
        return Ok(binary);
    }
    let (compiler, arguments) = fixture
        .compiler
        .split_first()
        .context("a fixture without a compiler")?;
    let mut compile = Command::new(compiler);
    if let Some(suite) = fixture.go_of {
        let root = go::root(suite)?;
        let mut path = root.join("bin").into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        compile.envs([("PATH", path), ("GOROOT", root.into())]);
        // It downloads no other one.
        compile.env("GOTOOLCHAIN", "local");
    }
    // Go takes what comes after the source for more of it.
    compile.args(arguments).arg("-o").arg(&binary).arg(&source);
    process::show(compile.current_dir(&dir))?;
    Ok(binary)
}

/// A certificate of localhost that signs itself, with its key: one file, as servers take it.
pub(crate) fn certificate() -> Result<&'static Path> {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    if let Some(made) = MADE.get() {
        return Ok(made);
    }
    let dir = place::target().join("programs");
    fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    let file = dir.join("tls.pem");
    // Only the first of two threads gets to write; both look at the same file afterwards.
    let _one = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if !file.exists() {
        let part = |name: &str| dir.join(name).to_string_lossy().into_owned();
        process::show(Command::new("openssl").args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "3650",
            "-subj",
            "/CN=localhost",
            "-keyout",
            &part("tls.key"),
            "-out",
            &part("tls.crt"),
        ]))?;
        let mut both = fs::read(dir.join("tls.crt"))?;
        both.extend(fs::read(dir.join("tls.key"))?);
        fs::write(&file, both)?;
    }
    Ok(MADE.get_or_init(|| file))
}

/// Held while a certificate is made.
static MAKING: Mutex<()> = Mutex::new(());

/// True when `made` exists and is newer than `from`.
fn newer(made: &Path, from: &Path) -> Result<bool> {
    let source = fs::metadata(from)
        .and_then(|about| about.modified())
        .with_context(|| format!("look at {}", from.display()))?;
    Ok(fs::metadata(made)
        .and_then(|about| about.modified())
        .is_ok_and(|made| made > source))
}
