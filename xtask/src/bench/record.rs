//! `cargo xtask bench record`: what a recording costs, in turns with native runs and with `strace -f -c`.
//!
//! As root, everything runs as `nobody`: a recorder that has no privileges is the one that is promised. But for programs in
//! the kernel, which only root may load.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use portcullis_sys::wait::{self, Change, End};

use crate::portcullis;

/// Runs of each row, native and recorded, in turns.
const TURNS: usize = 15;
/// Turns in which `record --full` and strace take part: they are slower by an order of magnitude.
const TURNS_OF_SLOW: usize = 3;
/// `nobody`, and its group.
const NOBODY: u32 = 65534;

/// A job.
struct Row {
    name: &'static str,
    /// For sh.
    script: &'static str,
    /// What its recording may cost, as a multiple of native.
    aim: Option<f64>,
    /// It would take those that stop at each call a minute.
    is_long: bool,
}

const ROWS: [Row; 9] = [
    Row {
        name: "dd of a million bytes: 2 million calls",
        script: "exec dd if=/dev/zero of=/dev/null bs=1 count=1000000 2>/dev/null",
        aim: Some(1.2),
        is_long: true,
    },
    Row {
        name: "the same, 100000 calls",
        script: "exec dd if=/dev/zero of=/dev/null bs=1 count=50000 2>/dev/null",
        aim: None,
        is_long: false,
    },
    Row {
        name: "a script of forks: 500 times /bin/true",
        script: "i=0; while [ $i -lt 500 ]; do /bin/true; i=$((i + 1)); done",
        aim: Some(1.5),
        is_long: false,
    },
    Row {
        name: "20 programs, 3 times each",
        script: "for p in ls cat head wc sort uniq cut tr sed basename dirname expr mkdir date id uname env nproc stat dd; \
                 do for k in 1 2 3; do $p --version; done; done",
        aim: None,
        is_long: false,
    },
    Row {
        name: "1500 calls in few milliseconds: ls -lR",
        script: "exec ls -lR /usr/share/doc/a* /usr/share/doc/b* /usr/share/doc/c*",
        aim: None,
        is_long: false,
    },
    Row {
        name: "a job of 26000 calls: sha256sum of many files",
        script: "exec sha256sum /usr/share/doc/*/copyright /usr/share/doc/*/changelog*.gz",
        aim: Some(1.5),
        is_long: false,
    },
    Row {
        name: "10000 calls of several programs: shell, ls, threads of python",
        script: "ls -l /usr/bin | wc -l; exec /usr/bin/python3 -c 'import hashlib, threading\n\
                 def job():\n  for i in range(60): hashlib.sha256(open(\"/bin/sh\", \"rb\").read()).digest()\n\
                 all = [threading.Thread(target=job) for _ in range(4)]\n\
                 [t.start() for t in all]; [t.join() for t in all]'",
        aim: Some(1.5),
        is_long: false,
    },
    Row {
        name: "the same programs with work of their own: as many calls in 0.15 s",
        script: "ls -l /usr/bin | wc -l; exec /usr/bin/python3 -c 'import hashlib, threading\n\
                 def job():\n  for i in range(80): hashlib.sha256(open(\"/bin/sh\", \"rb\").read() * 10).digest()\n\
                 all = [threading.Thread(target=job) for _ in range(4)]\n\
                 [t.start() for t in all]; [t.join() for t in all]; sum(i * i for i in range(1000000))'",
        aim: Some(1.5),
        is_long: false,
    },
    Row {
        name: "one of 70000 calls: find beside it, and more of each",
        script: "ls -l /usr/bin | wc -l; find /usr/share/doc -maxdepth 1 | tail -1; \
                 exec /usr/bin/python3 -c 'import hashlib, threading\n\
                 def job():\n  for i in range(300): hashlib.sha256(open(\"/bin/sh\", \"rb\").read()).digest()\n\
                 all = [threading.Thread(target=job) for _ in range(4)]\n\
                 [t.start() for t in all]; [t.join() for t in all]'",
        aim: None,
        is_long: false,
    },
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Native,
    Adaptive,
    Ebpf,
    Full,
    Strace,
}

const WAYS: [(Way, &str); 5] = [
    (Way::Native, "native"),
    (Way::Adaptive, "record"),
    (Way::Ebpf, "record --backend ebpf"),
    (Way::Full, "record --full"),
    (Way::Strace, "strace -f -c"),
];

