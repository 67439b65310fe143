//! What a person reads after a run: each denial, where it came from, and what to do.

use std::fmt::Write as _;

use super::style::{CAUTION, HEADING, QUIET, Styled};
use crate::json::verdict::{Arg, Denial, Document, Frame};
use crate::neutral;

/// Frames of a stack that text shows; the verdict file has all.
const FRAMES: usize = 12;

/// Denials that are shown in full; the verdict file has all.
const SHOWN: usize = 16;

/// The denials of `verdict` for the terminal; empty when there are none.
pub(crate) fn denials(verdict: &Document) -> String {
    let mut out = String::new();
    // What ended the program is the last, and what it is about.
    let (shown, rest) = match verdict.denials.len() {
        0..=SHOWN => (verdict.denials.iter().collect(), &[][..]),
        _ => {
            let (first, rest) = verdict.denials.split_at(SHOWN - 1);
            let (last, rest) = rest
                .split_last()
                .map_or((None, rest), |(l, r)| (Some(l), r));
            (first.iter().chain(last).collect::<Vec<_>>(), rest)
        }
    };
    for denial in shown {
        one(&mut out, denial, verdict);
    }
    if !rest.is_empty() {
        let _ = writeln!(
            out,
            "portcullis: {} more that differ are in the file of --verdict",
            rest.len()
        );
    }
    if verdict.audit.state == "read" && !verdict.audit.complete {
        let _ = writeln!(
            out,
            "portcullis: not all audit records of the run could be read; {} of the machine were lost",
            verdict.audit.lost
        );
    }
    if verdict.audit.omitted > 0 {
        let _ = writeln!(
            out,
            "portcullis: {} more audit records, in too many ways to tell apart",
            verdict.audit.omitted
        );
    }
    for omitted in &verdict.omitted {
        let name = omitted.syscall.unwrap_or("calls that no table knows");
        let _ = writeln!(
            out,
            "portcullis: {name}: {} more, in too many ways to tell apart ({})",
            omitted.count, omitted.answer
        );
    }
    out
}

/// What libraries that were loaded while the program ran added, or why they added nothing; empty
/// when there are none.
pub(crate) fn late(verdict: &Document) -> String {
    let mut out = String::new();
    let Some(late) = &verdict.late else {
        return out;
    };
    for module in &late.modules {
        let path = neutral::text(&module.path);
        let _ = match &module.refused {
            Some(reason) => {
                let reason = neutral::text(reason);
                writeln!(out, "portcullis: loaded: {path} adds nothing: {reason}")
            }
            None => writeln!(out, "portcullis: loaded: {path}"),
        };
    }
    if !late.added.is_empty() {
        let added = late.added.join(", ");
        let _ = writeln!(out, "portcullis: allowed for what was loaded: {added}");
    }
    out
}

/// Rules for what was let through while observing; empty when there are none.
pub(crate) fn patch(verdict: &Document) -> String {
    let Some(patch) = &verdict.patch else {
        return String::new();
    };
    let mut out = String::from("portcullis: to allow what was let through:\n\n");
    for line in patch.rules.lines() {
        let _ = writeln!(out, "{}", neutral::text(line));
    }
    let _ = writeln!(
        out,
        "\nportcullis: to use it: {}",
        neutral::text(&patch.apply)
    );
    out
}

fn one(out: &mut String, denial: &Denial, verdict: &Document) {
    // Writing to a String cannot fail; the results of `writeln!` are dropped throughout.
    let said = match (denial.layer.as_str(), verdict.mode) {
        ("own-filter", _) => "denied by the program itself",
        ("seccomp", "observe") => "outside the set",
        _ => "denied",
    };
    let times = match denial.count {
        0 | 1 => String::new(),
        count => format!("  {count} times"),
    };
    // The name means another call in a program of its own architecture.
    let foreign = match denial.code {
        "PC0303" => format!("{} ", neutral::text(&denial.arch)),
        _ => String::new(),
    };
    let _ = writeln!(
        out,
        "portcullis: {}: {foreign}{}{}{times}",
        Styled(CAUTION, said),
        what(denial),
        answer(denial),
    );
    if let Some(who) = who(denial, &verdict.program.path) {
        let _ = writeln!(out, "  in {who}");
    }
    for frame in denial.backtrace.iter().take(FRAMES) {
        let _ = writeln!(out, "    {}", place(frame));
    }
    if denial.backtrace.len() > FRAMES {
        let _ = writeln!(out, "    … {} more frames", denial.backtrace.len() - FRAMES);
    }
    let instruction = denial.filter.as_ref().map_or(String::new(), |filter| {
        format!(", instruction {} of {}", filter.instruction, filter.of)
    });
    let _ = writeln!(
        out,
        "  because {} [{}{instruction}, {}]",
        neutral::text(&denial.rule),
        neutral::text(&denial.layer),
        denial.code
    );
    if let Some(place) = &denial.rule_place {
        let _ = writeln!(out, "    {}", neutral::text(place));
    }
    if let Some(suggestion) = &denial.suggestion {
        let _ = writeln!(out, "  {}", neutral::text(suggestion));
    }
    if let Some(allow) = &denial.allow {
        let option = neutral::text(&allow.option);
        let _ = writeln!(out, "  to allow it: {option}");
    }
    for also in denial.also.iter().flatten() {
        let answer = also.answer.trim_start_matches("errno ");
        let of = match also.count < denial.count {
            true => format!("{} of {}", also.count, denial.count),
            false => "it".to_owned(),
        };
        let _ = writeln!(
            out,
            "  {} would refuse {of} as well: {} ({answer})",
            also.layer,
            neutral::text(&also.reason)
        );
    }
    if let Some(risk) = &denial.risk {
        let _ = writeln!(out, "  risk {}: {}", risk.level, risk.why);
    }
}

