//! Suggestions of an audit as patches of the policy file. What a patch makes is read again and compared
//! with what the suggestion says, on every call: a patch that means something else is not given.

use portcullis_bpf::{compare, compile};
use portcullis_policy::audit::{Audit, Edit};
use portcullis_policy::format::{Format, edit};
use portcullis_policy::{Filter, Policy, Table};
use similar::TextDiff;

use crate::args::InputArgs;
use crate::filter_file::FilterFile;

/// Unchanged lines around what changes: what diff(1) and git give, and patch(1) wants.
const CONTEXT: usize = 3;

/// A file whose rules are audited, with what it was read as.
pub(crate) struct Patched<'a> {
    pub(crate) file: &'a FilterFile,
    pub(crate) form: Format,
    pub(crate) input: &'a InputArgs,
    pub(crate) text: &'a str,
    pub(crate) filters: &'a [Filter],
}

impl Patched<'_> {
    /// For each finding with a suggestion its patch, or why there is none.
    pub(crate) fn each(&self, audit: &Audit) -> Vec<Option<Result<String, String>>> {
        let one = |f: &portcullis_policy::audit::Finding| {
            let change = (f.filter?, f.suggestion.as_ref()?);
            Some(self.patch(&[change]))
        };
        audit.findings.iter().map(one).collect()
    }

    /// One patch of changes, each of which names its filter; the error is why there is none.
    pub(crate) fn patch(&self, changes: &[(usize, &Edit)]) -> Result<String, String> {
        if changes.is_empty() {
            return Ok(String::new());
        }
        let name = header(&self.file.plain_name())?;
        let edited = edit(self.form, self.text, self.filters, changes);
        let edited = edited.map_err(|mistake| mistake.message)?;
        let read = self
            .file
            .read_again(self.form, &edited, self.input)
            .map_err(|mistake| format!("the changed file does not read: {}", mistake.message))?;
        for (n, own) in self.filters.iter().enumerate() {
            let mut meant = own.policy.clone();
            let all = changes.iter().filter(|(filter, _)| *filter == n);
            let all: Vec<&Edit> = all.map(|(_, change)| *change).collect();
            Edit::apply_all(&all, &mut meant);
            let again = read.filters.iter().find(|f| f.name == own.name);
            let again = again.ok_or("the changed file has not the same filters")?;
            if !same(&meant, &again.policy)? {
                return Err("the changed file would mean something else".into());
            }
        }
        let diff = TextDiff::from_lines(self.text, &edited);
        let mut diff = diff.unified_diff();
        let diff = diff.context_radius(CONTEXT);
        Ok(diff
            .header(&format!("a/{name}"), &format!("b/{name}"))
            .to_string())
    }
}

/// A path as `git apply` and `patch -p1` find it.
fn header(path: &str) -> Result<String, String> {
    let path = path.strip_prefix("./").unwrap_or(path);
    let path = path.trim_start_matches('/');
    if path
        .chars()
        .any(|c| c.is_control() || matches!(c, '"' | '\\'))
    {
        return Err("the file's name cannot be written in a patch".into());
    }
    // What is behind a tab is no part of a name that has blanks.
    let tab = if path.contains(' ') { "\t" } else { "" };
    Ok(format!("{path}{tab}"))
}

/// Whether two policies answer every call alike.
fn same(first: &Policy, second: &Policy) -> Result<bool, String> {
    if bare(first) == bare(second) && first.foreign == second.foreign {
        return Ok(true);
    }
    let compiled = |policy| compile(policy).map_err(|e| format!("it cannot be compared: {e}"));
    let found = compare(&compiled(first)?, &compiled(second)?, 1);
    let found = found.map_err(|e| format!("it cannot be compared: {e}"))?;
    Ok(found.is_empty())
}

/// Rules without what is told about them.
fn bare(policy: &Policy) -> Vec<Table> {
    let mut tables = policy.tables.clone();
    for rule in tables.iter_mut().flat_map(|t| &mut t.rules) {
        rule.provenance.clear();
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::header;

    #[test]
    fn names_are_relative() {
        assert_eq!(header("./a/b.toml").unwrap(), "a/b.toml");
        assert_eq!(header("/a/b c").unwrap(), "a/b c\t");
        assert!(header("a\nb").is_err());
    }
}
