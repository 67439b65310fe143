//! Suite: the same denial is told in the same words on every kernel, whatever a policy answers.

use anyhow::{Context as _, Result, ensure};
use portcullis_abi::Arch;
use serde_json::Value;

use super::confined::{RUN, is, parts, without};
use super::feature::Need;
use super::initramfs::Files;
use super::step::{Seen, Step, Word};
use super::suite::{Case, Environment};

/// What the policies deny: a call of three arguments that does nothing here. Its first one is a descriptor.
const CALL: &str = "fchown";
/// What the program passes.
const ARGUMENTS: [&str; 3] = ["0x2", "0x3", "0x4"];
/// What the program ends with.
const CODE: i32 = 3;
/// 128 and `SIGSYS`.
const DENIED: i32 = 159;
/// Nothing is analysed.
const SECONDS: u32 = 120;

/// An answer, and what is told of it.
struct Answer {
    /// Of the policy.
    action: &'static str,
    /// In the verdict.
    answer: &'static str,
    code: &'static str,
    /// What the program sees, when it goes on.
    value: Option<&'static str>,
}

const ANSWERS: &[Answer] = &[
    Answer {
        action: "kill",
        answer: "kill-process",
        code: "PC0301",
        value: None,
    },
    Answer {
        action: "kill-thread",
        answer: "kill-thread",
        code: "PC0301",
        value: None,
    },
    Answer {
        action: "trap:7",
        answer: "trap",
        code: "PC0301",
        value: None,
    },
    Answer {
        action: "errno:EACCES",
        answer: "errno EACCES",
        code: "PC0304",
        value: Some("-13"),
    },
];

/// The line of the rule, below.
const PLACE: &str = "7:1";

fn policy(action: &str) -> String {
    format!(
        "schema = \"portcullis.policy\"\nversion = 1\narch = [\"x86_64\", \"aarch64\"]\n\
         baseline = \"5.10\"\ndefault = \"allow\"\n\n[[rule]]\ncall = \"{CALL}\"\n\
         when = [\"arg1 == 3\"]\naction = \"{action}\"\n"
    )
}

/// One case for each answer.
pub(crate) fn cases(environment: &Environment, files: &mut Files) -> Result<Vec<Case>> {
    let number = environment.arch.number(CALL).context(CALL)?.0;
    ANSWERS
        .iter()
        .map(|answer| {
            let name = answer.action.split(':').next().unwrap_or_default();
            let file = format!("policies/{name}.toml");
            files.add(file.clone(), policy(answer.action));
            Ok(case(environment, answer, file, number))
        })
        .collect()
}

fn case(environment: &Environment, answer: &'static Answer, file: String, number: u32) -> Case {
    let verdict = "verdict.json";
    let arch = environment.arch;
    let mut words = vec![Word::from(verdict), Word::File("portcullis".to_owned())];
    words.extend(["run", "--verdict", verdict].map(Word::from));
    words.extend(without(environment));
    words.extend([Word::from("--policy"), Word::File(file), Word::from("--")]);
    words.extend([Word::File("caller".to_owned()), Word::from("native")]);
    words.push(Word::Text(number.to_string()));
    Case {
        name: format!("{} is told", answer.action),
        needs: RUN.map(Need::from).into(),
        step: Step::then_shown(words, SECONDS),
        judge: Box::new(move |seen| told(seen, arch, answer)),
    }
}

fn told(seen: &Seen, arch: Arch, answer: &Answer) -> Result<usize> {
    let code = if answer.value.is_some() { CODE } else { DENIED };
    let (wrote, verdict) = parts(seen, code)?;
    let expected = format!(
        "before\n{}",
        answer.value.map_or(String::new(), |v| format!("{v}\n"))
    );
    ensure!(wrote == expected, "it wrote {wrote:?}");
    let outcome = if answer.value.is_some() {
        "exited"
    } else {
        "denied"
    };
    is(&verdict, "/outcome", outcome)?;
    is(&verdict, "/omitted", Vec::<Value>::new())?;
    let denials = verdict["denials"].as_array().context("no denials")?;
    ensure!(denials.len() == 1, "{} denials", denials.len());
    let of = |field: &str| format!("/denials/0/{field}");
    is(&verdict, &of("code"), answer.code)?;
    is(&verdict, &of("answer"), answer.answer)?;
    is(&verdict, &of("arch"), arch.to_string())?;
    is(&verdict, &of("syscall"), CALL)?;
    named(&verdict["denials"][0]["thread"])?;
    is(&verdict, &of("count"), 1)?;
    is(&verdict, &of("risk/level"), "medium")?;
    is(&verdict, &of("allow/option"), format!("--allow {CALL}"))?;
    is(&verdict, &of("args/0/observed/kind"), "descriptor")?;
    for (index, value) in ARGUMENTS.into_iter().enumerate() {
        is(&verdict, &of(&format!("args/{index}/value")), value)?;
    }
    let place = verdict["denials"][0]["rule_place"].as_str();
    ensure!(
        place.is_some_and(|p| p.ends_with(PLACE)),
        "the rule is at {place:?}"
    );
    let instruction = &verdict["denials"][0]["filter"]["instruction"];
    ensure!(instruction.is_u64(), "no instruction answered");
    stack(&verdict)?;
    Ok(18)
}

/// By its file, or, where the kernel names what is executed by its descriptor after that, by its number
/// (`begin_new_exec` of fs/exec.c, until Linux 6.14).
fn named(thread: &Value) -> Result<()> {
    let name = thread.as_str().unwrap_or_default();
    let is_number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    ensure!(name == "caller" || is_number, "the thread is {thread}");
    Ok(())
}

/// The function that makes the call is on it, by name and line, and by the unwind tables what called it.
fn stack(verdict: &Value) -> Result<()> {
    let frames = verdict["denials"][0]["backtrace"].as_array();
    let frames = frames.context("no backtrace")?;
    let first = frames.first().context("an empty backtrace")?;
    ensure!(
        first["function"] == "make",
        "the call is of {}",
        first["function"]
    );
    let source = first["source"].as_str().unwrap_or_default();
    ensure!(source.ends_with("caller.c"), "it is of {source:?}");
    ensure!(first["line"].is_u64(), "it has no line");
    ensure!(
        frames.iter().any(|f| f["function"] == "main"),
        "main is not there"
    );
    let starts = |f: &&Value| {
        f["function"]
            .as_str()
            .is_some_and(|name| name.starts_with("__libc_start"))
    };
    let start = frames.iter().find(starts).context("nothing called main")?;
    ensure!(
        start["certain"] == true,
        "the way to the C library is a guess"
    );
    Ok(())
}
