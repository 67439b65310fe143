//! Values of one function, as a graph over what the function is given.
//!
//! Nodes are interned: equal expressions are one node, so comparing values is comparing ids.
//! A node that stands for something outside the function ([`Value::Entry`], [`Value::Ret`])
//! or for nothing known ([`Value::Opaque`]) keeps its identity: two uses of one unknown are
//! the same unknown, which is what lets a compare bound a later table index.

use std::collections::BTreeSet;
use std::ops::Bound;

use rustc_hash::FxHashMap;

use crate::isa::{Binary, Compare, Condition, Reg};

/// A node of a [`Graph`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ValueId(pub u32);

/// The node of which nothing is known and which is not even equal to itself.
pub const ANY: ValueId = ValueId(0);

/// The index of what a system call returned, as a [`Value::Opaque`].
pub const OUTCOME: u8 = 64;

/// The index of what a call left in the first register, as a [`Value::Opaque`]; the others follow.
pub const LEFT: u8 = 32;

/// The index of the state of memory that an instruction leaves, as a [`Value::Opaque`].
pub const MEMORY: u8 = u8::MAX;

/// The same where a call was left by an exception.
pub const THROWN: u8 = u8::MAX - 1;

/// Something that a caller supplies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Input {
    /// A register at entry.
    Register(Reg),
    /// Eight bytes on the stack, at this offset from the stack pointer at entry.
    Stack(i32),
    /// The address that it returns to.
    ReturnAddress,
}

/// What a value is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Value {
    /// Nothing is known.
    Any,
    /// A number, or an address of the image.
    Const(u64),
    /// What the caller supplied.
    Entry(Input),
    /// An address in the own frame: the stack pointer at entry plus this.
    Frame(i64),
    /// Unknown, made at this address; the index tells several of one instruction apart.
    Opaque(u64, u8),
    /// One of several, by the edge that was taken: an index into [`Graph::phis`].
    Phi(u32),
    /// Two values combined.
    Binary(Binary, ValueId, ValueId),
    /// The low bits, zero-extended.
    ZeroExtend(ValueId, u8),
    /// The low bits, sign-extended.
    SignExtend(ValueId, u8),
    /// Memory of a size in bytes at an address, in a state of memory.
    Load(ValueId, u8, ValueId),
    /// The first result register after the call at this address.
    Ret(u64),
    /// A scratch register after the call at this address: what it held before, if the callee
    /// keeps it, else unknown.
    Kept(u64, Reg, ValueId),
    /// Flags: how they were made, the operands' width in bits, the operands.
    Flags(Compare, u8, ValueId, ValueId),
    /// One when the flags fulfil the condition, else zero.
    Test(Condition, ValueId),
    /// The second when the first is not zero, else the third.
    Select(ValueId, ValueId, ValueId),
    /// The first, whose low bits (width) compare so with the second: holds on this path.
    Refine(ValueId, Condition, u8, ValueId),
}

impl Value {
    /// What it is made of, but for the operands of a phi.
    pub(super) fn each_operand(&mut self, mut f: impl FnMut(&mut ValueId)) {
        match self {
            Value::Any
            | Value::Const(_)
            | Value::Entry(_)
            | Value::Frame(_)
            | Value::Opaque(..)
            | Value::Phi(_)
            | Value::Ret(_) => {}
            Value::ZeroExtend(a, _) | Value::SignExtend(a, _) | Value::Kept(_, _, a) => f(a),
            Value::Test(_, flags) => f(flags),
            Value::Load(a, _, b)
            | Value::Binary(_, a, b)
            | Value::Flags(_, _, a, b)
            | Value::Refine(a, _, _, b) => {
                f(a);
                f(b);
            }
            Value::Select(t, a, b) => {
                f(t);
                f(a);
                f(b);
            }
        }
    }
}

/// A value that depends on the way control took.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Phi {
    /// The block at whose start it is chosen.
    pub block: u32,
    /// Predecessor block and the value along that edge, in order of discovery.
    pub operands: Vec<(u32, ValueId)>,
}

/// All values of one function.
#[derive(Clone, Debug)]
pub struct Graph {
    nodes: Vec<Value>,
    ids: FxHashMap<Value, ValueId>,
    /// The constants among them: a function of many jumps asks for each where its table ends.
    constants: BTreeSet<u64>,
    /// Operands of [`Value::Phi`].
    pub phis: Vec<Phi>,
}

impl Default for Graph {
    fn default() -> Self {
        let mut ids = FxHashMap::default();
        ids.insert(Value::Any, ANY);
        Graph {
            nodes: vec![Value::Any],
            ids,
            constants: BTreeSet::new(),
            phis: Vec::new(),
        }
    }
}

impl Graph {
    /// What the node is.
    pub fn get(&self, id: ValueId) -> Value {
        self.nodes[id.0 as usize]
    }

    /// How many nodes there are; ids are below.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether it holds nothing but the unknown.
    pub fn is_empty(&self) -> bool {
        self.nodes.len() <= 1
    }

    /// The constant that the node is.
    pub fn constant_of(&self, id: ValueId) -> Option<u64> {
        match self.get(id) {
            Value::Const(c) => Some(c),
            _ => None,
        }
    }

