//! A filter that a program loads by itself, on the way from its exec to its first instruction.
//!
//! To lead a task through a call takes two stops, and the exit of the exec, behind which it can be made, is a third: more
//! than a third of all that a program like `true` makes. A program that stands in its exec can do without. Its way begins
//! behind the end of the vdso, in the rest of its last page, of which it gets a copy of its own: the few instructions
//! there load the filter from the stack, write over it, and over what the call left in the registers, and stop only when
//! it was refused. Nothing else is left of that than these instructions.

use portcullis_sys::Error;
use portcullis_sys::registers::{Prelude, Registers};

use super::free::Free;
use super::inject;
use super::task::Inherited;
use crate::borrowed::{self, CallsInVdso};

/// Has the task at the stop of the exec of a native program, whose vdso begins at `vdso`, load `free` when it goes on.
/// `None` when it has to be led.
pub(super) fn begin(
    tid: i32,
    free: &Free,
    vdso: u64,
    calls: &mut CallsInVdso,
    inherited: &Inherited,
) -> Result<Option<Prelude>, Error> {
    let place = calls.room(tid, vdso, Prelude::SIZE);
    // A call that is asked about could not be told from one of the program's own, by the same instruction.
    let Some(place) = place.filter(|at| !inherited.ask_at(at + Prelude::BEHIND_CALL)) else {
        return Ok(None);
    };
    let registers = Registers::of(tid)?;
    let filter = inject::place_on_stack(&registers, free);
    let size = borrowed::size(&free.program) as u32;
    let Some(prelude) = Prelude::new(&registers, place, filter, size) else {
        return Ok(None);
    };
    match prelude.put(tid) {
        Err(error) if error.is_gone() => return Err(error),
        // Not where the kernel lets nobody write to it.
        Err(_) => return Ok(None),
        Ok(()) => {}
    }
    let bytes = borrowed::bytes(&free.program, filter);
    if inject::written(tid, filter, &bytes).is_none() {
        return Ok(None);
    }
    prelude.begin(tid)?;
    Ok(Some(prelude))
}
