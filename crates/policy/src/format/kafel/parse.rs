//! The grammar.

mod expression;

use super::super::token::{Cursor, Kind, Spot};
use super::super::{Include, MOST_RULES};
use super::lex;
use super::tree::{Call, Entry, Name, Program};
use crate::{Action, Mistake, Remark};

/// What cannot be a name.
const KEYWORDS: [&str; 17] = [
    "SYSCALL",
    "ALLOW",
    "LOG",
    "USER_NOTIF",
    "ERRNO",
    "KILL_PROCESS",
    "KILL_THREAD",
    "KILL",
    "DENY",
    "TRAP",
    "TRACE",
    "USE",
    "POLICY",
    "DEFAULT",
    "ON",
    "define",
    "include",
];

/// Names of architectures, and what each is called here (`arch_name_map`). kafel knows no x32.
const ARCHITECTURES: [(&str, &str); 13] = [
    ("arm", "arm"),
    ("aarch64", "aarch64"),
    ("arm64", "aarch64"),
    ("x86_64", "x86_64"),
    ("amd64", "x86_64"),
    ("x86", "i386"),
    ("i386", "i386"),
    ("mips", "mips"),
    ("mipso32", "mips"),
    ("mips64", "mips64"),
    ("riscv64", "riscv64"),
    ("rv64", "riscv64"),
    ("m68k", "m68k"),
];

/// A whole policy.
pub(super) fn program(text: &str, include: Include<'_>) -> Result<Program, Mistake> {
    let mut parser = Parser {
        cursor: lex::tokens(text, include)?,
        program: Program::default(),
        calls: 0,
    };
    parser.program()?;
    Ok(parser.program)
}

struct Parser {
    cursor: Cursor,
    program: Program,
    calls: usize,
}

impl Parser {
    fn program(&mut self) -> Result<(), Mistake> {
        while self.cursor.peek().kind != Kind::End {
            if self.cursor.takes("#") {
                self.constant()?;
            } else if self.cursor.takes_word("POLICY") {
                self.policy()?;
            } else if self.cursor.takes_word("DEFAULT") {
                let spot = self.cursor.last().spot.clone();
                let action = self.action()?;
                if self.program.default.replace(action).is_some() {
                    return Err(spot.mistake("the default is defined twice"));
                }
            } else {
                let entries = self.entries()?;
                self.program.main.extend(entries);
            }
        }
        Ok(())
    }

    /// `#define NAME NUMBER`, behind the sign.
    fn constant(&mut self) -> Result<(), Mistake> {
        if !self.cursor.takes_word("define") {
            return Err(self.cursor.peek().instead_of("`define` or `include`"));
        }
        let (name, spot) = self.name("a name for the constant")?;
        let value = self.number()?;
        match self.program.constants.insert(name.clone(), value) {
            Some(before) if before != value => Err(spot.mistake(format!(
                "`{name}` has been defined as {before} before, and is {value} here"
            ))),
            _ => Ok(()),
        }
    }

    /// `POLICY name { … }`, behind the keyword.
    fn policy(&mut self) -> Result<(), Mistake> {
        let (name, spot) = self.name("a name for the policy")?;
        if self.program.policies.iter().any(|(n, _)| *n == name) {
            return Err(spot.mistake(format!("the policy `{name}` is defined twice")));
        }
        self.cursor.expect("{")?;
        let entries = match self.cursor.sees("}") {
            true => Vec::new(),
            false => self.entries()?,
        };
        self.cursor.expect("}")?;
        self.program.policies.push((name, entries));
        Ok(())
    }

    fn entries(&mut self) -> Result<Vec<Entry>, Mistake> {
        let mut entries = Vec::new();
        loop {
            entries.push(self.entry()?);
            if !self.cursor.takes(",") {
                return Ok(entries);
            }
        }
    }

    fn entry(&mut self) -> Result<Entry, Mistake> {
        if self.cursor.takes_word("USE") {
            let (name, spot) = self.name("the name of a policy")?;
            let mut all = self.program.policies.iter();
            let used = all.position(|(n, _)| *n == name);
            return used
                .map(Entry::Use)
                .ok_or_else(|| spot.mistake(format!("no policy `{name}` is defined before")));
        }
        let action = self.action()?;
        self.cursor.expect("{")?;
        let mut calls = Vec::new();
        if !self.cursor.sees("}") {
            loop {
                calls.push(self.call()?);
                if !self.cursor.takes(",") {
                    break;
                }
            }
        }
        self.cursor.expect("}")?;
        Ok(Entry::Block(action, calls))
    }