    /// By how much the node is more than what an input is.
    pub fn distance(&self, id: ValueId, from: Input) -> Option<i64> {
        match self.get(id) {
            Value::Entry(input) if input == from => Some(0),
            Value::Binary(Binary::Add, a, b) => match (self.constant_of(a), self.constant_of(b)) {
                (None, Some(by)) => Some(self.distance(a, from)?.wrapping_add(by.cast_signed())),
                (Some(by), None) => Some(self.distance(b, from)?.wrapping_add(by.cast_signed())),
                _ => None,
            },
            _ => None,
        }
    }

    /// The lowest constant above `c` that the function uses.
    pub fn next_constant(&self, c: u64) -> Option<u64> {
        let above = (Bound::Excluded(c), Bound::Unbounded);
        self.constants.range(above).next().copied()
    }

    /// The node for `value`, as it is.
    pub fn intern(&mut self, value: Value) -> ValueId {
        let next = ValueId(self.nodes.len() as u32);
        let (nodes, constants) = (&mut self.nodes, &mut self.constants);
        *self.ids.entry(value).or_insert_with(|| {
            nodes.push(value);
            if let Value::Const(c) = value {
                constants.insert(c);
            }
            next
        })
    }

    /// The node for `value`, if something made it already.
    pub fn find(&self, value: Value) -> Option<ValueId> {
        self.ids.get(&value).copied()
    }

    /// A constant.
    pub fn constant(&mut self, c: u64) -> ValueId {
        self.intern(Value::Const(c))
    }

    /// A new phi of `block`, without operands.
    pub fn phi(&mut self, block: u32) -> ValueId {
        let index = self.phis.len() as u32;
        self.phis.push(Phi {
            block,
            operands: Vec::new(),
        });
        self.intern(Value::Phi(index))
    }

    /// Forgets all but what the values of `roots` are made of, and what only construction needs:
    /// per value, its new place, if it has one.
    pub fn seal(&mut self, roots: impl IntoIterator<Item = ValueId>) -> Vec<Option<ValueId>> {
        self.ids = FxHashMap::default();
        self.constants = BTreeSet::new();
        let mut kept = vec![false; self.nodes.len()];
        let mut pending: Vec<ValueId> = roots.into_iter().chain([ANY]).collect();
        while let Some(v) = pending.pop() {
            if std::mem::replace(&mut kept[v.0 as usize], true) {
                continue;
            }
            self.forget_memory(v);
            let mut value = self.get(v);
            if let Value::Phi(index) = value {
                let operands = &self.phis[index as usize].operands;
                pending.extend(operands.iter().map(|o| o.1));
            }
            value.each_operand(|operand| pending.push(*operand));
        }
        let mut next = 0;
        let places: Vec<Option<ValueId>> = kept
            .into_iter()
            .map(|kept| {
                next += u32::from(kept);
                kept.then(|| ValueId(next - 1))
            })
            .collect();
        let moved = |v: &mut ValueId| *v = places[v.0 as usize].unwrap_or(ANY);
        let mut nodes = Vec::with_capacity(next as usize);
        let mut phis = Vec::new();
        for (mut value, _) in std::mem::take(&mut self.nodes)
            .into_iter()
            .zip(&places)
            .filter(|(_, place)| place.is_some())
        {
            value.each_operand(moved);
            if let Value::Phi(index) = &mut value {
                let mut phi = std::mem::take(&mut self.phis[*index as usize]);
                phi.operands.iter_mut().for_each(|o| moved(&mut o.1));
                phi.operands.shrink_to_fit();
                *index = phis.len() as u32;
                phis.push(phi);
            }
            nodes.push(value);
        }
        phis.shrink_to_fit();
        self.nodes = nodes;
        self.phis = phis;
        places
    }

    /// Which state of memory a load saw only tells loads apart while they are made, but for what a call
    /// left of the frame.
    fn forget_memory(&mut self, load: ValueId) {
        if let Value::Load(address, size, memory) = self.get(load)
            && !matches!(
                (self.get(address), self.get(memory)),
                (Value::Frame(_), Value::Opaque(_, MEMORY))
            )
        {
            self.nodes[load.0 as usize] = Value::Load(address, size, ANY);
        }
    }

