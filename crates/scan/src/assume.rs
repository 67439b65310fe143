//! Statements that resolve residuals: what a person knows and the analysis could not tell.
//!
//! ```text
//! # The handler's number is one of those that setuid(2) and its like pass on (nptl/nptl_setxid.c).
//! number:libc.so.6:0x86720 = { setuid, setgid }
//! # This build loads no other libraries.
//! module:libc.so.6:dlopen = {}
//! ```
//!
//! A statement names a residual by its id and says that what happens there makes these calls at
//! most. The residual then is an [`Assumed`] of the set, and the calls are in it.

use std::collections::BTreeSet;

use portcullis_abi::{
    Assumed, Confidence, Mode, Origin, Site, Syscall, SyscallSet, Sysno, Tuple, Warning,
};

use crate::ARCHITECTURES;

/// Statements, of one file or several.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Assumptions(Vec<(String, Vec<String>)>);

/// A line that is no statement.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAStatement {
    /// It has another form.
    #[error("line {0} is not of the form `RESIDUAL = {{ CALL, CALL }}`")]
    Form(usize),
    /// It names a call that the kernel does not have on any architecture of [`ARCHITECTURES`].
    #[error("line {0}: no system call is called {1:?}")]
    Call(usize, String),
    /// Another statement says something else of the same residual.
    #[error("line {0} says something else of {1} than a statement before it")]
    Contradicts(usize, String),
}

impl Assumptions {
    /// Whether nothing is stated.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds those of a file's text, a statement per line; `#` starts a comment.
    ///
    /// ```
    /// use portcullis_scan::assume::Assumptions;
    ///
    /// let mut all = Assumptions::default();
    /// assert!(all.add("number:libc.so.6:syscall = { getpid }").is_ok());
    /// assert!(all.add("number:libc.so.6:syscall = { getuid }").is_err());
    /// ```
    pub fn add(&mut self, text: &str) -> Result<(), NotAStatement> {
        for (line, number) in text.lines().zip(1..) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (id, calls) = statement(line).ok_or(NotAStatement::Form(number))?;
            let mut calls = calls
                .split([',', ' ', '\t'])
                .filter(|name| !name.is_empty())
                .map(|name| {
                    let known = ARCHITECTURES.iter().any(|arch| arch.number(name).is_some());
                    let name = name.to_owned();
                    known
                        .then_some(name.clone())
                        .ok_or(NotAStatement::Call(number, name))
                })
                .collect::<Result<Vec<String>, _>>()?;
            calls.sort_unstable();
            calls.dedup();
            match self.0.iter().find(|(known, _)| known == id) {
                Some((_, same)) if *same == calls => {}
                Some(_) => return Err(NotAStatement::Contradicts(number, id.to_owned())),
                None => self.0.push((id.to_owned(), calls)),
            }
        }
        Ok(())
    }

    /// Resolves the residuals of `set` that are named; a statement about none is stale, which is a
    /// warning. Calls that its architecture lacks cannot be made.
    pub fn apply(&self, set: &mut SyscallSet) {
        for (id, calls) in &self.0 {
            let arch = set.binary.arch;
            let calls = calls.iter().filter_map(|name| arch.number(name));
            let calls: BTreeSet<Sysno> = calls.collect();
            let Some(at) = set.residuals.iter().position(|r| r.id == *id) else {
                set.warnings.push(Warning {
                    code: "PC0205",
                    message: format!(
                        "the assumption about {id} is stale: there is no such residual"
                    ),
                });
                continue;
            };
            let residual = set.residuals.remove(at);
            for &number in &calls {
                // With which arguments it is made there is not stated: with any.
                let site = Site {
                    at: residual.at.clone(),
                    tuples: vec![Tuple {
                        mode: Mode::Sound,
                        via: Vec::new(),
                        args: Vec::new(),
                    }],
                    paths: None,
                };
                match set.syscalls.binary_search_by_key(&number, |s| s.number) {
                    Ok(known) => {
                        set.syscalls[known].args.clear();
                        set.syscalls[known].sites.push(site);
                    }
                    Err(place) => set.syscalls.insert(
                        place,
                        Syscall {
                            number,
                            origin: Origin::Program,
                            confidence: Confidence::Sound,
                            args: Vec::new(),
                            sites: vec![site],
                            why: residual.why.clone(),
                        },
                    ),
                }
            }
            for thread in &mut set.sets {
                thread.numbers.extend(&calls);
                thread.numbers.sort_unstable();
                thread.numbers.dedup();
            }
            set.assumed.push(Assumed {
                residual,
                calls: calls.into_iter().collect(),
            });
        }
    }
}

/// The two sides of `ID = { CALLS } # comment`. An id can hold a function's name, and that can hold
/// everything else (`operator==(A const&, B)`), so the sides part at the last brace.
fn statement(line: &str) -> Option<(&str, &str)> {
    let (id, calls) = line.rsplit_once('{')?;
    let (calls, after) = calls.split_once('}')?;
    let after = after.trim();
    let id = id.trim_end().strip_suffix('=')?.trim();
    (!id.is_empty() && (after.is_empty() || after.starts_with('#'))).then_some((id, calls))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_read_strictly() {
        let text = "# why\n\nnumber:a:f#2 = { getpid, read write }  # because\n\
            exec:a:operator==(A const&, B) = {}\n";
        let mut read = Assumptions::default();
        read.add(text).expect("two statements");
        let names = ["getpid", "read", "write"].map(String::from).to_vec();
        assert_eq!(
            read.0,
            [
                ("number:a:f#2".into(), names),
                ("exec:a:operator==(A const&, B)".into(), vec![])
            ]
        );
        assert_eq!(
            read.add("number:a:f#2 = {}"),
            Err(NotAStatement::Contradicts(1, "number:a:f#2".into()))
        );
        let wrong = |text| Assumptions::default().add(text).unwrap_err();
        assert_eq!(wrong("x = getpid"), NotAStatement::Form(1));
        assert_eq!(wrong("\nx = {} y"), NotAStatement::Form(2));
        assert_eq!(wrong("= {}"), NotAStatement::Form(1));
        assert_eq!(
            wrong("x = { getpit }"),
            NotAStatement::Call(1, "getpit".into())
        );
        assert_eq!(
            wrong("x = { read }\nx = {}"),
            NotAStatement::Contradicts(2, "x".into())
        );
    }
}
