//! System call tables and the values that travel between the stages of Portcullis.
//!
//! Pure data: no clock, no environment, no files.
//!
//! ```
//! use portcullis_abi::{Arch, Sysno};
//! assert_eq!(Arch::X86_64.name(Sysno(0)), Some("read"));
//! assert_eq!(Arch::X86_64.number("execve"), Some(Sysno(59)));
//! ```

mod arch;
mod syscall_set;
mod x86_64_table;

pub use arch::{Arch, Sysno};
pub use syscall_set::{
    ArgValue, Assumed, Binary, Confidence, Language, Linkage, Location, Mode, Origin, Paths,
    Residual, ResidualKind, ScannedObject, Site, Syscall, SyscallSet, ThreadSet, Tuple, Warning,
};
