//! Suite: the main job. The static command confines a static program, and says what came of it: one of musl, and
//! where nothing is changed about the machine one of glibc too, whose analysis no such change can reach.

use anyhow::{Context as _, Result, ensure};
use portcullis_abi::Arch;
use serde_json::Value;

use super::environment::User;
use super::feature::{Feature, Need};
use super::initramfs::Files;
use super::programs::SMALL_CALLER;
use super::step::{Seen, Step, Word};
use super::suite::{Case, Environment, Judge};

/// A call that every kernel answers and that the program is not found to make.
const OUTSIDE: &str = "getppid";
/// A program, and a call that its C library makes before its main function and nothing of it afterwards. On aarch64 musl
/// has none.
fn startup(arch: Arch) -> (&'static str, &'static str) {
    match arch {
        Arch::Aarch64 => ("caller", "faccessat"),
        _ => (SMALL_CALLER, "set_tid_address"),
    }
}
/// What the program ends with.
const CODE: i32 = 3;
/// 128 and `SIGSYS`.
const DENIED: i32 = 159;
/// What one run may take, the analysis of a C library on an emulated processor included.
const SECONDS: u32 = 400;

/// What is tried, by the program's own arguments; the first is without the command, as a control.
pub(crate) fn cases(environment: &Environment, _: &mut Files) -> Result<Vec<Case>> {
    let number = |arch: Arch| anyhow::Ok(arch.number(OUTSIDE).context(OUTSIDE)?.0);
    let own = number(environment.arch)?;
    let native = |number: u32| vec!["native".to_owned(), number.to_string()];
    let mut cases = vec![
        Case {
            name: "without Portcullis the call is made".to_owned(),
            needs: Vec::new(),
            step: Step {
                program: SMALL_CALLER.to_owned(),
                environment: Vec::new(),
                arguments: native(own).into_iter().map(Word::Text).collect(),
                seconds: SECONDS,
            },
            judge: Box::new(unconfined),
        },
        case(
            "its own code passes through",
            SMALL_CALLER,
            &[],
            vec![],
            Box::new(through),
        ),
        case(
            "a call outside the set is denied and explained",
            SMALL_CALLER,
            &[],
            native(own),
            Box::new(denied),
        ),
        case(
            "observation lets it through and tells",
            SMALL_CALLER,
            &["--observe"],
            native(own),
            Box::new(observed),
        ),
    ];
    // What is analysed does not depend on who does it.
    if environment.plain && environment.user == User::Root {
        cases.push(case(
            "the own code of a program of glibc passes through",
            "caller",
            &[],
            vec![],
            Box::new(through),
        ));
        let (program, name) = startup(environment.arch);
        let number = environment.arch.number(name).context(name)?.0;
        cases.push(case(
            "what only the start needs is taken away afterwards",
            program,
            &["--phases", "--require-phases"],
            native(number),
            Box::new(move |seen| taken_away(seen, name)),
        ));
    }
    if environment.arch == Arch::X86_64 {
        let x32 = native(number(Arch::X32)?);
        let mut ia32 = case(
            "a call of i386 is denied as foreign",
            SMALL_CALLER,
            &[],
            vec!["int80".to_owned(), number(Arch::I386)?.to_string()],
            foreign(Arch::I386),
        );
        // Elsewhere the instruction is no call and ends the program.
        ia32.needs.push(Feature::Ia32.into());
        cases.push(ia32);
        cases.push(case(
            "a call of x32 is denied as foreign",
            SMALL_CALLER,
            &[],
            x32,
            foreign(Arch::X32),
        ));
    }
    // All but the control are of the command.
    for case in cases.iter_mut().skip(1) {
        let options = without(environment);
        case.step.arguments.splice(OPTIONS..OPTIONS, options);
    }
    Ok(cases)
}

/// Where the options of `run` begin, after the words of [`case`].
const OPTIONS: usize = 5;

/// The layers of the default that depend on the machine, and whether it can give each.
pub(super) fn layers(environment: &Environment) -> Vec<(&'static str, bool)> {
    let has = |feature| environment.declared.level(feature) > 0;
    let (users, mounts) = (has(Feature::Userns), has(Feature::MountSetattr));
    vec![
        ("namespaces", users),
        ("ids", users),
        ("network", users),
        ("filesystem", users && mounts),
        ("landlock", has(Feature::Landlock)),
    ]
}

/// The layers that this machine cannot give are left out: it would refuse.
pub(super) fn without(environment: &Environment) -> Vec<Word> {
    let layers = layers(environment);
    let missing = layers.iter().filter(|(_, can)| !can);
    missing
        .flat_map(|(layer, _)| ["--allow-insecure", *layer].map(Word::from))
        .collect()
}

/// What `run` needs.
pub(super) const RUN: [Feature; 5] = [
    Feature::Seccomp,
    Feature::SeccompKillProcess,
    Feature::SyscallInfo,
    Feature::Pidfd,
    Feature::CloseRange,
];

