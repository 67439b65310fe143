//! Every way through a filter, with the exact set of calls that takes it.
//!
//! Filters have no loops, so there are finitely many. What cannot be represented exactly ends the walk
//! with an error: it is never taken for something else.

use std::cell::Cell;

use portcullis_policy::Action;

use crate::Program;
use crate::instruction::{Instruction, code};
use crate::interpret::compute;
use crate::program::MEMORY;
use crate::region::{Region, Test, TooHard, WORDS};
use crate::verify::Unknown;

/// What a walk may cost before it is given up: as many sets, and as many patterns that are excluded from
/// them. A filter of 400 rules needs some 10,000; all of it takes about two seconds.
const MOST_EFFORT: u32 = 30_000_000;

/// What a set costs beside its patterns.
const SET: u32 = 4;

/// What a walk may still cost.
pub(crate) struct Effort(Cell<u32>);

impl Effort {
    pub(crate) fn new() -> Effort {
        Effort(Cell::new(MOST_EFFORT))
    }

    /// A look at a set.
    pub(crate) fn step(&self) -> Result<(), TooHard> {
        self.less(1)
    }

    /// One more set.
    pub(crate) fn spend(&self, on: &Region) -> Result<(), TooHard> {
        self.less(SET + on.patterns())
    }

    fn less(&self, cost: u32) -> Result<(), TooHard> {
        self.0.set(self.0.get().checked_sub(cost).ok_or(TooHard)?);
        Ok(())
    }
}

/// Shows each set of calls of `within` that takes one way through `program`, and the answer that it
/// gets; the sets have no call in common.
pub(crate) fn walk<E: From<Unknown>>(
    program: &Program,
    within: Region,
    effort: &mut Effort,
    visit: &mut dyn FnMut(&Region, Action, &mut Effort) -> Result<(), E>,
) -> Result<(), E> {
    let zero = Held::Constant(0);
    let mut pending = vec![State {
        at: 0,
        a: zero,
        x: zero,
        memory: [zero; MEMORY as usize],
        region: within,
    }];
    while let Some(state) = pending.pop() {
        effort.spend(&state.region).map_err(Unknown::from)?;
        if state.region.member().map_err(Unknown::from)?.is_some() {
            let (region, answer) = match follow(program, state, &mut pending)? {
                Some(end) => end,
                None => continue,
            };
            visit(&region, answer, effort)?;
        }
    }
    Ok(())
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

/// Runs on to the next jump, or to the return: which set gets which answer.
fn follow(
    program: &Program,
    mut state: State,
    pending: &mut Vec<State>,
) -> Result<Option<(Region, Action)>, Unknown> {
    // The last instruction of a `Program` returns, and jumps only go forward.
    while let Some(&Instruction {
        code: op,
        jt,
        jf,
        k,
    }) = program.instructions().get(state.at)
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
            code::RET_K => return Ok(Some((state.region, Action::from_code(k)))),
            code::RET_A => {
                return match state.a {
                    Held::Constant(c) => Ok(Some((state.region, Action::from_code(c)))),
                    _ => Err(Unknown::NotFollowed { at }),
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
                    return branch(state, at, op, operand, [jt, jf], pending).map(|()| None);
                }
                if op & 0xf0 == code::DIV {
                    match operand {
                        // It ends the filter with 0 (`bpf_convert_filter`, net/core/filter.c).
                        Held::Constant(0) => return Ok(Some((state.region, Action::from_code(0)))),
                        Held::Constant(_) => {}
                        // For some calls it may, even if nobody looks at the quotient.
                        _ => return Err(Unknown::NotFollowed { at }),
                    }
                }
                state.a = combine(at, op, state.a, operand);
            }
        }
    }
    Err(Unknown::NotFollowed { at: state.at })
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
) -> Result<(), Unknown> {
    let Held::Constant(k) = operand else {
        return Err(Unknown::NotFollowed { at });
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
        Held::Unfollowed(made) => return Err(Unknown::NotFollowed { at: made }),
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
        _ => return Err(Unknown::NotFollowed { at }),
    };
    passing.into_iter().for_each(|part| go(true, part));
    failing.into_iter().for_each(|part| go(false, part));
    Ok(())
}
