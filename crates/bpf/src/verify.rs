//! The proof that a filter answers every call as its policy says.
//!
//! Filters have no loops: every way through one is walked, with the exact set of calls that takes
//! it ([`Region`]). At each return that set is cut by the policy's own rules, in their order, and
//! each part that is not empty must get the policy's answer there. What cannot be represented
//! exactly is never taken for proved.

mod meaning;

use portcullis_policy::{Action, Call, Policy};

use crate::Program;
use crate::instruction::{Instruction, code};
use crate::interpret::compute;
use crate::program::MEMORY;
use crate::region::{Region, Test, TooHard, WORDS};

/// Sets that are looked at before a proof is given up; a filter of 400 rules needs some 2,000.
const MOST_REGIONS: u32 = 2_000_000;

/// A filter that was proved equal to a policy. There is no other way to get one.
#[derive(Debug)]
pub struct Proved(Program);

impl Proved {
    /// The filter.
    pub fn program(&self) -> &Program {
        &self.0
    }
}

/// Why a filter was not proved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotEqual {
    /// A call that the two answer differently.
    #[error(
        "the filter answers call {} with arguments {:x?} on architecture {:#x} by {filter:?}, \
         the policy by {policy:?}",
        call.number, call.args, call.arch
    )]
    Differ {
        /// The call.
        call: Call,
        /// The filter's answer.
        filter: Action,
        /// The policy's.
        policy: Action,
    },
    /// The filter computes in a way that the proof does not follow.
    #[error("instruction {at} computes something that the proof does not follow")]
    NotFollowed {
        /// Which instruction.
        at: usize,
    },
    /// The proof would take too long.
    #[error("the filter has too many ways through it to be proved")]
    TooHard,
}

impl From<TooHard> for NotEqual {
    fn from(_: TooHard) -> NotEqual {
        NotEqual::TooHard
    }
}

/// Proves that `program` answers every call as `policy` does.
///
/// Equal means the same action, the error number and trace data included. On success the program
/// comes back as [`Proved`]; otherwise the error says why not, with a call on which the two
/// differ when they do.
pub fn verify(program: Program, policy: &Policy) -> Result<Proved, NotEqual> {
    let mut walk = Walk {
        program: &program,
        meaning: meaning::Meaning::new(policy),
        left: MOST_REGIONS,
    };
    walk.all()?;
    Ok(Proved(program))
}

/// What a register holds.
#[derive(Clone, Copy)]
enum Held {
    Constant(u32),
    /// A word of `struct seccomp_data`, some of its bits cleared.
    Word {
        word: usize,
        mask: u32,
    },
    /// The instruction that made it.
    Unfollowed(usize),
}

#[derive(Clone)]
struct State {
    at: usize,
    a: Held,
    x: Held,
    memory: [Held; MEMORY as usize],
    region: Region,
}

struct Walk<'a> {
    program: &'a Program,
    meaning: meaning::Meaning<'a>,
    left: u32,
}

