//! A filter that the kernel would take.

use std::fmt;

use zeroize::Zeroize as _;

use crate::instruction::{Instruction, code};

/// Longest filter (`BPF_MAXINSNS`).
const MOST: usize = 4096;
/// Size of `struct seccomp_data`.
const DATA: u32 = 64;
/// Words of scratch memory (`BPF_MEMWORDS`).
pub(crate) const MEMORY: u32 = 16;

/// A filter that passed the kernel's own checks; it is wiped when dropped, because it may hold
/// the launch secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Program(Vec<Instruction>);

/// Why the kernel would not take a filter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Invalid {
    /// Nothing, or more than 4096 instructions.
    #[error("a filter has 1 to {MOST} instructions, this one has {0}")]
    Length(usize),
    /// Bytes that are no whole number of instructions.
    #[error("a filter is a row of 8-byte instructions, {0} bytes are not")]
    Bytes(usize),
    /// An operation that seccomp does not have.
    #[error("instruction {at}: seccomp has no operation {code:#06x}")]
    Operation {
        /// Which instruction.
        at: usize,
        /// What it says.
        code: u16,
    },
    /// A load outside `struct seccomp_data`, or not of a whole word.
    #[error("instruction {at}: loads the word at {offset}, which seccomp_data does not have")]
    Load {
        /// Which instruction.
        at: usize,
        /// From where.
        offset: u32,
    },
    /// A jump beyond the end.
    #[error("instruction {at}: jumps beyond the end")]
    Jump {
        /// Which instruction.
        at: usize,
    },
    /// A scratch word that does not exist or was not written on every way there.
    #[error("instruction {at}: reads scratch memory that was not written")]
    Scratch {
        /// Which instruction.
        at: usize,
    },
    /// A division by zero or a shift by 32 or more.
    #[error("instruction {at}: its constant is not allowed")]
    Constant {
        /// Which instruction.
        at: usize,
    },
    /// The last instruction does not return.
    #[error("the last instruction does not return")]
    End,
}

impl Program {
    /// Checks what `bpf_check_classic` (net/core/filter.c) and `seccomp_check_filter`
    /// (kernel/seccomp.c) check.
    pub fn new(instructions: Vec<Instruction>) -> Result<Program, Invalid> {
        let program = Program(instructions);
        program.check()?;
        Ok(program)
    }

    /// The instructions.
    pub fn instructions(&self) -> &[Instruction] {
        &self.0
    }

    /// The filter in the kernel's form, in this machine's byte order.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|i| i.to_bytes()).collect()
    }

    /// Reads the kernel's form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Program, Invalid> {
        let (rows, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(Invalid::Bytes(bytes.len()));
        }
        if rows.len() > MOST {
            return Err(Invalid::Length(rows.len()));
        }
        Program::new(rows.iter().map(|r| Instruction::from_bytes(*r)).collect())
    }

    /// The program with each comparison with `from` made one with `to`: both halves, each where
    /// the program compares a word for equality. Whether that means what is wanted is for the
    /// verifier to say.
    #[must_use]
    pub fn with_constant(&self, from: u64, to: u64) -> Program {
        let halves = |v: u64| [v as u32, (v >> 32) as u32];
        let mut filled = self.clone();
        for instruction in &mut filled.0 {
            if instruction.code == code::JEQ_K
                && let Some(half) = halves(from).iter().position(|h| *h == instruction.k)
            {
                instruction.k = halves(to)[half];
            }
        }
        filled
    }

    fn check(&self) -> Result<(), Invalid> {
        let all = &self.0;
        if all.is_empty() || all.len() > MOST {
            return Err(Invalid::Length(all.len()));
        }
        // Scratch words written on every way to an instruction (`check_load_and_stores`).
        let mut written = vec![u16::MAX; all.len()];
        let mut here = 0u16;
        for (at, instruction) in all.iter().enumerate() {
            here &= written[at];
            let Instruction {
                code: op,
                jt,
                jf,
                k,
            } = *instruction;
            match op {
                code::LD_W_ABS if k >= DATA || k % 4 != 0 => {
                    return Err(Invalid::Load { at, offset: k });
                }
                code::LD_W_ABS
                | code::LD_W_LEN
                | code::LDX_W_LEN
                | code::LD_IMM
                | code::LDX_IMM
                | code::TAX
                | code::TXA
                | code::NEG => {}
                code::RET_K | code::RET_A => here = u16::MAX,
                code::ST | code::STX | code::LD_MEM | code::LDX_MEM if k >= MEMORY => {
                    return Err(Invalid::Scratch { at });
                }
                code::ST | code::STX => here |= 1 << k,
                code::LD_MEM | code::LDX_MEM if here & (1 << k) == 0 => {
                    return Err(Invalid::Scratch { at });
                }
                code::LD_MEM | code::LDX_MEM => {}
                code::JA => {
                    let to = at.checked_add(1 + k as usize).filter(|to| *to < all.len());
                    let to = to.ok_or(Invalid::Jump { at })?;
                    written[to] &= here;
                    here = u16::MAX;
                }
                _ if op & 7 == code::JMP && op & 0xf0 <= 0x40 && op & 0xff00 == 0 => {
                    for skip in [jt, jf] {
                        let to = at + 1 + usize::from(skip);
                        *written.get_mut(to).ok_or(Invalid::Jump { at })? &= here;
                    }
                    here = u16::MAX;
                }
                _ if op & 7 == code::ALU && is_alu(op) => {
                    let by_constant = op & code::X == 0;
                    let refused = match op & 0xf0 {
                        0x30 => k == 0,
                        0x60 | 0x70 => k >= 32,
                        _ => false,
                    };
                    if by_constant && refused {
                        return Err(Invalid::Constant { at });
                    }
                }
                _ => return Err(Invalid::Operation { at, code: op }),
            }
        }
        match all[all.len() - 1].code {
            code::RET_K | code::RET_A => Ok(()),
            _ => Err(Invalid::End),
        }
    }
}

