//! `cargo xtask soundness`: what real programs do, against what their scans say.
//!
//! Each workload runs under `strace -f`; each call is attributed to the image that made it. A call
//! of the program that its scan lacks, or that is made with arguments that its scan excludes, is a
//! defect, unless two things hold: it was made with a frame
//! of a module on its stack that was loaded at run time and whose loading the scan announced
//! (`strace -k`), and a scan that is told of this module has the call.
//!
//! `portcullis record` sees the same (`--agree`), and would not be faster here: workloads are short, and the time goes
//! into starting programs (21 of them: 71 s under strace, 72 s under it). So somebody else stays the witness.

mod guest;
mod recorded;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::play::{self, Stop};
use crate::portcullis::{self, Scan};
use crate::scratch::Scratch;
use crate::workload::{self, Workload};
use crate::{needs, place, strace, web};

/// What one program's traces gave.
struct Finding {
    traced: usize,
    set: usize,
    found: usize,
    unseen: Vec<String>,
    by_module: BTreeMap<String, PathBuf>,
    missed: Vec<String>,
}

impl Finding {
    fn precision(&self) -> f64 {
        ratio(self.found, self.set)
    }

    fn recall(&self) -> f64 {
        ratio(self.found, self.traced)
    }

    fn f1(&self) -> f64 {
        let (p, r) = (self.precision(), self.recall());
        if p + r > 0.0 {
            2.0 * p * r / (p + r)
        } else {
            0.0
        }
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    // Both are below a thousand.
    let (part, whole) = (u32::try_from(part), u32::try_from(whole));
    match (part, whole) {
        (Ok(part), Ok(whole)) if whole > 0 => f64::from(part) / f64::from(whole),
        _ => 0.0,
    }
}

/// `cargo xtask soundness [NAME…]`. To work on the workloads themselves, `--trace-only` runs natively
/// and under strace without any scan, and `--unseen` tells which calls of a set no trace has. `--agree` compares
/// the recorder's traces with those of strace. `--arm64` is about programs for aarch64, traced in an emulated machine.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let (flags, names): (Vec<_>, Vec<_>) = words
        .iter()
        .cloned()
        .partition(|word| word.starts_with('-'));
    let (trace_only, unseen) = match flags.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => (false, false),
        ["--trace-only"] => (true, false),
        ["--unseen"] => (false, true),
        ["--arm64"] => return guest::run(&names),
        ["--agree"] => return recorded::agree(&names),
        _ => bail!("unknown: {}", flags.join(" ")),
    };
    needs::provide()?;
    let chosen = workload::chosen(&names)?;
    let http = web::serve()?;
    let command = if trace_only {
        None
    } else {
        Some(portcullis::build(place::PROFILE)?)
    };
    head();
    let mut failed = Vec::new();
    for workload in chosen {
        if !workload.there() {
            println!("{:<24} not installed", workload.name);
            failed.push(workload.name);
            continue;
        }
        match one(workload, http, command.as_deref()) {
            Ok(finding) => {
                row(workload.name, &finding);
                for (call, module) in &finding.by_module {
                    println!("    {call}: by {} (--plugin)", module.display());
                }
                if unseen {
                    println!("    unseen: {}", finding.unseen.join(" "));
                }
                if !finding.missed.is_empty() {
                    println!("    MISSED {}", finding.missed.join(" "));
                    failed.push(workload.name);
                }
            }
            Err(error) => {
                println!("{:<24} FAILED {error:#}", workload.name);
                failed.push(workload.name);
            }
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!("not sound, or not run: {}", failed.join(" "))
}

fn head() {
    println!(
        "{:<24} {:>6} {:>5} {:>6} {:>7} {:>6}  {:>9} {:>6} {:>6}",
        "program", "traced", "set", "missed", "modules", "", "precision", "recall", "F1"
    );
}

fn row(name: &str, finding: &Finding) {
    println!(
        "{:<24} {:>6} {:>5} {:>6} {:>7} {:>6}  {:>9.2} {:>6.2} {:>6.2}",
        name,
        finding.traced,
        finding.set,
        finding.missed.len(),
        finding.by_module.len(),
        "",
        finding.precision(),
        finding.recall(),
        finding.f1()
    );
}

fn one(workload: &Workload, http: u16, command: Option<&Path>) -> Result<Finding> {
    let image = workload.image()?;
    let calls = trace(workload, http, &["-X", "raw"])?;
    let traced = strace::counts(&calls, &image);
    let Some(command) = command else {
        return Ok(Finding {
            traced: traced.len(),
            set: 0,
            found: 0,
            unseen: Vec::new(),
            by_module: BTreeMap::new(),
            missed: Vec::new(),
        });
    };
    let scan = portcullis::scan(command, &image, &portcullis::plugins(workload, &[]))?;
    let mut missed = missed(&scan, &calls, &image);
    let mut by_module = BTreeMap::new();
    if !missed.is_empty() && scan.announces_modules() {
        let names = missed.keys().cloned().collect();
        by_module = explain(workload, &image, http, command, &scan, &names)?;
        missed.retain(|name, _| !by_module.contains_key(name));
    }
    Ok(finding(&scan, &traced, by_module, &missed))
}

/// The calls of `image` that its scan lacks, and those that it has with other arguments: the arguments
/// that it excludes.
fn missed(scan: &Scan, calls: &[strace::Call], image: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut missed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.image == image) {
        if scan.allows_with(&call.name, &call.arguments) {
            continue;
        }
        let with = missed.entry(call.name.clone()).or_default();
        if scan.allows(&call.name) {
            with.insert(shown(&call.arguments));
        }
    }
    missed
}

