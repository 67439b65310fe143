//! Instructions in reverse order, and jumps that reach.

use std::collections::HashMap;

use portcullis_policy::Action;

use crate::instruction::{Instruction, code};

/// An instruction that exists: its distance from the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Label(usize);

/// A filter that grows towards its start.
#[derive(Default)]
pub(super) struct Layout {
    /// The last instruction first.
    reversed: Vec<Instruction>,
    answers: HashMap<Action, Label>,
    /// For instructions that were out of reach: the last that was put in their place.
    nearer: HashMap<usize, Label>,
    /// Jumps that were made, so that equal tails are one.
    jumps: HashMap<(u16, u32, usize, usize), Label>,
}

impl Layout {
    /// A return.
    pub(super) fn answer(&mut self, action: Action) -> Label {
        if let Some(&known) = self.answers.get(&action) {
            return known;
        }
        let label = self.push(Instruction::plain(code::RET_K, action.code()));
        self.answers.insert(action, label);
        label
    }

    /// An instruction that goes on to `next`.
    pub(super) fn plain(&mut self, instruction: Instruction, next: Label) -> Label {
        self.reach(next, 0);
        self.push(instruction)
    }

    /// A conditional jump.
    pub(super) fn jump(&mut self, op: u16, k: u32, yes: Label, no: Label) -> Label {
        if yes == no {
            return yes;
        }
        let key = (op, k, yes.0, no.0);
        if let Some(&known) = self.jumps.get(&key) {
            return known;
        }
        // Bringing one near moves the other away by an instruction at most.
        let yes = self.near(yes, 254);
        let no = self.near(no, 255);
        let (jt, jf) = (self.distance(yes), self.distance(no));
        let label = self.push(Instruction {
            code: op,
            jt: jt as u8,
            jf: jf as u8,
            k,
        });
        self.jumps.insert(key, label);
        label
    }

    /// The filter, first instruction first.
    pub(super) fn into_instructions(mut self) -> Vec<Instruction> {
        self.reversed.reverse();
        self.reversed
    }

    fn push(&mut self, instruction: Instruction) -> Label {
        self.reversed.push(instruction);
        Label(self.reversed.len() - 1)
    }

    /// How many instructions the next one would skip to get there.
    fn distance(&self, to: Label) -> usize {
        self.reversed.len() - 1 - to.0
    }

    /// Makes the next instruction's successor lead to `next`.
    fn reach(&mut self, next: Label, most: usize) {
        let _ = self.near(next, most);
    }

    /// `to`, or something that leads there, at most `most` instructions away.
    fn near(&mut self, to: Label, most: usize) -> Label {
        let distance = self.distance(to);
        if distance <= most {
            return to;
        }
        if let Some(&nearer) = self.nearer.get(&to.0)
            && self.distance(nearer) <= most
        {
            return nearer;
        }
        let target = self.reversed[to.0];
        let label = self.push(match target.code {
            code::RET_K => target,
            _ => Instruction::plain(code::JA, distance as u32),
        });
        self.nearer.insert(to.0, label);
        label
    }
}
