//! The shell that runs a recipe, and where.

use std::fmt::{self, Write as _};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use super::document::{Recipe, Step};
use crate::{place, play, process};

/// How long a recipe may take, analyses included.
const PATIENCE: Duration = Duration::from_secs(900);
/// `nobody` and its group, who own nothing.
const NOBODY: u32 = 65_534;

/// Who runs the commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum User {
    /// Who runs this.
    Own,
    /// An ordinary one, which root becomes.
    Nobody,
}

impl User {
    /// Those that this process can be.
    pub(super) fn all() -> Vec<User> {
        match rustix::process::geteuid().is_root() {
            true => vec![User::Own, User::Nobody],
            false => vec![User::Own],
        }
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            User::Own if rustix::process::geteuid().is_root() => "root",
            _ => "an ordinary user",
        })
    }
}

/// What the recipes of one user share: the command, and its cache.
pub(super) struct Place {
    user: User,
    dir: TempDir,
    cache: PathBuf,
}

impl Place {
    /// One for `user`, with `command` in its PATH.
    pub(super) fn new(command: &Path, user: User) -> Result<Place> {
        let dir = tempfile::Builder::new()
            .prefix("portcullis-recipes-")
            .tempdir()
            .context("make a directory for temporary files")?;
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
        let bin = dir.path().join("bin");
        fs::create_dir(&bin)?;
        let command = fs::canonicalize(command).context("find the command")?;
        let cache = match user {
            User::Own => {
                symlink(&command, bin.join("portcullis"))?;
                place::target().join("cache")
            }
            // He may have no way into the checkout.
            User::Nobody => {
                fs::copy(&command, bin.join("portcullis"))?;
                let cache = dir.path().join("cache");
                fs::create_dir(&cache)?;
                chown(&cache, Some(NOBODY), Some(NOBODY))?;
                cache
            }
        };
        Ok(Place { user, dir, cache })
    }

    /// Runs the commands of `recipe` in an empty directory, which is also the user's home.
    pub(super) fn run(&self, recipe: &Recipe) -> Result<()> {
        let room = tempfile::Builder::new()
            .prefix("room-")
            .tempdir_in(self.dir.path())?;
        fs::set_permissions(room.path(), fs::Permissions::from_mode(0o755))?;
        let (home, out) = (room.path().join("home"), room.path().join("out"));
        for dir in [&home, &out] {
            fs::create_dir(dir)?;
            if self.user == User::Nobody {
                chown(dir, Some(NOBODY), Some(NOBODY))?;
            }
        }
        let errors = room.path().join("errors");
        let log = fs::File::create(&errors)?;
        let script = script(&recipe.steps, &out)?;
        let mut words: Vec<&str> = Vec::new();
        if rustix::process::geteuid().is_root() {
            // Ports of its own: the machine's services may use the same.
            words.extend(["unshare", "--net", "sh", "-c"]);
            words.extend(["ip link set lo up && exec \"$@\"", "sh"]);
        }
        if self.user == User::Nobody {
            words.extend([
                "setpriv",
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
            ]);
        }
        words.extend(["sh", "-c", &script]);
        let path = format!(
            "{}:/usr/bin:/bin:/usr/sbin:/sbin",
            self.dir.path().join("bin").display()
        );
        let mut shell = Command::new(words[0])
            .args(&words[1..])
            .current_dir(&home)
            .env_clear()
            .env("PATH", path)
            .env("HOME", &home)
            .env("XDG_CACHE_HOME", &self.cache)
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .context("start a shell")?;
        let ended = process::wait(&mut shell, PATIENCE);
        // What a recipe left running.
        play::clear(shell.id());
        let said = || {
            let said = fs::read(&errors).unwrap_or_default();
            let said = String::from_utf8_lossy(&said).into_owned();
            let lines: Vec<&str> = said.lines().collect();
            lines[lines.len().saturating_sub(40)..].join("\n    ")
        };
        let status = ended.with_context(said)?;
        for (index, step) in recipe.steps.iter().enumerate() {
            let Ok(written) = fs::read(out.join(index.to_string())) else {
                bail!("line {} was not reached\n    {}", step.line, said());
            };
            let written = String::from_utf8_lossy(&written);
            ensure!(
                step.fits(&written) || (!status.success() && written.is_empty()),
                "line {}: it wrote\n{written}\nand not\n{}\n    {}",
                step.line,
                step.writes.join("\n"),
                said()
            );
        }
        ensure!(status.success(), "{status}\n    {}", said());
        Ok(())
    }
}

/// What a shell does: each command in its turn, its standard output to a file of its own.
fn script(steps: &[Step], out: &Path) -> Result<String> {
    let mut script = String::from(BEFORE);
    for (index, step) in steps.iter().enumerate() {
        let (line, command) = (step.line, &step.command);
        let file = out.join(index.to_string());
        if step.serves() {
            writeln!(script, "before=$(listeners)")?;
        }
        writeln!(
            script,
            "(exit ${{code:-0}})\n{{\n{command}\n}} >{}",
            file.display()
        )?;
        writeln!(script, "code=$?")?;
        if step.serves() {
            writeln!(script, "serves {line}")?;
        }
        if !steps.get(index + 1).is_some_and(Step::judges) {
            writeln!(
                script,
                "[ $code = 0 ] || failed \"line {line}: ended with $code\""
            )?;
        }
    }
    Ok(script)
}

/// A server is there when somebody listens who did not before it was started.
const BEFORE: &str = "
failed() { echo \"$1\" >&2; exit 1; }
listeners() { cat /proc/net/tcp /proc/net/tcp6 | awk '$4 == \"0A\" { print $2 }' | sort; }
serves() {
  until [ \"$(listeners)\" != \"$before\" ]; do
    kill -0 $! 2>/dev/null || failed \"line $1: it ended before it served\"
    sleep 0.05
  done
}
";
