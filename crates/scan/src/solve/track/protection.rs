//! Which variables and closures of Go say whether memory becomes executable: its runtime keeps what it
//! asks the vDSO and the C library for in some.

use rustc_hash::{FxHashMap, FxHashSet};

use super::super::{Entered, InstanceId, MOST_NUMBERS, Solver};
use super::Wants;
use crate::image::{Addr, Role, Slot};
use crate::isa::Binary;
use crate::summary::{Input, Value, ValueId};

/// Values that are looked at for all of it.
const MOST_LOOKED_AT: usize = 20_000;
/// Protections that are told one by one: all bits that there are.
const MOST_PROTECTIONS: u64 = 1 << 7;

/// What a value is to a protection.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    /// It, or a word that has it in a half.
    Value,
    /// The address that it is read from.
    Address,
}

/// Values that are on the way to what is wanted.
type Pending = Vec<(InstanceId, ValueId, Part)>;

impl Solver<'_> {
    /// Adds to `wants` what unknown protections are read from, of calls whose numbers are known.
    pub(super) fn want_protections(&self, wants: &mut Wants) {
        let mut pending = self.protections();
        if pending.is_empty() {
            return;
        }
        let mut entered: FxHashMap<InstanceId, Vec<Entered>> = FxHashMap::default();
        for &(id, by) in &self.entries {
            entered.entry(id).or_default().push(by);
        }
        let mut seen = FxHashSet::default();
        while let Some((id, value, part)) = pending.pop() {
            if seen.len() >= MOST_LOOKED_AT || wants.is_full() || !seen.insert((id, value, part)) {
                continue;
            }
            if let Some(input) = self.look_below(id, value, part, &mut pending, wants) {
                for &by in entered.get(&id).into_iter().flatten() {
                    self.look_outside(id, input, part, by, &mut pending, wants);
                }
            }
        }
    }

    fn protections(&self) -> Pending {
        let mut found = Pending::new();
        for (n, instance) in self.instances.iter().enumerate() {
            let summary = &self.functions.all[instance.function.0 as usize].summary;
            for call in &self.image.kernel().makes_executable {
                let unknown = instance.sites.iter().filter(|(at, site)| {
                    let numbers = site.number.values(MOST_NUMBERS).unwrap_or_default();
                    numbers.contains(&call.number)
                        && site.arguments[call.argument]
                            .values(MOST_PROTECTIONS)
                            .is_none()
                        && !self.by_loader(**at)
                });
                for (&at, _) in unknown {
                    let entries = summary.entries_at(at);
                    let id = InstanceId(n as u32);
                    found.extend(entries.map(|e| (id, e.arguments[call.argument], Part::Value)));
                }
            }
        }
        found
    }

    fn by_loader(&self, at: u64) -> bool {
        let object = self.image.object_of(Addr(at));
        object.is_some_and(|o| self.image.objects[o.0 as usize].role == Role::Loader)
    }

    /// Goes on to what is below a value; the input that it is, unless that is known.
    fn look_below(
        &self,
        id: InstanceId,
        value: ValueId,
        part: Part,
        pending: &mut Pending,
        wants: &mut Wants,
    ) -> Option<Input> {
        let instance = &self.instances[id.0 as usize];
        let summary = &self.functions.all[instance.function.0 as usize].summary;
        let graph = &summary.graph;
        let mut below = |v: ValueId| pending.push((id, v, part));
        match graph.get(value) {
            Value::Const(at) if part == Part::Address => self.want_variable(at, wants),
            Value::Load(address, ..) => {
                let closure = Input::Register(self.image.convention.go_closure);
                let captured = graph.distance(address, closure).is_some();
                if captured && self.image.is_go(Addr(summary.entry)) {
                    wants.closures.insert(instance.function);
                }
                pending.push((id, address, Part::Address));
            }
            Value::Binary(Binary::Or | Binary::Shl, a, b) if part == Part::Value => {
                below(a);
                below(b);
            }
            Value::ZeroExtend(a, _)
            | Value::SignExtend(a, _)
            | Value::Refine(a, ..)
            | Value::Kept(_, _, a) => below(a),
            Value::Select(_, a, b) => {
                below(a);
                below(b);
            }
            Value::Phi(index) => {
                let operands = &graph.phis[index as usize].operands;
                operands.iter().for_each(|o| below(o.1));
            }
            Value::Entry(input) if input != Input::ReturnAddress => {
                let mut known = instance.context.iter();
                let told = known.any(|(i, d)| *i == input && d.values(MOST_NUMBERS).is_some());
                return (!told).then_some(input);
            }
            _ => {}
        }
        None
    }

    /// Goes on to what is passed in an input, or to variables that hold the function's address.
    fn look_outside(
        &self,
        id: InstanceId,
        input: Input,
        part: Part,
        by: Entered,
        pending: &mut Pending,
        wants: &mut Wants,
    ) {
        let function = |id: InstanceId| {
            let function = self.instances[id.0 as usize].function;
            &self.functions.all[function.0 as usize]
        };
        match by {
            Entered::From(caller, at) => {
                let calls = function(caller).summary.calls_at(at);
                pending.extend(calls.map(|call| (caller, call.passed(input), part)));
            }
            Entered::Root | Entered::Taken => {
                let held = Slot::Address(Addr(function(id).summary.entry));
                for (at, slot) in self.data.slots(self.image) {
                    if slot == held {
                        self.want_variable(at.0, wants);
                    }
                }
            }
        }
    }

    /// Wants the variable of Go that `at` is in.
    fn want_variable(&self, at: u64, wants: &mut Wants) {
        if self.image.is_go_variable(Addr(at)) {
            self.want_data(at, wants);
        }
    }
}
