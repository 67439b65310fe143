//! On which calls two filters differ.

use portcullis_policy::{Action, Call, Condition, Span};

use crate::Program;
use crate::describe::describe;
use crate::paths::{Effort, walk};
use crate::region::Region;
use crate::verify::Unknown;

/// Calls that two filters answer differently.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// One of the calls.
    pub call: Call,
    /// What the first filter answers.
    pub first: Action,
    /// What the second does.
    pub second: Action,
    /// All of them; `None` when words of policies cannot say it.
    pub all: Option<Calls>,
}

/// A set of calls: any of the architectures and numbers, with all of the conditions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Calls {
    /// `AUDIT_ARCH_*`, as ranges with both bounds.
    pub arches: Vec<(u32, u32)>,
    /// The numbers.
    pub numbers: Vec<Span>,
    /// What holds of the arguments.
    pub conditions: Vec<Condition>,
}

impl Calls {
    /// Whether a call is one of them.
    pub fn contains(&self, call: &Call) -> bool {
        let of_arch = |(low, high): &(u32, u32)| (*low..=*high).contains(&call.arch);
        self.arches.iter().any(of_arch)
            && self.numbers.iter().any(|s| s.contains(call.number))
            && self.conditions.iter().all(|c| c.holds(&call.args))
    }
}

/// All differences of two filters, none when they answer every call alike.
///
/// What cannot be followed is an error, never taken for equal. At most `most` differences are listed.
pub fn compare(first: &Program, second: &Program, most: usize) -> Result<Vec<Difference>, Unknown> {
    let mut found = Vec::new();
    let mut effort = Effort::new();
    walk(
        first,
        Region::all(),
        &mut effort,
        &mut |region, answer, effort| {
            walk(second, region.clone(), effort, &mut |part, other, _| {
                if answer == other || found.len() >= most {
                    return Ok::<(), Unknown>(());
                }
                if let Some(call) = part.call()? {
                    found.push(Difference {
                        call,
                        first: answer,
                        second: other,
                        all: describe(part)?,
                    });
                }
                Ok(())
            })
        },
    )?;
    found.sort_by_key(|d| (d.call.arch, d.call.number, d.call.args));
    Ok(found)
}
