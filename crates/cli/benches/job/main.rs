//! What a job costs: through the library from a warm worker, by the floor of `bench/job/floor.c`, and as a process of
//! its own per job in several ways, in turns. Each job gets 1 KB and gives it back.
//!
//! `cargo xtask bench job` builds the floor and runs this.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod bars;
mod floor;
mod growth;
mod pools;
mod processes;

use std::error::Error;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use bars::{Aim, Bar};
use floor::Floor;
use pools::{Bench, pool};
use processes::Processes;

/// Turns, unless the command line has a number of them.
const TURNS: usize = 20;
/// Jobs of a turn that begin warm, and of those that are a process each: these are slow.
const WARM: usize = 200;
const COLD: usize = 5;

type Times = Vec<Duration>;

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo has words of its own.
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|word| word.parse().ok());
    let turns = numbers.next().unwrap_or(TURNS);
    let place = tempfile::tempdir()?;
    let bench = Bench::new(place.path())?;
    let mut bars = each_job(&bench, turns)?;
    bars.extend(growth::table(&bench, turns.min(growth::MOST_TURNS))?);
    bars::print(&bars);
    Ok(())
}

fn each_job(bench: &Bench, turns: usize) -> Result<Vec<Bar>, Box<dyn Error>> {
    let pool_anywhere = pool()?;
    let mut floor_anywhere = Floor::start(&bench.place)?;
    // Threads and processes inherit where they may run from who starts them.
    let everywhere = sched_getaffinity(None)?;
    let first = (0..CpuSet::MAX_CPU).find(|&number| everywhere.is_set(number));
    let mut one = CpuSet::new();
    one.set(first.ok_or("no processor")?);
    sched_setaffinity(None, &one)?;
    let pool_on_one = pool()?;
    let mut floor_on_one = Floor::start(&bench.place)?;

    let processes = Processes::new(bench)?;
    let mut alone: [(&str, Times); 2] = ["library, from a warm worker", "floor"].map(empty);
    let mut each = processes.names().map(empty);
    let mut rates: [(&str, Vec<f64>); 5] = [
        "library",
        "floor",
        "a process of the engine per job",
        "bwrap and the engine per job",
        "bwrap and Lua per job",
    ]
    .map(|name| (name, Vec::new()));
    for _ in 0..turns {
        sched_setaffinity(None, &everywhere)?;
        alone[0].1.extend(bench.one_by_one(&pool_anywhere, WARM)?);
        alone[1].1.extend(floor_anywhere.run(WARM)?);
        for (which, (_, times)) in each.iter_mut().enumerate() {
            for _ in 0..COLD {
                times.push(processes.run(which)?);
            }
        }
        sched_setaffinity(None, &one)?;
        rates[0]
            .1
            .push(rate(WARM, bench.at_once(&pool_on_one, WARM)?));
        rates[1]
            .1
            .push(rate(WARM, floor_on_one.run(WARM)?.iter().sum()));
        for (row, which) in [
            (2, processes::ENGINE),
            (3, processes::CONFINED),
            (4, processes::LUA),
        ] {
            let each: Times = (0..COLD)
                .map(|_| processes.run(which))
                .collect::<Result<_, _>>()?;
            rates[row].1.push(rate(COLD, each.iter().sum()));
        }
    }
    sched_setaffinity(None, &everywhere)?;

    println!("| one job at a time, 1 KB in and out | min | median |");
    println!("|---|---|---|");
    for (name, times) in alone.iter_mut().chain(&mut each) {
        let (min, median) = least_and_middle(times);
        println!("| {name} | {} | {} |", micro(min), micro(median));
    }
    println!();
    println!(
        "| jobs per second on one processor | best turn | median turn | of the floor, median |"
    );
    println!("|---|---|---|---|");
    rates
        .iter_mut()
        .for_each(|(_, all)| all.sort_by(|a, b| b.total_cmp(a)));
    let floor = rates[1].1[turns / 2];
    for (name, all) in &rates {
        let (best, median) = (all[0], all[turns / 2]);
        println!(
            "| {name} | {best:.0} | {median:.0} | {:.2} |",
            median / floor
        );
    }
    println!();
    let [library, floor, confined, lua] = [0, 1, 3, 4].map(|row| &rates[row].1);
    let times = |other: &[f64], aim, what| Bar {
        what,
        aim: Aim::Least(aim),
        best: library[0] / other[0],
        median: library[turns / 2] / other[turns / 2],
    };
    Ok(vec![
        times(
            floor,
            0.7,
            "jobs per second on one processor, of the floor's",
        ),
        Bar {
            what: "jobs per second on one processor",
            aim: Aim::Least(2000.0),
            best: library[0],
            median: library[turns / 2],
        },
        times(confined, 10.0, "the same, of those of bwrap and the engine"),
        times(lua, 10.0, "the same, of those of bwrap and Lua"),
    ])
}

fn empty(name: &str) -> (&str, Times) {
    (name, Times::new())
}

fn rate(jobs: usize, time: Duration) -> f64 {
    f64::from(u32::try_from(jobs).unwrap_or(u32::MAX)) / time.as_secs_f64()
}

fn least_and_middle(times: &mut [Duration]) -> (Duration, Duration) {
    times.sort();
    (times[0], times[times.len() / 2])
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

fn micro(time: Duration) -> String {
    format!("{:.0} µs", time.as_secs_f64() * 1e6)
}
