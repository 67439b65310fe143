//! `cargo xtask record [RUNS] [NAME…]`: whatever every fully traced run of a job shows, every run shows in
//! which known calls ran free: the same calls, with the same arguments, of the same programs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::scratch::Scratch;
use crate::{place, portcullis, process};

/// Runs of each job, with each back-end, when no number is given.
const RUNS: usize = 5;
/// How long one run may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Jobs: name, and a command of sh. Their directory is a scratch directory. They make the same calls each time:
/// none has threads that contend for a lock, because who waits (`futex`) is then decided by chance, and a recording
/// of either kind may lack it. Threads have tests of their own, in crates/cli/tests.
const JOBS: &[(&str, &str)] = &[
    ("true", "exec true"),
    (
        "dd",
        "exec dd if=/dev/zero of=/dev/null bs=1 count=20000 2>/dev/null",
    ),
    ("ls", "exec ls -lR /etc/apt /usr/share/doc/bash"),
    ("find", "exec find /usr/share/doc -name 'c*'"),
    ("sort", "sort -r numbers | uniq -c | tail -3"),
    (
        "tar",
        "tar cf - /usr/include/linux | gzip | gunzip | tar tf - | wc -l",
    ),
    ("xz", "head -c 200000 numbers | xz -T1 | xz -d | cksum"),
    (
        "zstd",
        "head -c 2000000 numbers | zstd --single-thread | zstd -d | cksum",
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
    println!(
        "{:<10} {:>5} {:>9} {:>9} {:>8} {:>8}",
        "job", "calls", "in some", "adaptive", "filters", "missing"
    );
    let mut failed = Vec::new();
    for (name, script) in JOBS {
        if !names.is_empty() && !names.iter().any(|n| n == name) {
            continue;
        }
        match job(&command, script, runs) {
            Ok(told) => {
                println!("{name:<10} {}", told.row());
                for missing in &told.missing {
                    println!("    MISSED {missing:?}");
                }
                if !told.missing.is_empty() {
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
    /// In some run of the other back-end.
    adaptive: usize,
    /// Filters in all its runs.
    filters: u64,
    missing: Seen,
}

impl Told {
    fn row(&self) -> String {
        format!(
            "{:>5} {:>9} {:>9} {:>8} {:>8}",
            self.in_all,
            self.in_some,
            self.adaptive,
            self.filters,
            self.missing.len()
        )
    }
}

fn job(command: &Path, script: &str, runs: usize) -> Result<Told> {
    ensure!(runs > 0, "no runs");
    let scratch = Scratch::new(0)?;
    let mut in_all: Option<Seen> = None;
    let mut in_some = Seen::new();
    let mut adaptive: Vec<Seen> = Vec::new();
    let (mut output, mut filters) = (None, 0);
    for _ in 0..runs {
        for full in [true, false] {
            let (seen, own, put) = record(command, scratch.path(), script, full)?;
            ensure!(
                *output.get_or_insert_with(|| own.clone()) == own,
                "it behaved differently under the back-ends"
            );
            if full {
                in_some.extend(seen.iter().cloned());
                in_all = Some(match in_all {
                    Some(all) => &all & &seen,
                    None => seen,
                });
            } else {
                adaptive.push(seen);
                filters += put;
            }
        }
    }
    let in_all = in_all.unwrap_or_default();
    let missing = adaptive.iter().flat_map(|seen| &in_all - seen).collect();
    Ok(Told {
        in_all: in_all.len(),
        in_some: in_some.len(),
        adaptive: adaptive.iter().flatten().collect::<BTreeSet<_>>().len(),
        filters,
        missing,
    })
}

/// One run: what was seen, the job's output, and how many filters there were.
fn record(
    command: &Path,
    directory: &Path,
    script: &str,
    full: bool,
) -> Result<(Seen, Vec<u8>, u64)> {
    let trace = directory.join("job.trace");
    if trace.exists() {
        fs::remove_file(&trace)?;
    }
    let mut recorder = Command::new(command);
    recorder
        .current_dir(directory)
        .args(["record", "-o"])
        .arg(&trace);
    if full {
        recorder.arg("--full");
    }
    recorder.args(["--", "sh", "-c", script]);
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
