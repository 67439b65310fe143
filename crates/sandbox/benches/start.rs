//! Starts of programs beside each other: `start TURNS FILE`.
//!
//! Each line of the file is a row: a name and the words of a command, with tabs between them. In a turn every row
//! is started once and awaited, so that whatever else happens on the machine happens to each of them. A line is
//! written for each start: the row's name, and nanoseconds from before the start to after the end, of processor
//! time of what was awaited. A row whose first word is `@` is a program in sandboxes of a pool, which were ready
//! before: after it come the program's policy and the program. `cargo xtask bench run` makes the rows and a table of
//! the lines.
#![expect(clippy::print_stdout, reason = "a benchmark says what it measured")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use portcullis_policy::{Action, ActionMap, Call, Policy, toml};
use portcullis_sandbox::{
    Confinement, Features, Filter, Followed, Job, Observer, Outcome, Plan, Pool, Program, Root,
    Spec,
};
use portcullis_sys::wait::{self, Change, End};
use portcullis_watch::{self as watch, Decision};

type Failure = Box<dyn Error>;

struct Row {
    name: String,
    way: Way,
}

enum Way {
    Spawned(Vec<String>),
    Parked(String, Pool<()>),
}

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|w| w != "--bench")
        .collect();
    let [turns, file] = words.as_slice() else {
        return Err("usage: start TURNS FILE".into());
    };
    let text = std::fs::read_to_string(file)?;
    let rows = text
        .lines()
        .map(row)
        .collect::<Result<Vec<Row>, Failure>>()?;
    for _ in 0..turns.parse()? {
        for row in &rows {
            let times = match &row.way {
                Way::Spawned(words) => spawned(words),
                Way::Parked(program, pool) => parked(program, pool),
            };
            let (wall, cpu) = times.map_err(|e| format!("{}: {e}", row.name))?;
            println!("{}\t{wall}\t{cpu}", row.name);
        }
    }
    Ok(())
}

fn row(line: &str) -> Result<Row, Failure> {
    let mut fields = line.split('\t').map(str::to_owned);
    let name = fields.next().unwrap_or_default();
    let words: Vec<String> = fields.collect();
    let way = match words.as_slice() {
        [at, policy, program] if at == "@" => {
            Way::Parked(program.clone(), pool(policy, program.into())?)
        }
        _ => Way::Spawned(words),
    };
    Ok(Row { name, way })
}

/// Sandboxes for `program` behind the policy in a file.
fn pool(policy: &str, program: PathBuf) -> Result<Pool<()>, Failure> {
    let policy = toml::read(&std::fs::read_to_string(policy)?).map_err(|m| format!("{m:?}"))?;
    let filter = Filter::parked(&policy, &ActionMap::seen())?;
    let make = move || Ok((plan(&program)?, filter.arm()?));
    // One, so that nothing is made while it is measured.
    Ok(Pool::new(1, make, move || Following(policy.clone()))?)
}

fn plan(program: &Path) -> Result<Plan, portcullis_sandbox::Error> {
    let spec = Spec::new(
        Program::open(program)?,
        Confinement::new(PathBuf::from("/")),
    );
    Plan::new(spec, &Features::probe())
}

/// The tracer, with the policy's own answers.
struct Following(Policy);

impl Observer for Following {
    type Report = ();

    fn follow(&mut self, root: Root<'_>) -> Result<Followed<()>, portcullis_sys::Error> {
        let decide = |call: &watch::Call| {
            let watch::Call {
                arch,
                number,
                ip,
                args,
            } = *call;
            let action = match self
                .0
                .decide(&Call {
                    arch,
                    number,
                    ip,
                    args,
                })
                .action
            {
                Action::Allow => watch::Action::Allow,
                Action::Errno(errno) => watch::Action::Errno(errno),
                _ => watch::Action::Kill,
            };
            Decision { action, rule: None }
        };
        let Root {
            pid, entry, check, ..
        } = root;
        let start = watch::Start {
            pid,
            entry,
            check,
            audit: None,
            phases: None,
        };
        let record = watch::follow(start, watch::Mode::Enforce, &decide)?;
        Ok(Followed {
            end: record.end,
            denied: record.denied,
            own_filter: record.own_filter,
            refused: record.refused,
            usage: record.usage,
            report: (),
        })
    }
}

/// From a job's dispatch to its verdict.
fn parked(program: &str, pool: &Pool<()>) -> Result<(u128, u64), Failure> {
    pool.wait_for(1)?;
    let job = Job::new(program);
    let start = Instant::now();
    let verdict = pool.run(job)?;
    let wall = start.elapsed().as_nanos();
    match verdict.outcome {
        Outcome::Exited(0) => Ok((wall, verdict.usage.cpu_ns)),
        other => Err(format!("it ended with {other:?}").into()),
    }
}

/// Through posix_spawn, which is what the standard library takes.
fn spawned(words: &[String]) -> Result<(u128, u64), Failure> {
    let (program, arguments) = words.split_first().ok_or("a row without a command")?;
    let mut command = Command::new(program);
    command.args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let child = command.spawn()?;
    let pid = child.id().cast_signed();
    let ended = loop {
        match wait::next_of(pid)? {
            Some((_, Change::Ended(end, usage))) => break (end, usage),
            Some(_) => {}
            None => return Err("it cannot be waited for".into()),
        }
    };
    let wall = start.elapsed().as_nanos();
    match ended {
        (End::Exited(0), usage) => Ok((wall, usage.cpu_ns)),
        (end, _) => Err(format!("it ended with {end:?}").into()),
    }
}