    fn action(&mut self) -> Result<Action, Mistake> {
        let token = self.cursor.next();
        let word = match &token.kind {
            Kind::Word(word) => word.as_str(),
            _ => return Err(token.instead_of("an action")),
        };
        let simple = match word {
            "ALLOW" => Some(Action::Allow),
            "LOG" => Some(Action::Log),
            "KILL" | "KILL_THREAD" | "DENY" => Some(Action::KillThread),
            "KILL_PROCESS" => Some(Action::KillProcess),
            "USER_NOTIF" => Some(Action::Notify),
            "ERRNO" | "TRAP" | "TRACE" => None,
            _ => {
                return Err(token.instead_of(
                    "an action (ALLOW, LOG, KILL, KILL_PROCESS, DENY, USER_NOTIF, ERRNO(n), \
                     TRAP(n) or TRACE(n)), POLICY, USE, DEFAULT or #define",
                ));
            }
        };
        if let Some(action) = simple {
            return Ok(action);
        }
        self.cursor.expect("(")?;
        let spot = self.cursor.peek().spot.clone();
        let number = self.number()?;
        self.cursor.expect(")")?;
        let Ok(number) = u16::try_from(number) else {
            return Err(spot.mistake(format!("{number} is above 65535")));
        };
        Ok(match word {
            "TRACE" => Action::Trace(number),
            "TRAP" => Action::Trap(number),
            _ => {
                if number > 4095 {
                    let message = format!("the kernel makes the error number {number} to 4095");
                    self.remark(&spot, &message);
                }
                Action::Errno(number.min(4095))
            }
        })
    }

    fn call(&mut self) -> Result<Call, Mistake> {
        let start = self.cursor.peek().spot.clone();
        self.calls += 1;
        if self.calls > MOST_RULES {
            return Err(start.mistake(format!("there are more than {MOST_RULES} rules")));
        }
        let name = self.call_name()?;
        let arguments = self.arguments()?;
        let mut only_on = Vec::new();
        if self.cursor.takes_word("ON") {
            let list = self.cursor.takes("{");
            loop {
                only_on.push(self.architecture(&only_on)?);
                if !list || !self.cursor.takes(",") {
                    break;
                }
            }
            if list {
                self.cursor.expect("}")?;
            }
        }
        let mut expression = None;
        if self.cursor.takes("{") {
            if !self.cursor.sees("}") {
                expression = Some(self.commas(0)?);
            }
            self.cursor.expect("}")?;
        }
        Ok(Call {
            name,
            arguments,
            only_on,
            expression,
            spot: start.to(&self.cursor.last().spot),
        })
    }

    fn call_name(&mut self) -> Result<Name, Mistake> {
        let start = self.cursor.peek().spot.clone();
        let number = if self.cursor.takes_word("SYSCALL") {
            self.cursor.expect("[")?;
            let number = self.number()?;
            self.cursor.expect("]")?;
            number
        } else {
            let (name, _) = self.name("the name of a call")?;
            match self.program.constants.get(&name) {
                Some(number) => *number,
                None => return Ok(Name::Known(name)),
            }
        };
        // kafel keeps 32 bits, of a number that fits in as many with or without a sign.
        match u32::try_from(number).ok() {
            Some(number) => Ok(Name::Number(number)),
            None if number >= u64::MAX << 31 => Ok(Name::Number(number as u32)),
            None => Err(start.mistake(format!("{number} is no number of a call"))),
        }
    }

    fn arguments(&mut self) -> Result<Option<Vec<String>>, Mistake> {
        if !self.cursor.takes("(") {
            return Ok(None);
        }
        let mut names: Vec<String> = Vec::new();
        if !self.cursor.sees(")") {
            loop {
                let (name, spot) = self.name("the name of an argument")?;
                if names.contains(&name) {
                    return Err(spot.mistake(format!("two arguments are called `{name}`")));
                }
                if names.len() == 6 {
                    return Err(spot.mistake("calls have at most 6 arguments"));
                }
                names.push(name);
                if !self.cursor.takes(",") {
                    break;
                }
            }
        }
        self.cursor.expect(")")?;
        Ok(Some(names))
    }

    fn architecture(&mut self, before: &[String]) -> Result<String, Mistake> {
        let (written, spot) = self.name("the name of an architecture")?;
        let name = written.to_ascii_lowercase();
        let (_, own) = ARCHITECTURES
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| spot.mistake(format!("the architecture `{written}` is not known")))?;
        if before.iter().any(|b| b == own) {
            return Err(spot.mistake(format!("the architecture `{written}` is named twice")));
        }
        Ok((*own).to_owned())
    }

    fn name(&mut self, what: &str) -> Result<(String, Spot), Mistake> {
        let token = self.cursor.peek().clone();
        let (name, spot) = self.cursor.word(what)?;
        match KEYWORDS.contains(&name.as_str()) {
            false => Ok((name, spot)),
            true => Err(token.instead_of(what)),
        }
    }

    fn number(&mut self) -> Result<u64, Mistake> {
        let token = self.cursor.next();
        match &token.kind {
            Kind::Number(text) => lex::number(text).ok_or_else(|| {
                let message = format!("`{text}` is no number of at most 64 bits");
                token.spot.mistake(message)
            }),
            _ => Err(token.instead_of("a number")),
        }
    }

    fn remark(&mut self, spot: &Spot, message: &str) {
        self.program.remarks.push(Remark {
            place: spot.place,
            message: spot.said(message),
        });
    }
}
