//! `cargo xtask kernels [--quick | --only WORDS]`: what this project says of kernels, tried on them.
//!
//! Each kernel of the matrix boots in an emulated machine whose first file system holds our static command
//! and the programs of `testdata/guest`; the suites run inside, as root and as an ordinary user, and the
//! same on the kernel that this task runs on. An environment declares what it has, a case what it needs.
//! What is declared is compared with what is found, so that a case which is left out for a need is left
//! out because the kernel lacks it, and for no other reason.

mod audited;
mod confined;
mod crate_tests;
mod diagnosis;
mod doctor;
mod environment;
mod feature;
mod features;
mod filters;
mod image;
mod initramfs;
mod layers;
mod lost;
mod machine;
mod programs;
mod recorded;
mod report;
mod scripts;
mod step;
mod suite;
mod table;
mod threads;
mod workers;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use portcullis_abi::{Arch, KernelVersion};

use crate::{cross, musl, needs, place};
use environment::{Host, Kernel, Series, User, Variant};
use image::Image;
use initramfs::Files;
use machine::Run;
use step::Step;
use suite::{Case, Environment, SUITES, Scope};
use table::Row;

pub(crate) use scripts::{Script, run_scripts};
pub(crate) use step::{Ended, Seen};

/// The series that are tried, oldest first.
const SERIES: [Series; 4] = [
    Series::Of(KernelVersion::OLDEST.major, KernelVersion::OLDEST.minor),
    Series::Of(6, 1),
    Series::Of(6, 12),
    Series::Newest,
];
/// Those that `cargo xtask test` tries: the oldest, and the newest that does not change with the day.
const QUICK: [Series; 2] = [SERIES[0], SERIES[2]];
/// Those that are tried with something changed.
const VARIED: [Series; 3] = [SERIES[1], SERIES[2], SERIES[3]];
/// What is changed.
const VARIANTS: [Variant; 4] = [
    Variant::NoLandlock,
    Variant::CgroupV1,
    Variant::NoCgroups,
    Variant::NoUserns,
];
/// Everybody who is at work.
const USERS: [User; 2] = [User::Root, User::Ordinary];

/// Where suites run.
enum Machine {
    Here(Host),
    Emulated(Image, Arch, Variant),
}

impl Machine {
    /// Nothing is changed about it.
    fn is_plain(&self) -> bool {
        match self {
            Machine::Here(_) => true,
            Machine::Emulated(_, _, variant) => *variant == Variant::Plain,
        }
    }
}

/// As the table says it: `6.1.0-50-cloud-arm64 aarch64 no Landlock`.
impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Machine::Here(host) => write!(f, "{} {} this machine", host.release, host.arch),
            Machine::Emulated(image, arch, variant) => {
                write!(f, "{} {arch} {variant}", image.release)
            }
        }
    }
}

/// `cargo xtask kernels`.
pub(crate) fn run(words: &[String]) -> Result<()> {
    match words {
        [] => {
            lost::check()?;
            let rows = tried(&SERIES, &VARIED, "")?;
            // A case that runs nowhere is no test.
            let nowhere = table::nowhere(&rows);
            ensure!(nowhere.is_empty(), "ran nowhere: {nowhere:?}");
            Ok(())
        }
        [flag] if flag == "--quick" => tried(&QUICK, &[], "").map(drop),
        // Whoever mends what failed somewhere tries it there.
        [flag, name] if flag == "--only" => tried(&SERIES, &VARIED, name).map(drop),
        [flag] if flag == "--write" => lost::write(),
        other => bail!("unknown: {}", other.join(" ")),
    }
}

/// Runs the suites on the machines whose names have `only`, and prints the table.
fn tried(series: &[Series], varied: &[Series], only: &str) -> Result<Vec<Row>> {
    let start = Instant::now();
    let missing = needs::provide()?;
    ensure!(missing.is_empty(), "missing: {}", missing.join(" "));
    musl::provide()?;
    if !rustix::process::geteuid().is_root() {
        ensure!(!place::on_ci(), "only root can try what root has");
        println!("kernels: not by root: on this machine nothing is tried as root");
    }
    let mut machines = machines(series, varied)?;
    machines.retain(|machine| machine.to_string().contains(only));
    ensure!(!machines.is_empty(), "no machine is called {only}");
    let mut files = Vec::new();
    for arch in cross::ARCHES {
        files.push((arch, programs_of(arch)?));
    }
    let built = start.elapsed();
    let start = Instant::now();
    let rows = on_all(&machines, &files);
    table::print(&rows);
    table::print_times(&rows);
    println!(
        "kernels: {} s, and {} s before for builds and downloads",
        start.elapsed().as_secs(),
        built.as_secs()
    );
    let failed = rows.iter().filter(|row| !row.failures().is_empty()).count();
    ensure!(failed == 0, "{failed} of {} environments", rows.len());
    Ok(rows)
}

fn machines(series: &[Series], varied: &[Series]) -> Result<Vec<Machine>> {
    let mut machines = vec![Machine::Here(Host::look()?)];
    for &series in series {
        for arch in cross::ARCHES {
            let image = image::provide(&Kernel { series, arch })
                .with_context(|| format!("the kernel {series} for {arch}"))?;
            let machine = |variant| Machine::Emulated(image.clone(), arch, variant);
            machines.push(machine(Variant::Plain));
            if varied.contains(&series) {
                machines.extend(VARIANTS.map(machine));
            }
        }
    }
    Ok(machines)
}

