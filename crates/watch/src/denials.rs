//! Denials as they are kept: same ones counted, and never more than a bound.
//!
//! A program can make as many different ones as it likes. It must not be able to hide one among them: of each
//! call a number is told, whatever the others do, beyond that it is counted by call, and what ended the root
//! is always told.

use std::collections::{BTreeMap, HashMap};

use portcullis_abi::{Arch, Sysno};

use crate::arguments::Shown;
use crate::decide::Call;
use crate::denial::{Answer, Denial, Omitted};
use crate::record::{Discriminator, Made};

/// Most denials that are told.
const TOLD: usize = 1024;
/// Most of one call with one answer.
const TOLD_OF_ONE: usize = 32;
/// Most of these whose call no table knows: their numbers do not bound them.
const TOLD_OF_UNKNOWN: usize = 64;

/// By what two denials are one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Same {
    /// The call, and its arguments that say what it does.
    made: Made,
    ip: u64,
    answer: Answer,
    phase: Option<usize>,
    rule: Option<usize>,
    /// Device and inode of what the process executes: an address means another place in another program.
    program: (u64, u64),
}

/// One call with one answer; of a call that no table knows the number does not count.
type Kind = (u32, Option<u32>, Answer);

/// All of a run.
#[derive(Default)]
pub(crate) struct Denials {
    told: Vec<Denial>,
    known: HashMap<Same, usize>,
    of_kind: HashMap<Kind, usize>,
    omitted: BTreeMap<Kind, u64>,
    discriminator: Discriminator,
}

impl Denials {
    /// What tells this denial from others.
    pub(crate) fn same(
        &mut self,
        call: &Call,
        answer: Answer,
        (phase, rule): (Option<usize>, Option<usize>),
        program: (u64, u64),
    ) -> Same {
        Same {
            made: self.discriminator.made(call.arch, call.number, &call.args),
            ip: call.ip,
            answer,
            phase,
            rule,
            program,
        }
    }

    /// Counts one; a new one that is to be told is asked for, and of another where its arguments lead (`shown`).
    /// `always`: beyond every bound.
    pub(crate) fn count(
        &mut self,
        same: Same,
        always: bool,
        shown: impl FnOnce() -> Vec<(u8, Shown)>,
        tell: impl FnOnce() -> Denial,
    ) {
        if let Some(at) = self.known.get(&same) {
            self.told[*at].again(shown);
            return;
        }
        let kind = kind(&same);
        let of_kind = self.of_kind.entry(kind).or_default();
        let most = match kind.1 {
            Some(_) => TOLD_OF_ONE,
            None => TOLD_OF_UNKNOWN,
        };
        // What is the first of its kind is told, and there are not more kinds than calls and answers.
        let fits = *of_kind == 0 || (*of_kind < most && self.told.len() < TOLD);
        if !fits && !always {
            *self.omitted.entry(kind).or_default() += 1;
            return;
        }
        *of_kind += 1;
        self.known.insert(same, self.told.len());
        self.told.push(tell());
    }

    /// The filters of `pid`'s own that seemed to kill it took a thread each.
    pub(crate) fn one_thread_each(&mut self, pid: i32) {
        let all = self.told.iter_mut().filter(|denial| denial.pid == pid);
        for denial in all.filter(|denial| denial.answer == Answer::OwnKilled) {
            denial.answer = Answer::OwnThreadKilled;
        }
    }

    /// Takes back the kills of `pid`, those with this answer.
    pub(crate) fn take_back(&mut self, pid: i32, answer: Answer) {
        let is_one = |denial: &Denial| denial.pid == pid && denial.answer == answer;
        let mut kept = vec![None; self.told.len()];
        let mut next = 0;
        for (place, denial) in kept.iter_mut().zip(&self.told) {
            if !is_one(denial) {
                *place = Some(next);
                next += 1;
            }
        }
        self.told.retain(|denial| !is_one(denial));
        self.known.retain(|_, at| match kept[*at] {
            Some(now) => {
                *at = now;
                true
            }
            None => false,
        });
    }

    /// Those that are told, in the order of their first appearance, and how many others there were of what.
    pub(crate) fn into_parts(self) -> (Vec<Denial>, Vec<Omitted>) {
        let omitted = self.omitted.into_iter();
        let omitted = omitted.map(|((arch, number, answer), count)| Omitted {
            arch,
            number,
            answer,
            count,
        });
        (self.told, omitted.collect())
    }
}