/// What one way of running a job took, each ascending.
#[derive(Default)]
struct Times {
    wall: Vec<Duration>,
    cpu: Vec<Duration>,
}

/// Measures every row, or those whose names hold one of `words`, and prints the table.
pub(super) fn run(words: &[String]) -> Result<()> {
    let command = portcullis::build("release")?;
    let place = tempfile::tempdir()?;
    fs::set_permissions(place.path(), Permissions::from_mode(0o777))?;
    // Where nobody may look the program up.
    let own = place.path().join("portcullis");
    fs::copy(&command, &own)?;
    println!(
        "| job | | wall, min / median, s | of native | CPU, min / median, s | of native | aim |"
    );
    println!("|---|---|---|---|---|---|---|");
    let is_asked = |row: &&Row| words.is_empty() || words.iter().any(|w| row.name.contains(w));
    for row in ROWS.iter().filter(is_asked) {
        measure(row, &own, place.path())?;
    }
    Ok(())
}

fn measure(row: &Row, command: &Path, place: &Path) -> Result<()> {
    let mut times = WAYS.map(|_| Times::default());
    for turn in 0..TURNS {
        for (own, (way, _)) in times.iter_mut().zip(WAYS) {
            let is_slow = matches!(way, Way::Full | Way::Strace);
            let is_left_out = way == Way::Ebpf && !rustix::process::geteuid().is_root();
            if is_left_out || (is_slow && (row.is_long || turn >= TURNS_OF_SLOW)) {
                continue;
            }
            let (wall, cpu) = once(command, place, way, row.script)?;
            own.wall.push(wall);
            own.cpu.push(cpu);
        }
    }
    for own in &mut times {
        own.wall.sort();
        own.cpu.sort();
    }
    for (own, (way, name)) in times
        .iter()
        .zip(WAYS)
        .filter(|(own, _)| !own.wall.is_empty())
    {
        let aim = row
            .aim
            .filter(|_| [Way::Adaptive, Way::Ebpf].contains(&way));
        println!(
            "| {} | {name} | {} | {} | {} |",
            if way == Way::Native { row.name } else { "" },
            cells(&own.wall, &times[0].wall),
            cells(&own.cpu, &times[0].cpu),
            aim.map_or(String::new(), |aim| format!("{aim}x")),
        );
    }
    Ok(())
}

/// Least and median, and both as multiples of `native`.
fn cells(own: &[Duration], native: &[Duration]) -> String {
    let both = |all: &[Duration]| [all[0], all[all.len() / 2]].map(|t| t.as_secs_f64());
    let ([least, median], [least_native, median_native]) = (both(own), both(native));
    format!(
        "{least:.3} / {median:.3} | {:.2}x / {:.2}x",
        least / least_native,
        median / median_native
    )
}

/// One run: wall-clock time, and the processor time of all that took part.
fn once(command: &Path, place: &Path, way: Way, script: &str) -> Result<(Duration, Duration)> {
    let trace = place.join("bench.trace");
    let mut words = match way {
        Way::Native => Command::new("sh"),
        Way::Adaptive | Way::Ebpf | Way::Full => Command::new(command),
        Way::Strace => Command::new("strace"),
    };
    match way {
        Way::Native => {}
        Way::Adaptive => {
            words.args(["record", "-o"]).arg(&trace).args(["--", "sh"]);
        }
        Way::Ebpf => {
            words
                .args(["record", "--backend", "ebpf", "-o"])
                .arg(&trace)
                .args(["--", "sh"]);
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
    if rustix::process::geteuid().is_root() && way != Way::Ebpf {
        words.uid(NOBODY).gid(NOBODY);
    }
    let said = File::create(place.join("said"))?;
    words
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said);
    let start = Instant::now();
    let child = words.spawn().context("start it")?;
    let change = wait::next_of(child.id().cast_signed())?;
    let time = start.elapsed();
    let Some((_, Change::Ended(end, usage))) = change else {
        anyhow::bail!("{script}: it stopped");
    };
    ensure!(
        end == End::Exited(0),
        "{script}: {end:?}: {}",
        fs::read_to_string(place.join("said"))?
    );
    if trace.exists() {
        fs::remove_file(&trace)?;
    }
    Ok((time, Duration::from_nanos(usage.cpu_ns)))
}
