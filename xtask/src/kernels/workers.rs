//! Suite: workers of the job host. Where a machine has all that they need, they start, and jobs of each class come to it;
//! elsewhere a pool is refused, and what is lacking is named.

use anyhow::Result;
use portcullis_abi::Arch;

use super::confined;
use super::crate_tests::{self, PREBUILT, passed};
use super::environment::User;
use super::feature::{Feature, Need};
use super::initramfs::Files;
use super::programs;
use super::step::Word;
use super::suite::{Case, Environment};
use crate::cross;

/// The tests of `host` that start workers.
const TESTS: &str = "workers";
/// One of them, for any machine: told what is lacking there, it expects to be refused for that.
const STARTS: &str = "starts::a_worker_starts_or_what_it_lacks_is_named";
/// What it is told, by the words of which a refusal must have some.
const LACKS: &str = "PORTCULLIS_LACKS";
/// What every worker needs.
const NEEDS: [Feature; 4] = [
    Feature::PidfdExit,
    Feature::Userns,
    Feature::MountSetattr,
    Feature::Landlock,
];
/// Of workers whose memory is bounded, as those of the verb are.
const BOUNDED: [&str; 4] = [
    "jobs::each_kind_of_job_comes_to_its_class",
    "jobs::every_layer_holds",
    "faults::one_that_dies_with_its_job_has_it_tried_again_by_the_next",
    "pool::a_worker_sees_one_tenant_only",
];

/// Adds the tests of an architecture, and the program of their workers.
pub(crate) fn provide(arch: Arch, files: &mut Files) -> Result<()> {
    let [tests, worker] = cross::jobs(arch)?;
    files.add(TESTS, programs::stripped(arch, &tests)?);
    // As it is: what it is to have is hashed when the tests read it.
    files.add(format!("{PREBUILT}/puppet"), programs::read(&worker)?);
    Ok(())
}

pub(crate) fn cases(environment: &Environment, _: &mut Files) -> Result<Vec<Case>> {
    let case = |name: &str, test: &str, needs: &[Feature]| Case {
        name: name.to_owned(),
        needs: needs.iter().copied().map(Need::from).collect(),
        step: crate_tests::step(TESTS, &["--exact", test, "--test-threads=1"]),
        judge: Box::new(passed),
    };
    let mut cases = vec![case("ten jobs come to each class", STARTS, &NEEDS)];
    if let Some(lacks) = lacks(environment) {
        let mut refused = case("what a worker lacks here is named", STARTS, &[]);
        refused.step.environment.push((LACKS, Word::Text(lacks)));
        cases.push(refused);
    }
    let bounded = [NEEDS.as_slice(), &[Feature::Cgroup2Memory]].concat();
    cases.extend(BOUNDED.map(|test| case(test, test, &bounded)));
    Ok(cases)
}

/// What may be named, one or another.
fn lacks(environment: &Environment) -> Option<String> {
    // Asked first, and nothing can be had instead.
    if environment.declared.level(Feature::PidfdExit) == 0 {
        return Some("Linux 6.15 or later is needed".to_owned());
    }
    let mut layers = confined::layers(environment);
    if environment.user == User::Ordinary {
        // There is nothing to be mapped: it is made with the namespaces.
        layers.retain(|(layer, _)| *layer != "ids");
    }
    let lacking = layers.into_iter().filter(|(_, can)| !can);
    let named: Vec<String> = lacking
        .map(|(layer, _)| format!("the layer {layer} cannot be had"))
        .collect();
    (!named.is_empty()).then(|| named.join("|"))
}
