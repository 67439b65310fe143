//! What one job may use.

use std::str::FromStr;
use std::time::Duration;

use portcullis_sandbox::{duration, size};

/// The bounds of one job. All are kept from outside but for `memory`, which the engine keeps for the job's own
/// memory and the worker's cgroup for everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Processor time.
    pub cpu: Duration,
    /// Time from the start of its process.
    pub wall: Duration,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes of each of its two outputs.
    pub output: u64,
    /// Steps that the engine counts, when it counts.
    pub fuel: Option<u64>,
    /// Tasks of a native program at one time. A job of a worker has one, whatever is said here.
    pub processes: u64,
}

impl Default for Limits {
    /// 10 s of processor time, four times that on the clock, 256 MiB, 16 MiB of output, steps not counted, 32 tasks.
    fn default() -> Limits {
        Limits {
            cpu: Duration::from_secs(10),
            wall: Duration::from_secs(40),
            memory: 256 << 20,
            output: 16 << 20,
            fuel: None,
            processes: 32,
        }
    }
}

/// Some of them, as somebody wrote them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wanted {
    cpu: Option<Duration>,
    wall: Option<Duration>,
    memory: Option<u64>,
    output: Option<u64>,
    fuel: Option<u64>,
    processes: Option<u64>,
}

impl Limits {
    /// The default with what `wanted` says, the later over the earlier. Time on the clock that nobody gave is four
    /// times the processor time.
    pub fn of(wanted: &[Wanted]) -> Limits {
        let mut limits = Limits::default();
        let last = |of: fn(&Wanted) -> Option<u64>| wanted.iter().rev().find_map(of);
        let last_time = |of: fn(&Wanted) -> Option<Duration>| wanted.iter().rev().find_map(of);
        limits.cpu = last_time(|w| w.cpu).unwrap_or(limits.cpu);
        limits.wall = last_time(|w| w.wall).unwrap_or(limits.cpu.saturating_mul(4));
        limits.memory = last(|w| w.memory).unwrap_or(limits.memory);
        limits.output = last(|w| w.output).unwrap_or(limits.output);
        limits.fuel = last(|w| w.fuel);
        limits.processes = last(|w| w.processes).unwrap_or(limits.processes);
        limits
    }
}

impl FromStr for Wanted {
    type Err = String;

    /// `NAME=VALUE`, separated by commas: `cpu=2s,memory=64M`.
    fn from_str(text: &str) -> Result<Wanted, String> {
        let mut wanted = Wanted::default();
        for part in text.split(',') {
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| format!("{part:?} is not NAME=VALUE"))?;
            match name {
                "cpu" => wanted.cpu = Some(duration(value)?),
                "wall" => wanted.wall = Some(duration(value)?),
                "memory" => wanted.memory = Some(size(value)?),
                "output" => wanted.output = Some(size(value)?),
                "fuel" => wanted.fuel = Some(size(value)?),
                "processes" => wanted.processes = Some(size(value)?),
                _ => {
                    return Err(format!(
                        "no limit of a job is called {name:?}; they are cpu, wall, memory, output, fuel, processes"
                    ));
                }
            }
        }
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_wins_and_the_clock_follows_the_processor() {
        let wanted = ["cpu=1s,memory=1M", "cpu=2s"].map(|text| text.parse().unwrap());
        let limits = Limits::of(&wanted);
        assert_eq!(limits.cpu, Duration::from_secs(2));
        assert_eq!(limits.wall, Duration::from_secs(8));
        assert_eq!(limits.memory, 1 << 20);
        assert_eq!(limits.fuel, None);
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for text in ["", "cpu", "cpu=0s", "files=1", "memory=1X"] {
            assert!(text.parse::<Wanted>().is_err(), "{text}");
        }
    }
}
