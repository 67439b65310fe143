//! Where results go: stdout, or the file that `-o` names.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::neutral;

/// A destination for one result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Output {
    /// Standard output; colours when it is a terminal that wants them.
    Stdout,
    /// A file, replaced whole or not at all; never colours.
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
            Output::File(path) => {
                replace(path, bytes).with_context(|| format!("writing {}", neutral::path(path)))
            }
        }
    }

    /// Writes one JSON document and a line feed.
    pub(crate) fn write_json(&self, value: &impl serde::Serialize) -> Result<()> {
        self.write_bytes(json_document(value)?.as_bytes())
    }

    /// Writes one JSON document of several, as a line.
    #[cfg(feature = "host")]
    pub(crate) fn write_json_line(&self, value: &impl serde::Serialize) -> Result<()> {
        self.write_bytes(json_line(value)?.as_bytes())
    }
}

/// A JSON document as a line.
#[cfg(feature = "host")]
pub(crate) fn json_line(value: &impl serde::Serialize) -> Result<String> {
    let mut json = neutral::json(serde_json::to_string(value)?);
    json.push('\n');
    Ok(json)
}

/// Writes a file whole or not at all: a new one takes the old one's place, under its rights.
///
/// What is no regular file, and a descriptor below /dev or /proc, is written to as it is.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let old = std::fs::metadata(path);
    let descriptor = path.starts_with("/dev") || path.starts_with("/proc");
    if descriptor || old.as_ref().is_ok_and(|m| !m.is_file()) {
        return std::fs::write(path, bytes);
    }
    // A link stays one: what it leads to is replaced.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let rights = old.map_or_else(|_| Permissions::from_mode(0o666), |m| m.permissions());
    let mut file = tempfile::Builder::new()
        .permissions(rights)
        .tempfile_in(directory)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
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
    // At once, so that lines of several processes stay whole; neutralised, it has nothing to do with colours.
    let line = format!("portcullis: {}\n", neutral::lines(line));
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Several lines for the person at the terminal, already neutralised; colours are kept.
pub(crate) fn say_block(text: &str) {
    if text.is_empty() {
        return;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("out");
        std::fs::write(&path, "old and longer").expect("written");
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("set");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).expect("linked");
        replace(&link, b"new").expect("replaced");
        assert_eq!(std::fs::read(&path).expect("read"), b"new");
        assert!(
            std::fs::symlink_metadata(&link)
                .expect("there")
                .is_symlink()
        );
        let mode = std::fs::metadata(&path)
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 2);
        replace(Path::new("/dev/null"), b"gone").expect("a device");
        assert!(replace(&dir.path().join("none/out"), b"x").is_err());
    }
}
