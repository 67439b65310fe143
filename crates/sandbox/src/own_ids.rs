//! The ids of an ordinary user's own, mapped by the programs that may: newuidmap(1) and newgidmap(1).
//!
//! Only who has a capability outside maps other ids than his own (user_namespaces(7)). These two have it, and look up
//! themselves what the user was given.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::Error;
use crate::help;
use crate::layer::LayerName;

/// Where they are looked for, whatever `PATH` says: the file system's usual places, and that of NixOS for programs that
/// gain privileges.
const PLACES: [&str; 3] = ["/usr/bin", "/bin", "/run/wrappers/bin"];

/// What is read of what one complains about.
const COMPLAINT_LIMIT: u64 = 1 << 10;

/// Gives the user namespace of `init`, which waits, one user and one group: 0 inside is `uid` and `gid` outside.
pub(crate) fn map(init: i32, uid: u32, gid: u32) -> Result<(), Error> {
    for (name, id) in [("newuidmap", uid), ("newgidmap", gid)] {
        let no_ids = |reason: String, help: String| Error::Layer {
            layer: LayerName::Ids,
            reason,
            help,
        };
        let program = find(name).map_err(|reason| no_ids(reason, help::own_ids()))?;
        run(&program, init, id).map_err(|reason| no_ids(reason, help::with_mapping()))?;
    }
    Ok(())
}

/// The program `name`, which only root can have put there.
fn find(name: &str) -> Result<PathBuf, String> {
    let mut found = PLACES.iter().map(|place| Path::new(place).join(name));
    let Some(path) = found.find(|path| path.exists()) else {
        return Err(format!(
            "{name} is in none of {}, which maps ids other than the user's",
            PLACES.join(", ")
        ));
    };
    let file = fs::metadata(&path).map_err(|e| format!("cannot look at {path:?}: {e}"))?;
    match file.is_file() && file.uid() == 0 && file.mode() & 0o022 == 0 {
        true => Ok(path),
        false => Err(format!(
            "{path:?} is not a file that only root can write, and is not started"
        )),
    }
}

/// Has `program` map 0 inside to `id`; its complaint is the error.
fn run(program: &Path, init: i32, id: u32) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("starting {program:?}: {e}");
    let mut child = Command::new(program)
        .args([&init.to_string(), "0", &id.to_string(), "1"])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut complaint = Vec::new();
    let read = child.stderr.take();
    let read = read.map(|from| from.take(COMPLAINT_LIMIT).read_to_end(&mut complaint));
    let status = child.wait().map_err(failed)?;
    read.transpose().map_err(failed)?;
    if status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&complaint);
    Err(format!(
        "{program:?} did not map {id} for process {init} ({status}): {:?}",
        complaint.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_complains_about_is_told() {
        // These tests say what is wrong with an option, and fail.
        let error = run(&std::env::current_exe().unwrap(), -1, 0).unwrap_err();
        assert!(
            error.contains("did not map 0") && error.contains("'1'"),
            "{error}"
        );
        assert!(run(Path::new("/nowhere"), -1, 0).is_err());
        assert!(find("nowhere").unwrap_err().contains("/usr/bin"));
    }
}
