//! One function, context-free: its blocks, and what each does as expressions over the
//! function's inputs.
//!
//! A summary depends on the image's bytes alone, not on who calls the function: it is made
//! once, when the function is first reached, and solved as often as callers differ. What only
//! the whole program knows stays a symbol: what a call returns ([`Value::Ret`]), whether it
//! returns (each call ends a block), what linkage slots hold ([`Value::Load`]).

use std::ops::Index;

use rustc_hash::FxHashSet;

use crate::isa::{Reg, RegSet};

mod build;
mod explore;
mod hub;
mod jump_table;
mod lower;
mod page;
mod prune;
mod range;
mod settle;
mod state;
mod uses;
pub mod value;

pub use build::{OUTSIDE, Trust, summarise, watch};
pub use explore::begins_in;
pub use page::{Origin, Rest};
pub use value::{ANY, Graph, Input, LEFT, MEMORY, OUTCOME, Phi, Value, ValueId};

/// A function's blocks and values.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Where it is entered.
    pub entry: u64,
    /// Blocks; the first is the entry's. All that can be reached when every call returns.
    pub blocks: Vec<Block>,
    /// Each block's place in reverse postorder.
    pub places: Vec<u32>,
    /// The values they use.
    pub graph: Graph,
    /// It keeps its own return address where it outlives the call: `setjmp`, `vfork` and their
    /// like, which a caller may see return more than once.
    pub keeps_return_address: bool,
    /// It puts another address in place of its return address: what it jumps to returns to its
    /// caller's caller.
    pub replaces_return_address: bool,
    /// Registers of which it uses what they hold at entry, otherwise than to pass it on in the same
    /// place, as far as is seen.
    pub reads: RegSet,
    /// Registers that the convention tells it to preserve and that it saves.
    pub saved: RegSet,
    /// It uses what lies on its caller's stack, or hands it on.
    pub takes_stack: bool,
    /// Pages that it names without adding the rest of an address.
    pub pages: FxHashSet<u64>,
    /// What it adds to what may be such a page of another function, ascending.
    pub rests: Vec<Rest>,
    /// What it writes of its caller's frame itself.
    pub above: Above,
    /// Where it reads its own frame and what it is passed there, by the distance from the stack pointer at
    /// entry, ascending.
    pub frame_reads: Vec<i64>,
    /// What it does to memory, where that was asked for ([`watch`]).
    pub traffic: Vec<Traffic>,
}

impl Summary {
    /// The calls at an address: its last instruction can end several blocks.
    pub fn calls_at(&self, at: u64) -> impl Iterator<Item = &Call> {
        let blocks = self.blocks.iter().filter(move |b| b.last == at);
        blocks.filter_map(|block| match &block.exit {
            Exit::Call(call, ..) | Exit::TailCall(call) => Some(&**call),
            _ => None,
        })
    }

    /// Whether it does anything with what the call at `at` left in `reg`, but for leaving it there.
    pub fn uses_left(&self, at: u64, reg: Reg) -> bool {
        let graph = &self.graph;
        let left = |value: Value| match value {
            Value::Opaque(from, index) => from == at && index == LEFT + reg.0,
            Value::Kept(from, in_, _) => from == at && in_ == reg,
            _ => false,
        };
        let all = || (0..graph.len() as u32).map(ValueId);
        let mut same: FxHashSet<ValueId> = all().filter(|v| left(graph.get(*v))).collect();
        loop {
            let before = same.len();
            for value in all() {
                let is_same = match graph.get(value) {
                    Value::Kept(_, _, kept) => same.contains(&kept),
                    Value::Phi(index) => {
                        let mut operands = graph.phis[index as usize].operands.iter();
                        operands.any(|(_, operand)| same.contains(operand))
                    }
                    mut made => {
                        let mut uses = false;
                        made.each_operand(|operand| uses |= same.contains(operand));
                        if uses {
                            return true;
                        }
                        false
                    }
                };
                if is_same {
                    same.insert(value);
                }
            }
            if same.len() == before {
                break;
            }
        }
        let put = |one: &Traffic| same.contains(&one.address) || same.contains(&one.value);
        let given = |block: &Block| match &block.exit {
            Exit::Call(call, ..) | Exit::TailCall(call) => {
                let mut stack = call.stack.iter();
                same.contains(&call.target) || stack.any(|(_, value)| same.contains(value))
            }
            Exit::Syscall(entry, _) => entry.arguments.iter().any(|value| same.contains(value)),
            _ => false,
        };
        self.traffic.iter().any(put) || self.blocks.iter().any(given)
    }

