//! Short texts for actions, conditions and reasons.

use super::Error;
use crate::{Action, Condition, Op, Provenance, Width};

/// Something with a short text that reads back.
pub(super) trait Phrase: Sized {
    const WHAT: &'static str;
    const ADVICE: &'static str;

    fn phrase(&self) -> String;
    fn parse(text: &str) -> Option<Self>;
}

pub(super) fn parse<T: Phrase>(text: &str, place: impl Fn() -> String) -> Result<T, Error> {
    T::parse(text).ok_or_else(|| Error::Word {
        place: place(),
        what: T::WHAT,
        text: text.to_owned(),
        advice: T::ADVICE,
    })
}

impl Phrase for Action {
    const WHAT: &'static str = "the action";
    const ADVICE: &'static str =
        "actions are allow, log, errno:N, trap, trace:N, notify, kill-thread, kill";

    fn phrase(&self) -> String {
        match self {
            Action::KillProcess => "kill".into(),
            Action::KillThread => "kill-thread".into(),
            Action::Trap => "trap".into(),
            Action::Errno(errno) => format!("errno:{errno}"),
            Action::Notify => "notify".into(),
            Action::Trace(data) => format!("trace:{data}"),
            Action::Log => "log".into(),
            Action::Allow => "allow".into(),
        }
    }

    fn parse(text: &str) -> Option<Action> {
        Some(match text {
            "kill" => Action::KillProcess,
            "kill-thread" => Action::KillThread,
            "trap" => Action::Trap,
            "notify" => Action::Notify,
            "log" => Action::Log,
            "allow" => Action::Allow,
            _ => match text.split_once(':')? {
                // The kernel cuts larger error numbers: saying them would not be meant.
                ("errno", n) => Action::Errno(n.parse().ok().filter(|n| *n <= 4095)?),
                ("trace", n) => Action::Trace(n.parse().ok()?),
                _ => return None,
            },
        })
    }
}

impl Phrase for Condition {
    const WHAT: &'static str = "the condition";
    const ADVICE: &'static str = "write `arg0 == 0x1`, `arg1 as u32 <= 5` or `arg2 & 0x3 == 0x1`; \
         comparisons are ==, !=, <, <=, >, >=";

    fn phrase(&self) -> String {
        let width = match self.width {
            Width::W32 => " as u32",
            Width::W64 => "",
        };
        let (op, value) = match self.op {
            Op::Equal(v) => ("==", v),
            Op::NotEqual(v) => ("!=", v),
            Op::Less(v) => ("<", v),
            Op::LessEqual(v) => ("<=", v),
            Op::Greater(v) => (">", v),
            Op::GreaterEqual(v) => (">=", v),
            Op::Masked { mask, value } => {
                return format!("arg{}{width} & {mask:#x} == {value:#x}", self.index);
            }
        };
        format!("arg{}{width} {op} {value:#x}", self.index)
    }

    fn parse(text: &str) -> Option<Condition> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let (argument, rest) = words.split_first()?;
        let index = argument
            .strip_prefix("arg")?
            .parse()
            .ok()
            .filter(|i| *i < 6)?;
        let (width, rest) = match rest {
            ["as", "u32", rest @ ..] => (Width::W32, rest),
            rest => (Width::W64, rest),
        };
        let op = match rest {
            ["&", mask, "==", value] => Op::Masked {
                mask: number(mask)?,
                value: number(value)?,
            },
            [op, value] => {
                let value = number(value)?;
                match *op {
                    "==" => Op::Equal(value),
                    "!=" => Op::NotEqual(value),
                    "<" => Op::Less(value),
                    "<=" => Op::LessEqual(value),
                    ">" => Op::Greater(value),
                    ">=" => Op::GreaterEqual(value),
                    _ => return None,
                }
            }
            _ => return None,
        };
        Some(Condition { index, width, op })
    }
}

impl Phrase for Provenance {
    const WHAT: &'static str = "the reason";
    const ADVICE: &'static str =
        "reasons are `site FILE ADDRESS [FUNCTION]`, `launch`, `assume TEXT` and `note TEXT`";

    fn phrase(&self) -> String {
        match self {
            Provenance::Site {
                object,
                address,
                function,
            } => {
                let object = escape(object);
                match function {
                    Some(function) => format!("site {object} {address:#x} {function}"),
                    None => format!("site {object} {address:#x}"),
                }
            }
            Provenance::Launch => "launch".into(),
            Provenance::Assumption(text) => format!("assume {text}"),
            Provenance::Note(text) => format!("note {text}"),
        }
    }

    fn parse(text: &str) -> Option<Provenance> {
        if text == "launch" {
            return Some(Provenance::Launch);
        }
        let (kind, rest) = text.split_once(' ')?;
        Some(match kind {
            "assume" => Provenance::Assumption(rest.into()),
            "note" => Provenance::Note(rest.into()),
            "site" => {
                let mut words = rest.splitn(3, ' ');
                let object = unescape(words.next()?)?;
                let address = number(words.next()?)?;
                Provenance::Site {
                    object,
                    address,
                    function: words.next().map(str::to_owned),
                }
            }
            _ => return None,
        })
    }
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// A path as one word: spaces and backslashes as `\x20` and `\x5c`.
fn escape(path: &str) -> String {
    path.replace('\\', "\\x5c").replace(' ', "\\x20")
}

fn unescape(word: &str) -> Option<String> {
    let path = word.replace("\\x20", " ").replace("\\x5c", "\\");
    (escape(&path) == word).then_some(path)
}
