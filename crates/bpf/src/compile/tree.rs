//! From the nodes of the diagram to comparisons.

use rustc_hash::FxHashMap;

use portcullis_abi::Arch;
use portcullis_policy::Action;

use super::decision::{Diagram, Kind, NUMBER, Node};
use super::layout::{Label, Layout};
use super::question::Key;
use crate::instruction::{Instruction, code};
use crate::region::lowest;

/// Offset of the architecture in `struct seccomp_data`.
const ARCH: u32 = 4;
/// Set in the number of an x32 call.
const X32: u32 = Arch::X32_BIT;
/// Numbers that are told one by one within a range before the range is cut.
const MOST_EXCEPTIONS: usize = 8;
/// The same of values of arguments. A comparison costs a third of a nanosecond, but every cut
/// multiplies the ways through the filter on which several arguments are looked at, and so the proof.
const MOST_VALUES: usize = 32;
/// Numbers below are those that programs use: a part counts as much as it has of them.
const NUMBERS: u32 = 512;

/// A part of a word's values that leads to one node, but for single values that lead elsewhere.
#[derive(Clone, Debug)]
struct Part {
    from: u32,
    node: Node,
    exceptions: Vec<(u32, Node)>,
    weight: u64,
}

/// Makes the filter of a diagram.
pub(super) struct Emitter<'a> {
    diagram: &'a Diagram,
    hot: &'a [u32],
    layout: Layout,
    /// What [`Node::AS_WITHOUT`] stands for.
    native: Option<Label>,
    /// Nodes that exist, by what the accumulator holds on the way in.
    made: FxHashMap<(Node, Option<Key>), Label>,
}

impl<'a> Emitter<'a> {
    pub(super) fn new(diagram: &'a Diagram, hot: &'a [u32]) -> Emitter<'a> {
        Emitter {
            diagram,
            hot,
            layout: Layout::default(),
            native: None,
            made: FxHashMap::default(),
        }
    }

    /// The filter: the architecture first, each with the node of its numbers.
    pub(super) fn filter(mut self, numbers: &[(u32, Node)], foreign: Action) -> Vec<Instruction> {
        let mut next = self.layout.answer(foreign);
        for &(arch, node) in numbers.iter().rev() {
            let own = match self.diagram.kind(node) {
                Kind::Ranges(key, ranges) if *key == Key::word(NUMBER) => {
                    let of = self.numbers(arch, ranges);
                    self.load(NUMBER, of)
                }
                _ => self.node(node, None),
            };
            next = self.layout.jump(code::JEQ_K, arch, own, next);
        }
        self.load(ARCH, next);
        self.layout.into_instructions()
    }

    /// The numbers of an architecture. What x32 is asked by its bit where that is shorter than by the
    /// ranges that it makes, and what its calls have in common with those without the bit is not
    /// repeated.
    fn numbers(&mut self, arch: u32, ranges: &[(u32, Node)]) -> Label {
        let whole = parts(ranges, MOST_EXCEPTIONS);
        if arch != Arch::X86_64.audit_arch() {
            return self.tree(NUMBER_KEY, whole);
        }
        let (with, without) = (members(ranges, X32, X32), members(ranges, X32, 0));
        let (own, native) = (
            parts(&with, MOST_EXCEPTIONS),
            parts(&without, MOST_EXCEPTIONS),
        );
        let beside = parts(&beyond(&with, &without), MOST_EXCEPTIONS);
        let apart = tests(&own).min(tests(&beside) + 1) + 1 + tests(&native);
        if apart >= tests(&whole) {
            return self.tree(NUMBER_KEY, whole);
        }
        let without = self.tree(NUMBER_KEY, native);
        let with = if tests(&beside) + 1 < tests(&own) {
            // Cleared of its bit the number is asked as any other.
            let clear = Instruction::plain(code::AND_K, !X32);
            self.native = Some(self.layout.plain(clear, without));
            self.tree(NUMBER_KEY, beside)
        } else {
            self.tree(NUMBER_KEY, own)
        };
        self.layout.jump(code::JSET_K, X32, with, without)
    }

    /// The instructions of a node, with the accumulator holding `held`.
    fn node(&mut self, node: Node, held: Option<Key>) -> Label {
        if let (Node::AS_WITHOUT, Some(native)) = (node, self.native) {
            return native;
        }
        let (key, ranges) = match self.diagram.kind(node) {
            Kind::Answer(action) => return self.layout.answer(*action),
            Kind::Ranges(key, ranges) => (*key, ranges),
        };
        let word = Key::word(key.offset);
        let held = held.filter(|h| *h == key || *h == word);
        if let Some(&made) = self.made.get(&(node, held)) {
            return made;
        }
        let label = match *ranges.as_slice() {
            // None of the bits, or any: that is one instruction, and leaves the word as it is.
            [(_, none), (from, any)] if key != word && from <= lowest_bit(key.mask) => {
                let none = self.node(none, Some(word));
                let any = self.node(any, Some(word));
                let label = self.layout.jump(code::JSET_K, key.mask, any, none);
                match held {
                    Some(held) if held == word => label,
                    _ => self.load(key.offset, label),
                }
            }
            _ => {
                let mut label = self.tree(key, parts(ranges, MOST_VALUES));
                if key != word && held != Some(key) {
                    label = self
                        .layout
                        .plain(Instruction::plain(code::AND_K, key.mask), label);
                }
                match held {
                    Some(_) => label,
                    None => self.load(key.offset, label),
                }
            }
        };
        self.made.insert((node, held), label);
        label
    }

    fn load(&mut self, offset: u32, next: Label) -> Label {
        self.layout
            .plain(Instruction::plain(code::LD_W_ABS, offset), next)
    }

    /// Comparisons that lead to the right part; the accumulator holds the word of `key`.
    fn tree(&mut self, key: Key, mut parts: Vec<Part>) -> Label {
        if key == NUMBER_KEY {
            for number in self.hot {
                let at = parts.partition_point(|p| p.from <= *number);
                if let Some(part) = at.checked_sub(1).and_then(|at| parts.get_mut(at)) {
                    part.weight += u64::from(NUMBERS);
                }
            }
        }
        self.subtree(key, &parts)
    }

    fn subtree(&mut self, key: Key, parts: &[Part]) -> Label {
        let [part] = parts else {
            let at = middle(parts);
            let (lower, upper) = parts.split_at(at);
            let high = self.subtree(key, upper);
            let low = self.subtree(key, lower);
            return self.layout.jump(code::JGE_K, upper[0].from, high, low);
        };
        let mut label = self.node(part.node, Some(key));
        for &(value, node) in part.exceptions.iter().rev() {
            let to = self.node(node, Some(key));
            label = self.layout.jump(code::JEQ_K, value, to, label);
        }
        label
    }
}