    /// Two values combined, constants and frame addresses folded.
    pub fn binary(&mut self, op: Binary, a: ValueId, b: ValueId) -> ValueId {
        use Value::{Const, Frame};
        if let Binary::Sub = op
            && let Const(c) = self.get(b)
        {
            let negative = self.constant(c.wrapping_neg());
            return self.binary(Binary::Add, a, negative);
        }
        match (op, self.get(a), self.get(b)) {
            (_, Const(x), Const(y)) => self.constant(fold(op, x, y)),
            (Binary::Add | Binary::And | Binary::Or | Binary::Xor | Binary::Mul, Const(_), _) => {
                self.binary(op, b, a)
            }
            (Binary::Add, Frame(o), Const(c)) => self.intern(Frame(o.wrapping_add(c as i64))),
            (Binary::Sub, Frame(x), Frame(y)) => self.constant(x.wrapping_sub(y) as u64),
            (Binary::Add, Value::Binary(Binary::Add, x, y), Const(c)) => match self.get(y) {
                Const(d) => {
                    let sum = self.constant(c.wrapping_add(d));
                    self.binary(Binary::Add, x, sum)
                }
                _ => self.intern(Value::Binary(op, a, b)),
            },
            (
                Binary::Add | Binary::Or | Binary::Xor | Binary::Shl | Binary::Shr | Binary::Sar,
                _,
                Const(0),
            ) => a,
            (Binary::And, _, Const(u64::MAX)) | (Binary::Mul, _, Const(1)) => a,
            (Binary::And | Binary::Mul, _, Const(0)) => self.constant(0),
            (Binary::Mul, _, Const(c)) if c.is_power_of_two() => {
                let by = self.constant(u64::from(c.trailing_zeros()));
                self.binary(Binary::Shl, a, by)
            }
            (Binary::Or, _, Const(u64::MAX)) => self.constant(u64::MAX),
            (Binary::Xor | Binary::Sub, _, _) if a == b && a != ANY => self.constant(0),
            // Of one value, not of any two of those that it can be.
            (Binary::Add, _, _) if a == b && a != ANY => {
                let one = self.constant(1);
                self.binary(Binary::Shl, a, one)
            }
            _ if a == ANY || b == ANY => {
                // A mask bounds even the unknown.
                if op == Binary::And && self.constant_of(b).is_some() {
                    self.intern(Value::Binary(op, a, b))
                } else {
                    ANY
                }
            }
            _ => self.intern(Value::Binary(op, a, b)),
        }
    }

    /// The low `bits` bits, zero-extended.
    pub fn zero_extend(&mut self, a: ValueId, bits: u8) -> ValueId {
        if bits >= 64 {
            return a;
        }
        let mask = (1u64 << bits) - 1;
        match self.get(a) {
            Value::Const(c) => self.constant(c & mask),
            Value::ZeroExtend(_, n) if n <= bits => a,
            Value::ZeroExtend(x, _) => self.zero_extend(x, bits),
            Value::SignExtend(x, n) if n >= bits => self.zero_extend(x, bits),
            Value::Load(_, size, _) if u32::from(size) * 8 <= u32::from(bits) => a,
            Value::Test(..) => a,
            Value::Binary(Binary::And, _, c) if self.constant_of(c).is_some_and(|c| c <= mask) => a,
            // A narrow write merged into a wider register, read back narrow.
            Value::Binary(Binary::Or, kept, new)
                if matches!(self.get(kept), Value::Binary(Binary::And, _, c)
                    if self.constant_of(c).is_some_and(|c| c & mask == 0)) =>
            {
                self.zero_extend(new, bits)
            }
            _ => self.intern(Value::ZeroExtend(a, bits)),
        }
    }

    /// The low `bits` bits, sign-extended.
    pub fn sign_extend(&mut self, a: ValueId, bits: u8) -> ValueId {
        if bits >= 64 {
            return a;
        }
        match self.get(a) {
            Value::Const(c) => {
                let shift = 64 - u32::from(bits);
                self.constant((((c << shift) as i64) >> shift) as u64)
            }
            Value::ZeroExtend(_, n) if n < bits => a,
            Value::ZeroExtend(x, n) if n == bits => self.sign_extend(x, bits),
            Value::Load(_, size, _) if u32::from(size) * 8 < u32::from(bits) => a,
            _ if a == ANY => ANY,
            _ => self.intern(Value::SignExtend(a, bits)),
        }
    }

    /// A condition over flags.
    pub fn test(&mut self, condition: Condition, flags: ValueId) -> ValueId {
        if flags == ANY || condition == Condition::Unknown {
            return ANY;
        }
        match self.get(flags) {
            // Compared only when an earlier compare came out so.
            Value::Select(when, a, b) => {
                let a = self.test(condition, a);
                let b = self.test(condition, b);
                self.select(when, a, b)
            }
            Value::Flags(kind, bits, a, b)
                if let (Some(a), Some(b)) = (self.constant_of(a), self.constant_of(b))
                    && let Some(holds) = kind.holds(condition, bits, a, b) =>
            {
                self.constant(u64::from(holds))
            }
            _ => self.intern(Value::Test(condition, flags)),
        }
    }

    /// A choice by a condition.
    pub fn select(&mut self, test: ValueId, a: ValueId, b: ValueId) -> ValueId {
        if a == b {
            return a;
        }
        self.intern(Value::Select(test, a, b))
    }
}

/// What `op` makes of two constants.
pub fn fold(op: Binary, x: u64, y: u64) -> u64 {
    match op {
        Binary::Add => x.wrapping_add(y),
        Binary::Sub => x.wrapping_sub(y),
        Binary::Mul => x.wrapping_mul(y),
        Binary::And => x & y,
        Binary::Or => x | y,
        Binary::Xor => x ^ y,
        Binary::Shl => x.wrapping_shl(y as u32),
        Binary::Shr => x.wrapping_shr(y as u32),
        Binary::Sar => ((x as i64).wrapping_shr(y as u32)) as u64,
    }
}
