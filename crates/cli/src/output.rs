//! Where results go: stdout, or the file that `-o` names.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::neutral;

/// A destination for one result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Output {
    /// Standard output; colours when it is a terminal that wants them.
    Stdout,
    /// A file, truncated; never colours.
    File(PathBuf),
}

impl Output {
    /// What `-o` says: `-` and nothing mean standard output.
    pub(crate) fn from_option(option: Option<PathBuf>) -> Output {
        match option {
            Some(path) if path.as_os_str() != "-" => Output::File(path),
            _ => Output::Stdout,
        }
    }

    /// Writes `text`, whose SGR sequences are dropped where no terminal would show them.
    pub(crate) fn write_text(&self, text: &str) -> Result<()> {
        match self {
            Output::Stdout => {
                let mut out = anstream::AutoStream::auto(io::stdout().lock());
                out.write_all(text.as_bytes())?;
                out.flush()?;
                Ok(())
            }
            Output::File(_) => {
                self.write_bytes(anstream::adapter::strip_str(text).to_string().as_bytes())
            }
        }
    }

    /// Writes bytes as they are.
    pub(crate) fn write_bytes(&self, bytes: &[u8]) -> Result<()> {
        match self {
            Output::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()?;
                Ok(())
            }
            Output::File(path) => std::fs::write(path, bytes)
                .with_context(|| format!("writing {}", neutral::path(path))),
        }
    }

    /// Writes one JSON document and a line feed.
    pub(crate) fn write_json(&self, value: &impl serde::Serialize) -> Result<()> {
        self.write_bytes(json_document(value)?.as_bytes())
    }
}

/// One JSON document with a line feed, safe to show on a terminal.
pub(crate) fn json_document(value: &impl serde::Serialize) -> Result<String> {
    let mut json = neutral::json(serde_json::to_string_pretty(value)?);
    json.push('\n');
    Ok(json)
}

/// One line for the person at the terminal: standard error, with the command's name before it.
/// A closed standard error is no reason to stop.
pub(crate) fn say(line: &str) {
    let mut err = anstream::AutoStream::auto(io::stderr().lock());
    let _ = writeln!(err, "portcullis: {}", neutral::lines(line));
}

/// Several lines for the person at the terminal, already neutralised; colours are kept.
pub(crate) fn say_block(text: &str) {
    let mut err = anstream::AutoStream::auto(io::stderr().lock());
    let _ = err.write_all(text.as_bytes());
}

/// Whether `error` is only a reader that went away, as in `portcullis scan … | head`.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    })
}
