//! What it takes to have a stopped task make a call for its tracer.

use portcullis_bpf::Program;
use portcullis_sys::registers::Registers;

use crate::memory::Memory;

/// `struct sock_fprog` of `linux/filter.h` on a 64-bit machine.
const HEADER: usize = 16;

/// How much of the vdso is looked at: it has two pages of code.
const VDSO: usize = 16384;
const PAGE: u64 = 4096;

/// What the vdso has, from its begin on; found once, it is the same in all programs.
#[derive(Default)]
pub(crate) struct CallsInVdso {
    /// Behind an instruction that makes calls.
    behind_call: Option<u64>,
    /// Bytes that nothing uses, at the end of its last page.
    room: Option<(u64, u64)>,
}

impl CallsInVdso {
    /// The address behind an instruction that makes calls in the native task `tid`, whose vdso begins at `base`.
    pub(crate) fn behind_call(&mut self, tid: i32, base: u64) -> Option<u64> {
        self.look(tid, base);
        base.checked_add(self.behind_call?)
    }

    /// Where there are `size` bytes that nothing uses, behind all others.
    pub(crate) fn room(&mut self, tid: i32, base: u64, size: usize) -> Option<u64> {
        self.look(tid, base);
        let (from, to) = self.room?;
        let place = to.checked_sub(size as u64).filter(|at| *at >= from)?;
        base.checked_add(place)
    }

    fn look(&mut self, tid: i32, base: u64) {
        if self.behind_call.is_none()
            && let Ok(memory) = Memory::open(tid)
        {
            let vdso = memory.read_some(base, VDSO);
            self.behind_call = Registers::behind_call_in(&vdso).map(|at| at as u64);
            self.room = room(&vdso);
        }
    }
}

/// From the end of the vdso's file to the end of its last page, when all of that is 0 (the kernel maps whole pages of it:
/// `vdso2c.h` fills up the last one). Its sections' headers come last.
fn room(vdso: &[u8]) -> Option<(u64, u64)> {
    let half = |at: usize| Some(u16::from_le_bytes(*vdso.get(at..)?.first_chunk()?));
    let long = |at: usize| Some(u64::from_le_bytes(*vdso.get(at..)?.first_chunk()?));
    let (sections, each, count) = (long(40)?, half(58)?, half(60)?);
    let end = sections.checked_add(u64::from(each) * u64::from(count))?;
    let rest = end..end.checked_next_multiple_of(PAGE)?;
    let bytes = vdso.get(rest.start as usize..rest.end as usize)?;
    (sections > 0 && bytes.iter().all(|b| *b == 0)).then_some((rest.start, rest.end))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Image;

    #[test]
    fn room_is_behind_all_that_the_vdso_has_and_no_header_ends_the_reader() {
        let own = std::process::id().cast_signed();
        let base = Image::of(own).vdso().unwrap();
        let mut calls = CallsInVdso::default();
        let place = calls.room(own, base, 48).unwrap();
        assert_eq!((place + 48) % PAGE, 0);
        let image = Image::of(own);
        assert_eq!(image.base(place), Some(base));
        let bytes = Memory::open(own).unwrap().read_some(place, 48);
        assert_eq!(bytes, [0; 48]);
        assert_eq!(calls.room(own, base, 1 << 20), None);
        assert_eq!(room(&[]), None);
        assert_eq!(room(&[0; 8192]), None);
        assert_eq!(room(&[0xff; 8192]), None);
    }
}
