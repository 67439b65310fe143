//! `policy lint`: the document `portcullis.lint`, version 1.

use serde::Serialize;

/// The whole document.
#[derive(Serialize, Debug)]
pub(crate) struct Document {
    schema: &'static str,
    version: u32,
    pub(crate) policy: String,
    pub(crate) findings: Vec<Finding>,
}

/// Something that is likely to be wrong.
#[derive(Serialize, Debug)]
pub(crate) struct Finding {
    pub(crate) code: String,
    /// The filter of the file, when it has a name.
    pub(crate) filter: Option<String>,
    /// `LINE:COLUMN`.
    pub(crate) place: Option<String>,
    pub(crate) message: String,
    pub(crate) advice: String,
    /// The line, with carets below what is meant.
    #[serde(skip)]
    pub(crate) line: Option<String>,
}

impl Document {
    /// The document of a policy.
    pub(crate) fn new(policy: String, findings: Vec<Finding>) -> Document {
        Document {
            schema: "portcullis.lint",
            version: 1,
            policy,
            findings,
        }
    }
}