/// Add, subtract, multiply, divide, or, and, shifts, exclusive or; no remainder.
fn is_alu(op: u16) -> bool {
    op & 0xff00 == 0
        && matches!(
            op & 0xf0,
            0x00 | 0x10 | 0x20 | 0x30 | 0x40 | 0x50 | 0x60 | 0x70 | 0xa0
        )
}

impl Drop for Program {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Program {
    /// Never the content: it may hold the launch secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Program({} instructions)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(rows: &[(u16, u8, u8, u32)]) -> Result<Program, Invalid> {
        Program::new(
            rows.iter()
                .map(|&(code, jt, jf, k)| Instruction { code, jt, jf, k })
                .collect(),
        )
    }

    #[test]
    fn what_the_kernel_refuses_is_refused() {
        assert_eq!(program(&[]), Err(Invalid::Length(0)));
        assert_eq!(program(&[(0x20, 0, 0, 0)]), Err(Invalid::End));
        let ret = (0x06, 0, 0, 0);
        assert_eq!(
            program(&[(0x20, 0, 0, 64), ret]),
            Err(Invalid::Load { at: 0, offset: 64 })
        );
        assert_eq!(
            program(&[(0x20, 0, 0, 2), ret]),
            Err(Invalid::Load { at: 0, offset: 2 })
        );
        assert_eq!(
            program(&[(0x15, 1, 0, 0), ret]),
            Err(Invalid::Jump { at: 0 })
        );
        assert_eq!(
            program(&[(0x05, 0, 0, u32::MAX), ret]),
            Err(Invalid::Jump { at: 0 })
        );
        assert_eq!(
            program(&[(0x60, 0, 0, 1), ret]),
            Err(Invalid::Scratch { at: 0 })
        );
        assert_eq!(
            program(&[(0x34, 0, 0, 0), ret]),
            Err(Invalid::Constant { at: 0 })
        );
        // A load of a half word, as packet filters have.
        assert_eq!(
            program(&[(0x28, 0, 0, 0), ret]),
            Err(Invalid::Operation { at: 0, code: 0x28 })
        );
        assert!(program(&[(0x02, 0, 0, 1), (0x60, 0, 0, 1), ret]).is_ok());
        // Written on one way only.
        assert_eq!(
            program(&[(0x15, 0, 1, 0), (0x02, 0, 0, 1), (0x60, 0, 0, 1), ret]),
            Err(Invalid::Scratch { at: 2 })
        );
    }
}
