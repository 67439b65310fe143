//! Which instructions a function has, and where its blocks begin: recursive descent along
//! control flow, values not yet known.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use crate::image::{Addr, Image};
use crate::isa::{Binary, Compare, Condition, Flow, Lane, Lifter, Machine, Reg};
use crate::summary::Block;

/// No function of a real program comes near; generated tables of instructions and hostile
/// files would.
const MOST_INSTRUCTIONS: usize = 400_000;

/// Where a block begins and ends, before its values are known.
#[derive(Clone, Debug)]
pub(super) struct Extent {
    pub(super) start: u64,
    /// The last instruction.
    pub(super) last: u64,
    /// The address after the last instruction.
    pub(super) after: u64,
    pub(super) flow: Flow<()>,
}

/// Targets of indirect jumps found so far, by the jump's address.
pub(super) type Tables = BTreeMap<u64, Vec<u64>>;

/// The blocks of the function at `entry` in ascending order of addresses; `true` when it was
/// too large to follow.
pub(super) fn explore(
    image: &Image,
    lifter: &mut Lifter,
    entry: u64,
    tables: &Tables,
    stops: &BTreeSet<u64>,
) -> (Vec<Extent>, bool) {
    let mut decoded: FxHashMap<u64, (u8, Flow<()>)> = FxHashMap::default();
    let mut leaders = BTreeSet::from([entry]);
    let mut pending = vec![entry];
    let mut too_large = false;
    while let Some(start) = pending.pop() {
        let Some(code) = image.code(Addr(start)) else {
            continue;
        };
        let mut offset = 0usize;
        loop {
            let at = start + offset as u64;
            if decoded.contains_key(&at) {
                leaders.insert(at);
                break;
            }
            if decoded.len() >= MOST_INSTRUCTIONS {
                too_large = true;
                break;
            }
            if offset > 0 && image.function_start(Addr(at)) {
                // Falling into the next function: a block of its own says so.
                leaders.insert(at);
                break;
            }
            let (length, flow) = lifter.lift(&code[offset.min(code.len())..], at, &mut Blind);
            decoded.insert(at, (length as u8, flow));
            let after = at + length as u64;
            let mut visit = |target: u64, pending: &mut Vec<u64>| {
                if inside(image, entry, target) && leaders.insert(target) {
                    pending.push(target);
                }
            };
            match flow {
                Flow::Next => {
                    offset += length;
                    continue;
                }
                Flow::Jump(target) => visit(target, &mut pending),
                Flow::Branch((), target) => {
                    visit(after, &mut pending);
                    visit(target, &mut pending);
                }
                Flow::Call(_) | Flow::CallIndirect(()) => {
                    if !stops.contains(&at) && !image.go_ends(Addr(at), Addr(after)) {
                        visit(after, &mut pending);
                    }
                    if let Some(pad) = image.landing_pad(Addr(at), Addr(after)) {
                        visit(pad.0, &mut pending);
                    }
                }
                Flow::Syscall | Flow::ForeignSyscall(_) => visit(after, &mut pending),
                Flow::JumpIndirect(()) => {
                    for &target in tables.get(&at).into_iter().flatten() {
                        visit(target, &mut pending);
                    }
                }
                Flow::Return | Flow::Stop | Flow::Invalid => {}
            }
            break;
        }
    }
    (extents(&decoded, &leaders), too_large)
}

/// Whether a jump to `target` stays in the function at `entry`: another function's start is
/// entered by a tail call, all else is part of this one (a split-off cold part included). A function
/// of Go that had to wait for a larger stack is entered once more.
pub(super) fn inside(image: &Image, entry: u64, target: u64) -> bool {
    (target == entry && !image.is_go(Addr(entry)))
        || (!image.function_start(Addr(target)) && image.is_code(Addr(target)))
}

/// Whether an instruction of `block` begins at `at`; `None` when `at` is in none of them.
pub fn begins_in(image: &Image, lifter: &mut Lifter, block: &Block, at: u64) -> Option<bool> {
    let code = image.code(Addr(block.start))?;
    let mut offset = 0usize;
    loop {
        let begins = block.start + offset as u64;
        if begins > block.last || begins > at {
            return None;
        }
        let (length, _) = lifter.lift(code.get(offset..)?, begins, &mut Blind);
        if length == 0 {
            return None;
        }
        if at < begins + length as u64 {
            return Some(at == begins);
        }
        offset += length;
    }
}

fn extents(decoded: &FxHashMap<u64, (u8, Flow<()>)>, leaders: &BTreeSet<u64>) -> Vec<Extent> {
    let mut all = Vec::with_capacity(leaders.len());
    for &start in leaders {
        let mut at = start;
        while let Some(&(length, flow)) = decoded.get(&at) {
            let after = at + u64::from(length);
            let ends =
                flow != Flow::Next || leaders.contains(&after) || !decoded.contains_key(&after);
            if ends {
                all.push(Extent {
                    start,
                    last: at,
                    after,
                    flow,
                });
                break;
            }
            at = after;
        }
    }
    all
}

/// A machine that sees only control flow.
struct Blind;

impl Machine for Blind {
    type V = ();
    fn constant(&mut self, _: u64) {}
    fn opaque(&mut self, _: u8) {}
    fn thread_pointer(&mut self) {}
    fn get(&mut self, _: Reg) {}
    fn put(&mut self, _: Reg, (): ()) {}
    fn lane(&mut self, _: Lane) {}
    fn put_lane(&mut self, _: Lane, (): ()) {}
    fn forget_lane(&mut self, _: Lane) {}
    fn lose(&mut self, (): ()) {}
    fn binary(&mut self, _: Binary, (): (), (): ()) {}
    fn zero_extend(&mut self, (): (), _: u8) {}
    fn sign_extend(&mut self, (): (), _: u8) {}
    fn load(&mut self, (): (), _: u8) {}
    fn store(&mut self, (): (), _: u8, (): ()) {}
    fn load_target(&mut self, _: ()) {}
    fn store_unknown(&mut self, (): ()) {}
    fn read_unknown(&mut self, (): (), _: Option<u64>) {}
    fn compare(&mut self, _: Compare, _: u8, (): (), (): ()) {}
    fn compare_if(&mut self, (): (), _: (Compare, u8, (), ()), _: (Compare, u64, u64)) {}
    fn test(&mut self, _: Condition, _: Compare, _: u8, (): (), (): ()) {}
    fn forget_flags(&mut self) {}
    fn condition(&mut self, _: Condition) {}
    fn select(&mut self, (): (), (): (), (): ()) {}
}
