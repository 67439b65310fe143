//! What is wrong with a policy that means something: rules that decide nothing, rules that are
//! passed by another way, answers that break programs.
//!
//! A finding is no error: the policy keeps its meaning. What the checks know of the kernel comes from
//! `portcullis-abi`; the cases of the field that each of them would have found are in
//! [`codes`](crate::codes).

mod breakage;
mod bypass;
mod caret;
mod code;
mod families;
mod rules;
mod satisfy;
mod view;
mod width;

use crate::{Filter, Place};

pub use caret::caret;
pub use code::Code;
use satisfy::Budget;
use view::View;

/// Something that is wrong with a policy, or that its author should know.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Finding {
    /// Where; the beginning of the text when it is about the whole.
    pub place: Place,
    /// Its kind.
    pub code: Code,
    /// What is so.
    pub message: String,
    /// What to do.
    pub advice: String,
}

/// All findings about a filter, in the order of their places, each once.
pub fn lint(filter: &Filter) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut budget = Budget::new();
    bypass::foreign(&filter.policy, &mut findings);
    for at in 0..filter.policy.tables.len() {
        let Some(view) = View::new(filter, at) else {
            continue;
        };
        rules::check(&view, &mut budget, &mut findings);
        width::check(&view, &mut findings);
        bypass::check(&view, &mut findings);
        breakage::check(&view, &mut findings);
    }
    findings.sort();
    findings.dedup();
    findings
}
