//! What workers and jobs call, in the trace of `--record`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use portcullis_host::{Record, Trace};
use portcullis_watch::record::{Backend as _, Ending, Fact, Full, Reason, Sink};

use crate::neutral;
use crate::output::say;
use crate::verb::record::file::TraceFile;
use crate::verb::record::header;

/// What the recordings of a pool came to.
#[derive(Clone, Default)]
pub(super) struct Recorded(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    remarks: Vec<String>,
    /// The first write that failed.
    failed: Option<io::Error>,
}

/// One run of the trace.
struct Run {
    file: TraceFile,
    all: Recorded,
}

impl Recorded {
    /// What begins a run in the trace at `path`; `policy` is the file of the jobs' policy.
    pub(super) fn runs_of(&self, path: &Path, policy: Option<&Path>) -> Record {
        let (all, path, policy) = (self.clone(), path.to_owned(), policy.map(Path::to_owned));
        Box::new(move |program| {
            let program = PathBuf::from(program);
            let header = header(&program, policy.as_deref(), Full.name(), Reason::Asked);
            let file = TraceFile::open(&path, &header)
                .map_err(|error| io::Error::other(format!("{error:#}")))?;
            let all = all.clone();
            Ok(Box::new(Run { file, all }) as Box<dyn Trace>)
        })
    }

    /// Says what is to be said of them, when all have ended.
    pub(super) fn finish(self, path: &Path) -> Result<()> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.remarks.sort_unstable();
        told.remarks.dedup();
        told.remarks.iter().for_each(|remark| say(remark));
        match told.failed.take() {
            Some(error) => {
                Err(error).with_context(|| format!("writing the trace {}", neutral::path(path)))
            }
            None => {
                say(&format!("recorded in {}", neutral::path(path)));
                Ok(())
            }
        }
    }
}

impl Sink for Run {
    fn fact(&mut self, fact: Fact<'_>) {
        self.file.fact(fact);
    }
}

impl Trace for Run {
    fn end(self: Box<Self>, ending: &Ending) {
        let (remarks, failed) = self.file.end(ending);
        let mut told = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.remarks.extend(remarks);
        told.failed = told.failed.take().or(failed);
    }
}
