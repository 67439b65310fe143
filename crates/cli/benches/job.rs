//! What a job costs: through the library from a warm worker, as a process of the command per job, and the floor of
//! `bench/job/floor.c`, in turns. Each job gets 1 KB and gives it back.
//!
//! `cargo xtask bench job` runs it.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::error::Error;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_host::{ALLOCATIONS, Cache, Job, Outcome, Pool, Preparation, Request, Settings};
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

/// Rounds, and how many jobs of each kind are in one: a process per job is slow.
const ROUNDS: usize = 20;
const WARM: usize = 100;
const COLD: usize = 5;

type Times = Vec<Duration>;

fn main() -> Result<(), Box<dyn Error>> {
    let place = tempfile::tempdir()?;
    let module = wat::parse_str(ECHO)?;
    let file = place.path().join("echo.wasm");
    std::fs::write(&file, &module)?;
    let input = place.path().join("input");
    std::fs::write(&input, [7; 1024])?;
    let floor = floor(place.path())?;

    let cache = Cache::open(&place.path().join("artifacts"), 1 << 30)?;
    let preparation = Preparation {
        module: &module,
        metered: false,
        bounds: Bounds::default(),
        allocations: ALLOCATIONS,
    };
    let image = carried::prepare();
    let (artifact, _) = cache.artifact(&image, &preparation, &[])?;
    let image = carried::execute();
    let artifact = Arc::new(artifact);
    let mut settings = Settings::new(image);
    settings.sizes.workers = NonZeroU32::MIN;
    settings.memory = Some(512 << 20);
    let pool = Pool::new(settings)?;
    let (mut warm, mut cold, mut least) = (Times::new(), Times::new(), Times::new());
    for _ in 0..ROUNDS {
        for _ in 0..WARM {
            let job = Job {
                input: vec![7; 1024],
                arguments: vec!["echo".to_owned()],
                ..Job::default()
            };
            let request = Request::new("tenant", Arc::clone(&artifact), job);
            let began = Instant::now();
            let finished = pool.run(request)?;
            warm.push(began.elapsed());
            let Some(done) = finished.done() else {
                return Err(format!("a job came to {:?}", finished.reply).into());
            };
            if done.outcome != Outcome::Ok || done.stdout.len() != 1024 {
                return Err(format!("a job came to {:?}", done.outcome).into());
            }
        }
        for _ in 0..COLD {
            let began = Instant::now();
            let status = Command::new(env!("CARGO_BIN_EXE_portcullis"))
                .args(["job", "run"])
                .arg(&file)
                .arg("--input")
                .arg(&input)
                .env("XDG_CACHE_HOME", place.path())
                .stdout(Stdio::null())
                .status()?;
            cold.push(began.elapsed());
            if !status.success() {
                return Err(format!("the command: {status}").into());
            }
        }
        let output = Command::new(&floor)
            .arg(place.path().join("filter"))
            .arg(WARM.to_string())
            .output()?;
        for line in String::from_utf8(output.stdout)?.lines() {
            least.push(Duration::from_nanos(line.parse()?));
        }
    }
    println!("| one job of 1 KB in and out | min | median | per second, by the minimum |");
    println!("|---|---|---|---|");
    row("warm, through the library", warm);
    row("a process of the command per job", cold);
    row("floor: fork, filter, answer, reap", least);
    Ok(())
}

fn row(name: &str, mut times: Times) {
    times.sort();
    let (Some(min), Some(median)) = (times.first(), times.get(times.len() / 2)) else {
        return;
    };
    println!(
        "| {name} | {:.0} µs | {:.0} µs | {:.0} |",
        min.as_secs_f64() * 1e6,
        median.as_secs_f64() * 1e6,
        1.0 / min.as_secs_f64()
    );
}

/// The floor's program, and beside it the filter of jobs as the kernel takes it.
fn floor(place: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let policy = portcullis_policy::toml::read(include_str!("../../wasm/policy/job.toml"))?;
    let program = portcullis_bpf::compile(&policy)?;
    std::fs::write(place.join("filter"), program.to_bytes())?;
    let floor = place.join("floor");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../bench/job/floor.c");
    let status = Command::new("cc")
        .args(["-O2", "-static", "-o"])
        .arg(&floor)
        .arg(source)
        .status()?;
    match status.success() {
        true => Ok(floor),
        false => Err(format!("cc {source}: {status}").into()),
    }
}
