//! A host of plugins: each line of standard input is an event that every plugin is told, each in a process of its own.
//! One that fails three times in a row is told no more.
//!
//! `plugins CACHE PLUGIN.wasm…` prints what each plugin says, as it says it, and a log and the pool's metrics on
//! standard error.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

use std::error::Error;
use std::fs;
use std::io::{self, BufRead as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_host::{
    Artifact, Cache, Job, Limits, Pool, Preparations, Request, Settings, Stream,
};
use portcullis_sandbox::Limits as Bounds;
use portcullis_wasm::carried;

struct Plugin {
    name: String,
    artifact: Arc<Artifact>,
    /// In a row.
    failures: u32,
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [cache, files @ ..] = &words[..] else {
        return Err("usage: plugins CACHE PLUGIN.wasm…".into());
    };
    let preparations = Preparations::new(
        Cache::open(cache, 1 << 30)?,
        carried::prepare(),
        "cpu=10s,wall=60s,memory=512M".parse::<Bounds>()?,
        Duration::from_secs(60),
        &[],
    );
    let mut plugins = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        match preparations.artifact(&fs::read(file)?, false) {
            Ok(artifact) => plugins.push(Plugin {
                name: name.into_owned(),
                artifact,
                failures: 0,
            }),
            Err(error) => eprintln!("{name}: {error}"),
        }
    }
    let mut settings = Settings::new(carried::execute());
    settings.sizes.tenant_jobs = 1;
    settings.on_end = Some(Box::new(|finished| eprintln!("{finished}")));
    let pool = Pool::new(settings)?;

    for event in io::stdin().lock().lines() {
        let event = event?;
        let told = plugins.iter_mut().filter(|plugin| plugin.failures < 3);
        let mut pending = Vec::new();
        for plugin in told {
            let job = Job {
                input: event.clone().into_bytes(),
                arguments: vec![plugin.name.clone()],
                limits: Limits {
                    cpu: Duration::from_millis(500),
                    output: 64 << 10,
                    ..Limits::default()
                },
                ..Job::default()
            };
            // Each is a tenant: none sees anything of another.
            let mut request = Request::new(plugin.name.clone(), plugin.artifact.clone(), job);
            request.streams = true;
            request.deadline = Some(Instant::now() + Duration::from_secs(30));
            pending.push((pool.submit(request)?, plugin));
        }
        for (mut pending, plugin) in pending {
            for piece in pending.output().into_iter().flatten() {
                if piece.stream == Stream::Stdout {
                    let text = String::from_utf8_lossy(&piece.bytes);
                    println!("{}: {}", plugin.name, text.escape_debug());
                }
            }
            match pending.wait().end() {
                "ok" => plugin.failures = 0,
                _ => plugin.failures += 1,
            }
        }
    }
    pool.drain();
    eprint!("{}", pool.metrics());
    Ok(())
}