/// The call, or what else was asked for, and of what.
fn what(denial: &Denial) -> String {
    let call = denial.syscall.as_deref().map(neutral::text);
    if denial.blockers.is_empty() {
        let call = call.unwrap_or("?".into());
        return format!("{}({})", Styled(HEADING, call), arguments(denial));
    }
    let blockers = denial.blockers.join(", ");
    let of = denial.path.as_ref().map_or(String::new(), |path| {
        format!(" \"{}\"", neutral::text(&neutral::short(path, 200)))
    });
    let by = call.map_or(String::new(), |call| format!(" by {call}"));
    format!("{}{of}{by}", Styled(HEADING, neutral::text(&blockers)))
}

/// What became of the call, where that is not an end or a pass.
fn answer(denial: &Denial) -> String {
    match denial.answer.split_once(' ') {
        Some(("errno", name)) => format!(" = -{name}"),
        _ if denial.answer == "trap" => " gets SIGSYS".into(),
        _ if denial.answer == "kill-thread" => " ends the thread".into(),
        _ => String::new(),
    }
}

/// The task, where it is not the first one of the program that was started.
fn who(denial: &Denial, program: &str) -> Option<String> {
    let file = |path: &'_ str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let image = denial.image.as_deref().unwrap_or("?");
    let number = denial.tid.or(denial.pid)?;
    let kind = match denial.tid == denial.pid || denial.tid.is_none() {
        // The kernel names it after the file, in 15 bytes.
        true if file(image) == file(program) && file(image).starts_with(&denial.thread) => {
            return None;
        }
        true => "process",
        false => "thread",
    };
    let (name, image) = (neutral::text(&denial.thread), neutral::text(image));
    Some(format!("{kind} {number} \"{name}\" of {image}"))
}

fn arguments(denial: &Denial) -> String {
    // Of a call that no table knows any register may count.
    let name = denial.syscall.as_deref().unwrap_or_default();
    let unknown = name.bytes().all(|b| b.is_ascii_digit());
    let counts = |arg: &&Arg| unknown || arg.name.is_some();
    let shown: Vec<String> = denial.args.iter().filter(counts).map(argument).collect();
    shown.join(", ")
}

fn argument(arg: &Arg) -> String {
    let value = arg.symbol.as_deref().unwrap_or(&arg.value);
    let Some(observed) = &arg.observed else {
        return value.to_owned();
    };
    let text = neutral::short(&observed.text, 200);
    let text = neutral::text(&text);
    match observed.kind {
        "path" | "text" => format!("\"{text}\""),
        "descriptor" => format!("{value}<{text}>"),
        "structure" => format!("{{{text}}}"),
        _ => text.into_owned(),
    }
}

