//! What readers of policy files make: policies, and where in the text each part of them stands.

use std::fmt;

use portcullis_abi::Arch;

use crate::Policy;

/// A file of policies, read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// What it defines, in its order; a file that is about a whole process has one without a name.
    pub filters: Vec<Filter>,
    /// What a reader should know: a name that an architecture lacks, a part that has no meaning here.
    pub remarks: Vec<Remark>,
}

/// One policy of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filter {
    /// The thread that installs it, when the file says so.
    pub name: Option<String>,
    /// What it means.
    pub policy: Policy,
    /// Where each rule stands: by table and by its place there, as in the policy.
    pub places: Vec<Vec<Place>>,
}

/// A part of a text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct Place {
    /// Its first byte.
    pub start: usize,
    /// The first byte behind it.
    pub end: usize,
}

/// Something to be said about a part of a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remark {
    /// The part.
    pub place: Place,
    /// What is to be said.
    pub message: String,
}

/// Why a text is no policy: the first thing in it that means nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Mistake {
    /// Where, unless it is about the whole.
    pub place: Option<Place>,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Mistake {
    /// One that is about a part of the text.
    pub fn at(place: Place, message: impl Into<String>) -> Mistake {
        Mistake {
            place: Some(place),
            message: message.into(),
        }
    }

    /// One that is about the whole.
    pub fn whole(message: impl Into<String>) -> Mistake {
        Mistake {
            place: None,
            message: message.into(),
        }
    }
}

/// For what a file is read whose meaning depends on the machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// The architectures whose calls the filter shall know; the first is the machine's own.
    pub arches: Vec<Arch>,
    /// The capabilities that the program has, as `CAP_NET_RAW`.
    pub capabilities: Vec<String>,
    /// The kernel, for rules that ask for one: major and minor version.
    pub kernel: (u16, u16),
}

/// Line and column of a byte of a text, both from 1; columns count characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LineColumn {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl LineColumn {
    /// Where the byte `at` of `text` stands; what is behind the text stands at its end.
    pub fn of(text: &str, at: usize) -> LineColumn {
        let before = text.get(..at).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |n| n + 1);
        LineColumn {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

impl fmt::Display for LineColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_are_counted_from_one() {
        let text = "ab\nçd\n";
        for (at, expected) in [(0, "1:1"), (2, "1:3"), (3, "2:1"), (5, "2:2"), (99, "3:1")] {
            assert_eq!(LineColumn::of(text, at).to_string(), expected, "{at}");
        }
    }
}
