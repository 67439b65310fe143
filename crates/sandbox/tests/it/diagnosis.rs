//! Every answer of a filter is told for what it is, and nothing else is.

use portcullis_sandbox::{Outcome, Verdict};
use portcullis_watch::{Action, Answer, Denial, Record, Shown, Sources};

use crate::filter::{Denied, number};
use crate::harness::{self, Built, Case, build};

/// `EACCES`.
const REFUSED: Action = Action::Errno(13);
/// With the value that the program looks for.
const TRAP: Action = Action::Trap(7);

fn run(built: &Built, denied: Denied, way: &str) -> Verdict<Record> {
    Case::new(&built.path, denied)
        .arguments(&[way])
        .run()
        .unwrap()
}

fn answered(built: &Built, action: Action, way: &str) -> Verdict<Record> {
    run(built, Denied::answered(&[number("chroot")], action), way)
}

fn only(verdict: &Verdict<Record>) -> &Denial {
    let denials = &verdict.report.denials;
    assert_eq!(denials.len(), 1, "{denials:#?}");
    &denials[0]
}

/// It is the call of the function `forbidden`, with what it was made with.
fn is_the_call(verdict: &Verdict<Record>, answer: Answer) {
    let denial = only(verdict);
    assert_eq!(denial.answer, answer);
    assert_eq!(denial.call.number, number("chroot"));
    assert_eq!(denial.call.args[1..3], [0x1111, 0x2222]);
    let path = Shown::Path(b"/denied/path".to_vec());
    assert_eq!(denial.shown, [(0, path)]);
    assert_eq!(denial.rule, Some(0));
}

/// The functions of its stack and the lines, the innermost first.
fn functions(verdict: &Verdict<Record>) -> Vec<(String, Option<(String, u32)>)> {
    let mut sources = Sources::new(&verdict.report.files);
    let denial = only(verdict);
    let frames = denial.backtrace.iter().enumerate();
    let all = frames.flat_map(|(index, frame)| sources.at(frame, index == 0));
    all.map(|f| (f.name.unwrap_or_default(), f.line)).collect()
}

#[test]
fn a_program_that_survives_an_error_keeps_its_code_and_the_denial_is_counted() {
    for flags in [&[][..], &["-static"]] {
        let built = build("diagnosis", flags);
        let verdict = answered(&built, REFUSED, "errno");
        assert_eq!(verdict.outcome, Outcome::Exited(5));
        is_the_call(&verdict, Answer::Errno(13));
        assert_eq!(only(&verdict).count, 3);
    }
}

#[test]
fn the_stack_has_names_and_lines_and_is_certain() {
    for flags in [&[][..], &["-static"]] {
        let built = build("diagnosis", flags);
        let verdict = answered(&built, REFUSED, "errno");
        let found = functions(&verdict);
        let at = found.iter().position(|(name, _)| name == "forbidden");
        let at = at.unwrap_or_else(|| panic!("{found:?}"));
        // `failed_with` is inlined into `main`, which debug information says.
        let names: Vec<&str> = found[at..].iter().map(|(name, _)| name.as_str()).collect();
        assert!(
            names.starts_with(&["forbidden", "failed_with", "main"]),
            "{found:?}"
        );
        let (file, line) = found[at].1.as_ref().expect("no line");
        assert!(file.ends_with("diagnosis.c"), "{file}");
        let mut source = include_str!("programs/diagnosis.c").lines();
        let text = source.nth(*line as usize - 1).unwrap();
        assert!(text.contains("SYS_chroot"), "line {line}: {text}");
        let frames = &only(&verdict).backtrace;
        assert!(frames.iter().take(3).all(|f| f.certain), "{frames:#?}");
    }
}

#[test]
fn a_trap_is_the_kernels_for_the_program_and_a_denial_for_the_verdict() {
    let built = build("diagnosis", &[]);
    let verdict = answered(&built, TRAP, "handled");
    assert_eq!(verdict.outcome, Outcome::Exited(5));
    is_the_call(&verdict, Answer::Trapped);
    for way in ["main", "blocked", "ignored"] {
        let verdict = answered(&built, TRAP, way);
        assert_eq!(verdict.outcome, Outcome::Denied, "{way}");
        is_the_call(&verdict, Answer::Trapped);
    }
}

#[test]
fn a_trap_without_a_tracer_in_between_looks_the_same_to_the_program() {
    let built = build("diagnosis", &[]);
    // The filter itself answers, and of a native call nothing is told.
    let mut denied = Denied::answered(&[number("chroot")], TRAP);
    denied.answer = 0x0003_0007;
    let verdict = run(&built, denied, "handled");
    assert_eq!(verdict.outcome, Outcome::Exited(5));
}

#[test]
fn a_killed_thread_is_told_by_its_name_and_the_others_go_on() {
    let built = build("diagnosis", &[]);
    let denied = || Denied::kill_thread(&[number("chroot")]);
    let verdict = run(&built, denied(), "thread");
    assert_eq!(verdict.outcome, Outcome::Exited(6));
    is_the_call(&verdict, Answer::ThreadKilled);
    assert_ne!(only(&verdict).tid, only(&verdict).pid);
    assert_eq!(only(&verdict).thread, b"wor\x1bker");
    assert_eq!(only(&verdict).image.as_deref(), Some(&*built.path));
    // The only thread is the process.
    let verdict = run(&built, denied(), "main");
    assert_eq!(verdict.outcome, Outcome::Denied);
    is_the_call(&verdict, Answer::ThreadKilled);
}

