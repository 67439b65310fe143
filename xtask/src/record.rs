//! `cargo xtask record [RUNS] [NAME…]`: nothing is missing in recordings.
//!
//! Whatever every fully traced run of a job shows, every run shows in which known calls ran free, or which programs in the
//! kernel saw: the same calls, with the same arguments, of the same programs. And in each run of any kind, whatever the
//! kernel's tracepoints see at the same time is in the trace.

mod observer;

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::scratch::Scratch;
use crate::{place, portcullis, process};
use observer::Observer;

/// Runs of each job, with each back-end, when no number is given.
const RUNS: usize = 5;
/// Back-ends; the others are compared with the first.
const BACKENDS: [&str; 3] = ["full", "adaptive", "ebpf"];
/// How long one run may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Jobs: name, and a command of sh. Their directory is a scratch directory. They make the same calls each time.
const JOBS: &[(&str, &str)] = &[
    ("true", "exec true"),
    (
        "dd",
        "exec dd if=/dev/zero of=/dev/null bs=1 count=20000 2>/dev/null",
    ),
    ("ls", "exec ls -lR /etc/apt /usr/share/doc/bash"),
    ("find", "exec find /usr/share/doc -name 'c*'"),
    ("sort", "sort --parallel=1 -r numbers | uniq -c | tail -3"),
    (
        "tar",
        "tar cf - /usr/include/linux | gzip | gunzip | tar tf - | wc -l",
    ),
    ("xz", "head -c 200000 numbers | xz -T1 | xz -d | cksum"),
    (
        "zstd",
        "head -c 2000000 numbers | zstd --single-thread --no-asyncio | zstd -d --no-asyncio | cksum",
    ),
    (
        "bzip2",
        "head -c 2000000 numbers | gzip -9 | bzip2 | bzip2 -d | cksum",
    ),
    ("sed", "sed -e 's/1/one/g' numbers | tail -1"),
    (
        "awk",
        "gawk '{s += $1} END {print s; system(\"true\")}' numbers",
    ),
    (
        "perl",
        "perl -e 'for (1..20) {`true`} open F, \"<numbers\"; $n += length while <F>; print $n'",
    ),
    (
        "python",
        "python3 -c 'import subprocess\n\
         for i in range(600): open(\"/etc/passwd\").read()\n\
         print(subprocess.run([\"ls\", \"/\"], capture_output=True).returncode)'",
    ),
    (
        "forks",
        "i=0; while [ $i -lt 100 ]; do /bin/true; i=$((i + 1)); done",
    ),
    (
        "subshells",
        "i=0; while [ $i -lt 40 ]; do x=$(echo $i | cat); i=$((i + 1)); done; echo $x",
    ),
    (
        "read",
        "while read l; do n=$((n + 1)); done < words; cat numbers | head -c 3000 | while read l; do echo $l; done | wc -l",
    ),
    (
        "signals",
        "trap 'n=$((n + 1))' USR1; i=0; while [ $i -lt 60 ]; do kill -USR1 $$; i=$((i + 1)); done; echo $n",
    ),
    (
        "gcc",
        "echo 'int main(void) { return 0; }' > m.c && gcc -O2 m.c -o m && ./m",
    ),
    (
        "make",
        "printf 'all: a b c\\na b c:\\n\\t@echo $@ | cat\\n' > m.mk && make -s -f m.mk",
    ),
    (
        "sqlite",
        "seq 2000 | sed 's/.*/insert into t values(&);/' | sqlite3 -cmd 'create table t(a); begin;' :memory: && echo done",
    ),
    (
        "git",
        "git init -q g && cd g && echo a > a && git add a && git -c user.name=a -c user.email=a commit -qm a && git log --format=%s; cd .. && rm -rf g",
    ),
    (
        "static",
        "busybox seq 3000 | busybox sort -n | busybox tail -1",
    ),
    ("openssl", "openssl dgst -sha256 numbers"),
    (
        "lua",
        "lua5.4 -e 'for i = 1, 2000 do io.open(\"words\"):close() end os.execute(\"true\")'",
    ),
];