    /// Whether it reads some of its frame between two places.
    pub fn reads_frame(&self, (from, to): (i64, i64)) -> bool {
        /// Most that one instruction reads.
        const LONGEST: i64 = 64;
        let first = from.saturating_sub(LONGEST);
        let at = self.frame_reads.partition_point(|&read| read <= first);
        self.frame_reads.get(at).is_some_and(|&read| read < to)
    }

    /// The entries into the kernel at an address.
    pub fn entries_at(&self, at: u64) -> impl Iterator<Item = &Entry> {
        let blocks = self.blocks.iter().filter(move |b| b.last == at);
        blocks.filter_map(|block| match &block.exit {
            Exit::Syscall(entry, _) => Some(&**entry),
            _ => None,
        })
    }
}

/// What is written of a caller's frame, by distances from the stack pointer as the callee finds it.
///
/// By the conventions a callee may change what it is passed on the stack and nothing else there. Parts of a
/// function that a compiler put elsewhere (LLVM's outliner) write what lies in its frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Above {
    /// Where what is written by so many bytes begins.
    pub from: i64,
    /// The first byte after it.
    pub to: i64,
    /// Where the lowest write of unknown length begins. It ends with the frame that it begins in at the
    /// latest: no object lies in two frames.
    pub endless: i64,
}

impl Default for Above {
    fn default() -> Above {
        Above::NONE
    }
}

impl Above {
    /// Nothing.
    pub const NONE: Above = Above {
        from: i64::MAX,
        to: i64::MIN,
        endless: i64::MAX,
    };

    /// What a write does of so many bytes, or of any number.
    pub fn write(offset: i64, size: Option<u8>) -> Above {
        match size {
            Some(size) => Above {
                from: offset,
                to: offset.saturating_add(i64::from(size)),
                ..Above::NONE
            },
            None => Above {
                endless: offset,
                ..Above::NONE
            },
        }
    }

    /// Whether it is empty.
    pub fn is_none(self) -> bool {
        self.from >= self.to && self.endless == i64::MAX
    }

    /// The least with both in it.
    pub fn join(self, other: Above) -> Above {
        Above {
            from: self.from.min(other.from),
            to: self.to.max(other.to),
            endless: self.endless.min(other.endless),
        }
    }

    /// The same when distances count from a place that lies `by` bytes below.
    pub fn moved(self, by: i64) -> Above {
        let move_ = |at: i64, none: i64| match at == none {
            true => at,
            false => at.saturating_add(by),
        };
        Above {
            from: move_(self.from, Above::NONE.from),
            to: move_(self.to, Above::NONE.to),
            endless: move_(self.endless, Above::NONE.endless),
        }
    }

    /// What of it lies in frames that begin at `least`.
    pub fn beyond(self, least: i64) -> Above {
        let mut rest = Above::NONE;
        if self.to > least {
            rest.from = self.from.max(least);
            rest.to = self.to;
        }
        if self.endless >= least {
            rest.endless = self.endless;
        }
        rest
    }

    /// The shortest stretch with all of it: where it begins, and the first byte after it.
    pub fn stretch(self) -> (i64, i64) {
        match self.endless == i64::MAX {
            true => (self.from, self.to),
            false => (self.from.min(self.endless), i64::MAX),
        }
    }
}

/// What a block does to memory.
#[derive(Clone, Copy, Debug)]
pub struct Traffic {
    /// The block.
    pub block: u32,
    /// Where it writes; of what it loses sight of, [`ANY`].
    pub address: ValueId,
    /// How many bytes, 0 when that is not known.
    pub size: u8,
    /// What it writes, or loses sight of: whoever it goes to can have it.
    pub value: ValueId,
}

/// Instructions that run one after the other.
#[derive(Clone, Debug)]
pub struct Block {
    /// Address of the first.
    pub start: u64,
    /// Address of the last: the one that [`Exit`] is about.
    pub last: u64,
    /// Constants and memory that it uses.
    pub references: Vec<Reference>,
    /// How it ends.
    pub exit: Exit,
}

/// A use of the image by a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reference {
    /// The address is in a register or in memory: whoever holds it may use all of the object.
    Address(u64),
    /// The address of code is put into memory.
    Stored(u64),
    /// Only these bytes are read.
    Bytes {
        /// Where.
        at: u64,
        /// How many.
        size: u8,
    },
    /// Written although the program may not once it runs (RELRO): start code fills it in.
    Written {
        /// Where.
        at: u64,
        /// How many bytes, 0 when an index decides.
        size: u8,
        /// What is written.
        value: ValueId,
    },
    /// Written, as the program may.
    Assigned {
        /// Where.
        at: u64,
        /// How many bytes, 0 when an index decides.
        size: u8,
        /// What is written.
        value: ValueId,
    },
    /// Bytes at a computed place relative to a known base.
    Indexed {
        /// The constant part.
        base: u64,
        /// The whole address.
        address: ValueId,
        /// How many bytes, 0 when unknown.
        size: u8,
    },
    /// What is made of an address that is read from where the loader put it, and leaves: that of code,
    /// perhaps, which a table of offsets leads to.
    Computed(ValueId),
}

