//! Instructions as operations on values, the same for every architecture.
//!
//! A lifter (one per architecture) decodes one instruction at a time and tells a [`Machine`]
//! what it does; the machine decides what a value is. Nothing behind this module knows
//! registers by name or how an instruction is encoded: what registers are for is the
//! architecture's [`Convention`].

pub mod aarch64;
mod convention;
mod lifter;
#[cfg(test)]
mod numbers;
#[cfg(test)]
mod text;
pub mod x86_64;

pub use convention::{Convention, RegSet};
pub use lifter::Lifter;

/// A general register, by the number that its architecture encodes it with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Reg(pub u8);

/// A 64-bit part of a vector register: the register's number, and the part's, lowest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Lane(pub u8, pub u8);

/// Operations on two 64-bit values; the result wraps.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Binary {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a & b`
    And,
    /// `a | b`
    Or,
    /// `a ^ b`
    Xor,
    /// `a << (b & 63)`
    Shl,
    /// `a >> (b & 63)`, zeros shifted in
    Shr,
    /// `a >> (b & 63)`, the sign shifted in
    Sar,
}

/// What a condition asks of the flags.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Condition {
    /// Equal, zero.
    Eq,
    /// Not equal.
    Ne,
    /// Unsigned `<`.
    Below,
    /// Unsigned `>=`.
    AboveEq,
    /// Unsigned `<=`.
    BelowEq,
    /// Unsigned `>`.
    Above,
    /// Signed `<`.
    Less,
    /// Signed `>=`.
    GreaterEq,
    /// Signed `<=`.
    LessEq,
    /// Signed `>`.
    Greater,
    /// The result is negative.
    Negative,
    /// The result is not negative.
    NotNegative,
    /// Something that is not modelled (parity, overflow).
    Unknown,
}

impl Condition {
    /// The condition that holds exactly when this one does not.
    pub fn negated(self) -> Condition {
        match self {
            Condition::Eq => Condition::Ne,
            Condition::Ne => Condition::Eq,
            Condition::Below => Condition::AboveEq,
            Condition::AboveEq => Condition::Below,
            Condition::BelowEq => Condition::Above,
            Condition::Above => Condition::BelowEq,
            Condition::Less => Condition::GreaterEq,
            Condition::GreaterEq => Condition::Less,
            Condition::LessEq => Condition::Greater,
            Condition::Greater => Condition::LessEq,
            Condition::Negative => Condition::NotNegative,
            Condition::NotNegative => Condition::Negative,
            Condition::Unknown => Condition::Unknown,
        }
    }
}

/// Which operation left the flags.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Compare {
    /// `a - b`, as `cmp` and `sub` do.
    Difference,
    /// `a & b`, as `test` does; carry and overflow are clear.
    Conjunction,
    /// `a & b`, as `tst` of aarch64 does: overflow is clear, and nothing is said of the carry, whose
    /// sense in a compare is another one there.
    Bits,
    /// Only zero and sign of `a` are meaningful (`b` is ignored).
    Result,
}

impl Compare {
    /// Whether the flags that it leaves of two numbers, as their low `bits` bits, fulfil a
    /// condition; `None` when they do not tell.
    pub fn holds(self, condition: Condition, bits: u8, a: u64, b: u64) -> Option<bool> {
        let shift = 64 - u32::from(bits);
        let (a, b) = (a << shift, b << shift);
        let (sa, sb) = (a as i64, b as i64);
        let r = match self {
            Compare::Difference => a.wrapping_sub(b),
            Compare::Conjunction | Compare::Bits => a & b,
            Compare::Result => a,
        };
        let negative = (r as i64) < 0;
        Some(match (self, condition) {
            (_, Condition::Unknown) => return None,
            (_, Condition::Eq) => r == 0,
            (_, Condition::Ne) => r != 0,
            (_, Condition::Negative) => negative,
            (_, Condition::NotNegative) => !negative,
            (Compare::Difference, Condition::Below) => a < b,
            (Compare::Difference, Condition::AboveEq) => a >= b,
            (Compare::Difference, Condition::BelowEq) => a <= b,
            (Compare::Difference, Condition::Above) => a > b,
            (Compare::Difference, Condition::Less) => sa < sb,
            (Compare::Difference, Condition::GreaterEq) => sa >= sb,
            (Compare::Difference, Condition::LessEq) => sa <= sb,
            (Compare::Difference, Condition::Greater) => sa > sb,
            // Carry and overflow are clear.
            (Compare::Conjunction, Condition::Below) => false,
            (Compare::Conjunction, Condition::AboveEq) => true,
            (Compare::Conjunction, Condition::BelowEq) => r == 0,
            (Compare::Conjunction, Condition::Above) => r != 0,
            (Compare::Conjunction | Compare::Bits, Condition::Less) => negative,
            (Compare::Conjunction | Compare::Bits, Condition::GreaterEq) => !negative,
            (Compare::Conjunction | Compare::Bits, Condition::LessEq) => negative || r == 0,
            (Compare::Conjunction | Compare::Bits, Condition::Greater) => !negative && r != 0,
            (Compare::Bits | Compare::Result, _) => return None,
        })
    }
}

