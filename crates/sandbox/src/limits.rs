//! Bounds on what a program consumes.

use std::str::FromStr;
use std::time::Duration;

/// What is bounded; `None` is not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// Processor time of all that runs.
    pub cpu: Option<Duration>,
    /// Time from the start.
    pub wall: Option<Duration>,
    /// Bytes of memory of all that runs.
    pub memory: Option<u64>,
    /// Tasks at one time.
    pub processes: Option<u64>,
    /// Open descriptors of each process.
    pub files: Option<u64>,
    /// Bytes of each file that is written.
    pub file_size: Option<u64>,
    /// Bytes that are written to standard output and error, together.
    pub output: Option<u64>,
}

impl Limits {
    /// Whether nothing is bounded.
    pub fn is_empty(&self) -> bool {
        *self == Limits::default()
    }

    /// Whether all that `other` bounds is bounded by as little.
    pub(crate) fn bound(&self, other: &Limits) -> bool {
        fn within<T: Ord>(own: Option<T>, other: Option<T>) -> bool {
            other.is_none_or(|other| own.is_some_and(|own| own <= other))
        }
        within(self.cpu, other.cpu)
            && within(self.wall, other.wall)
            && within(self.memory, other.memory)
            && within(self.processes, other.processes)
            && within(self.files, other.files)
            && within(self.file_size, other.file_size)
            && within(self.output, other.output)
    }

    /// Twice as much of everything that is bounded.
    pub(crate) fn doubled(&self) -> Limits {
        let time = |own: Option<Duration>| own.map(|own| own.saturating_mul(2));
        let count = |own: Option<u64>| own.map(|own| own.saturating_mul(2));
        Limits {
            cpu: time(self.cpu),
            wall: time(self.wall),
            memory: count(self.memory),
            processes: count(self.processes),
            files: count(self.files),
            file_size: count(self.file_size),
            output: count(self.output),
        }
    }

    /// What is not bounded, by its names.
    pub(crate) fn unbounded(&self) -> Vec<&'static str> {
        let bounded = [
            ("cpu", self.cpu.is_some()),
            ("wall", self.wall.is_some()),
            ("memory", self.memory.is_some()),
            ("processes", self.processes.is_some()),
            ("files", self.files.is_some()),
            ("file-size", self.file_size.is_some()),
            ("output", self.output.is_some()),
        ];
        let unbounded = bounded.into_iter().filter(|(_, bounded)| !bounded);
        unbounded.map(|(name, _)| name).collect()
    }

    /// Takes over what `other` bounds.
    pub fn merge(&mut self, other: Limits) {
        self.cpu = other.cpu.or(self.cpu);
        self.wall = other.wall.or(self.wall);
        self.memory = other.memory.or(self.memory);
        self.processes = other.processes.or(self.processes);
        self.files = other.files.or(self.files);
        self.file_size = other.file_size.or(self.file_size);
        self.output = other.output.or(self.output);
    }
}

impl FromStr for Limits {
    type Err = String;

    /// `NAME=VALUE`, separated by commas: `cpu=2s,memory=256M`.
    fn from_str(text: &str) -> Result<Limits, String> {
        let mut limits = Limits::default();
        for part in text.split(',') {
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| format!("{part:?} is not NAME=VALUE"))?;
            match name {
                "cpu" => limits.cpu = Some(duration(value)?),
                "wall" => limits.wall = Some(duration(value)?),
                "memory" => limits.memory = Some(size(value)?),
                "processes" => limits.processes = Some(size(value)?),
                "files" => limits.files = Some(size(value)?),
                "file-size" => limits.file_size = Some(size(value)?),
                "output" => limits.output = Some(size(value)?),
                _ => {
                    return Err(format!(
                        "no limit is called {name:?}; they are cpu, wall, memory, processes, files, file-size, output"
                    ));
                }
            }
        }
        Ok(limits)
    }
}

/// A number with a unit of time: `2s`, `500ms`, `1m`, `2h`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits
        .parse()
        .map_err(|_| format!("{text:?} is no time, as 2s or 500ms"))?;
    let milliseconds = match &text[digits.len()..] {
        "ms" => Some(number),
        "s" => number.checked_mul(1000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => return Err(format!("{text:?} needs a unit: ms, s, m or h")),
    };
    match milliseconds {
        Some(0) | None => Err(format!("{text:?} is not a time that can pass")),
        Some(milliseconds) => Ok(Duration::from_millis(milliseconds)),
    }
}

/// A number, with or without a unit of 1024: `64`, `256M`.
pub fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits
        .parse()
        .map_err(|_| format!("{text:?} is no number, as 64 or 256M"))?;
    let shift = match &text[digits.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err(format!("{text:?} has no unit that is known: K, M or G")),
    };
    match number.checked_mul(1 << shift) {
        Some(0) | None => Err(format!("{text:?} is not a bound that a program can keep")),
        Some(size) => Ok(size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read() {
        let limits: Limits = "cpu=2s,wall=500ms,memory=256M,processes=32,output=1M"
            .parse()
            .unwrap();
        assert_eq!(limits.cpu, Some(Duration::from_secs(2)));
        assert_eq!(limits.wall, Some(Duration::from_millis(500)));
        assert_eq!(limits.memory, Some(256 << 20));
        assert_eq!(limits.processes, Some(32));
        assert_eq!(limits.output, Some(1 << 20));
        assert_eq!(limits.files, None);
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        for text in [
            "",
            "cpu",
            "cpu=2",
            "cpu=0s",
            "memory=0",
            "memory=1X",
            "x=1",
            "memory=99999999999G",
        ] {
            assert!(text.parse::<Limits>().is_err(), "{text}");
        }
    }
}
