//! The program `examples/puppet.rs`, linked statically, and a worker of it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use portcullis_host::{Artifact, Done, Error, Image, Job, Limits, Worker};
use sha2::{Digest as _, Sha256};

/// One worker at a time: starting one changes the handlers of signals of this process.
static ONE: Mutex<()> = Mutex::new(());

/// The program.
pub(crate) fn image() -> Image {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes: &'static [u8] = BYTES.get_or_init(|| std::fs::read(built()).unwrap());
    Image {
        name: "puppet",
        bytes,
        sha256: Sha256::digest(bytes).into(),
        policy: include_str!("../../../wasm/policy/execute.toml"),
        jobs: include_str!("../../../wasm/policy/job.toml"),
    }
}

/// Built as the workers that the command carries are: in their build directory, with their settings.
fn built() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    // `<target>/<profile>/deps/<test>`.
    let own = std::env::current_exe().unwrap();
    let directory = own.ancestors().nth(3).unwrap().join("worker");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--profile", "worker"])
        .args(["--package", "portcullis-host", "--example", "puppet"])
        .args(["--target", &target, "--target-dir"])
        .arg(&directory)
        .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .current_dir(root)
        .status()
        .unwrap();
    assert!(status.success());
    directory.join(target).join("worker/examples/puppet")
}

/// A worker, while nobody else has one.
pub(crate) struct Puppet {
    pub(crate) worker: Worker,
    _one: MutexGuard<'static, ()>,
}

impl Puppet {
    pub(crate) fn start() -> Puppet {
        Puppet::with(b"artifact", Some(256 << 20)).unwrap()
    }

    pub(crate) fn with(artifact: &[u8], memory: Option<u64>) -> Result<Puppet, Error> {
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let artifact = Artifact::trusted(artifact)?;
        Ok(Puppet {
            worker: Worker::start(&image(), artifact, memory, &[])?,
            _one: one,
        })
    }

    /// A job that does `what`, with limits that only what is endless reaches.
    pub(crate) fn job(what: &str) -> Job {
        Job {
            input: b"input".to_vec(),
            arguments: vec![what.to_owned()],
            environment: Vec::new(),
            limits: Limits {
                cpu: Duration::from_millis(200),
                wall: Duration::from_secs(600),
                output: 1 << 20,
                ..Limits::default()
            },
        }
    }

    pub(crate) fn run(&mut self, what: &str) -> Done {
        self.worker.run(Puppet::job(what)).unwrap()
    }
}