/// Jobs of threads, whose calls are decided by chance: who finds a lock taken waits (`futex`), and who does not
/// makes no such call. A call that one run lacks was not made in it, or is missing in its trace: the second
/// observer of that very run knows.
const BY_CHANCE: &[(&str, &str)] = &[
    (
        "threads",
        "ls / | sort; python3 -c 'import hashlib, threading\n\
         def job():\n  for i in range(100): hashlib.sha256(open(\"/bin/sh\", \"rb\").read()).digest()\n\
         all = [threading.Thread(target=job) for _ in range(4)]\n\
         [t.start() for t in all]; [t.join() for t in all]'",
    ),
    (
        "xz -T2",
        "xz -T2 --block-size=100000 < numbers | xz -dT2 | cksum",
    ),
    (
        "sort of two",
        "sort --parallel=2 -r numbers | uniq -c | tail -3",
    ),
    ("zstd -T2", "zstd -qT2 < numbers | zstd -dq | cksum"),
    (
        "background",
        "for i in 1 2 3 4 5 6 7 8; do (head -c 90000 numbers | gzip | gunzip > $i.out) & done; wait; cat *.out | cksum",
    ),
];

/// Program, call and values of its arguments.
type Seen = BTreeSet<(String, String, Vec<String>)>;

/// `cargo xtask record`.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let (runs, names) = match words.split_first() {
        Some((first, rest)) if first.parse::<usize>().is_ok() => (first.parse()?, rest),
        _ => (RUNS, words),
    };
    compare(runs, names)
}

/// Compares the back-ends on the jobs of these names, or on all.
pub(crate) fn compare(runs: usize, names: &[String]) -> Result<()> {
    let command = portcullis::build(place::PROFILE)?;
    let observer = Observer::new()?;
    println!(
        "{:<10} {:>5} {:>9} {:>9} {:>9} {:>8} {:>8}",
        "job", "calls", "in some", "others", "observed", "filters", "missing"
    );
    let mut failed = Vec::new();
    let repeatable = JOBS.iter().map(|job| (job, false));
    let by_chance = BY_CHANCE.iter().map(|job| (job, true));
    for ((name, script), chance) in repeatable.chain(by_chance) {
        if !names.is_empty() && !names.iter().any(|n| n == name) {
            continue;
        }
        match job(&command, &observer, script, runs) {
            Ok(mut told) => {
                if chance {
                    // Made in every fully traced run, and not in this one: nobody saw it in this one.
                    told.missing.clear();
                }
                println!("{name:<10} {}", told.row());
                let missing = told.missing.iter().map(|call| ("MISSED", call));
                let unseen = told.unseen.iter().map(|call| ("OBSERVED, NOT SEEN", call));
                for (what, call) in missing.chain(unseen) {
                    println!("    {what} {call:?}");
                }
                if !told.is_complete() {
                    failed.push(*name);
                }
            }
            Err(error) => {
                println!("{name:<10} FAILED {error:#}");
                failed.push(name);
            }
        }
    }
    match failed.is_empty() {
        true => Ok(()),
        false => bail!("not complete, or not run: {}", failed.join(" ")),
    }
}

/// What the runs of one job gave.
struct Told {
    /// In every run that was traced fully.
    in_all: usize,
    /// In some of them.
    in_some: usize,
    /// In some run of another back-end.
    others: usize,
    /// In some run, by the second observer.
    observed: usize,
    /// Filters in all its runs.
    filters: u64,
    /// In every run that was traced fully, and not in some run of another back-end.
    missing: Seen,
    /// What the second observer saw in a run of whose trace it is not part.
    unseen: Seen,
}

impl Told {
    fn row(&self) -> String {
        format!(
            "{:>5} {:>9} {:>9} {:>9} {:>8} {:>8}",
            self.in_all,
            self.in_some,
            self.others,
            self.observed,
            self.filters,
            self.missing.len() + self.unseen.len()
        )
    }

    fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.unseen.is_empty()
    }
}

