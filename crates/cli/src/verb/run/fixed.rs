//! Whether memory may have to become executable while the program runs. Where that is excluded, none can (`mdwe`).

use portcullis_abi::{ResidualKind, SyscallSet};
use portcullis_sandbox::Plan;

use crate::json::verdict as json;

/// What keeps the analysis of all these programs from excluding it, the plainest reason first.
pub(super) fn obstacle<'a>(sets: impl Iterator<Item = &'a SyscallSet>) -> Option<&'static str> {
    let residuals: Vec<ResidualKind> = sets
        .flat_map(|set| set.residuals.iter().map(|residual| residual.kind))
        .collect();
    let reasons = [
        (ResidualKind::Code, "it makes memory executable, or can"),
        (
            ResidualKind::Module,
            "it can load libraries, and they could",
        ),
        (ResidualKind::Exec, "it can start programs, and they could"),
        (ResidualKind::Number, "not all of its calls are known"),
        (ResidualKind::Target, "not all of its code is known"),
    ];
    let mut found = reasons.iter().filter(|(kind, _)| residuals.contains(kind));
    found.next().map(|(_, reason)| *reason)
}

/// Why the layer is not there, when it is not: `obstacle`, or the kernel.
pub(super) fn missing(plan: &Plan, obstacle: Option<&str>) -> Option<json::Missing> {
    let reason = match obstacle {
        Some(reason) => reason,
        None if plan.fixes_code() => return None,
        None => "this kernel cannot; Linux 6.3 can",
    };
    Some(json::Missing {
        layer: "mdwe".to_owned(),
        reason: reason.to_owned(),
    })
}