fn kind(same: &Same) -> Kind {
    let Made { arch, number, .. } = same.made;
    let known = Arch::of_call(arch, number).and_then(|of| of.name(Sysno(number)));
    // A filter's answers of error numbers are as many as its rules; one kind for all of them.
    let answer = match same.answer {
        Answer::Errno(_) => Answer::Errno(0),
        other => other,
    };
    (known.map_or(0, |_| arch), known.map(|_| number), answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denial(call: Call, answer: Answer) -> Denial {
        Denial {
            pid: 1,
            tid: 1,
            thread: Vec::new(),
            image: None,
            call,
            answer,
            phase: None,
            rule: None,
            shown: Vec::new(),
            backtrace: Vec::new(),
            count: 1,
            others: Vec::new(),
            unlooked: 0,
        }
    }

    fn call(number: u32, ip: u64) -> Call {
        Call {
            arch: Arch::NATIVE.audit_arch(),
            number,
            ip,
            args: [0; 6],
        }
    }

    fn made(denials: &mut Denials, call: Call, answer: Answer, always: bool) {
        let same = denials.same(&call, answer, (None, None), (0, 0));
        denials.count(same, always, Vec::new, || denial(call, answer));
    }

    #[test]
    fn a_flood_hides_no_other_call_and_is_counted() {
        let mut denials = Denials::default();
        let number = |name| Arch::NATIVE.number(name).unwrap().0;
        let refused = Answer::Errno(1);
        for ip in 0..10_000 {
            made(&mut denials, call(number("getppid"), ip), refused, false);
            made(&mut denials, call(100_000 + ip as u32, ip), refused, false);
        }
        made(&mut denials, call(number("ptrace"), 7), refused, false);
        for ip in 0..3 {
            made(&mut denials, call(number("getppid"), ip), refused, false);
        }
        let killed = (call(number("getppid"), 5), Answer::Killed);
        made(&mut denials, killed.0, killed.1, true);
        let (told, omitted) = denials.into_parts();
        assert_eq!(told.len(), TOLD_OF_ONE + TOLD_OF_UNKNOWN + 2);
        assert_eq!(told[0].count, 2);
        assert!(told.iter().any(|d| d.call.number == number("ptrace")));
        assert!(told.iter().any(|d| d.answer == Answer::Killed));
        let counts: Vec<_> = omitted.iter().map(|o| (o.number, o.count)).collect();
        assert_eq!(
            counts,
            [
                (None, 10_000 - TOLD_OF_UNKNOWN as u64),
                (Some(number("getppid")), 10_000 - TOLD_OF_ONE as u64)
            ]
        );
    }

    #[test]
    fn many_calls_are_bounded_and_each_is_told_once() {
        let mut denials = Denials::default();
        for (number, _) in Arch::NATIVE.syscalls() {
            for ip in 0..100 {
                made(&mut denials, call(number.0, ip), Answer::Errno(38), false);
            }
        }
        let calls = Arch::NATIVE.syscalls().count();
        let (told, omitted) = denials.into_parts();
        assert!(told.len() <= TOLD + calls, "{}", told.len());
        let counted: u64 = told.iter().map(|d| d.count).sum();
        let counted = counted + omitted.iter().map(|o| o.count).sum::<u64>();
        assert_eq!(counted, 100 * calls as u64);
        for (number, name) in Arch::NATIVE.syscalls() {
            assert!(told.iter().any(|d| d.call.number == number.0), "{name}");
        }
    }

    #[test]
    fn where_the_same_call_leads_is_told_within_a_bound_and_adds_up() {
        let mut denials = Denials::default();
        let opened = call(2, 1);
        let at = |path: u64| {
            vec![
                (0, Shown::Path(path.to_string().into_bytes())),
                (1, Shown::Text(b"x".to_vec())),
            ]
        };
        let mut made = |path| {
            let same = denials.same(&opened, Answer::Errno(1), (None, None), (0, 0));
            let first = || Denial {
                shown: at(path),
                ..denial(opened, Answer::Errno(1))
            };
            denials.count(same, false, || at(path), first);
        };
        for path in [7, 7, 8, 7, 8, 9] {
            made(path);
        }
        for path in 100..120 {
            made(path);
        }
        let (told, _) = denials.into_parts();
        let [told] = told.as_slice() else {
            panic!("{told:?}");
        };
        let others: Vec<_> = told
            .others
            .iter()
            .map(|o| (o.shown.len(), o.count))
            .collect();
        assert_eq!((told.count, told.count_of_first()), (26, 3));
        assert_eq!(others[..3], [(1, 2), (1, 1), (1, 1)]);
        assert_eq!((others.len(), told.unlooked), (16, 6));
    }

    #[test]
    fn kills_that_were_none_are_taken_back_and_others_still_count() {
        let mut denials = Denials::default();
        made(&mut denials, call(1, 1), Answer::Killed, false);
        made(&mut denials, call(2, 2), Answer::Errno(1), false);
        denials.take_back(1, Answer::Killed);
        made(&mut denials, call(2, 2), Answer::Errno(1), false);
        made(&mut denials, call(1, 1), Answer::Killed, false);
        let (told, _) = denials.into_parts();
        let counts: Vec<_> = told.iter().map(|d| (d.call.number, d.count)).collect();
        assert_eq!(counts, [(2, 2), (1, 1)]);
    }
}
