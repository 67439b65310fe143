//! Functions that only the C library enters, because it was told to run them: nobody else holds their
//! addresses.

use crate::solve::{InstanceId, Solution, Starts};

/// A function that is started, and by whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Private {
    pub(super) starts: Starts,
    pub(super) by: InstanceId,
    pub(super) at: u64,
    pub(super) routine: u64,
}

/// Those whose addresses one block hands out: that which passes them to who starts them.
pub(super) fn private(solution: &Solution) -> Vec<Private> {
    let mut found = Vec::new();
    for (instance, n) in solution.instances.iter().zip(0..) {
        let by = InstanceId(n);
        for (&at, start) in &instance.starts {
            let Some(routine) = start.routine.single() else {
                continue;
            };
            let summary = solution.summary(by);
            let passes = |holder: u64| {
                let mut blocks = summary.blocks.iter();
                blocks.any(|b| b.start == holder && b.last == at)
            };
            let holder = solution.taken.get(&routine);
            if holder.is_some_and(|h| passes(*h)) && !solution.shared.contains(&routine) {
                found.push(Private {
                    starts: start.starts,
                    by,
                    at,
                    routine,
                });
            }
        }
    }
    found
}