fn job(command: &Path, observer: &Observer, script: &str, runs: usize) -> Result<Told> {
    ensure!(runs > 0, "no runs");
    let scratch = Scratch::new(0)?;
    let mut in_all: Option<Seen> = None;
    let mut in_some = Seen::new();
    let mut others: Vec<Seen> = Vec::new();
    let (mut observed, mut unseen) = (Seen::new(), Seen::new());
    let (mut output, mut filters) = (None, 0);
    let mut names = Names::default();
    for _ in 0..runs {
        for backend in BACKENDS {
            let run = || record(command, scratch.path(), script, backend);
            let ((seen, own, put), made) = observer.watch(command, scratch.path(), run)?;
            let (seen, made) = (names.of(seen), names.of(made));
            unseen.extend(made.iter().filter(|call| !covers(&seen, call)).cloned());
            observed.extend(made);
            ensure!(
                *output.get_or_insert_with(|| own.clone()) == own,
                "it behaved differently under the back-ends"
            );
            if backend == BACKENDS[0] {
                in_some.extend(seen.iter().cloned());
                in_all = Some(match in_all {
                    Some(all) => &all & &seen,
                    None => seen,
                });
            } else {
                others.push(seen);
                filters += put;
            }
        }
    }
    let in_all = in_all.unwrap_or_default();
    let missing = others.iter().flat_map(|seen| &in_all - seen).collect();
    Ok(Told {
        in_all: in_all.len(),
        in_some: in_some.len(),
        others: others.iter().flatten().collect::<BTreeSet<_>>().len(),
        observed: observed.len(),
        filters,
        missing,
        unseen,
    })
}

/// One name for each program: a file may have several (git's), and the recorder knows it by the first.
#[derive(Default)]
struct Names(HashMap<(u64, u64), String>);

impl Names {
    fn of(&mut self, seen: Seen) -> Seen {
        let mut own = |(path, name, values): (String, String, Vec<String>)| {
            let file = fs::metadata(&path).map(|m| (m.dev(), m.ino()));
            let path = match file {
                Ok(file) => self.0.entry(file).or_insert(path).clone(),
                Err(_) => path,
            };
            (path, name, values)
        };
        seen.into_iter().map(&mut own).collect()
    }
}

/// Whether a trace has a call: with its values, or with values that were too many to tell apart.
fn covers(seen: &Seen, call: &(String, String, Vec<String>)) -> bool {
    let (image, name, _) = call;
    seen.contains(call) || seen.contains(&(image.clone(), name.clone(), Vec::new()))
}

/// One run: what was seen, the job's output, and how many filters there were.
fn record(
    command: &Path,
    directory: &Path,
    script: &str,
    backend: &str,
) -> Result<(Seen, Vec<u8>, u64)> {
    let trace = directory.join("job.trace");
    if trace.exists() {
        fs::remove_file(&trace)?;
    }
    let mut recorder = Command::new(command);
    recorder
        .current_dir(directory)
        .args(["record", "--backend", backend, "-o"])
        .arg(&trace)
        .args(["--", "sh", "-c", script]);
    let outcome = process::take(&mut recorder, b"", PATIENCE)?;
    ensure!(
        outcome.status.success(),
        "{}: {}",
        outcome.status,
        outcome.complaint()
    );
    let (seen, filters) = read(&fs::read_to_string(&trace)?)?;
    Ok((seen, outcome.stdout, filters))
}

/// The calls of a trace, and its filters.
fn read(text: &str) -> Result<(Seen, u64)> {
    let facts: Vec<Value> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let of = |kind: &'static str| facts.iter().filter_map(move |fact| fact.get(kind));
    let images: Vec<&str> = of("image")
        .filter_map(|image| image["path"].as_str())
        .collect();
    let mut seen = Seen::new();
    for call in of("call") {
        let image = call["image"]
            .as_u64()
            .and_then(|id| images.get(usize::try_from(id).ok()?));
        let image = image.context("a call of no image")?;
        let name = match &call["name"] {
            Value::String(name) => name.clone(),
            _ => call["number"].to_string(),
        };
        let args = call["args"].as_array().into_iter().flatten();
        let values = args.filter_map(|arg| arg["value"].as_str().map(str::to_owned));
        seen.insert(((*image).to_owned(), name, values.collect()));
    }
    let end = of("end").next_back().context("the trace has no end")?;
    Ok((seen, end["filters"].as_u64().unwrap_or(0)))
}
