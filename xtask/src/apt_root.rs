//! Packages of any suite and architecture of Debian's archive, unpacked and never installed.
//!
//! Each suite and architecture has its own state of apt below the build directory: lists, an empty
//! record of what is installed, and the packages that were downloaded. What this machine has
//! installed neither counts nor changes. Where the archive is comes from the machine's own sources,
//! and its proxies and credentials hold, because only directories are set and no configuration is
//! replaced. apt checks every signature.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::{place, process};

/// Who must have signed the archive: Debian (package `debian-archive-keyring`).
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// A question to apt that takes longer has failed; downloads are shown and not bounded.
const LIMIT: Duration = Duration::from_secs(120);

/// Debian's archive, apart from what this machine has installed.
#[derive(Debug)]
pub(crate) struct AptRoot {
    own: PathBuf,
    /// The address that serves all suites but those of the security team.
    archive: String,
    /// The address that serves those.
    security: Option<String>,
}

impl AptRoot {
    /// Finds out where the archive is. Nothing is downloaded yet.
    pub(crate) fn provide() -> Result<AptRoot> {
        let release = fs::read_to_string("/etc/os-release").context("read /etc/os-release")?;
        let codename = release
            .lines()
            .find_map(|line| line.strip_prefix("VERSION_CODENAME="));
        let codename = codename.context("/etc/os-release has no codename: this is no Debian")?;
        // Whether a list was downloaded before does not matter to where it would come from.
        let targets = output(Command::new("apt-get").args([
            "indextargets",
            "--no-release-info",
            "--format",
            "$(RELEASE) $(REPO_URI)",
            "Created-By: Packages",
        ]))?;
        let security = format!("{codename}-security");
        Ok(AptRoot {
            own: place::target().join("apt"),
            archive: address(&targets, codename)
                .with_context(|| format!("apt has no source for {codename}"))?,
            security: address(&targets, &security),
        })
    }

    /// One package: the path of its `.deb`. `package` is a name, or `NAME=VERSION`.
    pub(crate) fn download(
        &self,
        package: &str,
        architecture: &str,
        suite: &str,
    ) -> Result<PathBuf> {
        let part = self.part(architecture, suite)?;
        let kept = part.own.join("packages").join(package);
        if let [archive] = archives(&kept)?.as_slice() {
            return Ok(archive.clone());
        }
        // Made beside and renamed at the end: what has the name is whole.
        let making = tempfile::tempdir_in(&part.own)?;
        part.retried(|part| {
            let mut get = part.apt("apt-get");
            get.args(["download", package]);
            process::show(get.current_dir(&making))
        })?;
        let found = archives(making.path())?;
        ensure!(found.len() == 1, "{package}: not one archive: {found:?}");
        replace(making, &kept)?;
        Ok(archives(&kept)?.remove(0))
    }

    /// Packages with everything that they depend on, as on a machine where nothing is installed:
    /// the paths of their `.deb`s, in order of their names.
    pub(crate) fn download_whole(
        &self,
        packages: &[&str],
        architecture: &str,
        suite: &str,
    ) -> Result<Vec<PathBuf>> {
        let part = self.part(architecture, suite)?;
        // A list can be longer than a name; another version of std that hashes otherwise downloads anew.
        let mut list = DefaultHasher::new();
        packages.hash(&mut list);
        let kept = part.own.join(format!("wholes/{:016x}", list.finish()));
        let found = archives(&kept)?;
        if !found.is_empty() {
            return Ok(found);
        }
        let making = tempfile::tempdir_in(&part.own)?;
        fs::create_dir(making.path().join("partial"))?;
        part.retried(|part| {
            let mut get = part.apt("apt-get");
            get.arg("-o")
                .arg(set("Dir::Cache::archives", making.path()));
            get.args(["--download-only", "--yes", "--no-install-recommends"]);
            process::show(get.arg("install").args(packages))
        })?;
        replace(making, &kept)?;
        archives(&kept)
    }

    /// The names of the packages that fit a regular expression, sorted.
    pub(crate) fn search(
        &self,
        pattern: &str,
        architecture: &str,
        suite: &str,
    ) -> Result<Vec<String>> {
        let part = self.part(architecture, suite)?;
        let mut search = part.apt("apt-cache");
        let found = output(search.args(["search", "--names-only", pattern]))?;
        let mut names: Vec<String> = found
            .lines()
            .filter_map(|line| Some(line.split_whitespace().next()?.to_owned()))
            .collect();
        names.sort();
        Ok(names)
    }

