//! What a pool has done, in numbers.

use std::fmt;
use std::time::Duration;

/// Upper bounds of the classes of a histogram, in seconds.
const BOUNDS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 10.0, 60.0,
];

/// How long something took, in classes.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Histogram {
    /// How many took no longer than each bound, and longer than the one before.
    classes: [u64; BOUNDS.len()],
    count: u64,
    sum: f64,
}

impl Histogram {
    pub(crate) fn add(&mut self, time: Duration) {
        let seconds = time.as_secs_f64();
        self.count += 1;
        self.sum += seconds;
        if let Some(class) = BOUNDS.iter().position(|bound| seconds <= *bound) {
            self.classes[class] += 1;
        }
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// How requests can end: the classes of outcomes, and what is none.
pub(crate) const ENDS: [&str; 8] = [
    "ok",
    "job_error",
    "limit",
    "denied",
    "ambiguous",
    "infra",
    "cancelled",
    "late",
];

/// What a pool has done since it was made. Its text ([`Display`](fmt::Display)) is that of Prometheus (version 0.0.4);
/// no name in it was chosen by a tenant or a job.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Metrics {
    /// Requests that wait now.
    pub waiting: usize,
    /// Jobs that run now.
    pub running: usize,
    /// Requests that were not taken.
    pub refused: u64,
    /// Tries beyond the first.
    pub retried: u64,
    /// Workers that were started.
    pub started: u64,
    /// Workers that could not be started.
    pub not_started: u64,
    /// Workers that were replaced after their number of jobs.
    pub recycled: u64,
    /// Workers that ended by themselves or were of no use any more.
    pub died: u64,
    /// From being asked for to the first beginning.
    pub waited: Histogram,
    /// On the clock, of the last try.
    pub ran: Histogram,
    /// Processor time of all jobs.
    pub cpu: Duration,
    pub(crate) ended: [u64; ENDS.len()],
}

impl Metrics {
    /// How many requests came to `end`: a class of outcomes, `cancelled` or `late`.
    pub fn ended(&self, end: &str) -> u64 {
        let ends = ENDS.iter().zip(self.ended);
        ends.filter(|(name, _)| **name == end)
            .map(|(_, count)| count)
            .sum()
    }

    pub(crate) fn end(&mut self, end: &str) {
        if let Some(at) = ENDS.iter().position(|name| *name == end) {
            self.ended[at] += 1;
        }
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = [
            ("waiting", "Requests that wait.", self.waiting),
            ("running", "Jobs that run.", self.running),
        ];
        for (name, help, value) in now {
            family(f, name, "gauge", help)?;
            writeln!(f, "portcullis_pool_{name} {value}")?;
        }
        family(f, "ended_total", "counter", "Requests by their end.")?;
        for (end, count) in ENDS.iter().zip(self.ended) {
            writeln!(f, "portcullis_pool_ended_total{{end=\"{end}\"}} {count}")?;
        }
        let counts = [
            (
                "refused_total",
                "Requests that were not taken.",
                self.refused,
            ),
            ("retried_total", "Tries beyond the first.", self.retried),
            (
                "workers_started_total",
                "Workers that were started.",
                self.started,
            ),
            (
                "workers_not_started_total",
                "Workers that could not be started.",
                self.not_started,
            ),
            (
                "workers_recycled_total",
                "Workers replaced after their number of jobs.",
                self.recycled,
            ),
            (
                "workers_died_total",
                "Workers that ended or were of no use.",
                self.died,
            ),
        ];
        for (name, help, value) in counts {
            family(f, name, "counter", help)?;
            writeln!(f, "portcullis_pool_{name} {value}")?;
        }
        let name = "cpu_seconds_total";
        family(f, name, "counter", "Processor time of jobs.")?;
        writeln!(f, "portcullis_pool_{name} {}", self.cpu.as_secs_f64())?;
        let times = [
            ("wait_seconds", "From request to beginning.", &self.waited),
            ("run_seconds", "From beginning to end.", &self.ran),
        ];
        for (name, help, histogram) in times {
            family(f, name, "histogram", help)?;
            let mut below = 0;
            for (bound, count) in BOUNDS.iter().zip(histogram.classes) {
                below += count;
                writeln!(f, "portcullis_pool_{name}_bucket{{le=\"{bound}\"}} {below}")?;
            }
            let Histogram { count, sum, .. } = histogram;
            writeln!(f, "portcullis_pool_{name}_bucket{{le=\"+Inf\"}} {count}")?;
            writeln!(f, "portcullis_pool_{name}_sum {sum}")?;
            writeln!(f, "portcullis_pool_{name}_count {count}")?;
        }
        Ok(())
    }
}

fn family(f: &mut fmt::Formatter<'_>, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(f, "# HELP portcullis_pool_{name} {help}")?;
    writeln!(f, "# TYPE portcullis_pool_{name} {kind}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_add_up_to_all() {
        let mut metrics = Metrics::default();
        for milliseconds in [0, 1, 7, 100_000] {
            metrics.ran.add(Duration::from_millis(milliseconds));
        }
        metrics.end("late");
        let text = metrics.to_string();
        for line in [
            "portcullis_pool_run_seconds_bucket{le=\"0.0005\"} 1",
            "portcullis_pool_run_seconds_bucket{le=\"0.001\"} 2",
            "portcullis_pool_run_seconds_bucket{le=\"60\"} 3",
            "portcullis_pool_run_seconds_bucket{le=\"+Inf\"} 4",
            "portcullis_pool_run_seconds_count 4",
            "portcullis_pool_run_seconds_sum 100.008",
            "portcullis_pool_ended_total{end=\"late\"} 1",
            "portcullis_pool_ended_total{end=\"ok\"} 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
        assert_eq!(metrics.ended("late"), 1);
    }
}