const NUMBER_KEY: Key = Key {
    offset: NUMBER,
    mask: u32::MAX,
};

fn lowest_bit(mask: u32) -> u32 {
    mask & mask.wrapping_neg()
}

/// Where to cut so that both sides weigh the same.
fn middle(parts: &[Part]) -> usize {
    let total: u64 = parts.iter().map(|p| p.weight).sum();
    let mut left = 0;
    let mut best = (u64::MAX, 1);
    for (at, part) in parts.iter().enumerate().take(parts.len() - 1) {
        left += part.weight;
        best = best.min((total.abs_diff(2 * left), at + 1));
    }
    best.1
}

/// Comparisons that a tree over these parts has.
fn tests(parts: &[Part]) -> usize {
    let exceptions: usize = parts.iter().map(|p| p.exceptions.len()).sum();
    parts.len() - 1 + exceptions
}

/// The ranges of the values whose bits of `mask` are `value`.
fn members(ranges: &[(u32, Node)], mask: u32, value: u32) -> Vec<(u32, Node)> {
    let mut own = Vec::new();
    for (index, &(from, node)) in ranges.iter().enumerate() {
        let to = ranges.get(index + 1).map_or(u32::MAX, |next| next.0 - 1);
        if lowest(from, mask, value).is_some_and(|v| v <= to) {
            own.push((from, node));
        }
    }
    own.dedup_by_key(|(_, node)| *node);
    own
}

/// The ranges of numbers with the bit of x32, those that lead where the same number without it does as
/// [`Node::AS_WITHOUT`].
fn beyond(with: &[(u32, Node)], without: &[(u32, Node)]) -> Vec<(u32, Node)> {
    let mut starts: Vec<u32> = with.iter().map(|(from, _)| *from).collect();
    starts.extend(without.iter().map(|(from, _)| from | X32));
    let at_least = |from: u32| lowest(from, X32, X32);
    let mut starts: Vec<u32> = starts.into_iter().filter_map(at_least).collect();
    starts.sort_unstable();
    starts.dedup();
    let at = |ranges: &[(u32, Node)], number: u32| {
        let behind = ranges.partition_point(|(from, _)| *from <= number);
        ranges.get(behind.saturating_sub(1)).map(|(_, node)| *node)
    };
    let mut ranges = Vec::with_capacity(starts.len());
    for from in starts {
        let (own, native) = (at(with, from), at(without, from & !X32));
        let node = own.filter(|own| Some(*own) != native);
        ranges.push((from, node.unwrap_or(Node::AS_WITHOUT)));
    }
    ranges.dedup_by_key(|(_, node)| *node);
    ranges
}

/// Ranges as parts: a single value between two ranges that lead to one node is an exception of theirs,
/// which costs one comparison where two bounds would be two.
fn parts(ranges: &[(u32, Node)], most: usize) -> Vec<Part> {
    let mut all: Vec<Part> = Vec::new();
    let mut rest = ranges;
    while let [(from, node), more @ ..] = rest {
        rest = more;
        let weight = |from: u32, next: Option<&(u32, Node)>| {
            let to = next.map_or(NUMBERS, |n| n.0.min(NUMBERS));
            u64::from(to.saturating_sub(from))
        };
        let mut part = Part {
            from: *from,
            node: *node,
            exceptions: Vec::new(),
            weight: 1 + weight(*from, rest.first()),
        };
        while let [(value, other), (next, same), more @ ..] = rest
            && *same == part.node
            && *next == *value + 1
            && part.exceptions.len() < most
        {
            part.exceptions.push((*value, *other));
            part.weight += 1 + weight(*next, more.first());
            rest = more;
        }
        all.push(part);
    }
    all
}
