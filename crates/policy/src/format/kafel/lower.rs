//! What the text means on each architecture.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_abi::{Arch, Sysno};

use super::super::formula::{Alternatives, Bits, Formula};
use super::super::token::Spot;
use super::super::{MOST_RULES, names};
use super::tree::{Call, Entry, Expression, Name, Program, Value};
use crate::{
    Action, Baseline, Filter, Mistake, Place, Policy, Remark, Rule, Source, Table, Target, Width,
};

/// An expression with more alternatives than this is refused.
const MOST_ALTERNATIVES: usize = 4096;

/// The meaning of a program for each architecture of the target.
pub(super) fn source(program: &Program, target: &Target) -> Result<Source, Mistake> {
    // It compiles for no x32, whose numbers are then numbers like others of x86_64.
    let arches = target.arches.iter().filter(|arch| **arch != Arch::X32);
    let arches: Vec<Arch> = arches.copied().collect();
    if arches.is_empty() {
        return Err(Mistake::whole(
            "for which architecture is not said, or only x32, which kafel does not have",
        ));
    }
    let default = program.default.unwrap_or(Action::KillThread);
    let mut lowering = Lowering {
        remarks: program.remarks.clone(),
        said: BTreeSet::new(),
    };
    let mut policy = Policy {
        tables: Vec::new(),
        foreign: Action::KillThread,
        phases: Vec::new(),
        ramp: None,
    };
    let mut places = Vec::new();
    for arch in arches {
        let mut table = Table {
            arch,
            rules: Vec::new(),
            baseline: Baseline::All,
            default,
            newer: default,
            x32_is_native: arch == Arch::X86_64,
        };
        let mut own = Vec::new();
        let mut pasted = vec![false; program.policies.len()];
        let mut answered = BTreeMap::new();
        let mut pending: Vec<std::slice::Iter<'_, Entry>> = vec![program.main.iter()];
        while let Some(entries) = pending.last_mut() {
            match entries.next() {
                None => {
                    pending.pop();
                }
                // Used again, its rules would stand behind themselves.
                Some(Entry::Use(used)) => {
                    if !std::mem::replace(&mut pasted[*used], true) {
                        pending.push(program.policies[*used].1.iter());
                    }
                }
                Some(Entry::Block(action, calls)) => {
                    for call in calls {
                        lowering.call(&mut table, &mut own, &mut answered, *action, call)?;
                    }
                }
            }
        }
        policy.tables.push(table);
        places.push(own);
    }
    Ok(Source {
        filters: vec![Filter {
            name: None,
            policy,
            places,
        }],
        remarks: lowering.remarks,
    })
}

struct Lowering {
    remarks: Vec<Remark>,
    /// Remarks that have been made for another architecture.
    said: BTreeSet<Place>,
}

/// A side of a comparison, as kafel simplifies it.
#[derive(Clone, Copy)]
enum Side {
    Number(u64),
    /// Bits of an argument, and whether something in it has 64 bits.
    Bits {
        index: u8,
        keep: u64,
        set: u64,
        wide: bool,
    },
}

impl Lowering {
    fn call(
        &mut self,
        table: &mut Table,
        places: &mut Vec<Place>,
        answered: &mut BTreeMap<Sysno, ()>,
        action: Action,
        call: &Call,
    ) -> Result<(), Mistake> {
        let arch = table.arch;
        let meant = |name: &String| Arch::from_name(name) == Some(arch);
        if !call.only_on.is_empty() && !call.only_on.iter().any(meant) {
            return Ok(());
        }
        let number = match &call.name {
            Name::Number(number) => Sysno(*number),
            Name::Known(name) => arch
                .number(name)
                .ok_or_else(|| call.spot.mistake(format!("{arch} has no call `{name}`")))?,
        };
        let alternatives = match &call.expression {
            None => vec![Vec::new()],
            Some(expression) => self.alternatives(arch, number, call, expression)?,
        };
        if answered.contains_key(&number) && self.said.insert(call.spot.place) {
            let message = "this rule decides nothing: the call has been answered without a \
                           condition before; kafel drops such rules silently";
            self.remarks.push(Remark {
                place: call.spot.place,
                message: call.spot.said(message),
            });
        }
        if table.rules.len() + alternatives.len() > MOST_RULES {
            let message = format!("there are more than {MOST_RULES} rules");
            return Err(call.spot.mistake(message));
        }
        for conditions in alternatives {
            if conditions.is_empty() {
                answered.insert(number, ());
            }
            table.rules.push(Rule {
                calls: number.into(),
                conditions,
                action,
                provenance: Vec::new(),
            });
            places.push(call.spot.place);
        }
        Ok(())
    }

