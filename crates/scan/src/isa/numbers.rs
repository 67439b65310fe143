//! A machine that computes with numbers, for tests against what others say of an instruction.

use super::{Binary, Compare, Condition, Lane, Machine, Reg, RegSet};

/// What an instruction did, from registers that hold numbers. A value is a number, or unknown.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    pub(super) registers: [Option<u64>; 32],
    pub(super) written: RegSet,
    pub(super) lanes: Vec<Lane>,
    /// Memory that was read or written: where, and how many bytes.
    pub(super) accesses: Vec<(Option<u64>, Option<u64>)>,
    /// Negative, zero, carry, overflow, until an operation leaves others.
    nzcv: u8,
    flags: Flags,
    pub(super) flags_written: bool,
    pub(super) thread_pointer: bool,
}

#[derive(Clone, Copy, Debug)]
enum Flags {
    First,
    Of(Compare, u8, Option<u64>, Option<u64>),
    Unknown,
}

impl Numbers {
    pub(super) fn new(registers: [u64; 32], nzcv: u8) -> Numbers {
        Numbers {
            registers: registers.map(Some),
            written: RegSet::NONE,
            lanes: Vec::new(),
            accesses: Vec::new(),
            nzcv,
            flags: Flags::First,
            flags_written: false,
            thread_pointer: false,
        }
    }

    /// Whether the flags fulfil a condition.
    pub(super) fn holds(&self, condition: Condition) -> Option<bool> {
        match self.flags {
            Flags::First => of_flags(condition, self.nzcv),
            Flags::Of(kind, bits, a, b) => kind.holds(condition, bits, a?, b?),
            Flags::Unknown => None,
        }
    }

    /// What memory holds at a place: some number, always the same.
    fn held(address: u64, size: u8) -> u64 {
        let mixed = (address ^ 0x5bd1_e995).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed.rotate_left(29) & (u64::MAX >> (64 - u32::from(size) * 8))
    }
}

/// C1.2.4, "Condition codes".
pub(super) fn of_flags(condition: Condition, nzcv: u8) -> Option<bool> {
    let [n, z, c, v] = [3, 2, 1, 0].map(|bit| nzcv >> bit & 1 != 0);
    Some(match condition {
        Condition::Eq => z,
        Condition::Ne => !z,
        Condition::AboveEq => c,
        Condition::Below => !c,
        Condition::Negative => n,
        Condition::NotNegative => !n,
        Condition::Above => c && !z,
        Condition::BelowEq => !c || z,
        Condition::GreaterEq => n == v,
        Condition::Less => n != v,
        Condition::Greater => !z && n == v,
        Condition::LessEq => z || n != v,
        Condition::Unknown => return None,
    })
}

fn truth(holds: Option<bool>) -> Option<u64> {
    holds.map(u64::from)
}

impl Machine for Numbers {
    type V = Option<u64>;

    fn constant(&mut self, value: u64) -> Option<u64> {
        Some(value)
    }

    fn opaque(&mut self, _: u8) -> Option<u64> {
        None
    }

    fn thread_pointer(&mut self) -> Option<u64> {
        self.thread_pointer = true;
        None
    }

    fn get(&mut self, reg: Reg) -> Option<u64> {
        self.registers[usize::from(reg.0)]
    }

    fn put(&mut self, reg: Reg, value: Option<u64>) {
        self.written.insert(reg);
        self.registers[usize::from(reg.0)] = value;
    }

    fn lane(&mut self, _: Lane) -> Option<u64> {
        None
    }

    fn put_lane(&mut self, lane: Lane, _: Option<u64>) {
        self.lanes.push(lane);
    }

    fn forget_lane(&mut self, lane: Lane) {
        self.lanes.push(lane);
    }

    fn lose(&mut self, _: Option<u64>) {}

    fn binary(&mut self, op: Binary, a: Option<u64>, b: Option<u64>) -> Option<u64> {
        let (a, b) = (a?, b?);
        Some(match op {
            Binary::Add => a.wrapping_add(b),
            Binary::Sub => a.wrapping_sub(b),
            Binary::Mul => a.wrapping_mul(b),
            Binary::And => a & b,
            Binary::Or => a | b,
            Binary::Xor => a ^ b,
            Binary::Shl => a << (b & 63),
            Binary::Shr => a >> (b & 63),
            Binary::Sar => ((a as i64) >> (b & 63)) as u64,
        })
    }

    fn zero_extend(&mut self, value: Option<u64>, bits: u8) -> Option<u64> {
        Some(value? & (u64::MAX >> (64 - bits)))
    }

    fn sign_extend(&mut self, value: Option<u64>, bits: u8) -> Option<u64> {
        let unused = 64 - bits;
        Some((((value? << unused) as i64) >> unused) as u64)
    }

    fn load(&mut self, address: Option<u64>, size: u8) -> Option<u64> {
        self.accesses.push((address, Some(size.into())));
        Some(Numbers::held(address?, size))
    }

    fn load_target(&mut self, address: Option<u64>) -> Option<u64> {
        self.load(address, 8)
    }

    fn store(&mut self, address: Option<u64>, size: u8, _: Option<u64>) {
        self.accesses.push((address, Some(size.into())));
    }

    fn store_unknown(&mut self, address: Option<u64>) {
        self.accesses.push((address, None));
    }

    fn read_unknown(&mut self, address: Option<u64>, size: Option<u64>) {
        self.accesses.push((address, size));
    }

    fn compare(&mut self, kind: Compare, bits: u8, a: Option<u64>, b: Option<u64>) {
        self.flags = Flags::Of(kind, bits, a, b);
        self.flags_written = true;
    }

    fn compare_if(
        &mut self,
        condition: Option<u64>,
        (kind, bits, a, b): (Compare, u8, Option<u64>, Option<u64>),
        (other, x, y): (Compare, u64, u64),
    ) {
        self.flags_written = true;
        self.flags = match condition {
            None => Flags::Unknown,
            Some(0) => Flags::Of(other, 64, Some(x), Some(y)),
            Some(_) => Flags::Of(kind, bits, a, b),
        };
    }

    fn test(
        &mut self,
        condition: Condition,
        kind: Compare,
        bits: u8,
        a: Option<u64>,
        b: Option<u64>,
    ) -> Option<u64> {
        truth(kind.holds(condition, bits, a?, b?))
    }

    fn forget_flags(&mut self) {
        self.flags = Flags::Unknown;
        self.flags_written = true;
    }

    fn condition(&mut self, condition: Condition) -> Option<u64> {
        truth(self.holds(condition))
    }

    fn select(&mut self, condition: Option<u64>, a: Option<u64>, b: Option<u64>) -> Option<u64> {
        match condition? {
            0 => b,
            _ => a,
        }
    }
}
