//! A filter for people to read: what each comparison is about, by name.

use std::fmt;

use portcullis_abi::{Arch, Sysno};

use crate::Program;
use crate::instruction::{Instruction, code};
use crate::region::ARCH;

/// What is known where an instruction is run, whatever the way there.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Known {
    /// The word of `struct seccomp_data` that the accumulator holds.
    word: Option<u32>,
    /// The architecture that was asked for and found.
    arch: Option<u32>,
}

impl fmt::Display for Program {
    /// A listing: places, operations, where jumps go, and names of architectures, calls and actions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = known(self);
        for (at, (instruction, known)) in self.instructions().iter().zip(known).enumerate() {
            writeln!(f, "{at:4}  {}", line(at, instruction, known))?;
        }
        Ok(())
    }
}

/// Jumps only go forward: one pass sees all ways to an instruction before it.
fn known(program: &Program) -> Vec<Option<Known>> {
    let all = program.instructions();
    let mut known: Vec<Option<Known>> = vec![None; all.len()];
    let start = Known {
        word: None,
        arch: None,
    };
    if let Some(first) = known.first_mut() {
        *first = Some(start);
    }
    for (at, i) in all.iter().enumerate() {
        let Some(here) = known[at] else { continue };
        let mut flow = |skip: usize, there: Known| {
            if let Some(slot) = known.get_mut(at + 1 + skip) {
                *slot = Some(slot.map_or(there, |before| Known {
                    word: before.word.filter(|w| Some(*w) == there.word),
                    arch: before.arch.filter(|a| Some(*a) == there.arch),
                }));
            }
        };
        match i.code {
            code::RET_K | code::RET_A => {}
            code::JA => flow(i.k as usize, here),
            op if op & 7 == code::JMP => {
                let is_arch = op == code::JEQ_K && here.word == Some(4 * ARCH as u32);
                let found = Known {
                    arch: if is_arch { Some(i.k) } else { here.arch },
                    ..here
                };
                flow(i.jt.into(), found);
                flow(i.jf.into(), here);
            }
            code::LD_W_ABS => flow(
                0,
                Known {
                    word: Some(i.k),
                    ..here
                },
            ),
            op if op & 7 == code::ALU || is_load(op) => flow(0, Known { word: None, ..here }),
            _ => flow(0, here),
        }
    }
    known
}

/// Whether the operation puts something else into the accumulator.
fn is_load(op: u16) -> bool {
    matches!(op, code::LD_W_LEN | code::LD_IMM | code::LD_MEM | code::TXA)
}

fn line(at: usize, i: &Instruction, known: Option<Known>) -> String {
    let Some(known) = known else {
        return format!("{i}  (never run)");
    };
    let to = |skip: u8| at + 1 + usize::from(skip);
    let comparison = match i.code {
        code::JEQ_K => "==",
        code::JGT_K => ">",
        code::JGE_K => ">=",
        code::JSET_K => "&",
        code::JA => return format!("goto {}", at + 1 + i.k as usize),
        _ => return i.to_string(),
    };
    let (subject, value) = match known.word {
        Some(0) if i.code != code::JSET_K => ("nr".to_owned(), number(known.arch, i.k)),
        Some(4) => ("arch".to_owned(), architecture(i.k)),
        Some(offset) => (crate::instruction::word(offset), format!("{:#x}", i.k)),
        None => ("a".to_owned(), format!("{:#x}", i.k)),
    };
    let next = at + 1;
    let (yes, no) = (to(i.jt), to(i.jf));
    match (yes == next, no == next) {
        (false, true) => format!("if {subject} {comparison} {value} goto {yes}"),
        (true, false) => format!("if not {subject} {comparison} {value} goto {no}"),
        _ => format!("if {subject} {comparison} {value} goto {yes} else {no}"),
    }
}

fn number(arch: Option<u32>, number: u32) -> String {
    let mut of_arch = arch.into_iter().flat_map(Arch::of_audit);
    match of_arch.find_map(|a| a.name(Sysno(number))) {
        Some(name) => format!("{number} ({name})"),
        None => format!("{number:#x}"),
    }
}

fn architecture(value: u32) -> String {
    match Arch::of_audit(value).next() {
        Some(arch) => format!("{value:#x} ({arch})"),
        None => format!("{value:#x}"),
    }
}
