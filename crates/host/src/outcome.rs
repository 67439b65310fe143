//! From what the kernel and the host saw to the class of an outcome. No state, no clock: what is not in the
//! evidence does not count.

use portcullis_sandbox::{Outcome as Verdict, Shortage};
use portcullis_sys::wait::End;

use crate::frame::Said;

/// How a job ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It ended as it should.
    Ok,
    /// It failed by itself; again it would do the same.
    JobError(JobError),
    /// It was over a limit.
    Limit(Limit),
    /// Its filter ended it.
    Denied {
        /// Which layer.
        layer: &'static str,
        /// Which call, where the host's tracer saw it.
        call: Option<String>,
    },
    /// The kernel's record does not say why it ended. It may be tried once more.
    Ambiguous(String),
    /// The host failed; the job had no part in it. It may be tried again.
    Infra(String),
}

/// A failure of the job's own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JobError {
    /// It ended with this code, which is not 0.
    Exit(i32),
    /// The engine stopped it: what it did is undefined or forbidden there.
    Trap(String),
    /// A signal that its own memory accesses or instructions caused.
    Crash(i32),
    /// Its process ended without saying how, or said what is no result.
    NoResult,
    /// The engine cannot begin it.
    Refused(String),
}

/// A limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// Processor time.
    Cpu,
    /// Time on the clock.
    Wall,
    /// Memory.
    Memory,
    /// Output.
    Output,
    /// Steps of the engine.
    Fuel,
}

impl Limit {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Limit::Cpu => "cpu",
            Limit::Wall => "wall",
            Limit::Memory => "memory",
            Limit::Output => "output",
            Limit::Fuel => "fuel",
        }
    }
}

impl JobError {
    /// Its name.
    pub const fn name(&self) -> &'static str {
        match self {
            JobError::Exit(_) => "exit",
            JobError::Trap(_) => "trap",
            JobError::Crash(_) => "crash",
            JobError::NoResult => "no_result",
            JobError::Refused(_) => "refused",
        }
    }
}

impl Outcome {
    /// The name of what it is within its class, where there are several.
    pub const fn kind(&self) -> Option<&'static str> {
        match self {
            Outcome::JobError(error) => Some(error.name()),
            Outcome::Limit(limit) => Some(limit.name()),
            Outcome::Denied { layer, .. } => Some(layer),
            Outcome::Ok | Outcome::Ambiguous(_) | Outcome::Infra(_) => None,
        }
    }

    /// What else there is to say: of its texts, those of traps and refusals are the job's and its engine's.
    pub fn detail(&self) -> Option<String> {
        match self {
            Outcome::JobError(JobError::Exit(code)) => Some(format!("code {code}")),
            Outcome::JobError(JobError::Crash(signal)) => Some(format!("signal {signal}")),
            Outcome::JobError(JobError::Trap(text) | JobError::Refused(text))
            | Outcome::Ambiguous(text)
            | Outcome::Infra(text) => Some(text.clone()),
            Outcome::Denied { call, .. } => call.clone(),
            Outcome::Ok | Outcome::JobError(JobError::NoResult) | Outcome::Limit(_) => None,
        }
    }

    /// The name of the class.
    pub const fn class(&self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::JobError(_) => "job_error",
            Outcome::Limit(_) => "limit",
            Outcome::Denied { .. } => "denied",
            Outcome::Ambiguous(_) => "ambiguous",
            Outcome::Infra(_) => "infra",
        }
    }
}

/// What is known of a job that was started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evidence {
    /// How its process ended, from the kernel; `None` when it could not be asked.
    pub end: Option<End>,
    /// The limit for which the host ended it, or was about to.
    pub over: Option<Limit>,
    /// It wrote what is no result, and the host ended it for that, or was about to.
    pub malformed: bool,
    /// What the kernel ended of its worker's group for want of memory while it ran.
    pub shortage: Shortage,
    /// The worker went away first, and took the job with it.
    pub worker_gone: bool,
    /// Somebody took the worker out of its control group.
    pub unbounded: bool,
    /// The host ended it because nobody wants its result any more, or was about to.
    pub called_off: bool,
    /// Its own last word; `None` when there was none, or what it wrote is no result.
    pub said: Option<Said>,
}

/// What is known of a native program that was started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ended {
    /// How its sandbox tells it: by its tracer's stops, its cgroup's counters, and the kernel's record of its end.
    pub(crate) outcome: Verdict,
    /// The limit that the host saw it go over.
    pub(crate) over: Option<Limit>,
    /// The host ended it because nobody wants its result any more, or was about to.
    pub(crate) called_off: bool,
    /// Processes that the kernel ended for want of memory while it ran and that was not for its limit: of the program's,
    /// or of the machine's where nobody counts its own.
    pub(crate) ended_for_others: u64,
    /// The call for which its tracer saw it end.
    pub(crate) call: Option<String>,
}

