//! Policies as seccomp filters, and the proof that they are the same.
//!
//! [`compile()`] makes a [`Program`]; [`verify()`] proves that a program, wherever it came from,
//! answers every call as a policy does, or names a call on which they differ. Only [`verify()`]
//! makes a [`Proved`], and only that may be loaded.
//!
//! ```
//! use portcullis_abi::{Arch, Sysno};
//! use portcullis_bpf::{compile, verify};
//! use portcullis_policy::Derivation;
//!
//! let policy = Derivation::new(Arch::X86_64, [Sysno(0), Sysno(1)]).policy();
//! let program = compile(&policy)?;
//! let proved = verify(program, &policy)?;
//! assert!(proved.program().instructions().len() < 20);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod compare;
mod compile;
mod cost;
mod describe;
mod import;
mod instruction;
mod interpret;
mod listing;
mod outcome;
mod paths;
mod program;
mod region;
mod together;
mod verify;

pub use compare::{Calls, Difference, compare};
pub use compile::{NoFilter, compile, compile_for};
pub use cost::{Cost, PATH_BUDGET, is_cached, uncached};
pub use import::{NoPolicy, import};
pub use instruction::Instruction;
pub use interpret::run;
pub use outcome::{Outcome, outcomes, path};
pub use program::{Invalid, Program};
pub use together::verify_together;
pub use verify::{NotEqual, Proved, Unknown, verify};
