//! What a program may do: system calls, conditions on their arguments, and the answer to each.
//!
//! A [`Policy`] has one meaning, [`Policy::decide`]: the first rule that fits a call answers it,
//! and what no rule fits is answered by its class. Compilers and the verifier of
//! `portcullis-bpf` refer to that meaning; [`toml`] is its form on disk.

mod action;
mod condition;
mod derive;
mod launch;
mod model;
pub mod toml;

pub use action::{Action, ActionMap};
pub use condition::{Condition, Op, Width};
pub use derive::Derivation;
pub use launch::{Armed, PLACEHOLDER};
pub use model::{Call, Class, Decision, Phase, Policy, Provenance, Rule};
