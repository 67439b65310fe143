//! Traces of `portcullis record` beside strace's, and whether both say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::play::{self, Stop};
use crate::scratch::Scratch;
use crate::strace::Call;
use crate::workload::{self, Workload};
use crate::{needs, place, portcullis, web};

/// Runs with each tracer: what is decided by chance (who finds a lock taken) is not in all of one and in none of
/// the other.
const RUNS: usize = 2;

/// Plays the workload under the recorder, and gives each call with the arguments that say what it does.
fn trace(workload: &Workload, http: u16, command: &Path) -> Result<Vec<Call>> {
    let scratch = Scratch::new(http)?;
    let traces = tempfile::tempdir().context("make a directory for traces")?;
    let file = |index: usize| traces.path().join(format!("{index}.trace"));
    let front = |index: usize| -> Vec<OsString> {
        let mut words: Vec<OsString> = vec![command.into(), "record".into()];
        words.extend(["-o".into(), file(index).into(), "--".into()]);
        words
    };
    let played = play::play(workload, &scratch, &front, Stop::Program)?;
    play::expect_native(workload, &played)?;
    let mut all = Vec::new();
    for index in 0..workload.steps.len() {
        let text = fs::read_to_string(file(index)).context("read the trace")?;
        all.extend(read(&text)?);
    }
    Ok(all)
}

/// The calls of a trace, `portcullis.trace`, version 1.
fn read(text: &str) -> Result<Vec<Call>> {
    let mut images: BTreeMap<u64, PathBuf> = BTreeMap::new();
    let mut calls = Vec::new();
    let mut ended = false;
    for line in text.lines() {
        let fact: Value = serde_json::from_str(line)?;
        if let Some(image) = fact.get("image") {
            let id = image["id"].as_u64().context("an image without a number")?;
            images.insert(id, image["path"].as_str().unwrap_or_default().into());
        } else if let Some(call) = fact.get("call") {
            let image = call["image"].as_u64().and_then(|id| images.get(&id));
            calls.push(Call {
                name: match &call["name"] {
                    Value::String(name) => name.clone(),
                    _ => format!("syscall_{:#x}", call["number"].as_u64().unwrap_or(0)),
                },
                arguments: arguments(call)?,
                image: image.context("a call of no image")?.clone(),
                frames: Vec::new(),
            });
        }
        ended |= fact.get("end").is_some();
    }
    ensure!(ended, "the trace has no end");
    Ok(calls)
}

fn arguments(call: &Value) -> Result<Vec<Option<u64>>> {
    let mut all = vec![None; 6];
    for arg in call["args"].as_array().into_iter().flatten() {
        let index = arg["index"].as_u64().and_then(|i| usize::try_from(i).ok());
        let value = arg["value"].as_str().and_then(|v| v.strip_prefix("0x"));
        let value = value.context("an argument without a value")?;
        let place = index.and_then(|index| all.get_mut(index));
        *place.context("an argument without a place")? = Some(u64::from_str_radix(value, 16)?);
    }
    Ok(all)
}

/// `cargo xtask soundness --agree [NAME…]`: both tracers see the same, and how long each takes.
pub(super) fn agree(names: &[String]) -> Result<()> {
    needs::provide()?;
    let chosen = workload::chosen(names)?;
    let http = web::serve()?;
    let command = portcullis::build(place::PROFILE)?;
    println!(
        "{:<24} {:>6} {:>9} {:>9}  differences",
        "program", "calls", "strace s", "record s"
    );
    let mut failed = Vec::new();
    for workload in chosen.into_iter().filter(|w| w.there()) {
        match both(workload, http, &command) {
            Ok(both) => {
                println!(
                    "{:<24} {:>6} {:>9.2} {:>9.2}  {}",
                    workload.name,
                    both.calls,
                    both.strace.as_secs_f64(),
                    both.record.as_secs_f64(),
                    both.differences.join(" ")
                );
                if !both.differences.is_empty() {
                    failed.push(workload.name);
                }
            }
            Err(error) => {
                println!("{:<24} FAILED {error:#}", workload.name);
                failed.push(workload.name);
            }
        }
    }
    match failed.is_empty() {
        true => Ok(()),
        false => bail!("they disagree, or were not run: {}", failed.join(" ")),
    }
}

