//! Functions of the embedding program as jobs: its own file is the workers' program.
//!
//! The host's process reads its own file, and each worker is that file again, started from sealed memory into an empty
//! root: [`worker_main`], which is the first thing that the program does, never returns there. So the program must be
//! linked statically.

use std::fs::File;
use std::io::Read as _;

use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::frame::{Results, Said};
use crate::image::Image;
use crate::serve::{Engine, Task, serve_jobs};

/// What a worker of this kind is called: how the program knows that it is one.
const NAME: &str = "portcullis-native-worker";

/// A function that is run as a job: in a process of its own, behind a filter that lets it compute, take memory and write
/// its results. It is given what was asked, and the artifact's bytes; what it returns is the job's exit code.
pub type Function = fn(task: &Task, artifact: &[u8], results: &mut Results) -> i32;

/// The beginning of `main`: does nothing in the program itself, and is all that its workers do. A job's first argument is
/// the name of its function.
pub fn worker_main(functions: &'static [(&'static str, Function)]) {
    let mut arguments = std::env::args();
    if arguments.next().as_deref() == Some(NAME) {
        serve_jobs(Functions(functions), std::env::args())
    }
}

/// This program as the program of workers, with its file as it is now.
pub fn own_image() -> Result<Image, Error> {
    let failed = |reason| Error::File {
        path: "/proc/self/exe".into(),
        reason,
    };
    if is_loaded().map_err(failed)? {
        return Err(Error::Unfit(
            "a worker finds no libraries where it runs, and this program needs some: link it statically \
             (-C target-feature=+crt-static)"
                .to_owned(),
        ));
    }
    let bytes = std::fs::read("/proc/self/exe").map_err(failed)?;
    Ok(Image {
        name: NAME,
        sha256: Sha256::digest(&bytes).into(),
        bytes: bytes.into(),
        policy: include_str!("../policy/native.toml"),
        jobs: include_str!("../policy/native-job.toml"),
    })
}

/// Whether this program was started by a loader: `AT_BASE` of getauxval(3) is where that was put.
fn is_loaded() -> std::io::Result<bool> {
    const AT_BASE: usize = 7;
    let words = std::fs::read("/proc/self/auxv")?;
    let word = |bytes: &[u8]| bytes.try_into().map_or(0, usize::from_ne_bytes);
    let (pairs, _) = words.as_chunks::<{ 2 * size_of::<usize>() }>();
    let mut pairs = pairs.iter().map(|pair| pair.split_at(size_of::<usize>()));
    Ok(pairs.any(|(kind, value)| word(kind) == AT_BASE && word(value) != 0))
}

struct Functions(&'static [(&'static str, Function)]);

impl Engine for Functions {
    type Loaded = Vec<u8>;

    fn load(&mut self, mut artifact: File) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let read = artifact.read_to_end(&mut bytes);
        read.map(|_| bytes).map_err(|e| e.to_string())
    }

    fn run(&self, loaded: &Vec<u8>, task: Task, mut results: Results) {
        let name = task.arguments.first().map_or("", String::as_str);
        let mut functions = self.0.iter();
        let said = match functions.find(|(known, _)| *known == name) {
            Some((_, function)) => Said::Exit(function(&task, loaded, &mut results)),
            None => Said::Refused(format!("there is no function {name:?}")),
        };
        results.end(&said);
    }
}
