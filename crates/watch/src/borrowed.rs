//! What it takes to have a stopped task make a call for its tracer.

use portcullis_bpf::Program;
use portcullis_sys::registers::Registers;

use crate::memory::Memory;

/// `struct sock_fprog` of `linux/filter.h` on a 64-bit machine.
const HEADER: usize = 16;

/// How much of the vdso is looked at: it has two pages of code.
const VDSO: usize = 16384;

/// Where the vdso has an instruction that makes calls; found once, it is the same in all programs.
#[derive(Default)]
pub(crate) struct CallsInVdso(Option<u64>);

impl CallsInVdso {
    /// The address behind such an instruction in the native task `tid`, whose vdso begins at `base`.
    pub(crate) fn behind_call(&mut self, tid: i32, base: u64) -> Option<u64> {
        if self.0.is_none() {
            let code = Memory::open(tid).ok()?.read_some(base, VDSO);
            self.0 = Registers::behind_call_in(&code).map(|at| at as u64);
        }
        base.checked_add(self.0?)
    }
}

/// The size of a filter as the kernel reads it.
pub(crate) fn size(filter: &Program) -> usize {
    HEADER + 8 * filter.instructions().len()
}

/// A filter as the kernel reads it at `place`.
pub(crate) fn bytes(filter: &Program, place: u64) -> Vec<u8> {
    let length = u16::try_from(filter.instructions().len()).unwrap_or(0);
    let mut bytes = vec![0; HEADER];
    bytes[..2].copy_from_slice(&length.to_ne_bytes());
    let first = place + HEADER as u64;
    bytes[8..].copy_from_slice(&first.to_ne_bytes());
    bytes.extend(filter.to_bytes());
    bytes
}
