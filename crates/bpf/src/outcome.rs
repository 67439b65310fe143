//! What a filter answers to a call of which not all arguments are said.

use portcullis_policy::{Action, Asked, Call};

use crate::compare::Calls;
use crate::describe::describe;
use crate::instruction::Instruction;
use crate::interpret::step;
use crate::paths::{Effort, walk};
use crate::region::{ARCH, ARGUMENTS, NUMBER, Region, Test};
use crate::{Program, Unknown};

/// One answer that it can get.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The answer.
    pub action: Action,
    /// A call that gets it.
    pub call: Call,
    /// All of them; `None` when words of policies cannot say it.
    pub all: Option<Calls>,
    /// The instructions that are run for `call`, by their place.
    pub path: Vec<usize>,
}

/// The ways that the asked call can take through the filter, at most `most`: one when nothing depends
/// on what is not said. With them, whether there are more.
pub fn outcomes(
    program: &Program,
    asked: &Asked,
    most: usize,
) -> Result<(Vec<Outcome>, bool), Unknown> {
    let whole = |value| Test::Masked(u32::MAX, value);
    let mut region =
        Region::all()
            .cut(ARCH, whole(asked.arch), true)
            .cut(NUMBER, whole(asked.number), true);
    for (index, value) in asked.args.iter().enumerate() {
        if let Some(value) = value {
            let low = ARGUMENTS + 2 * index;
            region = region.cut(low, whole(*value as u32), true).cut(
                low + 1,
                whole((value >> 32) as u32),
                true,
            );
        }
    }
    let mut found = Vec::new();
    let mut cut = false;
    let walked = walk(
        program,
        region,
        &mut Effort::new(),
        &mut |part, action, _| {
            if let Some(call) = part.call()? {
                cut = found.len() == most;
                if cut {
                    return Err(Unknown::TooHard);
                }
                found.push(Outcome {
                    action,
                    call,
                    all: describe(part)?,
                    path: path(program, &call),
                });
            }
            Ok(())
        },
    );
    match walked {
        Err(Unknown::TooHard) if cut => {}
        other => other?,
    }
    found.sort_by_key(|o| o.call.args);
    Ok((found, cut))
}

/// The instructions that are run for a call, by their place, the return last.
pub fn path(program: &Program, call: &Call) -> Vec<usize> {
    let mut path = Vec::new();
    step(program, call, &mut |at, _: &Instruction| path.push(at));
    path
}
