//! The proof about filters that are in force together, as those of one process are.

use portcullis_policy::{Action, Policy};

use crate::Program;
use crate::paths::{Effort, walk};
use crate::region::Region;
use crate::verify::{Meaning, NotEqual};

/// Proves that these filters, the oldest first, together answer every call as `policy` does: the kernel asks all of
/// them, the strictest answer counts, and of equal ones that of the newest filter (`seccomp_run_filters`,
/// kernel/seccomp.c).
///
/// Without any, every call is allowed. An error is what [`verify`](crate::verify) says of one filter.
pub fn verify_together(filters: &[&Program], policy: &Policy) -> Result<(), NotEqual> {
    let meaning = Meaning::new(policy);
    asked(
        filters,
        &Region::all(),
        Action::Allow,
        &meaning,
        &mut Effort::new(),
    )
}

/// The calls of `region` are asked about by `filters`; those before answered `so_far`.
fn asked(
    filters: &[&Program],
    region: &Region,
    so_far: Action,
    meaning: &Meaning<'_>,
    effort: &mut Effort,
) -> Result<(), NotEqual> {
    match filters {
        [] => meaning.holds(region, so_far, effort),
        [next, newer @ ..] => walk(next, region.clone(), effort, &mut |part, answer, effort| {
            asked(newer, part, so_far.with(answer), meaning, effort)
        }),
    }
}
