//! From an ELF binary to the system calls it can make, with evidence.

pub mod assume;
mod demangle;
pub mod files;
mod graph;
pub mod image;
pub mod isa;
mod kernel;
pub mod link;
mod load;
mod report;
pub mod solve;
pub mod summary;

use std::path::Path;
use std::time::Instant;

use portcullis_abi::{Arch, SyscallSet};

pub use demangle::demangle;
use files::Files;
use image::Consulted;
pub use link::{Error, LinkRequest};
pub use report::stats::{Holder, Stats};

/// The architectures whose programs can be analysed, whatever machine this is.
pub const ARCHITECTURES: [Arch; 2] = [Arch::X86_64, Arch::Aarch64];

/// A program's set, and what it was made from.
#[derive(Debug)]
pub struct Scan {
    /// The calls, their evidence, and what could not be told.
    pub set: SyscallSet,
    /// Every file that was read or looked for: while none of them changes, neither does the set.
    pub consulted: Vec<Consulted>,
}

/// Finds every system call that `program` and its libraries can make.
///
/// `program` is a path that `files` can read: an ELF file for x86_64 or aarch64, or a script, which is
/// analysed through its interpreter. What the analysis cannot tell is in the result as a
/// residual; an error means that there is no program to analyse.
///
/// ```
/// use std::path::Path;
///
/// use portcullis_scan::{LinkRequest, files::HostFiles, scan};
///
/// let program = Path::new("/usr/bin/true");
/// let scan = scan(&HostFiles::default(), program, &LinkRequest::default())?;
/// let exit_group = scan.set.binary.arch.number("exit_group");
/// assert!(exit_group.is_some_and(|number| scan.set.get(number).is_some()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn scan(files: &dyn Files, program: &Path, request: &LinkRequest) -> Result<Scan, Error> {
    scan_from(files, program, request, &[])
}

/// The same, and what can be called once the functions `from` are entered: phases `after:NAME`. A
/// function is named by its symbol, its demangled name, or its address in the program's file (`0x…`).
pub fn scan_from(
    files: &dyn Files,
    program: &Path,
    request: &LinkRequest,
    from: &[String],
) -> Result<Scan, Error> {
    let image = link::link(files, program, request)?;
    let mut starts = Vec::new();
    for name in from {
        let at = image.functions_called(name);
        if at.is_empty() {
            return Err(Error::Function { name: name.clone() });
        }
        starts.push((name.clone(), at.into_iter().map(|a| a.0).collect()));
    }
    let solution = solve::solve(&image);
    Ok(Scan {
        set: report::report(&image, &solution, &starts),
        consulted: image.files().to_vec(),
    })
}

/// Where the time and the imprecision of a scan come from: what [`scan`] finds, looked at from the
/// inside. The indices of locations are those of [`SyscallSet::objects`].
pub fn stats(
    files: &dyn Files,
    program: &Path,
    request: &LinkRequest,
) -> Result<(SyscallSet, Stats), Error> {
    let start = Instant::now();
    let image = link::link(files, program, request)?;
    let linked = start.elapsed();
    let solution = solve::solve(&image);
    let solved = start.elapsed();
    let set = report::report(&image, &solution, &[]);
    let calls = set.syscalls.iter().map(|call| call.number);
    let times = [linked, solved.saturating_sub(linked)];
    let stats = report::stats::stats(&image, &solution, calls, times);
    Ok((set, stats))
}
