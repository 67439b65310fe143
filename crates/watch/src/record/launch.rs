//! The program, from its file to its first instruction.

use std::env;
use std::ffi::{CString, OsString};
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use portcullis_sys::exec::CStringArray;
use portcullis_sys::process;
use portcullis_sys::ptrace::{self, Options};
use portcullis_sys::signal::{self, Forwarding};
use portcullis_sys::spawn::{self, Held};
use portcullis_sys::wait::{self, Change, Stop, event};

use super::Error;

/// What is to be recorded.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The program's file.
    pub program: PathBuf,
    /// Its arguments, with the name that it is called by.
    pub arguments: Vec<OsString>,
    /// Tell each file that is opened or changed. What a filter lets run free is not seen: that takes the
    /// back-end [`Full`](super::Full).
    pub files: bool,
}

/// Starts the program, with this process's environment, and leaves it at its exec stop, a tracee of the
/// calling thread. Who `loads` filters into it and may not do so otherwise (seccomp(2): without `CAP_SYS_ADMIN`) has
/// it promise never to gain privileges, which it does not while it is traced: as every task has the promise from
/// there, a filter takes one call and not three.
pub(super) fn launch(spec: &Spec, loads: bool) -> Result<(Held, Forwarding), Error> {
    if let Some(privilege) = lost(&spec.program) {
        return Err(Error::Privileges {
            path: spec.program.clone(),
            privilege,
        });
    }
    let (held, forwarding) = hold(spec, loads && !has(SYS_ADMIN))?;
    ptrace::seize(held.pid, Options::RECORDER).map_err(Error::Untraceable)?;
    held.release()?;
    loop {
        match wait::next_of(held.pid)? {
            Some((_, Change::Stopped(Stop::Event(event::EXEC, _)))) => {
                return Ok((held, forwarding));
            }
            Some((pid, Change::Stopped(Stop::Signal(signal)))) => ptrace::resume(pid, signal)?,
            Some((pid, Change::Stopped(_))) => ptrace::resume(pid, 0)?,
            Some((_, Change::Ended(..))) | None => {
                return Err(Error::NotStarted {
                    path: spec.program.clone(),
                    reason: held.failure().reason,
                });
            }
        }
    }
}

/// The process of the program, which waits to execute it.
pub(super) fn hold(spec: &Spec, promises: bool) -> Result<(Held, Forwarding), Error> {
    let text = |bytes: Vec<u8>| CString::new(bytes).map_err(|_| Error::Nul);
    let path = text(spec.program.clone().into_os_string().into_vec())?;
    let arguments = spec.arguments.iter().map(|a| text(a.clone().into_vec()));
    let arguments = CStringArray::new(arguments.collect::<Result<_, _>>()?);
    let variables = env::vars_os().map(|(name, value)| {
        let mut bytes = name.into_vec();
        bytes.push(b'=');
        bytes.extend(value.into_vec());
        text(bytes)
    });
    let environment = CStringArray::new(variables.collect::<Result<_, _>>()?);
    let forwarding = Forwarding::install()?;
    let mask = signal::block_all()?;
    let held = spawn::held(
        &path,
        &arguments,
        &environment,
        &forwarding.before(),
        &mask,
        promises,
    );
    signal::set_mask(&mask)?;
    let held = held?;
    forwarding.target(process::handle(held.pid)?);
    Ok((held, forwarding))
}

/// What a program would gain when it is executed, and does not when it is traced; `None` when nothing.
pub(super) fn lost(program: &Path) -> Option<&'static str> {
    if is_privileged() {
        return None;
    }
    let metadata = fs::metadata(program).ok()?;
    let user = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    let mode = metadata.permissions().mode();
    if mode & libc::S_ISUID != 0 && metadata.uid() != user {
        return Some("the user of its file (set-user-ID)");
    }
    let sets_group = libc::S_ISGID | libc::S_IXGRP;
    if mode & sets_group == sets_group && metadata.gid() != group {
        return Some("the group of its file (set-group-ID)");
    }
    let mut value = [0_u8; 64];
    rustix::fs::getxattr(program, "security.capability", &mut value)
        .is_ok_and(|size| size > 0)
        .then_some("the capabilities of its file")
}

/// Whether a tracer with this process's rights takes no privileges from whom it traces (ptrace(2): it has
/// `CAP_SYS_PTRACE`), or there are none to take.
fn is_privileged() -> bool {
    has(SYS_PTRACE) || own("NoNewPrivs:").is_some_and(|promised| promised == "1")
}

/// Whether this process may load programs into the kernel that look into it (capabilities(7), Linux 5.8).
#[cfg(feature = "ebpf")]
pub(super) fn may_load_programs() -> bool {
    has(SYS_ADMIN) || (has(BPF) && has(PERFMON))
}

/// Capabilities of `linux/capability.h`, as bits of the set.
#[cfg(feature = "ebpf")]
const PERFMON: u64 = 1 << 38;
#[cfg(feature = "ebpf")]
const BPF: u64 = 1 << 39;
const SYS_PTRACE: u64 = 1 << 19;
const SYS_ADMIN: u64 = 1 << 21;

/// Whether this process has a capability.
fn has(capability: u64) -> bool {
    let set = own("CapEff:").and_then(|set| u64::from_str_radix(&set, 16).ok());
    set.is_some_and(|set| set & capability != 0)
}

/// What the kernel says of this process.
fn own(field: &str) -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let mut lines = status.lines();
    lines.find_map(|line| Some(line.strip_prefix(field)?.trim().to_owned()))
}

/// Whether this process, and so all that it starts, stands behind a filter.
pub(super) fn is_filtered() -> bool {
    own("Seccomp:").is_some_and(|mode| mode != "0")
}
