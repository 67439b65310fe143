//! Suite: the host of jobs. Where a machine has all that workers need, they start, and jobs of each class come to it;
//! elsewhere a pool is refused, and what is lacking is named. Modules come there to the bytes to which they come on every
//! machine. Native programs as jobs need no more than `run`, and a control group that bounds memory.

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
/// Of workers whose memory is bounded, as those of the verb are. They run in one process, in which what a worker is made of is
/// proved once.
const BOUNDED: [&str; 6] = [
    "jobs::each_kind_of_job_comes_to_its_class",
    "jobs::a_peak_of_memory_is_of_one_job",
    "jobs::the_time_of_one_job_is_not_that_of_the_next",
    "jobs::every_layer_holds",
    "faults::one_that_dies_with_its_job_has_it_tried_again_by_the_next",
    "pool::a_worker_sees_one_tenant_only",
];

/// Of native programs.
const PROGRAMS: [&str; 4] = [
    "exec::each_kind_of_program_comes_to_its_class",
    "exec::a_denial_names_its_call",
    "exec::every_layer_holds_for_each",
    "exec::what_a_job_leaves_for_its_host_to_fall_over_is_not_touched",
];
/// What they need beside a group.
const PROGRAMS_NEED: [Feature; 3] = [Feature::Userns, Feature::MountSetattr, Feature::Landlock];
/// Of control groups around a host; some are tried nowhere else, because not every machine has controllers in version 2.
const GROUPS: [&str; 7] = [
    "taken::a_job_whose_group_is_taken_is_tried_again_in_another",
    "taken::a_worker_that_is_not_alone_in_its_group_has_no_job",
    "taken::a_worker_that_leaves_a_process_of_its_own_has_no_job",
    "groups::memory_that_others_lack_is_no_limit_of_the_job",
    "groups::a_user_has_limits_in_a_group_that_is_his",
    "groups::a_group_with_others_in_it_is_not_divided",
    "groups::root_has_all_limits_in_one_group",
];

/// Of a clock that is set, and what it is told where that is nobody else's.
const CLOCK: &str = "clocks::a_clock_that_is_set_ends_no_job_and_keeps_none";
const OURS: &str = "PORTCULLIS_CLOCK_IS_OURS";

/// The tests of `wasm`, and the one that compares what jobs come to with what they come to everywhere.
const ENGINE: &str = "engine";
const ALIKE: &str = "everywhere::jobs_come_to_the_same_everywhere";

/// Adds the tests of an architecture, and the programs that they start.
pub(crate) fn provide(arch: Arch, files: &mut Files) -> Result<()> {
    let [tests, worker, native] = cross::jobs(arch)?;
    files.add(TESTS, programs::stripped(arch, &tests)?);
    files.add(ENGINE, programs::stripped(arch, &cross::engine(arch)?)?);
    // As it is: what it is to have is hashed when the tests read it.
    files.add(format!("{PREBUILT}/puppet"), programs::read(&worker)?);
    files.add(format!("{PREBUILT}/native"), programs::read(&native)?);
    Ok(())
}

pub(crate) fn cases(environment: &Environment, _: &mut Files) -> Result<Vec<Case>> {
    let together = |name: &str, tests: &[&str], needs: &[Feature]| {
        let count = tests.len();
        Case {
            name: name.to_owned(),
            needs: needs.iter().copied().map(Need::from).collect(),
            step: crate_tests::step(TESTS, &[&["--exact", "--test-threads=1"], tests].concat()),
            judge: Box::new(move |seen| passed(seen, count)),
        }
    };
    let case = |name: &str, test: &str, needs: &[Feature]| together(name, &[test], needs);
    let mut cases = vec![case("ten jobs come to each class", STARTS, &NEEDS)];
    if let Some(lacks) = lacks(environment) {
        let mut refused = case("what a worker lacks here is named", STARTS, &[]);
        refused.step.environment.push((LACKS, Word::Text(lacks)));
        cases.push(refused);
    }
    if environment.plain {
        // A module is compiled there; what is changed about other machines changes nothing about the engine.
        let needs = [NEEDS.as_slice(), &[Feature::Root]].concat();
        let mut alike = case("modules come to the same as everywhere", ALIKE, &needs);
        alike.step.program = ENGINE.to_owned();
        cases.push(alike);
    }
    let bounded = [NEEDS.as_slice(), &[Feature::Cgroup2Memory]].concat();
    let jobs = "jobs come to their classes, and no worker to another tenant";
    cases.push(together(jobs, &BOUNDED, &bounded));
    let group = match environment.declared.level(Feature::Cgroup1Memory) {
        0 => Feature::Cgroup2Memory,
        _ => Feature::Cgroup1Memory,
    };
    let programs = [PROGRAMS_NEED.as_slice(), &[group]].concat();
    cases.extend(PROGRAMS.map(|test| case(test, test, &programs)));
    let given = [bounded.as_slice(), &[Feature::Root, Feature::Cgroup2Pids]].concat();
    let of_root = |test| {
        let mut case = case(test, test, &given);
        case.step.arguments.push("--include-ignored".into());
        case
    };
    cases.extend(GROUPS.map(of_root));
    if environment.emulated && environment.plain {
        let mut clock = of_root(CLOCK);
        clock.step.environment.push((OURS, "1".into()));
        cases.push(clock);
    }
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
        // Nobody gave him any.
        let ids = layers.iter_mut().find(|(layer, _)| *layer == "ids");
        ids.into_iter().for_each(|(_, can)| *can = false);
    }
    let lacking = layers.into_iter().filter(|(_, can)| !can);
    let named: Vec<String> = lacking
        .map(|(layer, _)| format!("the layer {layer} cannot be had"))
        .collect();
    (!named.is_empty()).then(|| named.join("|"))
}
