//! `portcullis compile POLICY`.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use portcullis_bpf::{Program, compile_for, verify};
use portcullis_policy::{Policy, Ramp};

use crate::args::{CompileArgs, FilterFormat};
use crate::exit::Exit;
use crate::filter_file::{FilterFile, frequent};
use crate::neutral;
use crate::output::Output;

/// Calls of a trace that make a difference.
const MOST_HOT: usize = 16;

/// Runs the verb.
pub(crate) fn compile(typed: CompileArgs) -> Result<Exit> {
    let output = Output::from_option(typed.output);
    let file = FilterFile::open(&typed.policy, &typed.input)?;
    let mut policy = file.policy(&typed.input)?;
    if let Some(wanted) = typed.require_ramp {
        Ramp::require(policy.ramp, wanted).with_context(|| file.name())?;
    }
    if let Some(phase) = &typed.phase {
        policy = policy
            .phase(&typed.thread, phase)
            .with_context(|| no_phase(&policy, &typed.thread, phase))?;
    }
    let mut hot = hot(&policy, &typed.hot)?;
    if let Some(trace) = &typed.hot_trace {
        hot.extend(frequent(trace, &typed.input)?.into_iter().take(MOST_HOT));
    }
    let compiling = || format!("compiling {}", file.name());
    let program = compile_for(&policy, &hot).with_context(compiling)?;
    let proved = verify(program, &policy).with_context(compiling)?;
    let program = proved.program();
    match typed.format {
        FilterFormat::Text => output.write_text(&program.to_string())?,
        FilterFormat::Raw => output.write_bytes(&program.to_bytes())?,
        FilterFormat::C => output.write_bytes(c(program).as_bytes())?,
        FilterFormat::Rust => output.write_bytes(rust(program).as_bytes())?,
    }
    Ok(Exit::Success)
}

/// The numbers of calls that are made often.
fn hot(policy: &Policy, names: &[String]) -> Result<Vec<u32>> {
    let number = |name: &String| {
        let mut all = policy.tables.iter().filter_map(|t| t.arch.number(name));
        let unknown = || format!("--hot {}: no such call", neutral::text(name));
        Ok(all.next().with_context(unknown)?.0)
    };
    names.iter().map(number).collect()
}

fn no_phase(policy: &Policy, thread: &str, phase: &str) -> String {
    let all = policy
        .phases
        .iter()
        .map(|p| format!("{}/{}", p.thread, p.phase));
    let all: Vec<String> = all.collect();
    neutral::text(&match all.is_empty() {
        true => "the policy has no phases; derive it with --phases".to_owned(),
        false => format!(
            "the policy has no phase {phase} of a thread {thread}; it has: {}",
            all.join(" ")
        ),
    })
    .to_string()
}

/// An array in C.
pub(crate) fn c(program: &Program) -> String {
    let mut text = String::from("static const struct sock_filter filter[] = {\n");
    for i in program.instructions() {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "    {{ {:#06x}, {}, {}, {:#010x} }},",
            i.code, i.jt, i.jf, i.k
        );
    }
    text.push_str("};\n");
    text
}

/// A constant in Rust.
pub(crate) fn rust(program: &Program) -> String {
    let count = program.instructions().len();
    let mut text = format!("pub const FILTER: [(u16, u8, u8, u32); {count}] = [\n");
    for i in program.instructions() {
        let _ = writeln!(
            text,
            "    ({:#06x}, {}, {}, {:#010x}),",
            i.code, i.jt, i.jf, i.k
        );
    }
    text.push_str("];\n");
    text
}
