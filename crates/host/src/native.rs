//! Functions of the embedding program's makers as jobs: a static program of theirs, with the functions and nothing else, is
//! what its workers are.
//!
//! It is a program of its own because it is audited under the worker's policy: one that also starts workers can do all that
//! starting takes.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read as _;

use crate::frame::{Results, Said};
use crate::image::Image;
use crate::serve::{Engine, Task, serve_jobs};

/// A function that is run as a job: in a process of its own, behind a filter that lets it compute, take memory and write
/// its results. It is given what was asked, and the artifact's bytes; what it returns is the job's exit code.
pub type Function = fn(task: &Task, artifact: &[u8], results: &mut Results) -> i32;

/// The `main` of a program of workers. A job's first argument is the name of its function.
pub fn worker_main(functions: &'static [(&'static str, Function)]) -> ! {
    serve_jobs(Functions(functions), std::env::args())
}

/// A program whose `main` is [`worker_main`], from its file. A worker finds no libraries where it runs: link it statically
/// (`-C target-feature=+crt-static`).
pub fn worker_image(bytes: impl Into<Cow<'static, [u8]>>) -> Image {
    Image::new(
        "portcullis-native-worker",
        bytes,
        include_str!("../policy/native.toml"),
        include_str!("../policy/native-job.toml"),
    )
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
