//! Filters that a program installs itself, read when it does, so that what they deny is told from what others do.
//!
//! Observed: another task can change the program between this look and the kernel's. What is read is only told.

use std::rc::Rc;

use portcullis_bpf::{Instruction, Program, run};
use portcullis_policy::{Action, Call};

use crate::memory::Memory;

/// `BPF_MAXINSNS` of `linux/bpf_common.h`: the kernel takes no longer filter.
const LONGEST: usize = 4096;
/// `struct sock_fprog` of `linux/filter.h` on a 64-bit machine, and one instruction.
const HEADER: usize = 16;
const ROW: usize = 8;

/// The filters of a task, as far as they could be read.
#[derive(Clone, Default)]
pub(super) struct OwnFilters(Vec<Rc<Program>>);

impl OwnFilters {
    /// A further one is in force.
    pub(super) fn add(&mut self, program: Rc<Program>) {
        self.0.push(program);
    }

    /// What they answer to a call, when that is no permission: the strictest answer counts, of equal ones that of the
    /// newest filter (seccomp(2)). A supervisor's answer is not known.
    pub(super) fn denial(&self, call: &Call) -> Option<Action> {
        let answers = self.0.iter().rev().map(|program| run(program, call));
        // The kernel compares them as signed numbers (`seccomp_run_filters`).
        let strictest = answers.min_by_key(|answer| (answer & 0xffff_0000).cast_signed())?;
        let answer = Action::from_code(strictest);
        let denies = matches!(
            answer,
            Action::Errno(_) | Action::Trap(_) | Action::KillThread | Action::KillProcess
        );
        denies.then_some(answer)
    }
}

/// The program of the `struct sock_fprog` at `address` of the native task `tid`; `None` when it is none.
pub(super) fn read(tid: i32, address: u64) -> Option<Rc<Program>> {
    let memory = Memory::open(tid).ok()?;
    let mut header = [0; HEADER];
    memory.read(address, &mut header)?;
    let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
    let rows = u64::from_ne_bytes(header[8..].try_into().ok()?);
    let mut bytes = vec![0; Some(length).filter(|length| *length <= LONGEST)? * ROW];
    memory.read(rows, &mut bytes)?;
    let row = |row: &[u8]| Instruction {
        code: u16::from_ne_bytes([row[0], row[1]]),
        jt: row[2],
        jf: row[3],
        k: u32::from_ne_bytes([row[4], row[5], row[6], row[7]]),
    };
    let program = Program::new(bytes.chunks_exact(ROW).map(row).collect());
    program.ok().map(Rc::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `struct sock_fprog`.
    #[repr(C)]
    struct Sent {
        length: u16,
        rows: *const [u8; ROW],
    }

    fn answer(action: Action) -> Rc<Program> {
        let rows = [(6u16, action.code())].map(|(code, k)| {
            let mut row = [0; ROW];
            row[..2].copy_from_slice(&code.to_ne_bytes());
            row[4..].copy_from_slice(&k.to_ne_bytes());
            row
        });
        let sent = Sent {
            length: 1,
            rows: rows.as_ptr(),
        };
        read(std::process::id().cast_signed(), (&raw const sent) as u64).unwrap()
    }

    #[test]
    fn the_strictest_answer_counts_and_a_permission_is_none() {
        let call = Call {
            arch: 0,
            number: 0,
            ip: 0,
            args: [0; 6],
        };
        let mut own = OwnFilters::default();
        assert_eq!(own.denial(&call), None);
        for (action, denial) in [
            (Action::Allow, None),
            (Action::Notify, None),
            (Action::Errno(13), Some(Action::Errno(13))),
            (Action::Allow, Some(Action::Errno(13))),
            (Action::Errno(1), Some(Action::Errno(1))),
            (Action::KillThread, Some(Action::KillThread)),
            (Action::KillProcess, Some(Action::KillProcess)),
        ] {
            own.add(answer(action));
            assert_eq!(own.denial(&call), denial);
        }
    }

    #[test]
    fn what_is_no_filter_is_none() {
        let pid = std::process::id().cast_signed();
        assert!(read(pid, 8).is_none());
        let row = [0; ROW];
        for (length, rows) in [
            (0, &raw const row),
            (4097, &raw const row),
            (1, 8 as *const _),
            (1, &raw const row),
        ] {
            let sent = Sent { length, rows };
            assert!(read(pid, (&raw const sent) as u64).is_none());
        }
    }
}