/// Where control goes after an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow<V> {
    /// To the next instruction.
    Next,
    /// To a fixed address.
    Jump(u64),
    /// To a fixed address when `V` is not zero, else to the next instruction.
    Branch(V, u64),
    /// To an address that was computed.
    JumpIndirect(V),
    /// Calls a fixed address.
    Call(u64),
    /// Calls an address that was computed.
    CallIndirect(V),
    /// Returns to the caller.
    Return,
    /// Enters the kernel by the architecture's own convention.
    Syscall,
    /// Enters the kernel by a foreign convention (`int 0x80`, `sysenter`).
    ForeignSyscall(&'static str),
    /// Never goes on (`ud2`, `hlt`).
    Stop,
    /// Not an instruction.
    Invalid,
}

/// What a lifter acts on. Addresses and values are 64 bits wide; narrower results are
/// extended by the lifter.
pub trait Machine {
    /// A value.
    type V: Copy;
    /// A constant.
    fn constant(&mut self, value: u64) -> Self::V;
    /// A value of which nothing is known, made by the current instruction; `index` tells
    /// several of one instruction apart.
    fn opaque(&mut self, index: u8) -> Self::V;
    /// The address of what a thread has for itself, of which no other address is made: not of the
    /// frame, nor of the image.
    fn thread_pointer(&mut self) -> Self::V;
    /// Reads a register.
    fn get(&mut self, reg: Reg) -> Self::V;
    /// Writes a register.
    fn put(&mut self, reg: Reg, value: Self::V);
    /// Names the address of a page, to which the rest of an address is added (`adrp`).
    fn page(&mut self, _: Self::V) {}
    /// Names an address that no operation on values makes: what is added may be zero.
    fn whole(&mut self, _: Self::V) {}
    /// Reads a part of a vector register.
    fn lane(&mut self, lane: Lane) -> Self::V;
    /// Writes a part of a vector register.
    fn put_lane(&mut self, lane: Lane, value: Self::V);
    /// Nothing is known of a part of a vector register any more.
    fn forget_lane(&mut self, lane: Lane);
    /// A value goes where it is not followed: whoever reads it there can have it.
    fn lose(&mut self, value: Self::V);
    /// Combines two values.
    fn binary(&mut self, op: Binary, a: Self::V, b: Self::V) -> Self::V;
    /// The low `bits` bits, zero-extended.
    fn zero_extend(&mut self, value: Self::V, bits: u8) -> Self::V;
    /// The low `bits` bits, sign-extended to 64.
    fn sign_extend(&mut self, value: Self::V, bits: u8) -> Self::V;
    /// Reads `size` bytes (1, 2, 4, 8), zero-extended.
    fn load(&mut self, address: Self::V, size: u8) -> Self::V;
    /// Reads the address that control goes to next, into nothing that keeps it.
    fn load_target(&mut self, address: Self::V) -> Self::V;
    /// Writes `size` bytes.
    fn store(&mut self, address: Self::V, size: u8, value: Self::V);
    /// Writes memory at `address` of which neither extent nor content is known.
    fn store_unknown(&mut self, address: Self::V);
    /// Reads memory at `address` into something that is not modelled: `size` bytes, or an
    /// unknown extent.
    fn read_unknown(&mut self, address: Self::V, size: Option<u64>);
    /// Sets the flags from an operation on `bits`-wide operands.
    fn compare(&mut self, kind: Compare, bits: u8, a: Self::V, b: Self::V);
    /// Sets the flags as [`Machine::compare`] does when `condition` is not zero, else as an operation
    /// on two numbers.
    fn compare_if(
        &mut self,
        condition: Self::V,
        compare: (Compare, u8, Self::V, Self::V),
        otherwise: (Compare, u64, u64),
    );
    /// The value 1 when the flags that an operation would leave fulfil `condition`, else 0; the flags
    /// stay.
    fn test(
        &mut self,
        condition: Condition,
        kind: Compare,
        bits: u8,
        a: Self::V,
        b: Self::V,
    ) -> Self::V;
    /// Makes the flags unknown.
    fn forget_flags(&mut self);
    /// The value 1 when the flags fulfil `condition`, else 0.
    fn condition(&mut self, condition: Condition) -> Self::V;
    /// `if_true` when `condition` is not zero, else `if_false`.
    fn select(&mut self, condition: Self::V, if_true: Self::V, if_false: Self::V) -> Self::V;
}