/// What both tracers gave of one workload.
struct Both {
    calls: usize,
    strace: Duration,
    record: Duration,
    differences: Vec<String>,
}

/// A call with those of its arguments that the recorder tells.
type Made = (String, Vec<Option<u64>>);

fn both(workload: &Workload, http: u16, command: &Path) -> Result<Both> {
    let image = workload.image()?;
    let (mut by_strace, mut by_record) = (Vec::new(), Vec::new());
    let (mut strace, mut record) = (Duration::MAX, Duration::MAX);
    for _ in 0..RUNS {
        let begun = Instant::now();
        by_strace.push(of(super::trace(workload, http, &["-X", "raw"])?, &image));
        strace = strace.min(begun.elapsed());
        let begun = Instant::now();
        by_record.push(of(trace(workload, http, command)?, &image));
        record = record.min(begun.elapsed());
    }
    let differences = missing(&by_strace, &by_record, "record");
    let differences = differences
        .into_iter()
        .chain(missing(&by_record, &by_strace, "strace"));
    Ok(Both {
        calls: by_record.iter().flatten().collect::<BTreeSet<_>>().len(),
        strace,
        record,
        differences: differences.collect(),
    })
}

fn of(calls: Vec<Call>, image: &Path) -> BTreeSet<Made> {
    let own = calls.into_iter().filter(|call| call.image == image);
    own.map(|call| (call.name, call.arguments)).collect()
}

/// What all runs of one tracer have and no run of the `other` one.
fn missing(all: &[BTreeSet<Made>], others: &[BTreeSet<Made>], other: &str) -> Vec<String> {
    let Some((first, rest)) = all.split_first() else {
        return Vec::new();
    };
    let in_all = first
        .iter()
        .filter(|call| rest.iter().all(|run| run.iter().any(|c| is_same(c, call))));
    let nowhere = |call: &&Made| !others.iter().flatten().any(|c| is_same(c, call));
    let told = in_all
        .filter(nowhere)
        .map(|(name, arguments)| format!("{other} lacks {name}({})", super::shown(arguments)));
    told.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Whether two calls agree in what both tell: numbers of 32 bits are signed for one and not for the other.
fn is_same(one: &Made, other: &Made) -> bool {
    let places = one.1.iter().zip(&other.1);
    let same = |(a, b): (&Option<u64>, &Option<u64>)| match (a, b) {
        (Some(a), Some(b)) => a == b || *a as u32 == *b as u32,
        _ => true,
    };
    one.0 == other.0 && places.into_iter().all(|(a, b)| same((a, b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = r#"{"schema":"portcullis.trace","version":1}
{"image":{"id":0,"path":"/bin/x"}}
{"call":{"id":0,"image":0,"number":257,"name":"openat","args":[{"index":2,"value":"0x80000"}]}}
{"call":{"id":1,"image":0,"number":999,"name":null,"args":[]}}
{"end":{"at":1}}
"#;

    #[test]
    fn calls_have_their_image_and_what_is_told_of_arguments() {
        let calls = read(TRACE).unwrap();
        assert_eq!(calls[0].name, "openat");
        assert_eq!(calls[0].arguments[2], Some(0x80000));
        assert_eq!(calls[0].arguments[1], None);
        assert_eq!(calls[1].name, "syscall_0x3e7");
        assert_eq!(calls[1].image, Path::new("/bin/x"));
        let cut = TRACE.lines().take(3).collect::<Vec<_>>().join("\n");
        assert!(read(&cut).is_err());
    }

    #[test]
    fn what_one_tracer_always_sees_and_the_other_never_is_a_difference() {
        let run = |names: &[&str]| -> BTreeSet<Made> {
            let all = names.iter().map(|name| ((*name).to_owned(), vec![None; 6]));
            all.collect()
        };
        let strace = [run(&["read", "futex"]), run(&["read", "write"])];
        let record = [run(&["write"]), run(&["write"])];
        let differences = missing(&strace, &record, "record");
        assert_eq!(differences, ["record lacks read(…, …, …, …, …, …)"]);
        // Once is chance.
        assert!(missing(&record, &strace, "strace").is_empty());
    }
}