    fn alternatives(
        &self,
        arch: Arch,
        number: Sysno,
        call: &Call,
        expression: &Expression,
    ) -> Result<Alternatives, Mistake> {
        let formula = self.formula(arch, number, call, expression)?;
        formula.alternatives(MOST_ALTERNATIVES).ok_or_else(|| {
            call.spot.mistake(format!(
                "the expression has more than {MOST_ALTERNATIVES} alternatives"
            ))
        })
    }

    fn formula(
        &self,
        arch: Arch,
        number: Sysno,
        call: &Call,
        expression: &Expression,
    ) -> Result<Formula, Mistake> {
        let all = |parts: &[Expression]| {
            let parts = parts.iter().map(|p| self.formula(arch, number, call, p));
            parts.collect::<Result<Vec<_>, _>>()
        };
        Ok(match expression {
            Expression::Any(parts) => Formula::Any(all(parts)?),
            Expression::All(parts) => Formula::All(all(parts)?),
            Expression::Not(inner) => {
                Formula::Not(Box::new(self.formula(arch, number, call, inner)?))
            }
            Expression::Compare(left, sign, right, spot) => {
                let left = self.side(arch, number, call, left)?;
                let right = self.side(arch, number, call, right)?;
                compare(left, sign, right, spot)?
            }
        })
    }

    fn side(&self, arch: Arch, number: Sysno, call: &Call, value: &Value) -> Result<Side, Mistake> {
        match value {
            Value::Number(number) => Ok(Side::Number(*number)),
            Value::Argument(name, spot) => {
                let found = match &call.arguments {
                    Some(own) => own
                        .iter()
                        .position(|n| n == name)
                        .and_then(|at| u8::try_from(at).ok())
                        .map(|at| (at, Width::W64)),
                    None => names::argument(arch, number, name),
                };
                let (index, width) = found.ok_or_else(|| {
                    let what = match &call.arguments {
                        Some(_) => "is none of the arguments that are named here",
                        None => "is no argument of the call; name them: `call(first, second)`",
                    };
                    spot.mistake(format!("`{name}` {what}"))
                })?;
                Ok(Side::Bits {
                    index,
                    keep: u64::MAX,
                    set: 0,
                    wide: width == Width::W64,
                })
            }
            Value::Joined(sign, left, right) => {
                let left = self.side(arch, number, call, left)?;
                let right = self.side(arch, number, call, right)?;
                join(left, sign, right).ok_or_else(|| two_arguments(&call.spot))
            }
        }
    }
}

/// `left & right` or `left | right`, simplified as kafel does before it looks for 64 bits; `None`
/// for two arguments.
fn join(left: Side, sign: &str, right: Side) -> Option<Side> {
    let and = sign == "&";
    let (number, side) = match (left, right) {
        (Side::Number(l), Side::Number(r)) => {
            return Some(Side::Number(if and { l & r } else { l | r }));
        }
        (Side::Number(n), side) | (side, Side::Number(n)) => (n, side),
        _ => return None,
    };
    let (clobber, identity) = if and { (0, u64::MAX) } else { (u64::MAX, 0) };
    if number == clobber {
        return Some(Side::Number(number));
    }
    match side {
        Side::Bits {
            index,
            keep,
            set,
            wide,
        } if number != identity => Some(Side::Bits {
            index,
            keep: if and { keep & number } else { keep & !number },
            set: if and { set & number } else { set | number },
            wide: wide || number > 0xffff_ffff,
        }),
        _ => Some(side),
    }
}

fn compare(left: Side, sign: &str, right: Side, spot: &Spot) -> Result<Formula, Mistake> {
    let (bits, number, sign) = match (left, right) {
        (Side::Number(l), Side::Number(r)) => {
            return Ok(Formula::constant(match sign {
                "==" => l == r,
                "!=" => l != r,
                "<" => l < r,
                "<=" => l <= r,
                ">" => l > r,
                _ => l >= r,
            }));
        }
        (bits, Side::Number(n)) => (bits, n, sign),
        (Side::Number(n), bits) => {
            let mirrored = match sign {
                "<" => ">",
                "<=" => ">=",
                ">" => "<",
                ">=" => "<=",
                same => same,
            };
            (bits, n, mirrored)
        }
        _ => return Err(two_arguments(spot)),
    };
    let Side::Bits {
        index,
        keep,
        set,
        wide,
    } = bits
    else {
        return Err(two_arguments(spot));
    };
    let bits = Bits {
        index,
        width: match wide || number > 0xffff_ffff {
            true => Width::W64,
            false => Width::W32,
        },
        keep,
        set,
    };
    let not = |formula| Formula::Not(Box::new(formula));
    Ok(match sign {
        "==" => bits.equals(number),
        "!=" => not(bits.equals(number)),
        ">" => bits.above(number, false),
        ">=" => bits.above(number, true),
        "<" => not(bits.above(number, true)),
        _ => not(bits.above(number, false)),
    })
}

fn two_arguments(spot: &Spot) -> Mistake {
    spot.mistake("arguments can be compared with numbers only, not with one another")
}
