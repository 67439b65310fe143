//! What a sandbox of a pool is told, and what runs in it then.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::mpsc;

use portcullis_sys::exec::Words;
use portcullis_sys::freezer;

use crate::command::thread_failed;
use crate::error::Error;
use crate::plan::strings;
use crate::standard::{Ends, Stdio};
use crate::started::ROOM;
use crate::verdict::Verdict;

/// One run of the program of a [`Pool`](crate::Pool).
#[derive(Debug, Default)]
pub struct Job {
    arguments: Vec<OsString>,
    environment: Vec<OsString>,
    pub(crate) standard: [Stdio; 3],
}

impl Job {
    /// The program under `name` with no other arguments, an empty environment and empty streams.
    pub fn new(name: impl AsRef<OsStr>) -> Job {
        Job {
            arguments: vec![name.as_ref().to_owned()],
            ..Job::default()
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Job {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds a variable to the environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Job {
        let mut variable = name.as_ref().to_owned();
        variable.push("=");
        variable.push(value);
        self.environment.push(variable);
        self
    }

    /// Sets standard input.
    #[must_use]
    pub fn stdin(mut self, stream: Stdio) -> Job {
        self.standard[0] = stream;
        self
    }

    /// Sets standard output.
    #[must_use]
    pub fn stdout(mut self, stream: Stdio) -> Job {
        self.standard[1] = stream;
        self
    }

    /// Sets standard error.
    #[must_use]
    pub fn stderr(mut self, stream: Stdio) -> Job {
        self.standard[2] = stream;
        self
    }

    /// The words as a sandbox that waits is told them.
    pub(crate) fn message(&self) -> Result<Vec<u8>, Error> {
        let arguments = strings(self.arguments.clone(), "an argument")?;
        let environment = strings(self.environment.clone(), "a variable of the environment")?;
        let words = arguments.len() + environment.len();
        let message = Words::message(&arguments, &environment);
        if message.len() > ROOM.0 || words > ROOM.1 {
            return Err(Error::Invalid(format!(
                "a job of {words} words in {} bytes is too large for a pool, which takes {} words and {} bytes; \
                 start it by itself",
                message.len(),
                ROOM.1,
                ROOM.0
            )));
        }
        Ok(message)
    }
}

/// A job that runs. Dropped, it is killed with all that it started.
#[derive(Debug)]
pub struct Running<R> {
    /// Its standard input, where that is a pipe.
    pub stdin: Option<File>,
    /// Its standard output, where that is a pipe.
    pub stdout: Option<File>,
    /// Its standard error, where that is a pipe.
    pub stderr: Option<File>,
    first: Option<OwnedFd>,
    verdict: mpsc::Receiver<Result<Verdict<R>, Error>>,
}

impl<R> Running<R> {
    pub(crate) fn new(
        first: OwnedFd,
        verdict: mpsc::Receiver<Result<Verdict<R>, Error>>,
        [stdin, stdout, stderr]: Ends,
    ) -> Running<R> {
        Running {
            stdin,
            stdout,
            stderr,
            first: Some(first),
            verdict,
        }
    }

    /// Kills it and all that it started. One that has ended is let be.
    pub fn kill(&self) {
        if let Some(first) = &self.first {
            freezer::kill(first.as_fd());
        }
    }

    /// Waits until all of it has ended. Its standard input is closed first, where that is a pipe.
    pub fn wait(mut self) -> Result<Verdict<R>, Error> {
        drop(self.stdin.take());
        let verdict = self.verdict.recv();
        self.first = None;
        verdict.unwrap_or_else(|_| Err(thread_failed()))
    }
}

impl<R> Drop for Running<R> {
    fn drop(&mut self) {
        self.kill();
    }
}
