//! `cargo xtask bench run`: from the start of a program that does nothing to its end, through this command, a floor
//! made by hand, and other launchers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use portcullis_abi::Arch;
use serde_json::json;

use crate::{cross, needs, place, process};

/// Starts of each row, in turns.
const TURNS: &str = "41";
/// All of them together, and a build with everything optimised.
const LIMIT: Duration = Duration::from_secs(1200);

/// The other launchers: a file, and the package of Debian that brings it.
const PEERS: [(&str, &str); 4] = [
    ("/usr/bin/bwrap", "bubblewrap"),
    ("/usr/bin/unshare", "util-linux"),
    ("/usr/bin/firejail", "firejail"),
    ("/usr/sbin/runc", "runc"),
];

/// The rule that lets the floor execute its program: the launch of `run` has a secret, and the floor has none.
const LAUNCH: &str = "\n[[rule]]\ncalls = [\"execveat\"]\n";

/// The row that the others are compared with.
const PLAIN: &str = "posix_spawn";

/// A row: a name and a command. The program comes last.
type Row = (&'static str, Vec<String>);

/// `cargo xtask bench run`.
pub(super) fn run() -> Result<()> {
    let missing = PEERS.iter().filter(|(file, _)| !Path::new(file).exists());
    let missing: Vec<&str> = missing.map(|&(_, package)| package).collect();
    if !missing.is_empty() {
        needs::install(&missing)?;
    }
    // As it is installed: a command with a C library of its own is not relocated library by library at each start.
    let command = cross::portcullis_in(Arch::NATIVE, "release")?;
    let directory = place::target().join("start");
    fs::create_dir_all(&directory)?;
    let floor = compiled("floor", &directory)?;
    let still = compiled("true", &directory)?;
    for (title, program) in [("dynamic", Path::new("/bin/true")), ("static", &still)] {
        let rows = rows(&command, &floor, title, program, &directory)?;
        table(title, &measure(&rows, &directory)?)?;
    }
    Ok(())
}

/// A program of `bench/run`, linked statically.
fn compiled(name: &str, directory: &Path) -> Result<PathBuf> {
    let path = directory.join(name);
    let source = place::root()
        .join("bench/run")
        .join(name)
        .with_extension("c");
    process::show(
        Command::new("gcc")
            .args(["-O2", "-Wall", "-static", "-o"])
            .args([&path, &source]),
    )?;
    Ok(path)
}

/// Every way to start `program`.
fn rows(
    command: &Path,
    floor: &Path,
    title: &str,
    program: &Path,
    directory: &Path,
) -> Result<Vec<Row>> {
    let text = |path: &Path| path.display().to_string();
    let (command, floor, program) = (text(command), text(floor), text(program));
    // Another start has analysed it: what is measured is a start from the cache.
    asked(&command, &["run", "--net", "--", &program])?;
    let policy = asked(&command, &["policy", &program])?;
    let of = |suffix: &str| directory.join(title).with_extension(suffix);
    fs::write(of("policy.toml"), &policy)?;
    fs::write(of("floor.toml"), policy + LAUNCH)?;
    let (policy, filter, plan) = (text(&of("floor.toml")), text(&of("bpf")), text(&of("plan")));
    asked(
        &command,
        &["compile", "--format", "raw", "-o", &filter, &policy],
    )?;
    fs::write(
        &plan,
        mounts(&asked(&command, &["run", "--dry-run", "--", &program])?)?,
    )?;
    let bundle = bundle(&of("bundle"), &program)?;
    let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let bwrap = |net: &[&str]| {
        let own = [
            "bwrap",
            "--unshare-user",
            "--unshare-pid",
            "--unshare-ipc",
            "--unshare-uts",
        ];
        let see = [
            "--unshare-cgroup",
            "--ro-bind",
            "/",
            "/",
            "--dev",
            "/dev",
            "--proc",
            "/proc",
        ];
        // In a checkout below /tmp the program is put there again, as `run` does.
        let again: &[&str] = match Path::new(&program).starts_with("/tmp") {
            true => &["--ro-bind", &program, &program],
            false => &[],
        };
        words(
            &[
                &own,
                net,
                &see,
                &["--tmpfs", "/tmp"],
                again,
                &["--", &program],
            ]
            .concat(),
        )
    };
    Ok(vec![
        (PLAIN, words(&[&program])),
        ("parked", words(&["@", &text(&of("policy.toml")), &program])),
        ("floor", words(&[&floor, &plan, &filter, &program])),
        (
            "run --net",
            words(&[&command, "run", "--net", "--", &program]),
        ),
        (
            "unshare",
            words(&["unshare", "-UrmpiuC", "--fork", "--mount-proc", &program]),
        ),
        ("bwrap", bwrap(&[])),
        (
            "floor, network",
            words(&[&floor, "--net", &plan, &filter, &program]),
        ),
        ("run", words(&[&command, "run", "--", &program])),
        (
            "unshare, network",
            words(&["unshare", "-UrmpiuCn", "--fork", "--mount-proc", &program]),
        ),
        ("bwrap, network", bwrap(&["--unshare-net"])),
        (
            "firejail",
            words(&["firejail", "--quiet", "--noprofile", &program]),
        ),
        (
            "runc, network",
            words(&[
                "runc",
                "run",
                "--bundle",
                &text(&bundle),
                "portcullis-bench",
            ]),
        ),
    ])
}

/// What the command answers.
fn asked(command: &str, words: &[&str]) -> Result<String> {
    let outcome = process::take(Command::new(command).args(words), b"", LIMIT)?;
    ensure!(
        outcome.status.success(),
        "{}: {}",
        words.join(" "),
        outcome.complaint()
    );
    Ok(String::from_utf8(outcome.stdout)?)
}

/// The mounts of a plan as `run --dry-run` prints it, in the floor's words.
fn mounts(plan: &str) -> Result<String> {
    let mut out = String::new();
    for line in plan.lines() {
        if let Some(path) = line.strip_prefix("directory    ") {
            out.push_str(&format!("begin {}\n", quoted(path)?));
        }
        let Some((path, what)) = line.trim_start().split_once("\": ") else {
            continue;
        };
        let path = format!("{path}\"");
        let path = quoted(&path)?;
        let word = match what {
            "the machine's device" => "device",
            "the machine's, writable" => "write",
            "the machine's, read-only" => "graft",
            "its own, read-only" | "its own, writable" if path == "/dev/pts" => "devpts",
            "its own, read-only" | "its own, writable" => "tmpfs",
            "an empty directory" => "nodir",
            "an empty file" => "nofile",
            other => bail!("the plan has a mount that the floor does not know: {other}"),
        };
        out.push_str(&format!("{word} {path}\n"));
    }
    ensure!(out.contains("begin "), "the plan says no directory");
    Ok(out)
}

/// A path between quotation marks; one with escapes is not for the floor.
fn quoted(text: &str) -> Result<&str> {
    let inner = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let inner = inner.filter(|path| !path.contains('\\'));
    inner.with_context(|| format!("no plain path: {text}"))
}

/// What runc is given: the same namespaces, and the system's files.
fn bundle(directory: &Path, program: &str) -> Result<PathBuf> {
    fs::create_dir_all(directory.join("rootfs"))?;
    let tree = |path: &str| json!({"destination": path, "source": path, "type": "bind", "options": ["rbind", "ro", "nosuid", "nodev"]});
    let mut trees = vec![json!({"destination": "/proc", "source": "proc", "type": "proc"})];
    trees.extend(
        ["/usr", "/bin", "/lib", "/lib64"]
            .iter()
            .filter(|p| Path::new(p).exists())
            .map(|p| tree(p)),
    );
    if let Some(parent) = Path::new(program)
        .parent()
        .filter(|p| !p.starts_with("/bin"))
    {
        trees.push(tree(&parent.display().to_string()));
    }
    let kinds = ["pid", "mount", "ipc", "uts", "cgroup", "network"];
    let namespaces: Vec<_> = kinds.iter().map(|kind| json!({"type": kind})).collect();
    let document = json!({
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs", "readonly": true},
        "process": {"args": [program], "cwd": "/", "user": {"uid": 0, "gid": 0}, "noNewPrivileges": true},
        "mounts": trees,
        "linux": {"namespaces": namespaces},
    });
    fs::write(directory.join("config.json"), document.to_string())?;
    Ok(directory.to_owned())
}

/// Wall-clock and processor time of each start of a row, in nanoseconds, ascending.
type Times = BTreeMap<String, [Vec<f64>; 2]>;

/// Starts every row in turns.
fn measure(rows: &[Row], directory: &Path) -> Result<Times> {
    let file = directory.join("rows");
    let lines = rows
        .iter()
        .map(|(name, words)| format!("{name}\t{}\n", words.join("\t")));
    fs::write(&file, lines.collect::<String>())?;
    let bench = [
        "bench",
        "--quiet",
        "--package",
        "portcullis-sandbox",
        "--bench",
        "start",
        "--",
    ];
    let outcome = process::take(
        Command::new("cargo")
            .args(bench)
            .arg(TURNS)
            .arg(&file)
            .current_dir(place::root()),
        b"",
        LIMIT,
    )?;
    ensure!(outcome.status.success(), "start: {}", outcome.complaint());
    let mut times = Times::new();
    for line in String::from_utf8(outcome.stdout)?.lines() {
        let [name, wall, cpu] = line.split('\t').collect::<Vec<_>>()[..] else {
            bail!("a line of another form: {line}");
        };
        let own = times.entry(name.to_owned()).or_default();
        for (all, word) in own.iter_mut().zip([wall, cpu]) {
            all.push(word.parse()?);
        }
    }
    times
        .values_mut()
        .flatten()
        .for_each(|all| all.sort_by(f64::total_cmp));
    Ok(times)
}

/// Least and median of each row, as they are and as multiples; what they take of the processor beyond the plain
/// start.
fn table(title: &str, times: &Times) -> Result<()> {
    let of = |name: &str| {
        times
            .get(name)
            .with_context(|| format!("{name} was not started"))
    };
    let least = |name: &str| Ok::<f64, anyhow::Error>(of(name)?[0][0]);
    let (plain, floors) = (least(PLAIN)?, [least("floor")?, least("floor, network")?]);
    let plain_cpu = of(PLAIN)?[1][0];
    println!("\n{title}\n");
    println!("| start | min, µs | median, µs | of plain | of its floor | set-up CPU, µs |");
    println!("|---|---|---|---|---|---|");
    let mut rows: Vec<_> = times.iter().collect();
    rows.sort_by(|a, b| a.1[0][0].total_cmp(&b.1[0][0]));
    for (name, [wall, cpu]) in rows {
        let network = name == "run" || name == "parked" || name.ends_with("network");
        let floor = floors[usize::from(network)];
        println!(
            "| {name} | {:.0} | {:.0} | {:.2} | {:.2} | {:.0} |",
            wall[0] / 1e3,
            wall[wall.len() / 2] / 1e3,
            wall[0] / plain,
            wall[0] / floor,
            (cpu[0] - plain_cpu).max(0.0) / 1e3,
        );
    }
    Ok(())
}
