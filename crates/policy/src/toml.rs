//! The native form on disk; portcullis-policy(5) is its manual.
//!
//! ```toml
//! schema = "portcullis.policy"
//! version = 1
//! arch = ["x86_64", "aarch64"]
//! baseline = "6.1"
//! default = "kill"
//!
//! [[rule]]
//! calls = ["read", "write", "@basic-io"]
//!
//! [[rule]]
//! call = "ioctl"
//! when = ["arg1 == 0x5401"]
//! from = ["site /usr/lib/x86_64-linux-gnu/libc.so.6 0x1234 tcgetattr"]
//!
//! [[phase]]
//! thread = "main"
//! phase = "loop"
//! calls = ["ioctl"]
//! ```
//!
//! Unknown keys are mistakes: a misspelt condition must not become no condition.

mod automatic;
mod calls;
mod condition;
pub mod document;
mod edit;
mod entry;
mod equivalent;
mod facts;
mod grammar;
mod include;
mod layout;
mod lower;
mod nearest;
mod phrase;
mod read;
mod settings;
mod token;
mod truth;
mod write;

pub use edit::{deny, insert_rule, remove_call, remove_rule, replace_rule};
pub use include::{Includes, NoIncludes};
pub use layout::fmt;
pub use write::{write, write_rule, write_source};

use portcullis_abi::{Arch, Sysno};

use crate::{Condition, Mistake, Policy, Source, Width};

const SCHEMA: &str = "portcullis.policy";
const VERSION: u32 = 1;

/// Reads a file of policies, with the files that it includes.
pub fn source(text: &str, includes: &dyn Includes) -> Result<Source, Mistake> {
    read::read(text, includes)
}

/// A condition of a call as this form writes it, `as` where its width is not the declared one.
pub fn condition(arch: Arch, number: Sysno, condition: &Condition) -> String {
    let declared = facts::declared(arch, number.into(), condition.index);
    condition::write(condition, declared.unwrap_or(Width::W64))
}

/// Reads a file that has one policy and includes nothing, as [`write()`] makes them. Remarks are
/// not given: they are about names that an architecture lacks, which `write` does not write.
pub fn read(text: &str) -> Result<Policy, Mistake> {
    let mut filters = source(text, &NoIncludes)?.filters;
    match (filters.pop(), filters.is_empty()) {
        (Some(one), true) => Ok(one.policy),
        _ => Err(Mistake::whole(
            "the file has filters of several threads; one policy is needed here",
        )),
    }
}