fn place(frame: &Frame) -> String {
    let function = match &frame.function {
        Some(name) => neutral::text(&neutral::short(name, 100)).into_owned(),
        None => "?".to_owned(),
    };
    let source = match (&frame.source, frame.line) {
        (Some(file), Some(line)) => format!(" ({}:{line})", neutral::text(file)),
        _ => String::new(),
    };
    let place = match (&frame.object, frame.inlined) {
        (_, true) => "inlined".to_owned(),
        (Some(path), _) => format!("{}+{}", neutral::text(path), frame.address),
        (None, _) => frame.address.clone(),
    };
    // A frame that no table led to may be none.
    let at = if frame.certain { "at" } else { "at?" };
    format!("{at} {function}{source}  {}", Styled(QUIET, place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::verdict::{
        Allow, Also, Audit, Instruction, Late, Layer, Mapped, Missing, Module, Observed, Omitted,
        Patch, Program, ResidualCount, Risk, Usage,
    };
    use crate::output;

    fn verdict() -> Document {
        let frame = |function: Option<&str>, address: &str| Frame {
            object: Some("/usr/lib/libevil\u{1b}.so".to_owned()),
            address: address.to_owned(),
            function: function.map(str::to_owned),
            inlined: false,
            source: function.map(|_| "src/e\u{1b}vil.c".to_owned()),
            line: function.map(|_| 42),
            certain: function.is_some(),
        };
        Document {
            schema: "portcullis.verdict",
            version: 1,
            program: Program {
                path: "/usr/bin/app".to_owned(),
                script: None,
            },
            mode: "enforce",
            outcome: "denied",
            exit_code: None,
            signal: Some(31),
            limit: None,
            failure: None,
            enforced: vec![Layer {
                layer: "seccomp".to_owned(),
                mechanism: "seccomp".to_owned(),
                scope: "process".to_owned(),
                detail: "54 calls allowed".to_owned(),
            }],
            not_enforced: vec![Missing {
                layer: "network".to_owned(),
                reason: "not built yet".to_owned(),
            }],
            policy: None,
            map: vec![Mapped {
                policy: "errno:38".to_owned(),
                filter: "trace:0".to_owned(),
            }],
            omitted: vec![Omitted {
                syscall: Some("socket"),
                answer: "errno".to_owned(),
                count: 9,
            }],
            denials: vec![Denial {
                code: "PC0301",
                layer: "seccomp".to_owned(),
                answer: "errno EPERM".to_owned(),
                pid: Some(10),
                tid: Some(11),
                thread: "wor\u{1b}ker".to_owned(),
                image: Some("/usr/bin/app".to_owned()),
                arch: "x86_64".to_owned(),
                syscall: Some("socket".to_owned()),
                number: Some(41),
                ip: Some("0x7f0012".to_owned()),
                args: vec![
                    Arg {
                        index: 0,
                        name: Some("family"),
                        value: "0x2".to_owned(),
                        symbol: Some("AF_INET".to_owned()),
                        observed: None,
                    },
                    Arg {
                        index: 1,
                        name: Some("path"),
                        value: "0x77".to_owned(),
                        symbol: None,
                        observed: Some(Observed {
                            kind: "path",
                            text: "/etc/\u{202e}passwd".to_owned(),
                        }),
                    },
                ],
                path: Some("/etc/\u{202e}passwd".to_owned()),
                rule: "the call is not in the derived set".to_owned(),
                rule_text: None,
                rule_place: Some("p\u{1b}.toml:3:1".to_owned()),
                filter: Some(Instruction {
                    instruction: 7,
                    of: 9,
                    answer: "trace:0".to_owned(),
                }),
                backtrace: vec![frame(Some("connect\u{7}"), "0x1234"), frame(None, "0x5678")],
                suggestion: Some("add --plugin /usr/lib/libevil.so".to_owned()),
                allow: Some(Allow {
                    policy: "[[rule]]\ncall = \"socket\"\n".to_owned(),
                    option: "--allow socket".to_owned(),
                }),
                risk: Some(Risk {
                    level: "medium",
                    why: "the network is reached",
                }),
                also: Some(vec![Also {
                    layer: "network".to_owned(),
                    answer: "errno ENETUNREACH".to_owned(),
                    reason: "no network dev\u{1b}ice is up".to_owned(),
                    count: 2,
                }]),
                also_unknown: 1,
                blockers: Vec::new(),
                audited: 1,
                count: 3,
            }],
            audit: Audit {
                state: "read",
                reason: None,
                omitted: 0,
                lost: 2,
                complete: false,
            },
            patch: Some(Patch {
                rules: "[[rule]]\ncall = \"socket\"\n".to_owned(),
                apply: "put them before the first rule of p\u{1b}.toml".to_owned(),
            }),
            late: Some(Late {
                modules: vec![
                    Module {
                        path: "/usr/lib/app/codec\u{9b}.so".to_owned(),
                        refused: None,
                    },
                    Module {
                        path: "/srv/own.so".to_owned(),
                        refused: Some("it changed after the start".to_owned()),
                    },
                ],
                added: vec!["getpriority".to_owned()],
            }),
            residuals: vec![ResidualCount {
                kind: "module",
                count: 2,
            }],
            usage: Usage {
                cpu_ns: 1,
                wall_ns: 2,
                peak_memory_bytes: 3,
            },
        }
    }

    #[test]
    fn a_denial_says_what_where_and_what_to_do() {
        let text = anstream::adapter::strip_str(&denials(&verdict())).to_string();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn what_was_let_through_is_told_as_rules() {
        let text = anstream::adapter::strip_str(&patch(&verdict())).to_string();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn what_was_loaded_is_told() {
        let text = anstream::adapter::strip_str(&late(&verdict())).to_string();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn the_document() {
        insta::assert_snapshot!(output::json_document(&verdict()).unwrap());
    }
}
