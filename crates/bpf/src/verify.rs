//! The proof that a filter answers every call as its policy says.
//!
//! Every way through the filter is walked, with the exact set of calls that takes it
//! (`paths.rs`). At each return that set is cut by the policy's own rules, in their order, and each
//! part that is not empty must get the policy's answer there.

mod meaning;

use portcullis_policy::{Action, Call, Policy};

use crate::Program;
use crate::paths::{Effort, walk};
use crate::region::{Region, TooHard};
pub(crate) use meaning::Meaning;

/// A filter that was proved equal to a policy. There is no other way to get one.
#[derive(Debug)]
pub struct Proved(Program);

impl Proved {
    /// The filter.
    pub fn program(&self) -> &Program {
        &self.0
    }
}

/// Why a filter was not proved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotEqual {
    /// A call that the two answer differently.
    #[error(
        "the filter answers call {} with arguments {:x?} on architecture {:#x} by {filter:?}, \
         the policy by {policy:?}",
        call.number, call.args, call.arch
    )]
    Differ {
        /// The call.
        call: Call,
        /// The filter's answer.
        filter: Action,
        /// The policy's.
        policy: Action,
    },
    /// Neither was found.
    #[error(transparent)]
    Unknown(#[from] Unknown),
}

/// Why nothing is said of a filter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unknown {
    /// The filter computes in a way that the proof does not follow.
    #[error("instruction {at} computes something that the proof does not follow")]
    NotFollowed {
        /// Which instruction.
        at: usize,
    },
    /// The proof would take too long.
    #[error("the filter has too many ways through it to be proved")]
    TooHard,
}

impl From<TooHard> for Unknown {
    fn from(_: TooHard) -> Unknown {
        Unknown::TooHard
    }
}

/// Proves that `program` answers every call as `policy` does.
///
/// Equal means the same action, the error number and trace data included. On success the program
/// comes back as [`Proved`]; otherwise the error says why not, with a call on which the two
/// differ when they do.
pub fn verify(program: Program, policy: &Policy) -> Result<Proved, NotEqual> {
    let meaning = Meaning::new(policy);
    let differ =
        &mut |region: &Region, filter, effort: &mut Effort| meaning.holds(region, filter, effort);
    walk(&program, Region::all(), &mut Effort::new(), differ)?;
    Ok(Proved(program))
}