    /// The state of one suite and architecture, with its lists.
    fn part(&self, architecture: &str, suite: &str) -> Result<Part> {
        let address = match suite.ends_with("-security") {
            false => &self.archive,
            true => self
                .security
                .as_ref()
                .context("apt has no source for security updates")?,
        };
        let part = Part {
            own: self.own.join(format!("{suite}-{architecture}")),
            architecture: architecture.to_owned(),
        };
        let source = format!("deb [signed-by={KEYRING}] {address} {suite} main\n");
        let listed = fs::read_to_string(part.own.join("listed")).unwrap_or_default();
        if listed == source {
            return Ok(part);
        }
        for directory in ["lists/partial", "cache/archives/partial"] {
            let directory = part.own.join(directory);
            fs::create_dir_all(&directory)
                .with_context(|| format!("create {}", directory.display()))?;
        }
        fs::write(part.own.join("status"), "")?;
        fs::write(part.own.join("sources.list"), &source)?;
        part.update()?;
        // Written last: it says that the lists are whole.
        fs::write(part.own.join("listed"), &source)?;
        Ok(part)
    }
}

/// apt's state for one suite and architecture.
struct Part {
    own: PathBuf,
    architecture: String,
}

impl Part {
    fn update(&self) -> Result<()> {
        process::show(self.apt("apt-get").arg("update"))
    }

    /// Does `work`; when that fails, once more with new lists. A package of an older list may have
    /// left the archive since.
    fn retried(&self, work: impl Fn(&Part) -> Result<()>) -> Result<()> {
        if work(self).is_ok() {
            return Ok(());
        }
        self.update()?;
        work(self)
    }

    /// One of apt's commands, with every file that it keeps below our directory.
    fn apt(&self, command: &str) -> Command {
        let mut apt = Command::new(command);
        apt.env("DEBIAN_FRONTEND", "noninteractive").arg("--quiet");
        for option in [
            set("Dir::Etc::SourceList", &self.own.join("sources.list")),
            set("Dir::Etc::SourceParts", Path::new("/dev/null")),
            set("Dir::Etc::Preferences", Path::new("/dev/null")),
            set("Dir::Etc::PreferencesParts", Path::new("/dev/null")),
            set("Dir::State", &self.own),
            set("Dir::State::Lists", &self.own.join("lists")),
            set("Dir::State::status", &self.own.join("status")),
            set("Dir::Cache", &self.own.join("cache")),
            // apt's own user cannot write below a build directory.
            "APT::Sandbox::User=root".to_owned(),
            format!("APT::Architecture={}", self.architecture),
            format!("APT::Architectures={}", self.architecture),
        ] {
            apt.arg("-o").arg(option);
        }
        apt
    }
}

/// Unpacks a `.deb` below `to`, which may hold other packages. A directory that another package made
/// a link to a directory stays one, as when dpkg installs.
pub(crate) fn unpack(deb: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("create {}", to.display()))?;
    let mut archive = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(deb)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .context("start dpkg-deb")?;
    let pipe = archive.stdout.take().context("dpkg-deb has no output")?;
    let unpacked = Command::new("tar")
        .args(["--extract", "--keep-directory-symlink", "--no-same-owner"])
        .arg("--directory")
        .arg(to)
        .stdin(pipe)
        .status()
        .context("start tar")?;
    let read = archive.wait()?;
    ensure!(
        read.success() && unpacked.success(),
        "unpack {}: dpkg-deb {read}, tar {unpacked}",
        deb.display()
    );
    Ok(())
}

/// What is in `directory` by the end of `.deb`, sorted; nothing where there is no such directory.
fn archives(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(error).with_context(|| format!("list {}", directory.display()));
        }
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "deb") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Gives a finished directory its name.
fn replace(made: tempfile::TempDir, name: &Path) -> Result<()> {
    if let Some(parent) = name.parent() {
        fs::create_dir_all(parent)?;
    }
    if name.exists() {
        fs::remove_dir_all(name).with_context(|| format!("remove {}", name.display()))?;
    }
    fs::rename(made.keep(), name).with_context(|| format!("make {}", name.display()))
}

/// The address of a suite in lines of suite and address.
fn address(targets: &str, suite: &str) -> Option<String> {
    let mut lines = targets.lines().filter_map(|line| line.split_once(' '));
    let (_, address) = lines.find(|(name, _)| *name == suite)?;
    Some(address.to_owned())
}

fn set(option: &str, path: &Path) -> String {
    format!("{option}={}", path.display())
}

fn output(command: &mut Command) -> Result<String> {
    let outcome = process::take(command, b"", LIMIT)?;
    if !outcome.status.success() {
        bail!("{}: {}", process::line_of(command), outcome.complaint());
    }
    String::from_utf8(outcome.stdout).with_context(|| process::line_of(command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_of_its_suite_alone() {
        let targets = "stable-updates http://a/\nstable http://b/\nstable-security http://c/\n";
        assert_eq!(address(targets, "stable").as_deref(), Some("http://b/"));
        assert_eq!(
            address(targets, "stable-security").as_deref(),
            Some("http://c/")
        );
        assert_eq!(address(targets, "other"), None);
    }
}