impl Walk<'_> {
    fn all(&mut self) -> Result<(), NotEqual> {
        let zero = Held::Constant(0);
        let mut pending = vec![State {
            at: 0,
            a: zero,
            x: zero,
            memory: [zero; MEMORY as usize],
            region: Region::all(),
        }];
        while let Some(state) = pending.pop() {
            self.left = self.left.checked_sub(1).ok_or(NotEqual::TooHard)?;
            if state.region.member()?.is_some() {
                self.follow(state, &mut pending)?;
            }
        }
        Ok(())
    }

    /// Runs on to the next jump or return.
    fn follow(&mut self, mut state: State, pending: &mut Vec<State>) -> Result<(), NotEqual> {
        // The last instruction of a `Program` returns, and jumps only go forward.
        while let Some(&Instruction {
            code: op,
            jt,
            jf,
            k,
        }) = self.program.instructions().get(state.at)
        {
            let at = state.at;
            state.at += 1;
            let slot = (k % MEMORY) as usize;
            match op {
                code::LD_W_ABS => {
                    state.a = Held::Word {
                        word: (k / 4) as usize % WORDS,
                        mask: u32::MAX,
                    };
                }
                code::LD_W_LEN => state.a = Held::Constant(64),
                code::LDX_W_LEN => state.x = Held::Constant(64),
                code::LD_IMM => state.a = Held::Constant(k),
                code::LDX_IMM => state.x = Held::Constant(k),
                code::LD_MEM => state.a = state.memory[slot],
                code::LDX_MEM => state.x = state.memory[slot],
                code::ST => state.memory[slot] = state.a,
                code::STX => state.memory[slot] = state.x,
                code::TAX => state.x = state.a,
                code::TXA => state.a = state.x,
                code::NEG => {
                    state.a = match state.a {
                        Held::Constant(c) => Held::Constant(c.wrapping_neg()),
                        _ => Held::Unfollowed(at),
                    }
                }
                code::RET_K => return self.answered(&state.region, k),
                code::RET_A => {
                    return match state.a {
                        Held::Constant(c) => self.answered(&state.region, c),
                        _ => Err(NotEqual::NotFollowed { at }),
                    };
                }
                code::JA => state.at += k as usize,
                _ => {
                    let operand = if op & code::X == 0 {
                        Held::Constant(k)
                    } else {
                        state.x
                    };
                    if op & 7 == code::JMP {
                        return branch(state, at, op, operand, [jt, jf], pending);
                    }
                    state.a = combine(at, op, state.a, operand);
                }
            }
        }
        Err(NotEqual::NotFollowed { at: state.at })
    }

    fn answered(&mut self, region: &Region, code: u32) -> Result<(), NotEqual> {
        self.meaning
            .compare(region, Action::from_code(code), &mut self.left)
    }
}

fn combine(at: usize, op: u16, a: Held, operand: Held) -> Held {
    match (a, operand) {
        (Held::Constant(a), Held::Constant(k)) => {
            compute(op, a, k).map_or(Held::Unfollowed(at), Held::Constant)
        }
        (Held::Word { word, mask }, Held::Constant(k)) if op == code::AND_K => Held::Word {
            word,
            mask: mask & k,
        },
        _ => Held::Unfollowed(at),
    }
}

/// Splits the region by a conditional jump.
fn branch(
    state: State,
    at: usize,
    op: u16,
    operand: Held,
    skips: [u8; 2],
    pending: &mut Vec<State>,
) -> Result<(), NotEqual> {
    let Held::Constant(k) = operand else {
        return Err(NotEqual::NotFollowed { at });
    };
    let mut go = |taken: bool, region: Region| {
        pending.push(State {
            at: state.at + usize::from(skips[usize::from(!taken)]),
            region,
            ..state.clone()
        });
    };
    let (word, mask) = match state.a {
        Held::Constant(c) => {
            go(crate::interpret::holds(op, c, k), state.region.clone());
            return Ok(());
        }
        Held::Word { word, mask } => (word, mask),
        Held::Unfollowed(made) => return Err(NotEqual::NotFollowed { at: made }),
    };
    let region = &state.region;
    let cut = |test, passes| vec![region.cut(word, test, passes)];
    let [passing, failing] = match op & 0xf0 {
        0x10 => [true, false].map(|passes| cut(Test::Masked(mask, k), passes)),
        0x40 => [false, true].map(|passes| cut(Test::Masked(mask & k, 0), passes)),
        0x30 => region.ordered(word, mask, k),
        0x20 => match k.checked_add(1) {
            Some(above) => region.ordered(word, mask, above),
            None => [vec![], vec![region.clone()]],
        },
        _ => return Err(NotEqual::NotFollowed { at }),
    };
    passing.into_iter().for_each(|part| go(true, part));
    failing.into_iter().for_each(|part| go(false, part));
    Ok(())
}