fn case(name: &str, program: &str, options: &[&str], arguments: Vec<String>, judge: Judge) -> Case {
    let verdict = "verdict.json";
    let mut words = vec![Word::from(verdict), Word::File("portcullis".to_owned())];
    words.extend(["run", "--verdict", verdict].map(Word::from));
    words.extend(options.iter().copied().map(Word::from));
    words.extend([Word::from("--"), Word::File(program.to_owned())]);
    words.extend(arguments.into_iter().map(Word::Text));
    Case {
        name: name.to_owned(),
        needs: RUN.map(Need::from).into(),
        step: Step::then_shown(words, SECONDS),
        judge,
    }
}

fn unconfined(seen: &Seen) -> Result<usize> {
    let text = seen.text(CODE)?;
    let value = text.strip_prefix("before\n").context("no first line")?;
    let value: i64 = value.trim_end().parse().context("no value")?;
    ensure!(value >= 0, "the call failed: {value}");
    Ok(2)
}

/// What the program wrote, and the verdict that follows it.
pub(super) fn parts(seen: &Seen, code: i32) -> Result<(&str, Value)> {
    let text = seen.text(code)?;
    let at = text.find('{').context("no verdict")?;
    let (wrote, verdict) = text.split_at(at);
    let verdict: Value = serde_json::from_str(verdict).context("the verdict")?;
    ensure!(
        verdict["schema"] == "portcullis.verdict" && verdict["version"] == 1,
        "another document"
    );
    Ok((wrote, verdict))
}

/// The verdict's field is this.
pub(super) fn is(verdict: &Value, field: &str, expected: impl Into<Value>) -> Result<()> {
    let (found, expected) = (verdict.pointer(field), expected.into());
    ensure!(
        found == Some(&expected),
        "{field} is {found:?} and not {expected}"
    );
    Ok(())
}

fn through(seen: &Seen) -> Result<usize> {
    let (wrote, verdict) = parts(seen, CODE)?;
    ensure!(wrote == "before\n", "it wrote {wrote:?}");
    is(&verdict, "/mode", "enforce")?;
    is(&verdict, "/outcome", "exited")?;
    is(&verdict, "/exit_code", CODE)?;
    is(&verdict, "/denials", Vec::<Value>::new())?;
    is(&verdict, "/enforced/1/layer", "seccomp")?;
    Ok(6)
}

/// It was stopped before the call; the rule, by its code.
fn stopped(seen: &Seen, code: &str) -> Result<Value> {
    let (wrote, verdict) = parts(seen, DENIED)?;
    ensure!(wrote == "before\n", "it wrote {wrote:?}");
    is(&verdict, "/outcome", "denied")?;
    is(&verdict, "/denials/0/code", code)?;
    // The registers of the call that was made.
    for (index, value) in ["0x2", "0x3", "0x4"].into_iter().enumerate() {
        is(&verdict, &format!("/denials/0/args/{index}/value"), value)?;
    }
    let frames = verdict
        .pointer("/denials/0/backtrace")
        .and_then(Value::as_array);
    let frames = frames.context("no backtrace")?.iter();
    ensure!(
        frames.clone().any(|frame| frame["function"] == "main"),
        "main is not in the backtrace"
    );
    Ok(verdict)
}

fn denied(seen: &Seen) -> Result<usize> {
    let verdict = stopped(seen, "PC0301")?;
    is(&verdict, "/denials/0/syscall", OUTSIDE)?;
    let said = String::from_utf8_lossy(&seen.stderr);
    ensure!(said.contains("denied: getppid()"), "it says {said:?}");
    Ok(9)
}

/// Denied in a phase, which is in force.
fn taken_away(seen: &Seen, call: &str) -> Result<usize> {
    let verdict = stopped(seen, "PC0332")?;
    is(&verdict, "/denials/0/syscall", call)?;
    let layers = verdict["enforced"].as_array().context("no layers")?;
    let held = |layer: &Value| layer["layer"] == "phase main/main";
    ensure!(
        layers.iter().any(held),
        "its phase is not enforced: {layers:?}"
    );
    Ok(9)
}

/// A judge of a call of another architecture, which is named by its own table.
fn foreign(arch: Arch) -> Judge {
    Box::new(move |seen| {
        let verdict = stopped(seen, "PC0303")?;
        is(&verdict, "/denials/0/arch", arch.to_string())?;
        is(&verdict, "/denials/0/syscall", OUTSIDE)?;
        Ok(9)
    })
}

fn observed(seen: &Seen) -> Result<usize> {
    let (wrote, verdict) = parts(seen, CODE)?;
    ensure!(
        wrote.starts_with("before\n") && wrote.lines().count() == 2,
        "it wrote {wrote:?}"
    );
    is(&verdict, "/mode", "observe")?;
    is(&verdict, "/outcome", "exited")?;
    is(&verdict, "/denials/0/syscall", OUTSIDE)?;
    is(&verdict, "/not_enforced/0/layer", "seccomp")?;
    Ok(6)
}
