//! The decision diagram: which answer follows from which words.

use rustc_hash::FxHashMap;

use portcullis_policy::{Action, Rule, Segments};

use super::NoFilter;
use super::question::{Answer, Key, Question};
use crate::region::lowest;

/// Offset of the number in `struct seccomp_data`.
pub(super) const NUMBER: u32 = 0;
/// Nodes beyond which no filter of 4096 instructions can come: each is one at least, and as many again
/// may be merged while they are made.
const MOST_NODES: usize = 3 * 4096;

/// Questions that are answered while the nodes are made; all that fits is made with a hundredth of it.
const MOST_ANSWERS: usize = 20_000_000;

/// A node: equal ones are one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Node(u32);

impl Node {
    /// No node of a diagram: whatever the number without the bit of x32 leads to.
    pub(super) const AS_WITHOUT: Node = Node(u32::MAX);
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Kind {
    /// The filter's answer.
    Answer(Action),
    /// Ranges of the word, by their lowest values, ascending; neighbours differ.
    Ranges(Key, Vec<(u32, Node)>),
}

/// All nodes; what a node leads to was made before it.
#[derive(Default)]
pub(super) struct Diagram {
    nodes: Vec<Kind>,
    known: FxHashMap<Kind, Node>,
    asked: FxHashMap<State, Node>,
    answers: usize,
}

/// What is still to be asked: rules in their order, and the answer when none fits.
#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    rules: Vec<(Vec<Question>, Action)>,
    otherwise: Action,
}

impl Diagram {
    pub(super) fn kind(&self, node: Node) -> &Kind {
        &self.nodes[node.0 as usize]
    }

    /// The node that tells the numbers of an architecture apart.
    pub(super) fn numbers(&mut self, segments: &Segments<'_>) -> Result<Node, NoFilter> {
        let mut ranges = Vec::new();
        for segment in segments.iter() {
            let node = match segments.rules(segment) {
                [] => self.node(Kind::Answer(segment.otherwise)),
                [only] if only.conditions.is_empty() => self.node(Kind::Answer(only.action)),
                rules => {
                    let state = State::of(rules, segment.otherwise);
                    self.decide(state).map_err(|most| NoFilter::Cases {
                        number: segment.first,
                        most,
                    })?
                }
            };
            ranges.push((segment.first, node));
        }
        Ok(self.ranges(Key::word(NUMBER), ranges))
    }

    fn decide(&mut self, mut state: State) -> Result<Node, usize> {
        state.simplify();
        // A rule that asks nothing has become the answer otherwise.
        let Some(question) = state.rules.first().and_then(|(asked, _)| asked.first()) else {
            return Ok(self.node(Kind::Answer(state.otherwise)));
        };
        if let Some(&known) = self.asked.get(&state) {
            return Ok(known);
        }
        if self.asked.len() > MOST_NODES {
            return Err(MOST_NODES);
        }
        let key = question.key();
        let mut cuts = vec![0];
        for question in state.rules.iter().flat_map(|(asked, _)| asked) {
            question.cuts(key, &mut cuts);
        }
        cuts.sort_unstable();
        cuts.dedup();
        self.answers += cuts.len() * state.rules.len();
        if self.answers > MOST_ANSWERS {
            return Err(MOST_NODES);
        }
        let mut ranges = Vec::with_capacity(cuts.len());
        for (index, &low) in cuts.iter().enumerate() {
            let high = cuts.get(index + 1).map_or(u32::MAX, |next| next - 1);
            // A word whose bits are cleared has no values between some cuts.
            if lowest(low, !key.mask, 0).is_some_and(|v| v <= high) {
                ranges.push((low, self.decide(state.known(key, low, high))?));
            }
        }
        let node = self.ranges(key, ranges);
        self.asked.insert(state, node);
        Ok(node)
    }

    fn ranges(&mut self, key: Key, mut ranges: Vec<(u32, Node)>) -> Node {
        ranges.dedup_by_key(|(_, node)| *node);
        match ranges.as_slice() {
            [(_, only)] => *only,
            _ => self.node(Kind::Ranges(key, ranges)),
        }
    }

    fn node(&mut self, kind: Kind) -> Node {
        if let Some(&known) = self.known.get(&kind) {
            return known;
        }
        let node = Node(self.nodes.len() as u32);
        self.nodes.push(kind.clone());
        self.known.insert(kind, node);
        node
    }
}

impl State {
    fn of(rules: &[&Rule], otherwise: Action) -> State {
        let mut state = State {
            rules: Vec::new(),
            otherwise,
        };
        for rule in rules {
            let asked = all(rule.conditions.iter().map(Question::of));
            state.rules.extend(asked.map(|asked| (asked, rule.action)));
        }
        state
    }

    /// What is left when a word is known.
    fn known(&self, key: Key, low: u32, high: u32) -> State {
        let mut rules = Vec::with_capacity(self.rules.len());
        for (asked, action) in &self.rules {
            if let Some(left) = all(asked.iter().map(|q| q.known(key, low, high))) {
                let last = left.is_empty();
                rules.push((left, *action));
                if last {
                    break;
                }
            }
        }
        State {
            rules,
            otherwise: self.otherwise,
        }
    }

    /// Drops what changes nothing: rules behind one that always fits, and at the end rules whose
    /// answer would follow without them.
    fn simplify(&mut self) {
        if let Some(at) = self.rules.iter().position(|(asked, _)| asked.is_empty()) {
            self.otherwise = self.rules[at].1;
            self.rules.truncate(at);
        }
        while self
            .rules
            .last()
            .is_some_and(|(_, action)| *action == self.otherwise)
        {
            self.rules.pop();
        }
    }
}

/// All questions of the answers; `None` when one is no.
fn all(answers: impl Iterator<Item = Answer>) -> Option<Vec<Question>> {
    let mut asked = Vec::new();
    for answer in answers {
        match answer {
            Answer::Yes => {}
            Answer::No => return None,
            Answer::Ask(more) => asked.extend(more),
        }
    }
    Some(asked)
}
