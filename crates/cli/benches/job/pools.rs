//! Jobs through the library.

use std::error::Error;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_abi::Arch;
use portcullis_host::{
    ALLOCATIONS, Artifact, Cache, Finished, Job, Outcome, Pool, Preparation, Request, Settings,
};
use portcullis_sandbox::Limits as Bounds;
use portcullis_wasm::carried;

/// Reads up to 1 KB and writes it.
const ECHO: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 64))
    (i32.store (i32.const 4) (i32.const 1024))
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

/// What each job is given, and gives back.
pub(crate) const INPUT: [u8; 1024] = [7; 1024];

/// A worker and a job of it.
const MEMORY: u64 = 512 << 20;

/// The module, where it lies, and what was made of it.
pub(crate) struct Bench {
    pub(crate) place: PathBuf,
    pub(crate) module: Vec<u8>,
    pub(crate) artifact: Arc<Artifact>,
}

impl Bench {
    /// In `place` are then the files that the floor and other processes read.
    pub(crate) fn new(place: &Path) -> Result<Bench, Box<dyn Error>> {
        let module = wat::parse_str(ECHO)?;
        std::fs::write(place.join("echo.wasm"), &module)?;
        std::fs::write(place.join("input"), INPUT)?;
        let policy = portcullis_policy::toml::read(include_str!("../../../wasm/policy/job.toml"))?;
        let filter = portcullis_bpf::compile(&policy.on(Arch::NATIVE))?;
        std::fs::write(place.join("filter"), filter.to_bytes())?;
        let bytes = portcullis_host::prepare(&carried::prepare(), &preparation(&module), &[])?;
        std::fs::write(place.join("artifact"), &bytes)?;
        Ok(Bench {
            place: place.to_owned(),
            module,
            artifact: Arc::new(Artifact::trusted(&bytes)?),
        })
    }

    /// So many jobs, each asked for when the one before has ended.
    pub(crate) fn one_by_one(
        &self,
        pool: &Pool,
        jobs: usize,
    ) -> Result<Vec<Duration>, Box<dyn Error>> {
        let each = || {
            let request = request(&self.artifact);
            let began = Instant::now();
            let finished = pool.run(request)?;
            let took = began.elapsed();
            right(&finished).map(|()| took)
        };
        (0..jobs).map(|_| each()).collect()
    }

    /// So many jobs, asked for together.
    pub(crate) fn at_once(&self, pool: &Pool, jobs: usize) -> Result<Duration, Box<dyn Error>> {
        let began = Instant::now();
        let pending = (0..jobs).map(|_| pool.submit(request(&self.artifact)));
        let pending: Vec<_> = pending.collect::<Result<_, _>>()?;
        let finished: Vec<_> = pending.into_iter().map(|one| one.wait()).collect();
        let took = began.elapsed();
        finished.iter().try_for_each(right)?;
        Ok(took)
    }

    /// One job whose artifact is read from `cache`.
    pub(crate) fn looked_up(&self, pool: &Pool, cache: &Cache) -> Result<Duration, Box<dyn Error>> {
        let began = Instant::now();
        let image = carried::prepare();
        let (artifact, _) = cache.artifact(&image, &preparation(&self.module), &[])?;
        let finished = pool.run(request(&Arc::new(artifact)))?;
        let took = began.elapsed();
        right(&finished).map(|()| took)
    }
}

/// How a module is prepared here.
pub(crate) fn preparation(module: &[u8]) -> Preparation<'_> {
    Preparation {
        module,
        metered: false,
        bounds: Bounds::default(),
        allocations: ALLOCATIONS,
    }
}

/// One worker, which has run jobs.
pub(crate) fn pool() -> Result<Pool, Box<dyn Error>> {
    let mut settings = Settings::new(carried::execute());
    settings.sizes.workers = NonZeroU32::MIN;
    settings.memory = Some(MEMORY);
    Ok(Pool::new(settings)?)
}

fn request(artifact: &Arc<Artifact>) -> Request {
    let job = Job {
        input: INPUT.to_vec(),
        arguments: vec!["echo".to_owned()],
        ..Job::default()
    };
    Request::new("tenant", Arc::clone(artifact), job)
}

fn right(finished: &Finished) -> Result<(), Box<dyn Error>> {
    match finished.done() {
        Some(done) if done.outcome == Outcome::Ok && done.stdout == INPUT => Ok(()),
        _ => Err(format!("a job came to {:?}", finished.reply).into()),
    }
}