/// The class of a native program. Of one that was killed nobody knows by whom: it may send itself any signal. Where
/// neither the host did it nor the kernel for want of memory, it is taken to have done so, because otherwise that would
/// buy it a second try.
pub(crate) fn judge_program(ended: Ended) -> Outcome {
    let Ended {
        outcome,
        over,
        called_off,
        ended_for_others,
        call,
    } = ended;
    match (outcome, over) {
        (Verdict::Denied, _) => Outcome::Denied {
            layer: "seccomp",
            call,
        },
        // It is not the program that was looked at.
        (Verdict::Failed(why), _) => Outcome::JobError(JobError::Refused(why)),
        (Verdict::Unbounded, _) => unbounded(),
        (Verdict::Limit(name), over) => Outcome::Limit(over.unwrap_or(match name {
            "cpu" => Limit::Cpu,
            "wall" => Limit::Wall,
            "output" => Limit::Output,
            _ => Limit::Memory,
        })),
        (_, Some(limit)) => Outcome::Limit(limit),
        (Verdict::Signaled(libc::SIGKILL), None) if called_off => {
            Outcome::Ambiguous("it was called off".to_owned())
        }
        (Verdict::Signaled(libc::SIGKILL), None) if ended_for_others > 0 => {
            Outcome::Ambiguous(OF_OTHERS.to_owned())
        }
        (Verdict::Signaled(signal), None) => Outcome::JobError(JobError::Crash(signal)),
        (Verdict::OwnFilter, None) => Outcome::JobError(JobError::Crash(libc::SIGSYS)),
        (Verdict::Exited(0), None) => Outcome::Ok,
        (Verdict::Exited(code), None) => Outcome::JobError(JobError::Exit(code)),
    }
}

/// Said of what the kernel ended below its limit.
const OF_OTHERS: &str = "it was killed at a time when the kernel ended processes for want of memory, and not for its limit";

/// The class. A job decides by its own words between `ok`, `job_error`, and limits that its engine keeps; none of
/// these is tried again. Its filter lets it send no signal to anybody, so one that ended its process came from
/// its own instructions, from the filter, from the kernel's want of memory, or from outside.
pub fn judge(evidence: &Evidence) -> Outcome {
    if evidence.unbounded && matches!(evidence.end, None | Some(End::Signaled(libc::SIGKILL))) {
        return unbounded();
    }
    let Some(end) = evidence.end else {
        return Outcome::Ambiguous("the kernel has no record of how it ended".to_owned());
    };
    match (end, evidence.over) {
        (End::Signaled(libc::SIGSYS), _) => Outcome::Denied {
            layer: "seccomp",
            call: None,
        },
        (End::Signaled(libc::SIGKILL), Some(limit)) => Outcome::Limit(limit),
        (End::Signaled(libc::SIGKILL), None) if evidence.malformed => {
            Outcome::JobError(JobError::NoResult)
        }
        (End::Signaled(libc::SIGKILL), None) if evidence.shortage.of_limit() > 0 => {
            Outcome::Limit(Limit::Memory)
        }
        (End::Signaled(libc::SIGKILL), None) if evidence.shortage.of_others() > 0 => {
            Outcome::Ambiguous(OF_OTHERS.to_owned())
        }
        (End::Signaled(libc::SIGKILL), None) if evidence.worker_gone => {
            Outcome::Ambiguous("its worker ended before it".to_owned())
        }
        (End::Signaled(libc::SIGKILL), None) if evidence.called_off => {
            Outcome::Ambiguous("it was called off".to_owned())
        }
        (End::Signaled(libc::SIGKILL), None) => {
            Outcome::Ambiguous("it was killed, and not by the host".to_owned())
        }
        (End::Signaled(signal), _) => Outcome::JobError(JobError::Crash(signal)),
        // It ended by itself, before it could be ended.
        (End::Exited(_), Some(limit)) => Outcome::Limit(limit),
        (End::Exited(0), None) if !evidence.malformed => said(evidence.said.as_ref()),
        (End::Exited(_), None) => Outcome::JobError(JobError::NoResult),
    }
}

/// Nothing that it did: only who may write the machine's control groups can bring it about.
fn unbounded() -> Outcome {
    Outcome::Infra("its control group was taken away, so it was ended".to_owned())
}

