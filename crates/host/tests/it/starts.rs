//! A worker's start on any machine: where there is all that it needs, ten jobs of each class come to it; where
//! something is lacking, that is named.

use portcullis_host::{Limit, Outcome, Pool};

use crate::jobs::{CASES, case};
use crate::puppet::{Puppets, settings};

/// On a machine that lacks something: words of which the error must have some, with `|` between them. Nobody sets it
/// where all is there.
const LACKS: &str = "PORTCULLIS_LACKS";

#[test]
fn a_worker_starts_or_what_it_lacks_is_named() {
    let mut settings = settings(1);
    // Not every user can have a control group.
    settings.memory = None;
    if let Ok(lacks) = std::env::var(LACKS) {
        settings.without.clear();
        let error = Pool::new(settings).map(drop).unwrap_err().to_string();
        let named = lacks.split('|').any(|words| error.contains(words));
        assert!(named, "{lacks:?} is not named: {error}");
        return;
    }
    let puppets = Puppets::with(settings);
    let bounded = |outcome: &Outcome| *outcome != Outcome::Limit(Limit::Memory);
    for (what, outcome, end) in CASES.iter().filter(|(_, outcome, _)| bounded(outcome)) {
        for _ in 0..10 {
            let done = case(&puppets, what);
            assert_eq!(&done.outcome, outcome, "{what}: {done:?}");
            assert_eq!(done.end, Some(*end), "{what}");
        }
    }
    for _ in 0..10 {
        assert_eq!(puppets.run("echo").outcome, Outcome::Ok);
    }
}
