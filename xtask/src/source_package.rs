//! Debian's source packages, for what is nowhere else and is not copied here: downloaded and unpacked below the build
//! directory. apt checks the package's signature. Neither root nor a configured `deb-src` is needed: the machine's own
//! sources are read as sources of source packages, in directories apart from the system's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{place, process};

/// Where apt keeps what this machine is configured to use.
const CONFIGURED: &[&str] = &["/etc/apt/sources.list", "/etc/apt/sources.list.d"];

/// Downloads and unpacks the source package `name`, unless it is there; its directory, which is called after it.
pub(crate) fn provide(name: &str) -> Result<PathBuf> {
    let whole = place::target().join(name);
    if whole.is_dir() {
        return Ok(whole);
    }
    // Made beside and renamed at the end: what has the name is whole.
    let part = place::target().join(format!("{name}.part"));
    if part.exists() {
        fs::remove_dir_all(&part).with_context(|| format!("remove {}", part.display()))?;
    }
    let sources = part.join("sources");
    for directory in ["sources", "lists/partial", "cache/archives/partial"] {
        let directory = part.join(directory);
        fs::create_dir_all(&directory)
            .with_context(|| format!("create {}", directory.display()))?;
    }
    for place in CONFIGURED {
        configured(Path::new(place), &sources)?;
    }
    // A third party's repository may have no source packages: whether it worked is seen below.
    let updated = process::show(apt(&part).arg("update"));
    let downloaded = process::show(
        apt(&part)
            .args(["source", "--download-only", name])
            .current_dir(&part),
    );
    if let Err(error) = updated.and(downloaded) {
        let archives = archives(&part)?;
        if archives.is_empty() {
            return Err(error).with_context(|| format!("get the source package {name}"));
        }
    }
    let archives = archives(&part)?;
    let [archive] = archives.as_slice() else {
        bail!("one archive of {name} was expected, not {archives:?}");
    };
    let unpacked = part.join("unpacked");
    fs::create_dir_all(&unpacked)?;
    process::show(
        Command::new("tar")
            .args(["--extract", "--strip-components=1", "--file"])
            .arg(archive)
            .arg("--directory")
            .arg(&unpacked),
    )?;
    fs::rename(&unpacked, &whole).with_context(|| format!("make {}", whole.display()))?;
    fs::remove_dir_all(&part).with_context(|| format!("remove {}", part.display()))?;
    Ok(whole)
}

/// The upstream archives in a directory.
fn archives(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    let is_archive = |path: &PathBuf| {
        let name = path
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default();
        name.contains(".orig.tar.") && !name.ends_with(".asc")
    };
    Ok(entries
        .into_iter()
        .map(|e| e.path())
        .filter(is_archive)
        .collect())
}

/// apt, with every file that it keeps below `own`.
fn apt(own: &Path) -> Command {
    let mut apt = Command::new("apt-get");
    let set = |option: &str, path: &Path| format!("{option}={}", path.display());
    apt.arg("--quiet").args([
        "-o",
        "Dir::Etc::SourceList=/dev/null",
        "-o",
        &set("Dir::Etc::SourceParts", &own.join("sources")),
        "-o",
        &set("Dir::State::Lists", &own.join("lists")),
        "-o",
        &set("Dir::Cache", &own.join("cache")),
        // apt's own user cannot write below a build directory.
        "-o",
        "APT::Sandbox::User=root",
    ]);
    apt
}

/// Writes the configured sources (sources.list(5), both forms) below `to`, as sources of source packages.
fn configured(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        for entry in fs::read_dir(from).with_context(|| format!("list {}", from.display()))? {
            configured(&entry?.path(), to)?;
        }
        return Ok(());
    }
    let (Some(name), Some("list" | "sources")) =
        (from.file_name(), from.extension().and_then(|e| e.to_str()))
    else {
        return Ok(());
    };
    if !from.is_file() {
        return Ok(());
    }
    let text = fs::read_to_string(from).with_context(|| format!("read {}", from.display()))?;
    let written = to.join(name);
    fs::write(&written, of_sources(&text)).with_context(|| format!("write {}", written.display()))
}

/// A list of sources as one of source packages.
fn of_sources(text: &str) -> String {
    let line = |line: &str| match line.split_once(char::is_whitespace) {
        Some(("Types:", _)) => "Types: deb-src\n".to_owned(),
        Some(("deb", rest)) => format!("deb-src {rest}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_sources_become_sources_of_source_packages() {
        for (binary, source) in [
            ("Types: deb\nURIs: x\n", "Types: deb-src\nURIs: x\n"),
            ("Types: deb deb-src\n", "Types: deb-src\n"),
            (
                "deb [a=b] x y main\n# deb z\n",
                "deb-src [a=b] x y main\n# deb z\n",
            ),
            ("deb-src x y main\n", "deb-src x y main\n"),
        ] {
            assert_eq!(of_sources(binary), source);
        }
    }
}
