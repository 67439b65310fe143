//! The language of kafel.
//!
//! Blocks of an action and the calls that it answers; the first block that fits a call answers it,
//! and what none fits is answered by the default, which is to kill the thread. A comparison has 64
//! bits when one of the arguments in it has, or a constant that needs them; arguments have the width
//! that the kernel declares, and 64 bits when the policy names them itself. Numbers of x32 are
//! numbers like others; calls of another architecture kill the thread. (kafel's README and grammar.)

mod lex;
mod lower;
mod parse;
mod tree;

use super::Include;
use crate::{Mistake, Source, Target};

/// Reads a policy for the architectures of `target`; files that it includes are asked from
/// `include`.
///
/// A comparison of two arguments has a meaning in kafel that policies here cannot have, and is a
/// mistake.
pub fn read(text: &str, target: &Target, include: Include<'_>) -> Result<Source, Mistake> {
    let program = parse::program(text, include)?;
    lower::source(&program, target)
}