fn said(said: Option<&Said>) -> Outcome {
    match said {
        None => Outcome::JobError(JobError::NoResult),
        Some(Said::Exit(0)) => Outcome::Ok,
        Some(Said::Exit(code)) => Outcome::JobError(JobError::Exit(*code)),
        Some(Said::Trap(what)) => Outcome::JobError(JobError::Trap(what.clone())),
        Some(Said::Refused(why)) => Outcome::JobError(JobError::Refused(why.clone())),
        Some(Said::OverMemory) => Outcome::Limit(Limit::Memory),
        Some(Said::OverFuel) => Outcome::Limit(Limit::Fuel),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn end() -> impl Strategy<Value = Option<End>> {
        prop_oneof![
            Just(None),
            (0..256).prop_map(|code| Some(End::Exited(code))),
            (1..65).prop_map(|signal| Some(End::Signaled(signal))),
        ]
    }

    fn word() -> impl Strategy<Value = Option<Said>> {
        prop_oneof![
            Just(None),
            any::<i32>().prop_map(|code| Some(Said::Exit(code))),
            ".{0,20}".prop_map(|text| Some(Said::Trap(text))),
            ".{0,20}".prop_map(|text| Some(Said::Refused(text))),
            Just(Some(Said::OverMemory)),
            Just(Some(Said::OverFuel)),
        ]
    }

    #[test]
    fn a_native_program_buys_no_other_class() {
        let ended = |outcome| Ended {
            outcome,
            over: None,
            called_off: false,
            ended_for_others: 0,
            call: None,
        };
        let class = |outcome| judge_program(ended(outcome));
        assert_eq!(class(Verdict::Exited(0)), Outcome::Ok);
        for code in [1, 124, 125, 126, 159] {
            let expected = Outcome::JobError(JobError::Exit(code));
            assert_eq!(class(Verdict::Exited(code)), expected);
        }
        // What it can send itself, SIGSYS without the tracer's stop among it.
        for signal in [9, 11, 24, 31] {
            let expected = Outcome::JobError(JobError::Crash(signal));
            assert_eq!(class(Verdict::Signaled(signal)), expected);
        }
        let killed = ended(Verdict::Signaled(9));
        let called_off = Ended {
            called_off: true,
            ..killed.clone()
        };
        let short = Ended {
            ended_for_others: 1,
            ..killed
        };
        for doubtful in [called_off, short] {
            assert!(matches!(judge_program(doubtful), Outcome::Ambiguous(_)));
        }
        assert_eq!(
            class(Verdict::Limit("memory")),
            Outcome::Limit(Limit::Memory)
        );
        assert!(matches!(class(Verdict::Denied), Outcome::Denied { .. }));
        let late = Ended {
            over: Some(Limit::Cpu),
            ..ended(Verdict::Exited(0))
        };
        assert_eq!(judge_program(late), Outcome::Limit(Limit::Cpu));
    }

    fn over() -> impl Strategy<Value = Option<Limit>> {
        prop_oneof![
            Just(None),
            Just(Some(Limit::Cpu)),
            Just(Some(Limit::Wall)),
            Just(Some(Limit::Output)),
        ]
    }

    proptest! {
        /// Whatever a job says, the classes that are tried again are out of its reach.
        #[test]
        fn words_buy_no_second_try(end in end(), over in over(), one in word(), other in word()) {
            let class = |said| {
                let evidence = Evidence { end, over, malformed: false, shortage: Shortage::default(), worker_gone: false, unbounded: false, called_off: false, said };
                judge(&evidence)
            };
            let again = |o: &Outcome| matches!(o, Outcome::Ambiguous(_) | Outcome::Infra(_));
            prop_assert_eq!(again(&class(one.clone())), again(&class(other)));
            prop_assert!(!matches!(class(one), Outcome::Infra(_)));
        }

        /// "denied" is the filter's signal and nothing else.
        #[test]
        fn denied_needs_its_signal(end in end(), over in over(), said in word(), ended in 0..3_u64, at_limit in any::<bool>()) {
            let shortage = Shortage { ended, at_limit };
            let evidence = Evidence { end, over, malformed: false, shortage, worker_gone: false, unbounded: false, called_off: false, said };
            let denied = matches!(judge(&evidence), Outcome::Denied { .. });
            prop_assert_eq!(denied, end == Some(End::Signaled(libc::SIGSYS)));
        }

        /// Over a limit, and seen to be so, nothing is "ok".
        #[test]
        fn over_a_limit_is_never_ok(end in end(), limit in over(), said in word()) {
            let evidence = Evidence { end, over: limit, malformed: false, shortage: Shortage::default(), worker_gone: false, unbounded: false, called_off: false, said };
            prop_assert!(limit.is_none() || judge(&evidence) != Outcome::Ok);
        }
    }
}
