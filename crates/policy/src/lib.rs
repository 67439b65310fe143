//! What a program may do: system calls, conditions on their arguments, and the answer to each.
//!
//! A [`Policy`] has one meaning, [`Policy::decide`]: the first rule that fits a call answers it,
//! and what no rule fits is answered by its class. Compilers and the verifier of
//! `portcullis-bpf` refer to that meaning; [`toml`] is its form on disk.

mod action;
mod asked;
pub mod audit;
pub mod codes;
mod condition;
mod derive;
pub mod format;
mod launch;
pub mod lint;
mod listener;
mod model;
mod phase;
mod ramp;
mod ranges;
mod source;
mod terminal;
pub mod toml;
mod trace;

pub use action::{Action, ActionMap, NoAction};
pub use asked::Asked;
pub use condition::{Condition, Op, Width};
pub use derive::Derivation;
pub use launch::{Armed, PHASE_PLACEHOLDER, PLACEHOLDER};
pub use listener::NO_LISTENER;
pub use model::{
    Baseline, Call, Class, Decision, Policy, Provenance, Rule, Segment, Segments, Span, Table,
};
pub use phase::{Narrowing, Phase};
pub use ramp::{Day, NoDay, Ramp, Untried};
pub use source::{Filter, LineColumn, Mistake, Place, Remark, Source, Target};
pub use trace::Trace;
