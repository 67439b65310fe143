//! What a person reads after a run: each denial, where it came from, and what to do.

use std::fmt::Write as _;

use super::style::{CAUTION, HEADING, QUIET, Styled};
use crate::json::verdict::{Denial, Document, Frame};
use crate::neutral;

/// Frames of a stack that text shows; the verdict file has all.
const FRAMES: usize = 12;

/// The denials of `verdict` for the terminal; empty when there are none.
pub(crate) fn denials(verdict: &Document) -> String {
    let mut out = String::new();
    for denial in &verdict.denials {
        one(&mut out, denial, verdict.mode);
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

fn one(out: &mut String, denial: &Denial, mode: &str) {
    // Writing to a String cannot fail; the results of `writeln!` are dropped throughout.
    let said = if mode == "observe" {
        "outside the set"
    } else {
        "denied"
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
        "portcullis: {}: {foreign}{}({}){times}",
        Styled(CAUTION, said),
        Styled(HEADING, neutral::text(&denial.syscall)),
        arguments(denial),
    );
    for frame in denial.backtrace.iter().take(FRAMES) {
        let _ = writeln!(out, "    {}", place(frame));
    }
    if denial.backtrace.len() > FRAMES {
        let _ = writeln!(out, "    … {} more frames", denial.backtrace.len() - FRAMES);
    }
    let _ = writeln!(
        out,
        "  because {} [{}, {}]",
        neutral::text(&denial.rule),
        neutral::text(&denial.layer),
        denial.code
    );
    if let Some(suggestion) = &denial.suggestion {
        let _ = writeln!(out, "  {}", neutral::text(suggestion));
    }
}

fn arguments(denial: &Denial) -> String {
    let mut shown: Vec<String> = denial
        .args
        .iter()
        .map(|arg| match &arg.symbol {
            Some(symbol) => symbol.clone(),
            None => arg.value.clone(),
        })
        .collect();
    if let Some(path) = &denial.path {
        shown.push(format!("path \"{}\"", neutral::text(path)));
    }
    shown.join(", ")
}

fn place(frame: &Frame) -> String {
    let function = match &frame.function {
        Some(name) => neutral::text(&neutral::short(name, 100)).into_owned(),
        None => "?".to_owned(),
    };
    let object = match &frame.object {
        Some(path) => format!("{}+", neutral::text(path)),
        None => String::new(),
    };
    let place = format!("{object}{}", frame.address);
    format!("at {function}  {}", Styled(QUIET, place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::verdict::{Arg, Late, Layer, Missing, Module, Program, ResidualCount, Usage};
    use crate::output;

    fn verdict() -> Document {
        let frame = |function: Option<&str>, address: &str| Frame {
            object: Some("/usr/lib/libevil\u{1b}.so".to_owned()),
            address: address.to_owned(),
            function: function.map(str::to_owned),
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
            denials: vec![Denial {
                code: "PC0301",
                layer: "seccomp".to_owned(),
                arch: "x86_64".to_owned(),
                syscall: "socket".to_owned(),
                number: 41,
                args: vec![
                    Arg {
                        index: 0,
                        value: "0x2".to_owned(),
                        symbol: Some("AF_INET".to_owned()),
                    },
                    Arg {
                        index: 1,
                        value: "0x77".to_owned(),
                        symbol: None,
                    },
                ],
                path: Some("/etc/\u{202e}passwd".to_owned()),
                rule: "the call is not in the derived set".to_owned(),
                backtrace: vec![frame(Some("connect\u{7}"), "0x1234"), frame(None, "0x5678")],
                suggestion: Some("add --plugin /usr/lib/libevil.so".to_owned()),
                count: 3,
            }],
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
    fn what_was_loaded_is_told() {
        let text = anstream::adapter::strip_str(&late(&verdict())).to_string();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn the_document() {
        insta::assert_snapshot!(output::json_document(&verdict()).unwrap());
    }
}
