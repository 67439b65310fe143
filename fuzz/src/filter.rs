//! Filter programs of whoever made them. What runs one, what follows all ways through it, what reads a policy from it
//! and what makes a filter of that again are different code and must agree.

use portcullis_bpf::{
    Cost, NoFilter, NoPolicy, NotEqual, Program, compare, compile, import, is_cached, outcomes,
    path, run, verify,
};
use portcullis_policy::{Action, Asked, Call};

use crate::{calls, policy, seeds};

/// Bytes of a program of 512 instructions: longer than those of Docker's profile.
pub(crate) const LONGEST: usize = 4096;

/// The filters of policies that there are.
pub(crate) fn begin() -> Vec<Vec<u8>> {
    let texts = seeds::of(&["profiles", "testdata/policy/profiles"]);
    let sources = texts.iter().filter_map(|text| policy::source(text));
    let filters = sources.flat_map(|source| source.filters);
    let programs = filters.filter_map(|filter| compile(&filter.policy).ok());
    programs.map(|program| program.to_bytes()).collect()
}

/// Asks of one program.
pub fn ask(bytes: &[u8]) {
    let Ok(program) = Program::from_bytes(bytes) else {
        return;
    };
    assert_eq!(program.to_bytes(), bytes);
    let calls = calls::of_program(&program);
    let longest = Cost::of(&program).longest;
    for call in &calls {
        let answer = Action::from_code(run(&program, call));
        let way = path(&program, call);
        assert!(way.is_sorted_by(|a, b| a < b), "it goes back: {way:?}");
        assert!(way.len() <= longest, "{} of {longest}", way.len());
        if is_cached(&program, call.arch, call.number) {
            assert_eq!(answer, Action::Allow, "{call:x?} never runs the filter");
        }
    }
    for call in calls.iter().take(2) {
        ways(&program, call);
    }
    match import(&program) {
        Ok(policy) => {
            for call in &calls {
                let answer = Action::from_code(run(&program, call));
                assert_eq!(policy.decide(call).action, answer, "{call:x?}");
            }
            again(&program, &policy);
        }
        Err(NoPolicy::NotEqual(defect)) => panic!("{defect}"),
        Err(NoPolicy::Unknown(_) | NoPolicy::Unsayable(_)) => {}
    }
}

/// The answers that all calls of one number can get are those that single calls get.
fn ways(program: &Program, call: &Call) {
    let asked = Asked {
        arch: call.arch,
        number: call.number,
        args: [None; 6],
    };
    let Ok((found, more)) = outcomes(program, &asked, 64) else {
        return;
    };
    for one in &found {
        let answer = Action::from_code(run(program, &one.call));
        assert_eq!(one.action, answer, "{:x?}", one.call);
        assert_eq!(one.path, path(program, &one.call));
        if let Some(all) = &one.all {
            assert!(all.contains(&one.call), "{all:?}");
        }
    }
    let answer = Action::from_code(run(program, call));
    let known = found.iter().any(|one| one.action == answer);
    assert!(known || more, "{call:x?} gets {answer:?}");
}

/// A filter of the policy of a filter is the same filter, whatever it looks like.
fn again(program: &Program, policy: &portcullis_policy::Policy) {
    let made = match compile(policy) {
        Ok(made) => made,
        Err(NoFilter::Refused(_) | NoFilter::Cases { .. }) => return,
        Err(defect) => panic!("{defect}"),
    };
    match verify(made.clone(), policy) {
        Ok(_) | Err(NotEqual::Unknown(_)) => {}
        Err(defect) => panic!("{defect}"),
    }
    if let Ok(differences) = compare(program, &made, 1) {
        assert!(differences.is_empty(), "{differences:x?}");
    }
}
