//! How far a policy has been tried out before it is enforced.

use std::fmt;
use std::str::FromStr;

/// What the policy's traces tell of their runs: seen on so many, since that day.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ramp {
    /// How many runs were recorded.
    pub runs: u32,
    /// The day of the first.
    pub since: Day,
}

/// A policy that was tried less than is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Untried {
    /// It does not say.
    #[error(
        "the policy tells of no runs in which it was tried, and {0} are asked for: record the program, and make \
         the policy with `policy --trace`"
    )]
    NoRamp(u32),
    /// It was seen on fewer.
    #[error(
        "the policy was seen on {runs} runs since {since}, and {wanted} are asked for: record more, and make it \
         again"
    )]
    Short {
        /// How many there were.
        runs: u32,
        /// Since this day.
        since: Day,
        /// How many are asked for.
        wanted: u32,
    },
}

impl Ramp {
    /// That of the runs of both.
    pub fn and(self, other: Ramp) -> Ramp {
        Ramp {
            runs: self.runs.saturating_add(other.runs),
            since: self.since.min(other.since),
        }
    }

    /// Whether a policy with this ramp was seen on so many runs.
    pub fn require(ramp: Option<Ramp>, wanted: u32) -> Result<(), Untried> {
        match ramp {
            None => Err(Untried::NoRamp(wanted)),
            Some(Ramp { runs, since }) if runs < wanted => Err(Untried::Short {
                runs,
                since,
                wanted,
            }),
            Some(_) => Ok(()),
        }
    }
}

/// A day of the Gregorian calendar, written `YYYY-MM-DD`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Day {
    year: u16,
    month: u8,
    day: u8,
}

/// A text that is no day.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a day is written YYYY-MM-DD")]
pub struct NoDay;

impl FromStr for Day {
    type Err = NoDay;

    fn from_str(text: &str) -> Result<Day, NoDay> {
        let digits = |text: &str, length: usize| {
            let whole = text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
            text.parse::<u16>().ok().filter(|_| whole).ok_or(NoDay)
        };
        let mut parts = text.splitn(3, '-');
        let mut next = |length| digits(parts.next().ok_or(NoDay)?, length);
        let (year, month, day) = (next(4)?, next(2)?, next(2)?);
        let leaps = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 => 28 + u16::from(leaps),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return Err(NoDay),
        };
        match (1..=days).contains(&day) {
            true => Ok(Day {
                year,
                month: month as u8,
                day: day as u8,
            }),
            false => Err(NoDay),
        }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for text in ["2026-11-26", "2000-02-29", "0000-01-01", "9999-12-31"] {
            assert_eq!(text.parse::<Day>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "2026",
            "2026-11",
            "2026-1-1",
            "2026-00-01",
            "2026-13-01",
            "2026-04-31",
            "2025-02-29",
            "1900-02-29",
            "2026-11-26-1",
            "+026-01-01",
            "2026-11-2é",
        ] {
            assert_eq!(text.parse::<Day>(), Err(NoDay), "{text}");
        }
    }

    #[test]
    fn runs_add_up_and_are_asked_for() {
        let ramp = |runs, since: &str| Ramp {
            runs,
            since: since.parse().unwrap(),
        };
        let both = ramp(3, "2026-11-26").and(ramp(4, "2025-12-31"));
        assert_eq!(both, ramp(7, "2025-12-31"));
        assert_eq!(Ramp::require(Some(both), 7), Ok(()));
        let short = Ramp::require(Some(both), 8).unwrap_err().to_string();
        assert!(
            short.contains("7 runs since 2025-12-31") && short.contains("8 are"),
            "{short}"
        );
        assert_eq!(Ramp::require(None, 1), Err(Untried::NoRamp(1)));
    }
}
