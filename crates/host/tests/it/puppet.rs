//! The program `examples/puppet.rs`, linked statically, and pools of it.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use portcullis_host::{
    Artifact, Done, Enforced, Image, Job, Limits, Pool, Reply, Request, Settings,
};
use portcullis_sandbox::LayerName;

/// The program.
pub(crate) fn image() -> Image {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes: &'static [u8] = BYTES.get_or_init(|| std::fs::read(built("puppet")).unwrap());
    Image::new(
        "puppet",
        bytes,
        include_str!("../../../wasm/policy/execute.toml"),
        include_str!("../../../wasm/policy/job.toml"),
    )
    // It does what it is told, and that is more than its policy allows.
    .unaudited()
}

/// What puppets lack: nobody audited them, and an ordinary user's have his id.
pub(crate) fn expected_to_lack() -> Vec<&'static str> {
    let mut layers: Vec<_> = own_id().into_iter().map(LayerName::name).collect();
    layers.push("worker-audit");
    layers
}

/// The layer that an ordinary user's workers go without: that they have it is a test of its own, who gives him ids for that.
fn own_id() -> Option<LayerName> {
    let root = rustix::process::geteuid().is_root();
    (!root).then_some(LayerName::Ids)
}

/// The names of what a result says is missing.
pub(crate) fn lacking(enforced: &Enforced) -> Vec<&str> {
    enforced
        .missing
        .iter()
        .map(|missing| missing.layer)
        .collect()
}

/// Names the directory where they are on machines without a compiler.
const PREBUILT: &str = "PORTCULLIS_PREBUILT";

/// A program of these tests, where there is no compiler.
pub(crate) fn prebuilt(name: &str) -> Option<PathBuf> {
    std::env::var_os(PREBUILT).map(|directory| Path::new(&directory).join(name))
}

/// An example, built as the workers that the command carries are: in their build directory, with their settings.
pub(crate) fn built(example: &str) -> PathBuf {
    if let Some(path) = prebuilt(example) {
        return path;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    // `<target>/<profile>/deps/<test>`.
    let own = std::env::current_exe().unwrap();
    let directory = own.ancestors().nth(3).unwrap().join("worker");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--profile", "worker"])
        .args(["--package", "portcullis-host", "--example", example])
        .args(["--target", &target, "--target-dir"])
        .arg(&directory)
        .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .current_dir(root)
        .status()
        .unwrap();
    assert!(status.success());
    directory.join(target).join("worker/examples").join(example)
}

/// Whoever looks for the processes of its workers is alone in this process.
static WORKERS: RwLock<()> = RwLock::new(());

pub(crate) enum Company {
    Others(#[expect(dead_code, reason = "held")] RwLockReadGuard<'static, ()>),
    Nobody(#[expect(dead_code, reason = "held")] RwLockWriteGuard<'static, ()>),
}

/// There may be other workers, and programs.
pub(crate) fn others() -> Company {
    Company::Others(WORKERS.read().unwrap_or_else(PoisonError::into_inner))
}

/// There are none but those of one pool.
pub(crate) fn nobody() -> Company {
    Company::Nobody(WORKERS.write().unwrap_or_else(PoisonError::into_inner))
}

/// What ends only when it is called off.
pub(crate) const ENDLESS: Duration = Duration::from_secs(1000);

/// A pool of the program, for jobs of one tenant unless they say so.
pub(crate) struct Puppets {
    pub(crate) pool: Pool,
    artifact: Arc<Artifact>,
    /// Let go after the pool.
    _company: Company,
}

impl Puppets {
    pub(crate) fn start() -> Puppets {
        Puppets::with(settings(1))
    }

    pub(crate) fn with(settings: Settings) -> Puppets {
        Puppets::among(others(), settings)
    }

    /// No other worker is a descendant of this process.
    pub(crate) fn alone(settings: Settings) -> Puppets {
        Puppets::among(nobody(), settings)
    }

    fn among(company: Company, settings: Settings) -> Puppets {
        Puppets {
            pool: Pool::new(settings).unwrap(),
            artifact: artifact(b"artifact"),
            _company: company,
        }
    }

    pub(crate) fn request(&self, what: &str) -> Request {
        Request::new("tenant", Arc::clone(&self.artifact), job(what))
    }

    /// [`request`](Puppets::request), without an end of its own.
    pub(crate) fn endless(&self, what: &str) -> Request {
        let mut request = self.request(what);
        request.job.limits.cpu = ENDLESS;
        request.job.limits.wall = ENDLESS;
        request
    }

    pub(crate) fn run(&self, what: &str) -> Done {
        self.done(self.request(what))
    }

    pub(crate) fn done(&self, request: Request) -> Done {
        let finished = self.pool.run(request).unwrap();
        match finished.reply {
            Reply::Done(done) => done,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn settings(workers: u32) -> Settings {
    let mut settings = Settings::new(image());
    settings.sizes.workers = NonZeroU32::new(workers).unwrap();
    settings.sizes.warm = 0;
    settings.memory = Some(256 << 20);
    settings.without.extend(own_id());
    settings
}

pub(crate) fn artifact(bytes: &[u8]) -> Arc<Artifact> {
    Arc::new(Artifact::trusted(bytes).unwrap())
}

/// A job that does `what`, with limits that only what is endless reaches.
pub(crate) fn job(what: &str) -> Job {
    Job {
        input: b"input".to_vec(),
        arguments: vec![what.to_owned()],
        limits: Limits {
            cpu: Duration::from_millis(200),
            wall: Duration::from_secs(600),
            output: 1 << 20,
            ..Limits::default()
        },
        ..Job::default()
    }
}
