//! `portcullis compile POLICY`.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use portcullis_bpf::{Program, compile as to_filter, verify};
use portcullis_policy::{Policy, toml};

use crate::args::{CompileArgs, FilterFormat};
use crate::exit::Exit;
use crate::neutral;
use crate::output::Output;

/// More than any policy has.
const MOST_BYTES: u64 = 16 << 20;

/// Runs the verb.
pub(crate) fn compile(typed: CompileArgs) -> Result<Exit> {
    let output = Output::from_option(typed.output);
    let mut policy = toml::read(&read(&typed.policy)?)?;
    if let Some(phase) = &typed.phase {
        policy = policy
            .phase(&typed.thread, phase)
            .with_context(|| no_phase(&policy, &typed.thread, phase))?;
    }
    let proved = verify(to_filter(&policy)?, &policy)?;
    let program = proved.program();
    match typed.format {
        FilterFormat::Text => output.write_text(&program.to_string())?,
        FilterFormat::Raw => output.write_bytes(&program.to_bytes())?,
        FilterFormat::C => output.write_bytes(c(program).as_bytes())?,
        FilterFormat::Rust => output.write_bytes(rust(program).as_bytes())?,
    }
    Ok(Exit::Success)
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

fn read(path: &Path) -> Result<String> {
    let reading = || format!("reading the policy {}", neutral::path(path));
    let mut text = String::new();
    let source: Box<dyn std::io::Read> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).with_context(reading)?)
    };
    source
        .take(MOST_BYTES)
        .read_to_string(&mut text)
        .with_context(reading)?;
    Ok(text)
}

fn c(program: &Program) -> String {
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

fn rust(program: &Program) -> String {
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
