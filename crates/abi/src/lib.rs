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
mod argument;
mod constant;
mod group;
mod kernel_version;
mod names;
mod risk;
mod symbol;
mod syscall_set;
mod table;

pub use arch::{Arch, Sysno, UnknownArch};
pub use argument::{ArgKind, Argument};
pub use constant::{constant, errno, errno_name};
pub use group::{group, groups};
pub use kernel_version::{KernelVersion, NoVersion};
pub use risk::Risk;
pub use syscall_set::{
    ArgValue, Assumed, Binary, Confidence, Language, Linkage, Location, Made, Mode, Origin, Paths,
    Residual, ResidualKind, ScannedObject, Site, Syscall, SyscallSet, ThreadSet, Tuple, Warning,
};
