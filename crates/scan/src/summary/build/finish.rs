//! The summary, once the states at all block starts are known: what each block refers to and how
//! it ends.

use std::collections::BTreeSet;

use rustc_hash::FxHashSet;

use super::{Builder, places};
use crate::image::Addr;
use crate::isa::{Flow, RegSet};
use crate::summary::explore::{Extent, Tables, inside};
use crate::summary::jump_table::{self, Target, trusted};
use crate::summary::prune::prune;
use crate::summary::state::{State, is_foreign, part};
use crate::summary::value::{ANY, Input, Value, ValueId};
use crate::summary::{Above, Block, Call, Entry, Exit, Lost, Reference, Summary, Traffic};

impl Builder<'_> {
    /// Writes down what each block does, now that the states are known.
    pub(super) fn finish(mut self, tables: &Tables, too_large: bool) -> Summary {
        let mut blocks = Vec::with_capacity(self.extents.len());
        let mut stubs = Vec::new();
        let mut escaping = Vec::new();
        let mut pages = FxHashSet::default();
        let mut whole = FxHashSet::default();
        let mut rests = BTreeSet::new();
        let mut reads = RegSet::NONE;
        let mut traffic = Vec::new();
        let mut takes_stack = false;
        let mut above = Above::NONE;
        let mut frame_reads = BTreeSet::new();
        for block in 0..self.extents.len() as u32 {
            let Extent { start, last, .. } = self.extents[block as usize];
            let Some((state, _)) = self.states[block as usize].take() else {
                // Only a call that lower() saw no way past leads here: kept for its place.
                blocks.push(Block {
                    start,
                    last,
                    references: Vec::new(),
                    exit: Exit::Stop,
                });
                continue;
            };
            let (flow, state, uses) = self.run(block, state, true);
            escaping.extend(uses.escaping);
            pages.extend(uses.pages);
            whole.extend(uses.whole);
            rests.extend(uses.rests);
            reads = reads.or(uses.reads);
            takes_stack |= uses.takes_stack;
            above = above.join(uses.above);
            frame_reads.extend(uses.frame_reads);
            traffic.extend(
                uses.traffic
                    .into_iter()
                    .map(|(address, size, value)| Traffic {
                        block,
                        address,
                        size,
                        value,
                    }),
            );
            let exit = self.exit(block, flow, state, tables, &mut stubs, too_large);
            self.escape_by(&exit, &mut escaping);
            let mut references = uses.references;
            references.extend(self.written_by_barrier(&exit).into_iter().flatten());
            blocks.push(Block {
                start,
                last,
                references,
                exit,
            });
        }
        for (exit, at) in stubs {
            self.escape_by(&exit, &mut escaping);
            blocks.push(Block {
                start: at,
                last: at,
                references: Vec::new(),
                exit,
            });
        }
        if blocks.is_empty() {
            blocks.push(Block {
                start: self.entry,
                last: self.entry,
                references: Vec::new(),
                exit: Exit::Lost(Lost::NotCode),
            });
        }
        // Who means what lies at the page's start adds zero.
        let named = |at: &u64| whole.contains(at) || self.image.function_start(Addr(*at));
        pages.retain(|at| !named(at));
        self.prune_references(&mut blocks, escaping, &pages);
        // Who is jumped to finds what the caller was passed.
        takes_stack |= blocks.iter().any(|b| matches!(b.exit, Exit::TailCall(_)));
        let places = places(blocks.len(), |b| blocks[b as usize].successors().collect());
        prune(&mut self.graph, &mut blocks, &mut traffic);
        // Kept as long as the program is analysed, and most are short.
        blocks.shrink_to_fit();
        traffic.shrink_to_fit();
        Summary {
            entry: self.entry,
            saved: self.saved,
            reads,
            traffic,
            takes_stack,
            above,
            frame_reads: frame_reads.into_iter().collect(),
            pages: pages.into_iter().collect(),
            rests: rests.into_iter().collect(),
            blocks,
            places,
            graph: self.graph,
            keeps_return_address: self.keeps_return_address,
            replaces_return_address: self.replaces_return_address,
        }
    }

    /// Drops references to data whose address never leaves loads that are noted themselves,
    /// and reads of jump tables, whose targets are edges already, and `pages`, which are no addresses
    /// that anybody means.
    fn prune_references(
        &self,
        blocks: &mut [Block],
        escaping: Vec<ValueId>,
        pages: &FxHashSet<u64>,
    ) {
        let mut seen: FxHashSet<ValueId> = FxHashSet::default();
        let mut constants: FxHashSet<u64> = FxHashSet::default();
        // Addresses of code that leave as one of several values: nobody else tells of these.
        let mut below: FxHashSet<ValueId> = FxHashSet::default();
        let mut chosen: BTreeSet<u64> = BTreeSet::new();
        let mut computed: Vec<ValueId> = Vec::new();
        let barriers = blocks.iter().filter(|b| match &b.exit {
            Exit::Call(call, ..) => self.is_write_barrier(call),
            _ => false,
        });
        let barriers: FxHashSet<u64> = barriers.map(|b| b.last).collect();
        // Where garbage is not being collected the pointer is written by its name: what comes after both
        // ways does not ask for its place, or both would have that in a register.
        let left_over = |v: ValueId| match self.graph.get(v) {
            Value::Kept(at, reg, _) => {
                reg == self.image.convention.go_written && barriers.contains(&at)
            }
            _ => false,
        };
        let mut pending = escaping;
        while let Some(v) = pending.pop() {
            if !seen.insert(v) {
                continue;
            }
            match self.graph.get(v) {
                Value::Const(c) => {
                    constants.insert(c);
                }
                Value::Binary(_, a, b) | Value::Select(_, a, b) => {
                    if self.is_loaders(a) || self.is_loaders(b) {
                        computed.push(v);
                    }
                    below.extend([a, b]);
                    pending.extend([a, b]);
                }
                Value::ZeroExtend(a, _) | Value::SignExtend(a, _) | Value::Refine(a, ..) => {
                    pending.push(a);
                }
                Value::Kept(_, _, before) => pending.push(before),
                Value::Phi(index) => {
                    let operands = self.graph.phis[index as usize].operands.iter();
                    let operands = operands.map(|o| o.1).filter(|v| !left_over(*v));
                    for operand in operands {
                        below.insert(operand);
                        pending.push(operand);
                    }
                }
                // The loaded word leaves, not the address it was loaded from.
                Value::Load(..) => {}
                _ => {}
            }
        }
        for v in below {
            if let Some(code) = self.graph.constant_of(v)
                && self.image.is_code(Addr(code))
                && !pages.contains(&code)
            {
                chosen.insert(code);
            }
        }
        let function = self.jumping();
        let jumps: Vec<ValueId> = self
            .jumps
            .values()
            .copied()
            .filter(|&t| matches!(jump_table::resolve(&function, t), Target::Table(_)))
            .collect();
        let tables: FxHashSet<ValueId> = jumps
            .iter()
            .filter_map(|&t| jump_table::table_address(&self.graph, t))
            .collect();
        // Where the entries of a table count from is in a register still, and nobody jumps there
        // but by the table.
        let anchors: FxHashSet<u64> = jumps
            .iter()
            .filter_map(|&t| jump_table::anchor(&self.graph, t))
            .filter(|&at| self.image.is_code(Addr(at)) && !self.image.function_start(Addr(at)))
            .collect();
        if let Some(first) = blocks.first_mut() {
            let stored = chosen.into_iter().filter(|at| !anchors.contains(at));
            first.references.extend(stored.map(Reference::Stored));
            let computed = computed.into_iter().map(Reference::Computed);
            first.references.extend(computed);
        }
        for block in blocks {
            block.references.retain(|r| match r {
                Reference::Address(a) => {
                    let taken = constants.contains(a) && !anchors.contains(a);
                    taken && !pages.contains(a) || self.image.function_start(Addr(*a))
                }
                Reference::Indexed { address, .. } => !tables.contains(address),
                Reference::Stored(a) => !pages.contains(a),
                Reference::Bytes { .. }
                | Reference::Written { .. }
                | Reference::Assigned { .. }
                | Reference::Computed(_) => true,
            });
            block.references.shrink_to_fit();
        }
    }

    /// Whether it is read from a word that the loader puts an address into, for good: in an entry of a
    /// linkage table, which has the address of a variable that may lie in another object.
    fn is_loaders(&self, value: ValueId) -> bool {
        let Value::Load(address, 8, _) = self.graph.get(value) else {
            return false;
        };
        let word = self.graph.constant_of(address);
        word.is_some_and(|at| self.image.fixed_slot(Addr(at)).is_some())
    }

    fn exit(
        &mut self,
        block: u32,
        flow: Flow<ValueId>,
        state: State,
        tables: &Tables,
        stubs: &mut Vec<(Exit, u64)>,
        too_large: bool,
    ) -> Exit {
        let Extent { last, after, .. } = self.extents[block as usize];
        let mut go = |builder: &mut Self, to: u64, state: &State| -> Option<u32> {
            if let Some(&at) = builder.index.get(&to)
                && (to != builder.entry || !builder.go)
            {
                return Some(at);
            }
            let exit = if !builder.image.is_code(Addr(to)) {
                Exit::Lost(Lost::NotCode)
            } else if inside(builder.image, builder.entry, to) {
                Exit::Lost(if too_large {
                    Lost::TooLarge
                } else {
                    Lost::NotCode
                })
            } else {
                let target = builder.graph.constant(to);
                Exit::TailCall(builder.call(target, state, 0))
            };
            stubs.push((exit, last));
            Some((builder.extents.len() + stubs.len() - 1) as u32)
        };
        let jump = |to: Option<u32>| to.map_or(Exit::Stop, Exit::Jump);
        let convention = self.image.convention;
        let pushed = convention.pushed();
        if let Some(hub) = self.hub_at(block) {
            let targets = self.hubs.targets(hub).to_vec();
            let all = targets.into_iter().filter_map(|to| go(self, to, &state));
            return Exit::Switch(all.collect(), Vec::new());
        }
        match flow {
            Flow::Next => jump(go(self, after, &state)),
            Flow::Jump(to) => jump(go(self, to, &state)),
            Flow::Branch(test, to) => match (go(self, to, &state), go(self, after, &state)) {
                (Some(a), Some(b)) => Exit::Branch(test, a, b),
                _ => Exit::Stop,
            },
            Flow::Call(target) => {
                let target = self.graph.constant(target);
                let call = self.call(target, &state, pushed);
                let returns_to = self.returns_to(&self.extents[block as usize]);
                let next = returns_to.and_then(|to| go(self, to, &state));
                let pad = self.image.landing_pad(Addr(last), Addr(after));
                Exit::Call(call, next, pad.and_then(|p| go(self, p.0, &state)))
            }
            Flow::CallIndirect(target) => {
                let call = self.call(target, &state, pushed);
                let returns_to = self.returns_to(&self.extents[block as usize]);
                let next = returns_to.and_then(|to| go(self, to, &state));
                let pad = self.image.landing_pad(Addr(last), Addr(after));
                Exit::Call(call, next, pad.and_then(|p| go(self, p.0, &state)))
            }
            Flow::Syscall => {
                let entry = Entry {
                    number: state.register(convention.number),
                    arguments: convention.kernel_arguments.map(|r| state.register(r)),
                };
                let next = go(self, after, &state);
                self.keeps_return_address |= self.splits(&entry, &state);
                Exit::Syscall(Box::new(entry), next)
            }
            Flow::ForeignSyscall(kind) => Exit::Foreign(kind, go(self, after, &state)),
            Flow::Return => match self.elsewhere(&state) {
                None => Exit::Return(state.registers()),
                Some(target) => Exit::TailCall(self.call(target, &state, -pushed)),
            },
            Flow::Stop => Exit::Stop,
            Flow::Invalid => Exit::Lost(Lost::NotCode),
            Flow::JumpIndirect(target) => {
                // Where it leads was found while less was known; only what holds now counts.
                let resolved = match jump_table::resolve(&self.jumping(), target) {
                    Target::Table(_) => {
                        Target::Table(tables.get(&last).cloned().unwrap_or_default())
                    }
                    other => other,
                };
                match resolved {
                    // Go's runtime runs what waits: see docs/soundness.md.
                    Target::Pointer if self.go && self.is_elsewhere(&state) => Exit::Stop,
                    Target::Return => Exit::Return(state.registers()),
                    Target::Pointer => Exit::TailCall(self.call(target, &state, 0)),
                    Target::Unknown => Exit::Lost(Lost::Table),
                    Target::Table(_) if let Some(hub) = self.hub_of(last) => {
                        Exit::Switch(vec![hub], trusted(&self.graph, target))
                    }
                    Target::Table(targets) => {
                        let all: BTreeSet<u32> = targets
                            .into_iter()
                            .filter_map(|to| go(self, to, &state))
                            .collect();
                        Exit::Switch(all.into_iter().collect(), trusted(&self.graph, target))
                    }
                }
            }
        }
    }

    /// Whether a call starts a child that returns to the caller too, with its memory and on its stack,
    /// as vfork(3) of C libraries does where a register holds the return address: nothing else tells.
    fn splits(&self, entry: &Entry, state: &State) -> bool {
        /// `CLONE_VM` (`include/uapi/linux/sched.h`).
        const SHARES_MEMORY: u64 = 0x100;
        let Some(link) = self.image.convention.link else {
            return false;
        };
        let number = self.graph.constant_of(entry.number);
        let mut starts = self.image.kernel().starts_thread.iter();
        let flags = starts
            .find(|s| Some(s.number) == number)
            .and_then(|s| s.flags);
        let Some(flags) = flags else { return false };
        let flags = self.graph.constant_of(entry.arguments[flags]);
        let stack = self.graph.get(entry.arguments[1]);
        self.graph.get(state.register(link)) == Value::Entry(Input::ReturnAddress)
            && flags.is_none_or(|flags| flags & SHARES_MEMORY != 0)
            && matches!(stack, Value::Const(0) | Value::Frame(_))
    }

    /// Whether the stack is not the one that the function was entered on.
    fn is_elsewhere(&self, state: &State) -> bool {
        let top = state.frame_offset(&self.graph, self.image.convention.stack_pointer);
        top.is_some_and(is_foreign)
    }

    /// Where a return goes when not to the caller: what the function itself put in place of its
    /// return address, or under it.
    fn elsewhere(&mut self, state: &State) -> Option<ValueId> {
        let convention = self.image.convention;
        if let Some(link) = convention.link {
            if self.go && self.is_elsewhere(state) {
                // Back on the stack that the runtime left (see docs/soundness.md).
                return None;
            }
            return self.linked_elsewhere(state.register(link));
        }
        let top = state.frame_offset(&self.graph, convention.stack_pointer)?;
        if is_foreign(top) {
            if self.go {
                // Back on the stack that the runtime left (see docs/soundness.md).
                return None;
            }
            // Another stack: it goes where somebody put an address there, and may come back.
            self.replaces_return_address = true;
            let held = state.load(&mut self.graph, top, 8);
            return Some(held.unwrap_or_else(|| self.graph.intern(Value::Opaque(u64::MAX, 0))));
        }
        if part(top) != 0 && part(top) != -1 {
            // A stack of another height: what is there is not known, nor that it is not ours.
            return None;
        }
        // Its return address is dropped or replaced: what comes then returns to the caller's
        // caller.
        self.replaces_return_address |= top > 0;
        match state.load(&mut self.graph, top, 8) {
            Some(held) => match self.graph.get(held) {
                Value::Entry(Input::Stack(_) | Input::ReturnAddress) => None,
                _ => {
                    // What is entered then returns to the caller's caller.
                    self.replaces_return_address |= top >= 0;
                    Some(held)
                }
            },
            None if top >= 0 => None,
            None => Some(self.graph.intern(Value::Opaque(u64::MAX, 0))),
        }
    }

    /// The same where the return address is in a register: where a function jumps that returns with
    /// `held` in it. What it once saved in its own frame is taken for what it finds there again.
    fn linked_elsewhere(&mut self, held: ValueId) -> Option<ValueId> {
        let mut pending = vec![held];
        let mut seen = FxHashSet::default();
        while let Some(v) = pending.pop() {
            if !seen.insert(v) {
                continue;
            }
            match self.graph.get(v) {
                Value::Entry(Input::ReturnAddress) | Value::Any | Value::Opaque(..) => {}
                Value::Load(address, ..)
                    if let Value::Frame(at) = self.graph.get(address)
                        && !is_foreign(at) => {}
                Value::Refine(a, ..) | Value::Kept(_, _, a) => pending.push(a),
                Value::Select(_, a, b) => pending.extend([a, b]),
                Value::Phi(index) => {
                    let operands = &self.graph.phis[index as usize].operands;
                    pending.extend(operands.iter().map(|o| o.1));
                }
                // What is entered then returns to the caller's caller.
                _ => {
                    self.replaces_return_address = true;
                    return Some(held);
                }
            }
        }
        None
    }

    /// Notes what leaves the function by its exits.
    fn escape_by(&self, exit: &Exit, escaping: &mut Vec<ValueId>) {
        let convention = self.image.convention;
        let leaving = match self.go {
            true => convention.caller_saved.or(convention.go_passing),
            false => convention.caller_saved,
        };
        match exit {
            Exit::Call(call, ..) | Exit::TailCall(call) => {
                let passed = leaving
                    .iter()
                    .filter(|&reg| reg != convention.go_written || !self.is_write_barrier(call));
                escaping.extend(passed.map(|r| call.registers[r]));
                escaping.extend(call.stack.iter().map(|s| s.1));
            }
            // A pair comes back in two registers, or in three; assembly code uses any.
            Exit::Return(registers) => {
                escaping.extend(leaving.iter().map(|r| registers[r]));
            }
            Exit::Syscall(entry, _) => escaping.extend(entry.arguments),
            _ => {}
        }
    }

    /// Whether a call has a pointer written.
    fn is_write_barrier(&self, call: &Call) -> bool {
        let target = self.graph.constant_of(call.target);
        self.go && target.is_some_and(|at| self.image.is_go_write_barrier(Addr(at)))
    }

    /// The word that a call has written: nobody comes to others by it.
    fn written_by_barrier(&self, exit: &Exit) -> Option<[Reference; 2]> {
        let call = match exit {
            Exit::Call(call, ..) | Exit::TailCall(call) if self.is_write_barrier(call) => call,
            _ => return None,
        };
        let at = call.registers[self.image.convention.go_written];
        let at = self.graph.constant_of(at)?;
        let size = 8;
        self.image.region(Addr(at)).filter(|r| r.writable)?;
        Some([
            Reference::Bytes { at, size },
            Reference::Assigned {
                at,
                size,
                value: ANY,
            },
        ])
    }

    /// What a callee finds; `pushed` bytes of return address go on the stack first.
    fn call(&mut self, target: ValueId, state: &State, pushed: i64) -> Box<Call> {
        let mut stack = Vec::new();
        let convention = self.image.convention;
        if let Some(top) = state.frame_offset(&self.graph, convention.stack_pointer) {
            let first = convention.pushed();
            for offset in (first..first + STACK_ARGUMENTS * 8).step_by(8) {
                if let Some(v) = state.passed(&mut self.graph, top - pushed + offset) {
                    stack.push((offset as i32, v));
                }
            }
        }
        stack.shrink_to_fit();
        Box::new(Call {
            target,
            registers: state.registers(),
            stack,
        })
    }
}

/// Words on the stack that a call can pass.
const STACK_ARGUMENTS: i64 = 8;
