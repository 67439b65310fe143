//! Findings that somebody accepted, each with a reason.
//!
//! ```toml
//! [[accept]]
//! code = "PC0404"
//! thread = "vmm"
//! call = "ioctl"
//! rule = "ioctl(arg1:32 == 0x5401): allow"
//! reason = "a debug build uses the terminal"
//! ```
//!
//! `thread` and `rule` may be left out, and then are any. Unknown keys are errors.

use toml_edit::{DocumentMut, Table};

use super::{Audit, Code, Finding};
use crate::{Mistake, Place};

/// Entries of a file; more are no list that somebody reads.
const MOST_ENTRIES: usize = 4096;

/// A file of accepted findings.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Accepted {
    /// In the file's order.
    pub entries: Vec<Entry>,
}

/// A finding that is accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its code.
    pub code: Code,
    /// The thread that it is about.
    pub thread: Option<String>,
    /// The call that it is about.
    pub call: String,
    /// The rule that it is about, as findings show it.
    pub rule: Option<String>,
    /// Why it is accepted.
    pub reason: String,
}

impl Accepted {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// The first part that is no TOML, no key, or no code, and an entry without a reason.
    pub fn read(text: &str) -> Result<Accepted, Mistake> {
        let document: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| Mistake {
            place: e.span().map(|s| Place {
                start: s.start,
                end: s.end,
            }),
            message: e.message().to_owned(),
        })?;
        let mut entries = Vec::new();
        for (key, item) in document.iter() {
            let all = item.as_array_of_tables().filter(|_| key == "accept");
            let Some(all) = all else {
                let message = format!("`{key}` is no key of accepted findings; write [[accept]]");
                return Err(Mistake::whole(message));
            };
            if all.len() > MOST_ENTRIES {
                let message = format!("there are more than {MOST_ENTRIES} accepted findings");
                return Err(Mistake::whole(message));
            }
            for (n, table) in all.iter().enumerate() {
                entries.push(entry(n + 1, table)?);
            }
        }
        Ok(Accepted { entries })
    }

    /// Takes what is accepted out of an audit, and adds a finding for each entry that nothing fits.
    pub fn apply(&self, audit: &mut Audit) -> Vec<Finding> {
        let mut used = vec![false; self.entries.len()];
        let mut accepted = Vec::new();
        audit.findings.retain(|finding| {
            let mut known = false;
            for (entry, used) in self.entries.iter().zip(&mut used) {
                if entry.fits(finding) {
                    *used = true;
                    known = true;
                }
            }
            if known {
                accepted.push(finding.clone());
            }
            !known
        });
        let stale = self.entries.iter().zip(used).filter(|(_, used)| !used);
        audit.findings.extend(stale.map(|(entry, _)| entry.stale()));
        accepted
    }
}

fn entry(n: usize, table: &Table) -> Result<Entry, Mistake> {
    const KEYS: [&str; 5] = ["code", "thread", "call", "rule", "reason"];
    let mistake = |message: String| Mistake::whole(format!("accepted finding {n}: {message}"));
    if let Some((key, _)) = table.iter().find(|(key, _)| !KEYS.contains(key)) {
        return Err(mistake(format!("`{key}` is no key of an accepted finding")));
    }
    let text = |key: &str| match table.get(key) {
        None => Ok(None),
        Some(item) => match item.as_str() {
            Some(text) if !text.trim().is_empty() => Ok(Some(text.to_owned())),
            _ => Err(mistake(format!("`{key}` is no text, or an empty one"))),
        },
    };
    let needed = |key| text(key)?.ok_or_else(|| mistake(format!("`{key}` is not there")));
    let code = needed("code")?;
    let known = Code::ALL.into_iter().find(|c| c.name() == code);
    Ok(Entry {
        code: known.ok_or_else(|| mistake(format!("`{code}` is no code of an audit")))?,
        thread: text("thread")?,
        call: needed("call")?,
        rule: text("rule")?,
        reason: needed("reason")?,
    })
}

impl Entry {
    fn fits(&self, finding: &Finding) -> bool {
        let thread = self.thread.as_ref();
        let rule = self.rule.as_ref();
        let own = finding.rule.as_ref().map(|r| &r.text);
        finding.code == self.code
            && finding.call == self.call
            && thread.is_none_or(|t| finding.threads.contains(t))
            && rule.is_none_or(|r| Some(r) == own)
    }

    fn stale(&self) -> Finding {
        let Entry { code, call, .. } = self;
        Finding {
            code: Code::Stale,
            filter: None,
            threads: self.thread.clone().into_iter().collect(),
            rule: None,
            number: None,
            call: call.clone(),
            args: Vec::new(),
            confidence: None,
            witness: Vec::new(),
            residuals: Vec::new(),
            message: format!("{code} of {call} is accepted, and is not found any more"),
            suggestion: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_entry_is_told() {
        for (text, expected) in [
            ("x = 1", "`x` is no key"),
            (
                "[[accept]]\ncall = \"read\"\nreason = \"r\"",
                "`code` is not there",
            ),
            (
                "[[accept]]\ncode = \"PC0404\"\ncall = \"read\"",
                "`reason` is not there",
            ),
            (
                "[[accept]]\ncode = \"PC0404\"\ncall = \"read\"\nreason = \" \"",
                "or an empty one",
            ),
            (
                "[[accept]]\ncode = \"PC9\"\ncall = \"read\"\nreason = \"r\"",
                "is no code",
            ),
            ("[[accept]]\nwhy = 1", "`why` is no key"),
        ] {
            let mistake = Accepted::read(text).unwrap_err();
            assert!(mistake.message.contains(expected), "{text}: {mistake}");
        }
    }

    #[test]
    fn what_is_accepted_goes_and_what_is_gone_is_told() {
        let text = "[[accept]]\ncode = \"PC0411\"\ncall = \"read\"\nreason = \"r\"\n\
                    [[accept]]\ncode = \"PC0404\"\ncall = \"write\"\nreason = \"r\"\n";
        let accepted = Accepted::read(text).unwrap();
        let mut audit = Audit {
            findings: vec![accepted.entries[0].stale()],
            ..Audit::default()
        };
        assert_eq!(accepted.apply(&mut audit).len(), 1);
        assert_eq!(audit.findings.len(), 1);
        assert_eq!(audit.findings[0].code, Code::Stale);
        assert_eq!(audit.findings[0].call, "write");
    }
}