/// The programs that run on an architecture, and the command itself.
fn programs_of(arch: Arch) -> Result<Files> {
    let mut files = programs::provide(arch)?;
    crate_tests::provide(arch, &mut files)?;
    threads::provide(arch, &mut files)?;
    workers::provide(arch, &mut files)?;
    let command = cross::portcullis(arch)?;
    files.add("portcullis", programs::stripped(arch, &command)?);
    Ok(files)
}

/// Runs the suites on each machine: one more at a time than there are processors, because an emulated one uses one
/// and tests wait for time to pass.
fn on_all(machines: &[Machine], files: &[(Arch, Files)]) -> Vec<Row> {
    // Those of which nothing is changed run longest: none of them is to begin when the others have ended.
    let mut longest: Vec<(usize, &Machine)> = machines.iter().enumerate().collect();
    longest.sort_by_key(|(_, machine)| !machine.is_plain());
    let queue = Mutex::new(longest.into_iter());
    let done = Mutex::new(BTreeMap::new());
    let next = || locked(&queue).next();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) + 1 {
            scope.spawn(|| {
                while let Some((at, machine)) = next() {
                    let rows = on_one(machine, files);
                    locked(&done).insert(at, rows);
                }
            });
        }
    });
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.into_values().flatten().collect()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs the suites on one machine: a row for each user.
fn on_one(machine: &Machine, files: &[(Arch, Files)]) -> Vec<Row> {
    let environments = environments(machine);
    let mut rows: Vec<Row> = environments.iter().map(|e| row(machine, e)).collect();
    if let Err(error) = fill(machine, &environments, files, &mut rows) {
        for row in &mut rows {
            row.error = Some(format!("{error:#}"));
        }
    }
    rows
}

/// Everybody who can be at work there, with what is declared for him.
fn environments(machine: &Machine) -> Vec<Environment> {
    let plain = machine.is_plain();
    let of = |release: &str, arch, user, uid, declared| Environment {
        release: release.to_owned(),
        arch,
        user,
        uid,
        plain,
        emulated: matches!(machine, Machine::Emulated(..)),
        declared,
    };
    match machine {
        Machine::Here(host) => {
            let own = rustix::process::geteuid();
            // Who is not root can be nobody else.
            let users = USERS
                .iter()
                .filter(|user| own.is_root() || **user == User::Ordinary);
            let users = users.map(|user| {
                let uid = if own.is_root() {
                    user.id()
                } else {
                    own.as_raw()
                };
                of(&host.release, host.arch, *user, uid, host.declared(*user))
            });
            users.collect()
        }
        Machine::Emulated(image, arch, variant) => USERS
            .map(|user| {
                let declared = environment::declared(image.version, *arch, *variant, user);
                of(&image.release, *arch, user, user.id(), declared)
            })
            .into(),
    }
}

fn row(machine: &Machine, environment: &Environment) -> Row {
    Row {
        release: environment.release.clone(),
        arch: environment.arch.to_string(),
        machine: match machine {
            Machine::Here(_) => "this machine".to_owned(),
            Machine::Emulated(_, _, variant) => variant.to_string(),
        },
        user: environment.user,
        took: Duration::ZERO,
        tallies: BTreeMap::new(),
        error: None,
    }
}

/// Runs what each environment has the needs for, all in one run of the machine, and judges what was seen.
fn fill(
    machine: &Machine,
    environments: &[Environment],
    files: &[(Arch, Files)],
    rows: &mut [Row],
) -> Result<()> {
    let arch = environments.first().context("nobody is there")?.arch;
    let programs = files.iter().find(|(of, _)| *of == arch);
    let mut files = programs.context("no programs")?.1.clone();
    let mut chosen: Vec<(usize, &'static str, Case)> = Vec::new();
    for (at, environment) in environments.iter().enumerate() {
        let here = |scope| environment.plain || scope == Scope::Everywhere;
        for (suite, _, cases) in SUITES.iter().filter(|(_, scope, _)| here(*scope)) {
            let cases = cases(environment, &mut files).context(*suite)?;
            let tally = rows[at].tallies.entry(suite).or_default();
            for case in cases {
                match environment.declared.lacks(&case.needs) {
                    None => chosen.push((at, suite, case)),
                    Some(need) => {
                        let without = tally.without.entry(need.to_string()).or_default();
                        without.insert(case.name);
                    }
                }
            }
        }
    }
    let steps: Vec<(u32, Step)> = chosen
        .iter()
        .map(|(at, _, case)| (environments[*at].uid, case.step.clone()))
        .collect();
    let Run { seen, took } = match machine {
        Machine::Here(_) => machine::here(&files, &steps)?,
        Machine::Emulated(image, arch, variant) => {
            machine::boot(image, *arch, *variant, files, &steps)?
        }
    };
    for row in &mut *rows {
        row.took = took;
    }
    for ((at, suite, case), seen) in chosen.into_iter().zip(&seen) {
        let tally = rows[at].tallies.entry(suite).or_default();
        *tally.took.entry(case.name.clone()).or_default() += seen.took;
        match (case.judge)(seen) {
            Ok(compared) => {
                tally.compared += compared;
                tally.ran.insert(case.name);
            }
            Err(error) => tally.failures.push(format!("{}: {error:#}", case.name)),
        }
    }
    Ok(())
}