#[test]
fn what_ends_a_process_later_is_not_what_took_a_thread() {
    let built = build("diagnosis", &[]);
    for (way, signal) in [
        ("thinned-then-raised", libc::SIGSYS),
        ("thinned-then-killed", libc::SIGKILL),
    ] {
        let verdict = run(&built, Denied::kill_thread(&[number("chroot")]), way);
        assert_eq!(verdict.outcome, Outcome::Signaled(signal), "{way}");
        is_the_call(&verdict, Answer::ThreadKilled);
    }
}

#[test]
fn a_signal_that_only_says_so_is_no_denial() {
    let built = build("diagnosis", &[]);
    for (way, outcome) in [
        ("pretended", Outcome::Signaled(libc::SIGSYS)),
        ("pretended-handled", Outcome::Exited(5)),
        ("sent", Outcome::Exited(5)),
    ] {
        let number = [number("chroot")];
        for denied in [Denied::kill(&number), Denied::answered(&number, TRAP)] {
            let verdict = run(&built, denied, way);
            assert_eq!(verdict.outcome, outcome, "{way}");
            assert!(verdict.report.denials.is_empty(), "{way}");
        }
    }
}

#[test]
fn a_child_that_shares_its_parents_memory_is_told() {
    let built = build("diagnosis", &[]);
    let verdict = run(&built, Denied::kill(&[number("chroot")]), "vfork");
    if harness::release() < (5, 16) {
        // A dump of core ended all that shared the memory (`zap_threads` of fs/coredump.c), most often before the stop
        // at which the denial is told.
        assert_eq!(verdict.outcome, Outcome::Signaled(libc::SIGSYS));
        if !verdict.report.denials.is_empty() {
            is_the_call(&verdict, Answer::Killed);
        }
        return;
    }
    assert_eq!(verdict.outcome, Outcome::Exited(7));
    is_the_call(&verdict, Answer::Killed);
}

#[test]
fn a_flood_of_denials_hides_none_of_another_call() {
    let built = build("diagnosis", &[]);
    let calls = [number("chroot"), number("getppid")];
    let verdict = run(&built, Denied::answered(&calls, REFUSED), "flood");
    assert_eq!(verdict.outcome, Outcome::Exited(5));
    let denials = &verdict.report.denials;
    let of = |name| {
        denials
            .iter()
            .filter(move |d| d.call.number == number(name))
    };
    assert_eq!(of("chroot").count(), 1);
    let told: u64 = of("getppid").map(|d| d.count).sum();
    let omitted: u64 = verdict.report.omitted.iter().map(|o| o.count).sum();
    assert_eq!(told + omitted, 1000);
    assert!(omitted > 900, "{omitted}");
    assert_eq!(verdict.report.omitted[0].number, Some(number("getppid")));
}

#[test]
fn a_kill_by_a_filter_of_the_programs_own_is_told_as_one() {
    let built = build("diagnosis", &[]);
    let only_thread = (Outcome::OwnFilter, Answer::OwnKilled);
    for (way, (outcome, answer)) in [
        ("own-kill", (Outcome::OwnFilter, Answer::OwnKilled)),
        ("own-only-thread", only_thread),
        (
            "own-kill-thread",
            (Outcome::Exited(6), Answer::OwnThreadKilled),
        ),
        ("own-child", (Outcome::Exited(7), Answer::OwnKilled)),
    ] {
        // The policy lets all be made.
        let verdict = run(&built, Denied::kill(&[]), way);
        if cfg!(target_arch = "aarch64") && harness::release() < (5, 16) {
            // A dump of core makes others end alike.
            let ended = match outcome {
                Outcome::OwnFilter => Outcome::Signaled(libc::SIGSYS),
                other => other,
            };
            assert_eq!(verdict.outcome, ended, "{way}");
            assert!(verdict.report.denials.is_empty(), "{way}");
            continue;
        }
        assert_eq!(verdict.outcome, outcome, "{way}");
        let denial = only(&verdict);
        assert_eq!(denial.answer, answer, "{way}");
        assert_eq!(denial.call.number, number("chroot"));
        assert_eq!(denial.call.args[1..3], [0x1111, 0x2222]);
        let path = Shown::Path(b"/denied/path".to_vec());
        assert_eq!(denial.shown, [(0, path)]);
        let names = functions(&verdict);
        assert!(
            names.iter().any(|(name, _)| name == "forbidden"),
            "{names:?}"
        );
        // Where the policy denies the same, it is the policy's.
        let verdict = run(&built, Denied::kill(&[number("chroot")]), way);
        assert_eq!(only(&verdict).answer, Answer::Killed, "{way}");
    }
}

#[test]
fn a_signal_to_a_program_with_a_filter_of_its_own_is_a_signal() {
    let built = build("diagnosis", &[]);
    let verdict = run(&built, Denied::kill(&[]), "own-raised");
    assert_eq!(verdict.outcome, Outcome::Signaled(libc::SIGSYS));
    assert!(verdict.report.denials.is_empty());
}
