//! The analysis of a file that is not the user's own, in a process that can only read: a defect of the
//! analyser must not give its maker what the user may do.
//!
//! The process is this command again, asked by a pipe and answering by one. It gives up all but reading
//! (`portcullis_sandbox::only_read`, with the filter of profiles/scanner.toml) before it opens the first file.
//! Its answer is as hostile as the file: bounded, checked, and never put into the cache, where it could stand for
//! another program.

use std::ffi::OsString;
use std::fs::Metadata;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};
use portcullis_abi::SyscallSet;
use portcullis_bpf::{compile, verify};
use portcullis_policy::toml;
use portcullis_scan::LinkRequest;
use portcullis_scan::files::HostFiles;
use portcullis_sys::seccomp::SockFilter;
use serde::{Deserialize, Serialize};

use super::memory::{self, LastWord};
use crate::cache::codec;
use crate::exit::Exit;
use crate::neutral;

/// How the process is told apart from the verbs that people type.
pub(crate) const VERB: &str = "analyse-confined";
/// Its policy.
const POLICY: &str = include_str!("../../../../profiles/scanner.toml");
/// More than any question has, and than any answer.
const MOST_ASKED: u64 = 1 << 20;
const MOST_ANSWERED: u64 = 1 << 30;

/// What is to be analysed.
#[derive(Serialize, Deserialize)]
struct Question {
    program: PathBuf,
    root: Option<PathBuf>,
    plugins: Vec<PathBuf>,
    nsswitch: Option<PathBuf>,
    /// `LD_LIBRARY_PATH`, `LD_PRELOAD`, `LD_AUDIT`.
    variables: [Option<OsString>; 3],
    hardware_levels: Vec<String>,
    from: Vec<String>,
    /// Bytes that the analysis may take.
    most: u64,
}

/// What came of it.
#[derive(Serialize, Deserialize)]
enum Answer {
    /// A set, as the cache has it.
    Set(Vec<u8>),
    /// Why there is none.
    Failed(String),
    /// The process could not be confined, and why.
    Unconfined(String),
}

/// Whether somebody else than root and the user can have made what is at `path`. What is not there is told by
/// the analysis.
pub(super) fn is_of_others(path: &Path) -> bool {
    let own = rustix::process::geteuid().as_raw();
    let of = |m: Metadata| m.uid() != own && m.uid() != 0;
    std::fs::metadata(path).is_ok_and(of)
}

/// Analyses in a process of its own.
pub(super) fn analyse(
    program: &Path,
    files: &HostFiles,
    request: &LinkRequest,
    from: &[String],
    most: u64,
) -> Result<SyscallSet> {
    let question = Question {
        program: program.to_owned(),
        root: files.root.clone(),
        plugins: request.plugins.clone(),
        nsswitch: request.nsswitch.clone(),
        variables: [
            request.ld_library_path.clone(),
            request.ld_preload.clone(),
            request.ld_audit.clone(),
        ],
        hardware_levels: request.hardware_levels.clone(),
        from: from.to_vec(),
        most,
    };
    let shown = neutral::path(program);
    let what = || format!("analysing {shown} in a process of its own");
    let question = postcard::to_stdvec(&question).with_context(what)?;
    // None of this environment: the question has what counts.
    let mut child = Command::new("/proc/self/exe")
        .arg(VERB)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(what)?;
    let asked = child.stdin.take().map(|mut pipe| pipe.write_all(&question));
    let mut bytes = Vec::new();
    let read = child
        .stdout
        .take()
        .map(|pipe| pipe.take(MOST_ANSWERED).read_to_end(&mut bytes));
    if bytes.len() as u64 == MOST_ANSWERED {
        // It would wait for a reader.
        let _ = child.kill();
    }
    let status = child.wait().with_context(what)?;
    for done in [asked.transpose().err(), read.transpose().err()] {
        if let (Some(error), true) = (done, status.success()) {
            return Err(error).with_context(what);
        }
    }
    if !status.success() {
        bail!(
            "{}: it ended with {status}; the file may be made to attack who reads it",
            what()
        );
    }
    let answer = postcard::from_bytes(&bytes).with_context(what)?;
    match answer {
        Answer::Set(bytes) => {
            codec::decode(&bytes).with_context(|| format!("{}: no set came of it", what()))
        }
        // Text of the file's making: shown like any other.
        Answer::Failed(reason) => Err(anyhow!("{}", neutral::lines(&reason))),
        Answer::Unconfined(reason) => bail!(
            "{shown} belongs to somebody else, and a process that only reads cannot be had for its analysis: {}. \
             --unconfined analyses it in this one",
            neutral::lines(&reason)
        ),
    }
}

/// The process: asks standard input, answers on standard output.
pub(crate) fn child() -> Result<Exit> {
    let mut question = Vec::new();
    std::io::stdin()
        .take(MOST_ASKED)
        .read_to_end(&mut question)
        .context("reading the question")?;
    let question: Question = postcard::from_bytes(&question).context("reading the question")?;
    let answer = match confine() {
        Err(error) => Answer::Unconfined(format!("{error:#}")),
        Ok(()) => match found(question) {
            Ok(set) => Answer::Set(codec::encode(&set).context("writing the set")?),
            Err(error) => Answer::Failed(format!("{error:#}")),
        },
    };
    let answer = postcard::to_stdvec(&answer).context("writing the answer")?;
    let mut out = std::io::stdout().lock();
    out.write_all(&answer)?;
    out.flush()?;
    Ok(Exit::Success)
}

fn confine() -> Result<()> {
    let policy = toml::read(POLICY).map_err(|mistake| anyhow!("{mistake}"))?;
    let proved = verify(compile(&policy)?, &policy)?;
    let rows = proved.program().instructions().iter();
    let filter: Vec<SockFilter> = rows
        .map(|row| SockFilter {
            code: row.code,
            jt: row.jt,
            jf: row.jf,
            k: row.k,
        })
        .collect();
    Ok(portcullis_sandbox::only_read(&filter)?)
}

fn found(question: Question) -> Result<SyscallSet> {
    let [ld_library_path, ld_preload, ld_audit] = question.variables;
    let request = LinkRequest {
        plugins: question.plugins,
        nsswitch: question.nsswitch,
        ld_library_path,
        ld_preload,
        ld_audit,
        hardware_levels: question.hardware_levels,
        ..LinkRequest::default()
    };
    let files = HostFiles {
        root: question.root,
    };
    let too_large = Answer::Failed(memory::too_large(question.most));
    let last_word = LastWord {
        to: std::io::stdout().as_fd().try_clone_to_owned()?,
        bytes: postcard::to_stdvec(&too_large)?,
        code: Exit::Success.code().into(),
    };
    let scan = || portcullis_scan::scan_from(&files, &question.program, &request, &question.from);
    Ok(memory::within(question.most, last_word, scan)?.set)
}
