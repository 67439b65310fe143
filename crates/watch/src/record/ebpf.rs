//! Recording by programs in the kernel (eBPF): nothing that is recorded stops.
//!
//! Small programs at the kernel's tracepoints (`program`) see each call of the tasks that are followed, tell it from others
//! and count it in the kernel, and what is new goes to the recorder through a buffer. The recorder looks up programs and
//! callers, while the program goes on. It needs root, and while it runs each call of the whole machine takes a little longer.
//!
//! Limits, beside those of all recorders. The entry is passed behind filters: what one of the program's own denies is seen at
//! its exit, with its result; of one that ends a thread among several nothing is seen. Programs and callers that have ended
//! before they are looked up are told as far as the kernel did: by path, and by build id. What the recorder has not read when
//! it is killed is lost, and the program goes on without it.

mod assemble;
mod follow;
mod layout;
mod maps;
mod program;
mod structure;

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use portcullis_sys::ebpf::{Attached, NotLoaded, Program};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::launch;
pub use follow::record;
use maps::Maps;
use program::Writer;
use structure::Offsets;

/// As traces name it.
pub const NAME: &str = "ebpf";

/// Why it cannot be done by programs in the kernel.
#[derive(Debug, thiserror::Error)]
pub enum NoEbpf {
    /// The rights are missing.
    #[error(
        "programs in the kernel take CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN: record as root, or without `--backend ebpf`"
    )]
    Privileges,
    /// The kernel numbers tasks in another way than this process sees them.
    #[error(
        "this process is in a PID namespace, and the kernel's tracepoints number tasks of the whole machine"
    )]
    Namespace,
    /// The kernel does not tell where its structures have what.
    #[error(
        "the kernel does not tell its types (/sys/kernel/btf/vmlinux: Linux 5.4 and CONFIG_DEBUG_INFO_BTF)"
    )]
    Types,
    /// The kernel refused a map or a tracepoint.
    #[error(
        "{0}: this takes Linux 5.8 with CONFIG_BPF_SYSCALL, CONFIG_BPF_EVENTS and tracepoints of system calls"
    )]
    Sys(portcullis_sys::Error),
    /// The kernel refused a program.
    #[error("the kernel refuses the program for {tracepoint}: {reason}")]
    Program {
        /// Where it was to run.
        tracepoint: &'static str,
        /// The kernel's words.
        reason: NotLoaded,
    },
    /// A program could not be written.
    #[error("the program for {0} is too long")]
    TooLong(&'static str),
}

/// Programs in the kernel that follow nothing yet. They go when this does.
pub struct Ebpf {
    maps: Maps,
    programs: Vec<Program>,
    attached: Vec<Attached>,
}

/// The inode of the first PID namespace (`PROC_PID_INIT_INO` of `linux/proc_ns.h`).
const FIRST_NAMESPACE: u64 = 0xefff_fffc;
/// The programs use functions that the kernel keeps for programs under its own licence: they are offered under both
/// (`linux/license.h`).
const LICENCE: &std::ffi::CStr = c"Dual MIT/GPL";

impl Ebpf {
    /// Loads them.
    pub fn load() -> Result<Ebpf, NoEbpf> {
        if !launch::may_load_programs() {
            return Err(NoEbpf::Privileges);
        }
        let namespace = fs::metadata("/proc/self/ns/pid").map_or(0, |m| m.ino());
        if namespace != FIRST_NAMESPACE {
            return Err(NoEbpf::Namespace);
        }
        let offsets = Offsets::of_kernel().ok_or(NoEbpf::Types)?;
        let unlimited = Unlimited::new();
        let maps = Maps::new().map_err(NoEbpf::Sys)?;
        type Write = for<'a> fn(&'a Maps, &'a Offsets) -> Option<Vec<u64>>;
        // Calls last: who is followed is known by then.
        let all: [(&'static str, &std::ffi::CStr, Write); 5] = [
            ("sched_process_exit", c"sched_process_exit", Writer::end),
            ("sched_process_fork", c"sched_process_fork", Writer::fork),
            ("sched_process_exec", c"sched_process_exec", Writer::exec),
            ("sys_exit", c"sys_exit", Writer::exit),
            ("sys_enter", c"sys_enter", Writer::entry),
        ];
        let (mut programs, mut attached) = (Vec::new(), Vec::new());
        for (tracepoint, name, write) in all {
            let code = write(&maps, &offsets).ok_or(NoEbpf::TooLong(tracepoint))?;
            let program = Program::load(&code, LICENCE)
                .map_err(|reason| NoEbpf::Program { tracepoint, reason })?;
            attached.push(program.attach(name).map_err(NoEbpf::Sys)?);
            programs.push(program);
        }
        drop(unlimited);
        Ok(Ebpf {
            maps,
            programs,
            attached,
        })
    }
}

/// While this lives, this process may hold as much memory as it likes, which maps and programs count as before Linux 5.11
/// (bpf(2)). What is started later has the limit as it was.
struct Unlimited(Rlimit);

impl Unlimited {
    fn new() -> Unlimited {
        let before = getrlimit(Resource::Memlock);
        let none = Rlimit {
            current: None,
            maximum: None,
        };
        // Where it may not be raised it may be high enough, and else the kernel refuses a map.
        let _ = setrlimit(Resource::Memlock, none);
        Unlimited(before)
    }
}

impl Drop for Unlimited {
    fn drop(&mut self) {
        // To lower it is always allowed.
        let _ = setrlimit(Resource::Memlock, self.0);
    }
}
