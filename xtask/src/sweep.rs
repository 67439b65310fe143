//! `cargo xtask sweep`: every file of /usr/bin and /usr/sbin is scanned.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{arm64, place, portcullis, process};

/// A scan that has not ended by then hangs: a Go program of 127 MB takes 160 s alone on two cores, and
/// here two scans share them.
const PATIENCE: Duration = Duration::from_secs(900);

/// What a scan of one file came to.
enum Came {
    /// A document, with `complete`, `closed` and the number of calls.
    Scanned(bool, bool, usize),
    /// Exit 2 with one message: no program of this architecture.
    Refused(String),
    /// Anything else: a panic, a signal, no end, a document that cannot be read.
    Wrong(String),
}

/// `cargo xtask sweep [DIR…]`, or of the packages for aarch64: `--arm64`.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let command = portcullis::build(place::PROFILE)?;
    let whole = ["/usr/bin", "/usr/sbin"];
    let (dirs, root): (Vec<PathBuf>, _) = match words {
        [] => (whole.map(PathBuf::from).to_vec(), None),
        [only] if only == "--arm64" => {
            let root = arm64::root()?;
            let dirs = ["bin", "sbin", "usr/bin", "usr/sbin", "opt"];
            (dirs.map(|dir| root.join(dir)).to_vec(), Some(root))
        }
        some => (some.iter().map(PathBuf::from).collect(), None),
    };
    let mut files = files(&dirs)?;
    // Some links of packages lead to what only their installation makes.
    files.retain(|file| root.as_ref().is_none_or(|root| file.starts_with(root)));
    let cache = tempfile::tempdir()?;
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let start = Instant::now();
    // The scan of one program uses every core by itself; two at a time keep them busy.
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begun = Instant::now();
                    let came = scan(&command, root.as_deref(), file, cache.path());
                    if let Came::Wrong(why) = &came {
                        eprintln!("{}: {why}", file.display());
                    }
                    let mut results = results.lock().unwrap_or_else(|held| held.into_inner());
                    results.push((file, came, begun.elapsed()));
                }
            });
        }
    });
    let all = start.elapsed();
    let results = results
        .into_inner()
        .unwrap_or_else(|held| held.into_inner());
    report(&results, all)
}

fn report(results: &[(&PathBuf, Came, Duration)], all: Duration) -> Result<()> {
    let (mut complete, mut closed, mut both, mut scanned) = (0, 0, 0, 0);
    let mut refused: BTreeMap<&str, usize> = BTreeMap::new();
    let mut sizes = Vec::new();
    let mut wrong = Vec::new();
    for (file, came, time) in results {
        match came {
            Came::Scanned(is_complete, is_closed, calls) => {
                scanned += 1;
                complete += usize::from(*is_complete);
                closed += usize::from(*is_closed);
                both += usize::from(*is_complete && *is_closed);
                sizes.push((*calls, *time, file.as_path()));
            }
            Came::Refused(why) => *refused.entry(why).or_default() += 1,
            Came::Wrong(why) => wrong.push((file, why)),
        }
    }
    sizes.sort_unstable();
    println!(
        "{} files in {:.1} s: {scanned} scanned ({complete} complete, {closed} closed, {both} both), \
         {} refused, {} wrong",
        results.len(),
        all.as_secs_f64(),
        refused.values().sum::<usize>(),
        wrong.len()
    );
    if let Some((median, ..)) = sizes.get(sizes.len() / 2) {
        println!("calls: median {median}");
    }
    sizes.sort_unstable_by_key(|(_, time, _)| std::cmp::Reverse(*time));
    for (calls, time, file) in sizes.iter().take(5) {
        println!(
            "slowest: {:.2} s {} ({calls} calls)",
            time.as_secs_f64(),
            file.display()
        );
    }
    for (why, count) in refused {
        println!("refused {count}: {why}");
    }
    for (file, why) in &wrong {
        println!("WRONG {}: {why}", file.display());
    }
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("{} files were not handled", wrong.len())
}

fn scan(command: &Path, root: Option<&Path>, file: &Path, cache: &Path) -> Came {
    let mut scan = Command::new(command);
    scan.args(["scan", "--format", "json"]);
    match root.and_then(|root| Some((root, file.strip_prefix(root).ok()?))) {
        Some((root, inside)) => scan.arg("--root").arg(root).arg(inside),
        None => scan.arg(file),
    };
    let outcome = process::take(scan.env("XDG_CACHE_HOME", cache), b"", PATIENCE);
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => return Came::Wrong(format!("{error:#}")),
    };
    match outcome.status.code() {
        Some(0) => match serde_json::from_slice::<Value>(&outcome.stdout) {
            Ok(document) => Came::Scanned(
                document["complete"] == true,
                document["closed"] == true,
                document["syscalls"].as_array().map_or(0, Vec::len),
            ),
            Err(error) => Came::Wrong(format!("its JSON: {error}")),
        },
        Some(2) if outcome.stdout.is_empty() && !panicked(&outcome.stderr) => {
            let text = outcome.complaint();
            let last = text.lines().last().unwrap_or_default();
            // The path is in the message; without it equal reasons can be counted.
            Came::Refused(last.replace(&*file.to_string_lossy(), "FILE"))
        }
        _ => Came::Wrong(format!("{}\n    {}", outcome.status, outcome.complaint())),
    }
}

fn panicked(text: &[u8]) -> bool {
    String::from_utf8_lossy(text).contains("panicked at")
}

/// The regular files of `dirs`, each once, whatever links point to it.
fn files(dirs: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = BTreeSet::new();
    for dir in dirs {
        for entry in fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))? {
            // A dangling link is no file.
            if let Ok(path) = fs::canonicalize(entry?.path())
                && path.is_file()
            {
                files.insert(path);
            }
        }
    }
    Ok(files.into_iter().collect())
}