fn finding(
    scan: &Scan,
    traced: &BTreeMap<String, usize>,
    by_module: BTreeMap<String, PathBuf>,
    missed: &BTreeMap<String, BTreeSet<String>>,
) -> Finding {
    let told = missed.iter().map(|(name, with)| match with.is_empty() {
        true => vec![name.clone()],
        false => with.iter().map(|with| format!("{name}({with})")).collect(),
    });
    let all = scan.calls.values();
    let unseen = all.filter(|name| !traced.contains_key(*name));
    Finding {
        traced: traced.len(),
        set: scan.calls.len(),
        found: traced.keys().filter(|name| scan.allows(name)).count(),
        unseen: unseen.cloned().collect(),
        by_module,
        missed: told.flatten().collect(),
    }
}

/// Arguments in a message.
fn shown(arguments: &[Option<u64>]) -> String {
    let words = arguments.iter().map(|argument| match argument {
        Some(value) => format!("{value:#x}"),
        None => "…".into(),
    });
    words.collect::<Vec<_>>().join(", ")
}

/// The calls of `missed` that are all made from modules loaded at run time, each with its module.
fn explain(
    workload: &Workload,
    image: &Path,
    http: u16,
    command: &Path,
    scan: &Scan,
    missed: &BTreeSet<String>,
) -> Result<BTreeMap<String, PathBuf>> {
    // Stacks are slow: only of the calls in question, and of those that tell who is who.
    let filter = format!(
        "trace=execve,execveat,clone,clone3,fork,vfork,{}",
        missed.iter().cloned().collect::<Vec<_>>().join(",")
    );
    let calls = trace(workload, http, &["-X", "raw", "-k", "-e", &filter])?;
    let mut scans: BTreeMap<PathBuf, Scan> = BTreeMap::new();
    let mut by_module = BTreeMap::new();
    for name in missed {
        let of_it: Vec<_> = calls
            .iter()
            .filter(|call| call.image == image && &call.name == name)
            .filter(|call| !scan.allows_with(name, &call.arguments))
            .collect();
        let mut module = None;
        let mut all = !of_it.is_empty();
        for call in of_it {
            let late: BTreeSet<&PathBuf> = call
                .frames
                .iter()
                .filter(|file| file.is_file() && !scan.objects.contains(*file))
                .collect();
            let mut contained = None;
            for file in late {
                if !scans.contains_key(file) {
                    let options = portcullis::plugins(workload, std::slice::from_ref(file));
                    scans.insert(file.clone(), portcullis::scan(command, image, &options)?);
                }
                let with = scans.get(file);
                if with.is_some_and(|scan| scan.allows_with(name, &call.arguments)) {
                    contained = Some(file.clone());
                }
            }
            all &= contained.is_some();
            module = module.or(contained);
        }
        if let (true, Some(module)) = (all, module) {
            by_module.insert(name.clone(), module);
        }
    }
    Ok(by_module)
}

/// Plays the workload natively, then under strace, and returns all calls.
fn trace(workload: &Workload, http: u16, options: &[&str]) -> Result<Vec<strace::Call>> {
    let scratch = Scratch::new(http)?;
    let traces = tempfile::tempdir().context("make a directory for traces")?;
    let file = |index: usize| traces.path().join(format!("{index}.trace"));
    let front = |index: usize| -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["strace".into(), "-f".into(), "-qq".into()];
        words.extend(options.iter().map(OsString::from));
        words.extend(["-o".into(), file(index).into(), "--".into()]);
        words
    };
    let played = play::play(workload, &scratch, &front, Stop::Program)?;
    play::expect_native(workload, &played)?;
    let files: Vec<PathBuf> = (0..workload.steps.len()).map(file).collect();
    strace::read(&files, scratch.path())
}
