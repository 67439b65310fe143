//! From a policy to a filter: a balanced tree over ranges of numbers, tails shared.
//!
//! The filter is made from its end to its start, because jumps only go forward: what an
//! instruction jumps to exists already when the instruction is made.

mod layout;

use portcullis_policy::{Action, Class, Condition, Op, Policy, Rule, Width};

use crate::instruction::{Instruction, code};
use crate::{Invalid, Program};
use layout::{Label, Layout};

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

/// The policy needs a longer filter than the kernel takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the policy cannot be a filter: {0}; allow whole calls where arguments do not matter")]
pub struct TooLong(Invalid);

/// What a range of numbers leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Leaf {
    Answer(Action),
    /// The rules for this number look at arguments.
    Number(u32),
}

/// Compiles a policy. What comes out is not trusted: [`crate::verify()`] proves it.
pub fn compile(policy: &Policy) -> Result<Program, TooLong> {
    let ranges = ranges(policy);
    let mut layout = Layout::default();
    let tree = tree(policy, &ranges, &mut layout);
    let mut start = layout.plain(Instruction::plain(code::LD_W_ABS, NUMBER), tree);
    let foreign = layout.answer(policy.foreign);
    start = layout.jump(code::JEQ_K, policy.arch.audit_arch(), start, foreign);
    layout.plain(Instruction::plain(code::LD_W_ABS, ARCH), start);
    Program::new(layout.into_instructions()).map_err(TooLong)
}

/// Where each range of numbers begins and what it leads to, ascending from 0; neighbours differ.
fn ranges(policy: &Policy) -> Vec<(u32, Leaf)> {
    let native = policy.arch.audit_arch();
    let mut numbers: Vec<u32> = policy.rules.iter().map(|r| r.number.0).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let classes = policy.classes();
    let class_of = |number: u32| {
        let (_, class) = classes[classes.partition_point(|(from, _)| *from <= number) - 1];
        class
    };
    let mut starts: Vec<(u32, Leaf)> = classes
        .iter()
        .map(|&(from, class)| (from, Leaf::Answer(policy.unlisted(class))))
        .collect();
    for number in numbers {
        let class = policy.class(native, number);
        if class == Class::Foreign {
            continue;
        }
        starts.retain(|(from, _)| *from != number);
        starts.push((number, leaf(policy, number, class)));
        if let Some(next) = number.checked_add(1)
            && !starts.iter().any(|(from, _)| *from == next)
        {
            starts.push((next, Leaf::Answer(policy.unlisted(class_of(next)))));
        }
    }
    starts.sort_by_key(|(from, _)| *from);
    starts.dedup_by(|next, kept| next.1 == kept.1);
    starts
}

fn leaf(policy: &Policy, number: u32, class: Class) -> Leaf {
    let mut rules = policy.rules.iter().filter(|r| r.number.0 == number);
    match rules.next() {
        None => Leaf::Answer(policy.unlisted(class)),
        Some(first) if first.conditions.is_empty() => Leaf::Answer(first.action),
        Some(_) => Leaf::Number(number),
    }
}

/// The tree over `ranges`, the number in the accumulator.
fn tree(policy: &Policy, ranges: &[(u32, Leaf)], layout: &mut Layout) -> Label {
    match ranges {
        [] => layout.answer(policy.default),
        [(_, Leaf::Answer(action))] => layout.answer(*action),
        [(_, Leaf::Number(number))] => rules(policy, *number, layout),
        // One number between two equal neighbours needs one comparison, not two.
        [(_, before), (number, within), (_, after)]
            if before == after && ranges[2].0 == number + 1 =>
        {
            let otherwise = tree(policy, &[(0, *before)], layout);
            let equal = tree(policy, &[(*number, *within)], layout);
            layout.jump(code::JEQ_K, *number, equal, otherwise)
        }
        _ => {
            let (lower, upper) = ranges.split_at(ranges.len() / 2);
            let high = tree(policy, upper, layout);
            let low = tree(policy, lower, layout);
            layout.jump(code::JGE_K, upper[0].0, high, low)
        }
    }
}

/// The rules of one number, in their order.
fn rules(policy: &Policy, number: u32, layout: &mut Layout) -> Label {
    let class = policy.class(policy.arch.audit_arch(), number);
    let all: Vec<&Rule> = policy
        .rules
        .iter()
        .filter(|r| r.number.0 == number)
        .collect();
    let unconditional = all.iter().position(|r| r.conditions.is_empty());
    let (conditional, last) = match unconditional {
        Some(at) => (&all[..at], all[at].action),
        None => (&all[..], policy.unlisted(class)),
    };
    let mut next = layout.answer(last);
    for rule in conditional.iter().rev() {
        let mut fits = layout.answer(rule.action);
        for condition in rule.conditions.iter().rev() {
            fits = test(condition, fits, next, layout);
        }
        next = fits;
    }
    next
}

/// Code that goes to `yes` when the condition holds, else to `no`.
fn test(condition: &Condition, yes: Label, no: Label, layout: &mut Layout) -> Label {
    if condition.index > 5 {
        return no;
    }
    let offset = ARGUMENTS + 8 * u32::from(condition.index);
    let words = match condition.width {
        Width::W32 => (offset, None),
        Width::W64 => (offset, Some(offset + 4)),
    };
    match condition.op {
        Op::Equal(v) => masked(words, u64::MAX, v, yes, no, layout),
        Op::NotEqual(v) => masked(words, u64::MAX, v, no, yes, layout),
        Op::Masked { mask, value } => masked(words, mask, value, yes, no, layout),
        Op::GreaterEqual(v) => compared(code::JGE_K, words, v, yes, no, layout),
        Op::Less(v) => compared(code::JGE_K, words, v, no, yes, layout),
        Op::Greater(v) => compared(code::JGT_K, words, v, yes, no, layout),
        Op::LessEqual(v) => compared(code::JGT_K, words, v, no, yes, layout),
    }
}

type Words = (u32, Option<u32>);

fn masked(
    (low, high): Words,
    mask: u64,
    value: u64,
    yes: Label,
    no: Label,
    layout: &mut Layout,
) -> Label {
    if value & !mask != 0 || (high.is_none() && value >> 32 != 0) {
        return no;
    }
    let mut word = |offset: u32, mask: u32, value: u32, yes: Label| {
        if mask == 0 {
            return yes;
        }
        let mut at = layout.jump(code::JEQ_K, value, yes, no);
        if mask != u32::MAX {
            at = layout.plain(Instruction::plain(code::AND_K, mask), at);
        }
        layout.plain(Instruction::plain(code::LD_W_ABS, offset), at)
    };
    let low = word(low, mask as u32, value as u32, yes);
    match high {
        Some(high) => word(high, (mask >> 32) as u32, (value >> 32) as u32, low),
        None => low,
    }
}

/// An unsigned comparison, `op` that of the low word.
fn compared(
    op: u16,
    (low, high): Words,
    bound: u64,
    yes: Label,
    no: Label,
    layout: &mut Layout,
) -> Label {
    let (bound_low, bound_high) = (bound as u32, (bound >> 32) as u32);
    if high.is_none() && bound_high != 0 {
        return no;
    }
    let at = layout.jump(op, bound_low, yes, no);
    let mut at = layout.plain(Instruction::plain(code::LD_W_ABS, low), at);
    if let Some(high) = high {
        at = layout.jump(code::JEQ_K, bound_high, at, no);
        at = layout.jump(code::JGT_K, bound_high, yes, at);
        at = layout.plain(Instruction::plain(code::LD_W_ABS, high), at);
    }
    at
}
