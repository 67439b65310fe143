//! Audits of filters against sets of calls.

#[path = "audit/exact.rs"]
mod exact;
#[path = "audit/findings.rs"]
mod findings;
#[path = "audit/program.rs"]
mod program;
