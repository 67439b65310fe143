//! What an architecture's registers are for: between functions by its ABI, and at the border to
//! the kernel.

use portcullis_abi::Arch;

use super::{Reg, aarch64, x86_64};

/// A set of general registers.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct RegSet(u32);

impl RegSet {
    /// None.
    pub const NONE: RegSet = RegSet(0);
    /// All that any architecture has.
    pub const ALL: RegSet = RegSet(u32::MAX);

    /// These.
    pub const fn of(registers: &[Reg]) -> RegSet {
        let mut bits = 0;
        let mut n = 0;
        while n < registers.len() {
            bits |= 1 << registers[n].0;
            n += 1;
        }
        RegSet(bits)
    }

    /// From the first to the last, by their numbers.
    pub const fn span(first: Reg, last: Reg) -> RegSet {
        RegSet(u32::MAX << first.0 & u32::MAX >> (31 - last.0))
    }

    /// Whether `reg` is one of them.
    pub const fn contains(self, reg: Reg) -> bool {
        self.0 & (1 << reg.0) != 0
    }

    /// Whether all of `other` are among them.
    pub const fn contains_all(self, other: RegSet) -> bool {
        self.0 & other.0 == other.0
    }

    /// Adds one.
    pub fn insert(&mut self, reg: Reg) {
        self.0 |= 1 << reg.0;
    }

    /// Takes one out.
    pub fn remove(&mut self, reg: Reg) {
        self.0 &= !(1 << reg.0);
    }

    /// Those in both.
    pub const fn and(self, other: RegSet) -> RegSet {
        RegSet(self.0 & other.0)
    }

    /// Those in either.
    pub const fn or(self, other: RegSet) -> RegSet {
        RegSet(self.0 | other.0)
    }

    /// All others.
    pub const fn complement(self) -> RegSet {
        RegSet(!self.0)
    }

    /// Each, ascending.
    pub fn iter(self) -> impl Iterator<Item = Reg> {
        (0..32).map(Reg).filter(move |&reg| self.contains(reg))
    }
}

/// What registers are for on one architecture.
#[derive(Debug)]
pub struct Convention {
    /// The architecture.
    pub arch: Arch,
    /// How many general registers there are, the stack pointer included: their numbers are below.
    pub registers: u8,
    /// The stack pointer.
    pub stack_pointer: Reg,
    /// Where a call leaves the address that it returns to; without one, on the stack.
    pub link: Option<Reg>,
    /// The register that links frame records, where these lie below all that a function keeps in its
    /// frame: callees save it, and look at nothing through it.
    pub frame_record: Option<Reg>,
    /// Arguments of a function that registers pass.
    pub arguments: &'static [Reg],
    /// Registers in which a callee can be passed something: arguments, the static chain of nested
    /// functions, the place for a structure that is returned.
    pub passing: RegSet,
    /// Where a function leaves its result, and the second word of a pair.
    pub results: [Reg; 2],
    /// Registers that a function may leave changed, [`Convention::link`] aside.
    pub caller_saved: RegSet,
    /// Registers that a function must leave as it found them, the stack pointer aside.
    pub callee_saved: RegSet,
    /// Registers that pass arguments, results and closures between functions of Go ("Go internal ABI
    /// specification").
    pub go_passing: RegSet,
    /// Where a function of Go finds the closure that it was called through ("Go internal ABI
    /// specification", "Closures").
    pub go_closure: Reg,
    /// Where a pointer is written that Go's write barrier writes for its caller (`gcWriteBarrier` in
    /// runtime/asm_amd64.s and runtime/asm_arm64.s, until Go 1.20).
    pub go_written: Reg,
    /// A vector register that Go code keeps at zero ("Go internal ABI specification").
    pub go_zero: Option<u8>,
    /// Instructions name the page of an address and others add the rest.
    pub names_pages: bool,
    /// The number of a system call.
    pub number: Reg,
    /// Arguments of a system call.
    pub kernel_arguments: [Reg; 6],
    /// What the kernel leaves changed: its result, then others.
    pub kernel_writes: &'static [Reg],
}

/// There is one of each architecture.
impl PartialEq for Convention {
    fn eq(&self, other: &Convention) -> bool {
        self.arch == other.arch
    }
}

impl Eq for Convention {}

impl Convention {
    /// That of an architecture whose programs are read: of x86_64 when it is not aarch64.
    pub fn of(arch: Arch) -> &'static Convention {
        match arch {
            Arch::Aarch64 => &aarch64::CONVENTION,
            _ => &x86_64::CONVENTION,
        }
    }

    /// Bytes that a call puts on the stack: the first argument that is passed there is so far from the
    /// stack pointer as the callee finds it.
    pub const fn pushed(&self) -> i64 {
        match self.link {
            Some(_) => 0,
            None => 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_both_its_ends_and_what_is_between() {
        let middle: Vec<u8> = RegSet::span(Reg(3), Reg(5)).iter().map(|r| r.0).collect();
        assert_eq!(middle, [3, 4, 5]);
        assert_eq!(RegSet::span(Reg(0), Reg(31)), RegSet::ALL);
    }
}
