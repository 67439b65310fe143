//! What is run in an environment, and what is seen of it.

use std::time::Duration;

use anyhow::{Result, bail, ensure};

/// A program with its arguments. Programs and inputs are files beside each other: at the root in a machine, in
/// a directory here.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) program: String,
    /// Variables besides those that every step has.
    pub(crate) environment: Vec<(&'static str, Word)>,
    pub(crate) arguments: Vec<Word>,
    /// How long it may take in a machine.
    pub(crate) seconds: u32,
}

/// An argument.
#[derive(Clone, Debug)]
pub(crate) enum Word {
    Text(String),
    /// The path of a file.
    File(String),
}

impl From<&str> for Word {
    fn from(text: &str) -> Word {
        Word::Text(text.to_owned())
    }
}

/// How a step ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    Exit(i32),
    Signal(i32),
    /// It was killed when its time was over.
    Late,
}

/// What a step wrote and how it ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Seen {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) ended: Ended,
    pub(crate) took: Duration,
}

impl Seen {
    /// Standard output, when the step ended with `code`.
    pub(crate) fn text(&self, code: i32) -> Result<&str> {
        ensure!(
            self.ended == Ended::Exit(code),
            "it ended with {:?} and not with code {code}: {}",
            self.ended,
            String::from_utf8_lossy(&self.stderr).trim()
        );
        Ok(std::str::from_utf8(&self.stdout)?)
    }
}

impl Step {
    /// Runs a command and shows a file that it leaves: `words` are the file, the command and its arguments.
    pub(crate) fn then_shown(words: Vec<Word>, seconds: u32) -> Step {
        Step {
            program: "then_show".to_owned(),
            environment: Vec::new(),
            arguments: words,
            seconds,
        }
    }

    /// Its line in the plan of a machine.
    pub(crate) fn plan(&self, uid: u32) -> Result<String> {
        let text = |word: &Word| match word {
            Word::Text(text) => text.clone(),
            Word::File(name) => format!("/{name}"),
        };
        let variables = self.environment.iter();
        let mut words: Vec<String> = variables
            .map(|(name, value)| format!("{name}={}", text(value)))
            .collect();
        words.push(format!("/{}", self.program));
        words.extend(self.arguments.iter().map(text));
        let mut line = format!("run\t{uid}\t{}", self.seconds);
        for word in words {
            if word.is_empty() || word.contains(['\t', '\n', '\0']) {
                bail!(
                    "{}: the argument {word:?} has no place in a plan",
                    self.program
                );
            }
            line.push('\t');
            line.push_str(&word);
        }
        Ok(line)
    }
}
