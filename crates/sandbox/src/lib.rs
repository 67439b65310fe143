//! Starts a program behind its filter and gives a verdict.
//!
//! [`Spec`] says what is wanted, [`Plan`] what will be done (pure data, printable), a child does
//! it, and [`launch`] gives the [`Verdict`]. The launch exec is `execveat` on the descriptor that
//! was opened and hashed, with a secret in the sixth register that only this start's filter knows
//! ([`ArmedFilter`]); so the filter that is loaded before it can deny every other exec.
//!
//! Who follows the program while it runs is an [`Observer`]; it is the tracer of every task.

mod child;
mod error;
mod identity;
mod launch;
mod mapped;
mod modules;
mod plan;
mod secret;
mod verdict;

pub use error::Error;
pub use identity::{Identity, Program};
pub use launch::{Followed, Observer, Root, launch};
pub use mapped::{MappedFile, Unlisted};
pub use modules::{Directory, Module, Modules};
pub use plan::{Mode, Plan, Spec};
pub use secret::{ArmedFilter, Cookie};
pub use verdict::{Layer, Missing, Outcome, Usage, Verdict};
