//! The break-out test, each attempt with its control: without the layers that stop it the same attempt gets
//! through, so it is these and nothing else.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use portcullis_sandbox::{
    Answer, ArmedFilter, Came, Confinement, Cookie, Error, Features, Filtered, LayerName, Network,
    Plan, Program, Stage, prove,
};

use crate::confined::can_group;
use crate::filter::{Denied, number};
use crate::harness::{self, Case, build};

fn plan(program: &Path, confinement: Confinement) -> Result<Plan, Error> {
    let mut case = Case::new(program, Denied::kill(&[]));
    case.confinement = confinement;
    case.plan(Program::open(program)?)
}

/// Every attempt at a layer as the user of this process, with its control.
pub(crate) fn try_all(program: &Path) {
    let _turn = harness::turn();
    let root = rustix::process::geteuid().is_root();
    let features = Features::probe();
    let confined = Confinement::new("/".into());
    let stage = Stage::new().unwrap();
    let given = plan(program, confined.clone()).unwrap();
    let sibling = |confinement| stage.sibling(&given, confinement, &features).unwrap();
    let closed = sibling(confined.clone());
    let mut wrong = Vec::new();
    for attempt in stage.attempts() {
        if attempt.root && !root {
            continue;
        }
        if attempt.controlled {
            let open = sibling(attempt.control(confined.clone()));
            let control = stage.attempt(&open, &attempt).unwrap();
            if attempt.is_closed(&open) || control != Came::Out {
                wrong.push(format!("control of {:?}: {control:?}", attempt.name));
            }
        }
        // Each of the layers is enough, where it can be had without the others.
        for layer in attempt.layers {
            let alone = attempt.against(confined.clone(), *layer);
            let alone = if alone.has(*layer) {
                sibling(alone)
            } else {
                continue;
            };
            let came = stage.attempt(&alone, &attempt).unwrap();
            if attempt.is_closed(&alone) && !attempt.fails_as_it_must(came) {
                wrong.push(format!("{:?} against {layer}: {came:?}", attempt.name));
            }
        }
        let came = stage.attempt(&closed, &attempt).unwrap();
        if !attempt.is_closed(&closed) || !attempt.fails_as_it_must(came) {
            wrong.push(format!("{:?}: {came:?}", attempt.name));
        }
    }
    for limits in ["processes=20", "files=20", "file-size=4K", "memory=64M"] {
        let mut bounded = confined.clone();
        bounded.limits = limits.parse().unwrap();
        let given = match plan(program, bounded.clone()) {
            Err(Error::Layer { layer, .. }) => {
                assert_eq!(layer, LayerName::Limits);
                assert!(!can_group(limits), "{limits}");
                continue;
            }
            given => given.unwrap(),
        };
        let attempts = stage.attempts_at_limits(&given);
        assert!(!attempts.is_empty(), "{limits}");
        for attempt in attempts {
            let open = sibling(attempt.control(bounded.clone()));
            let control = stage.attempt(&open, &attempt).unwrap();
            if attempt.is_closed(&open) || control != Came::Out {
                wrong.push(format!("control of {:?}: {control:?}", attempt.name));
            }
            bounded.limits = attempt.limits;
            let closed = sibling(bounded.clone());
            let came = stage.attempt(&closed, &attempt).unwrap();
            if !attempt.is_closed(&closed) || !attempt.fails_as_it_must(came) {
                wrong.push(format!("{:?}: {came:?}", attempt.name));
            }
        }
    }
    let mut fixed = confined.clone();
    fixed.fixed_code = true;
    let closed = sibling(fixed.clone());
    let attempts = stage.attempts_at_code(&closed);
    // Linux 6.3; what the plan does not promise is not tried.
    assert_eq!(attempts.is_empty(), !closed.fixes_code());
    for attempt in attempts {
        let control = sibling(attempt.control(fixed.clone()));
        let control = stage.attempt(&control, &attempt).unwrap();
        let came = stage.attempt(&closed, &attempt).unwrap();
        if control != Came::Out || !attempt.fails_as_it_must(came) {
            wrong.push(format!("{:?}: {came:?}, {control:?}", attempt.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn attempts_fail_that_succeed_without_the_layer() {
    try_all(&build("attempt", &[]).path);
}

/// What a program that forks has for that leads nowhere, and without that much of it gets through.
#[test]
fn a_program_that_forks_does_not_get_further() {
    let _turn = harness::turn();
    let built = build("attempt", &[]);
    let stage = Stage::new().unwrap();
    let held = File::open("/dev/null").unwrap();
    let mut case = Case::new(&built.path, Denied::kill(&[]));
    case.keep = vec![held.as_raw_fd()];
    case.confinement = Confinement::new("/".into());
    let given = case.plan(Program::open(&built.path).unwrap()).unwrap();
    let sibling = |confinement| {
        stage
            .sibling(&given, confinement, &Features::probe())
            .unwrap()
    };
    let open = sibling(case.confinement.clone());
    assert!(stage.attempts_at_forks(&open).is_empty());
    let mut confinement = case.confinement.clone();
    confinement.forks = Some(held.as_raw_fd());
    let grouped = can_group("memory=64M");
    if grouped {
        confinement.limits = "memory=64M".parse().unwrap();
    }
    let closed = sibling(confinement);
    let attempts = stage.attempts_at_forks(&closed);
    assert!(!attempts.is_empty());
    for attempt in attempts {
        let control = stage.attempt(&open, &attempt).unwrap();
        // There it is no directory.
        let through = control == Came::Out || grouped && control == Came::Failed(libc::ENOTDIR);
        assert!(through, "control of {:?}: {control:?}", attempt.name);
        let came = stage.attempt(&closed, &attempt).unwrap();
        assert!(
            attempt.fails_as_it_must(came),
            "{:?}: {came:?}",
            attempt.name
        );
    }
}

/// A filter that denies `calls`, and what it says of itself.
fn proved(program: &Path, denied: &Denied, answers: &Denied) -> portcullis_sandbox::Tried {
    let _turn = harness::turn();
    let filter = || {
        let cookie = Cookie::random()?;
        ArmedFilter::new(denied.program(cookie.value()), cookie)
    };
    let answer = |arch, number, _: [u64; 6]| {
        let native = arch == portcullis_abi::Arch::NATIVE.audit_arch();
        match native && !answers.numbers.contains(&number) {
            true => Answer::Passes,
            false => Answer::Kills,
        }
    };
    let filtered = Filtered {
        filter: &filter,
        answer: &answer,
    };
    let plan = plan(program, Confinement::new("/".into())).unwrap();
    prove(&plan, &Features::probe(), Some(&filtered)).unwrap()
}

#[test]
fn a_plan_is_proved_and_a_filter_that_does_not_do_what_it_says_is_found() {
    let built = build("attempt", &[]);
    let denied = Denied::kill(&["userfaultfd", "ptrace", "unshare"].map(number));
    let tried = proved(&built.path, &denied, &denied);
    assert_eq!(tried.surprises, Vec::<String>::new());
    assert!(tried.attempts > 20, "{tried:?}");
    // It promises more than it keeps.
    let more = Denied::kill(&["userfaultfd", "ptrace", "unshare", "setns"].map(number));
    let tried = proved(&built.path, &denied, &more);
    assert_eq!(tried.surprises.len(), 1, "{tried:?}");
    assert!(tried.surprises[0].contains("namespace"), "{tried:?}");
    // A filter that lets nothing end proves nothing.
    let dead = Denied::kill(&[number("exit_group")]);
    let tried = proved(&built.path, &dead, &dead);
    assert!(tried.surprises[0].contains("end"), "{tried:?}");
}

/// Each limit is a way that is closed, and is tried.
#[test]
fn limits_are_proved() {
    let built = build("attempt", &[]);
    let attempts = |limits: &str| {
        let _turn = harness::turn();
        let mut confined = Confinement::new("/".into());
        if !limits.is_empty() {
            confined.limits = limits.parse().unwrap();
        }
        prove(
            &plan(&built.path, confined).unwrap(),
            &Features::probe(),
            None,
        )
        .unwrap()
    };
    let without = attempts("");
    let with = attempts("files=100,file-size=1G");
    assert_eq!(with.surprises, Vec::<String>::new());
    assert_eq!(with.attempts, without.attempts + 2);
}

#[test]
fn fixed_code_is_proved() {
    let built = build("attempt", &[]);
    let tried = |fixed_code| {
        let _turn = harness::turn();
        // No other layer: what these close is not tried again.
        let mut confined = Confinement::none();
        confined.fixed_code = fixed_code;
        let plan = plan(&built.path, confined).unwrap();
        let tried = prove(&plan, &Features::probe(), None).unwrap();
        (plan.fixes_code(), tried)
    };
    let (_, without) = tried(false);
    let (fixes, with) = tried(true);
    assert_eq!(with.surprises, Vec::<String>::new());
    let more = if fixes { 2 } else { 0 };
    assert_eq!(with.attempts, without.attempts + more);
}

/// What is left out is no way that the plan closes.
#[test]
fn what_a_plan_does_not_promise_is_not_tried() {
    let built = build("attempt", &[]);
    let attempts = |confinement| {
        let _turn = harness::turn();
        let plan = plan(&built.path, confinement).unwrap();
        prove(&plan, &Features::probe(), None).unwrap()
    };
    let mut all = Confinement::new("/".into());
    let whole = attempts(all.clone());
    all.network = Network::Host;
    let with_network = attempts(all.clone());
    all.without = [LayerName::Filesystem, LayerName::Landlock].into();
    let without_files = attempts(all);
    assert_eq!(whole.surprises, Vec::<String>::new());
    assert_eq!(with_network.surprises, Vec::<String>::new());
    assert_eq!(without_files.surprises, Vec::<String>::new());
    assert!(with_network.attempts < whole.attempts);
    assert!(without_files.attempts < with_network.attempts);
}
