//! A directory of its own for each test, with a cache of its own, and the command in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The directory; removed when the test ends.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

/// What the command did.
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Place {
        Place {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where this place's cache is.
    pub(crate) fn cache(&self) -> PathBuf {
        self.at("cache/portcullis")
    }

    /// The command, in this directory, with this cache.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command
            .current_dir(self.dir.path())
            .env("XDG_CACHE_HOME", self.at("cache"))
            .env_remove("LD_PRELOAD")
            .env_remove("LD_LIBRARY_PATH");
        command
    }

    pub(crate) fn portcullis(&self, args: &[&str]) -> Done {
        Done::new(self.command().args(args).output().unwrap())
    }

    /// Compiles `source` with the machine's C compiler.
    pub(crate) fn compile(&self, name: &str, source: &str, flags: &[&str]) -> PathBuf {
        let file = self.at(&format!("{name}.c"));
        let program = self.at(name);
        std::fs::write(&file, source).unwrap();
        let done = Command::new("cc")
            .args(["-O1", "-o"])
            .arg(&program)
            .arg(&file)
            .args(flags)
            .output()
            .expect("these tests need a C compiler called cc (Debian: gcc, libc6-dev)");
        assert!(
            done.status.success(),
            "cc: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        program
    }

    /// Compiles `source` to a program of its own, with musl: small, and the same on every machine.
    pub(crate) fn compile_static(&self, name: &str, source: &str) {
        let file = self.at(&format!("{name}.c"));
        std::fs::write(&file, source).unwrap();
        let built = Command::new("musl-gcc")
            .args(["-static", "-O2", "-o"])
            .arg(self.at(name))
            .arg(&file)
            .status()
            .expect("this test needs musl-gcc (Debian: musl-tools)");
        assert!(built.success());
    }

    pub(crate) fn json(&self, path: &Path) -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }
}

impl Done {
    pub(crate) fn new(output: Output) -> Done {
        use std::os::unix::process::ExitStatusExt as _;
        let code = output.status.code();
        Done {
            code: code.unwrap_or_else(|| -output.status.signal().unwrap_or(0)),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The exit code, with everything that was said when it is not `code`.
    pub(crate) fn expect(self, code: i32) -> Done {
        assert_eq!(
            self.code, code,
            "\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout, self.stderr
        );
        self
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}