impl Block {
    /// The blocks that control can go on to.
    pub fn successors(&self) -> impl Iterator<Item = u32> {
        let (some, list) = match &self.exit {
            Exit::Jump(to) => ([Some(*to), None], &[][..]),
            Exit::Branch(_, yes, no) => ([Some(*yes), Some(*no)], &[][..]),
            Exit::Switch(all, _) => ([None; 2], &all[..]),
            Exit::Call(_, next, pad) => ([*next, *pad], &[][..]),
            Exit::Syscall(_, next) | Exit::Foreign(_, next) => ([*next, None], &[][..]),
            Exit::TailCall(_) | Exit::Return(_) | Exit::Stop | Exit::Lost(_) => {
                ([None; 2], &[][..])
            }
        };
        some.into_iter().flatten().chain(list.iter().copied())
    }
}

/// How a block ends.
#[derive(Clone, Debug)]
pub enum Exit {
    /// Goes on to a block.
    Jump(u32),
    /// To the first block when the value is not zero, else to the second; [`ANY`] where nothing
    /// can tell.
    Branch(ValueId, u32, u32),
    /// To one of several blocks; known only if these calls keep these scratch registers.
    Switch(Vec<u32>, Vec<(u64, Reg)>),
    /// A call: where to, what is passed, the block after it, the landing pad of an exception.
    Call(Box<Call>, Option<u32>, Option<u32>),
    /// A jump out of the function with the caller's return address on the stack.
    TailCall(Box<Call>),
    /// Returns with these registers.
    Return(Registers),
    /// A system call by the architecture's convention, and the block after it.
    Syscall(Box<Entry>, Option<u32>),
    /// A system call by another convention.
    Foreign(&'static str, Option<u32>),
    /// Control does not go on.
    Stop,
    /// Control goes where no code is understood.
    Lost(Lost),
}

/// Why control is lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lost {
    /// A jump through a table whose form is not understood.
    Table,
    /// Bytes that are no instruction, or no code.
    NotCode,
    /// The function is larger than the analysis follows.
    TooLarge,
}

/// What the general registers hold, as many as the architecture has.
#[derive(Clone, Debug)]
pub struct Registers(Box<[ValueId]>);

impl Index<Reg> for Registers {
    type Output = ValueId;

    fn index(&self, reg: Reg) -> &ValueId {
        &self.0[usize::from(reg.0)]
    }
}

impl Registers {
    /// Each, by number.
    pub fn iter(&self) -> impl Iterator<Item = (Reg, ValueId)> {
        (0..).map(Reg).zip(self.0.iter().copied())
    }
}

/// A call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Where to: a constant, or computed.
    pub target: ValueId,
    /// Registers as the callee finds them.
    pub registers: Registers,
    /// Words on the stack as the callee finds them: offset from its stack pointer at entry.
    pub stack: Vec<(i32, ValueId)>,
}

impl Call {
    /// What the callee finds in `input`.
    pub fn passed(&self, input: Input) -> ValueId {
        match input {
            Input::Register(reg) => self.registers[reg],
            Input::ReturnAddress => ANY,
            Input::Stack(offset) => self
                .stack
                .iter()
                .find(|(o, _)| *o == offset)
                .map_or(ANY, |&(_, v)| v),
        }
    }
}

/// An entry into the kernel.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The number register.
    pub number: ValueId,
    /// The argument registers.
    pub arguments: [ValueId; 6],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_of_unknown_length_ends_with_the_frame_that_it_begins_in() {
        let both = Above::write(8, Some(8)).join(Above::write(24, None));
        assert_eq!(both.stretch(), (8, i64::MAX));
        // In the frame of a caller, 16 bytes below what that returns to; then in that of the caller's caller.
        assert_eq!(both.moved(-16).beyond(8), Above::write(8, None));
        assert_eq!(both.moved(-32).beyond(8), Above::NONE);
        assert_eq!(Above::NONE.moved(-16), Above::NONE);
    }

    #[test]
    fn what_is_written_by_so_many_bytes_is_cut_where_a_frame_begins() {
        let one = Above::write(16, Some(16)).moved(-16);
        assert_eq!(one.beyond(8), Above::write(8, Some(8)));
        assert!(one.moved(-16).beyond(8).is_none());
        assert!(!one.is_none());
    }
}
