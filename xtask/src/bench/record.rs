//! `cargo xtask bench record`: what a recording costs, in turns with native runs and with `strace -f -c`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::portcullis;

/// Runs of each row under each way, in turns.
const TURNS: usize = 11;

/// Row, and a command of sh.
const ROWS: &[(&str, &str)] = &[
    (
        "dd, 2 million calls",
        "exec dd if=/dev/zero of=/dev/null bs=1 count=1000000 2>/dev/null",
    ),
    (
        "500 times /bin/true",
        "i=0; while [ $i -lt 500 ]; do /bin/true; i=$((i + 1)); done",
    ),
    (
        "20 programs, 3 times each",
        "for p in ls cat head wc sort uniq cut tr sed basename dirname expr mkdir date id uname env nproc stat dd; do \
         for k in 1 2 3; do $p --version; done; done",
    ),
    (
        "one of 1500 calls in few milliseconds: ls -lR",
        "exec ls -lR /usr/share/doc/a* /usr/share/doc/b* /usr/share/doc/c*",
    ),
    (
        "a job of some 70000 calls: shell, ls, threads of python",
        "ls -l /usr/bin | wc -l; find /usr/share/doc -maxdepth 1 | tail -1; \
         exec /usr/bin/python3 -c 'import hashlib, threading\n\
         def job():\n  for i in range(300): hashlib.sha256(open(\"/bin/sh\", \"rb\").read()).digest()\n\
         all = [threading.Thread(target=job) for _ in range(4)]\n\
         [t.start() for t in all]; [t.join() for t in all]'",
    ),
];

#[derive(Clone, Copy)]
enum Way {
    Native,
    Adaptive,
    Full,
    Strace,
}

const WAYS: [(Way, &str); 4] = [
    (Way::Native, "native"),
    (Way::Adaptive, "record"),
    (Way::Full, "record --full"),
    (Way::Strace, "strace -f -c"),
];

/// Measures every row and prints the table.
pub(super) fn run() -> Result<()> {
    let command = portcullis::build("release")?;
    let place = tempfile::tempdir()?;
    println!("| job | {} |", WAYS.map(|(_, name)| name).join(" | "));
    println!("|---|{}", "---|".repeat(WAYS.len()));
    for (name, script) in ROWS {
        let mut times: [Vec<Duration>; WAYS.len()] = Default::default();
        for _ in 0..TURNS {
            for (own, (way, _)) in times.iter_mut().zip(WAYS) {
                own.push(measure(&command, place.path(), way, script)?);
            }
        }
        for own in &mut times {
            own.sort();
        }
        let native = &times[0];
        let cell = |own: &Vec<Duration>| {
            let ratio = |at: usize| own[at].as_secs_f64() / native[at].as_secs_f64();
            format!(
                "{:.3} s / {:.3} s ({:.2}x / {:.2}x)",
                own[0].as_secs_f64(),
                own[TURNS / 2].as_secs_f64(),
                ratio(0),
                ratio(TURNS / 2)
            )
        };
        println!("| {name} | {} |", times.each_ref().map(cell).join(" | "));
    }
    Ok(())
}

fn measure(command: &Path, place: &Path, way: Way, script: &str) -> Result<Duration> {
    let trace: PathBuf = place.join("bench.trace");
    let mut words = match way {
        Way::Native => Command::new("sh"),
        Way::Adaptive | Way::Full => Command::new(command),
        Way::Strace => Command::new("strace"),
    };
    match way {
        Way::Native => {}
        Way::Adaptive => {
            words.args(["record", "-o"]).arg(&trace).args(["--", "sh"]);
        }
        Way::Full => {
            words
                .args(["record", "--full", "-o"])
                .arg(&trace)
                .args(["--", "sh"]);
        }
        Way::Strace => {
            words.args(["-f", "-c", "-o", "/dev/null", "sh"]);
        }
    }
    words.args(["-c", script]).current_dir(place);
    words
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let start = Instant::now();
    let status = words.status()?;
    let time = start.elapsed();
    ensure!(status.success(), "{script}: {status}");
    if trace.exists() {
        std::fs::remove_file(&trace)?;
    }
    Ok(time)
}
