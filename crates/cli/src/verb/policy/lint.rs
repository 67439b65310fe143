//! `portcullis policy lint`.

use anyhow::Result;
use portcullis_policy::lint::{caret, lint as findings};
use portcullis_policy::{LineColumn, Source};

use crate::args::{Format, LintArgs};
use crate::exit::Exit;
use crate::filter_file::{Content, FilterFile};
use crate::json::lint::{Document, Finding};
use crate::output::Output;
use crate::text;

/// Shows what is likely to be wrong with a policy.
pub(crate) fn lint(typed: LintArgs) -> Result<Exit> {
    let output = Output::from_option(typed.result.output);
    let file = FilterFile::open(&typed.policy, &typed.input)?;
    let made;
    let (source, text): (&Source, Option<&str>) = match &file.content {
        Content::Policies { source, text, .. } => (source, Some(text)),
        _ => {
            made = super::convert::source(&file, &typed.input)?;
            (&made, None)
        }
    };
    if let (Content::Policies { source, .. }, Some(_)) = (&file.content, &typed.input.filter) {
        // A name that the file does not have is no reason to find nothing.
        file.filter(source, &typed.input)?;
    }
    let wanted =
        |name: &Option<String>| typed.input.filter.is_none() || *name == typed.input.filter;
    let mut found = Vec::new();
    for filter in source.filters.iter().filter(|f| wanted(&f.name)) {
        found.extend(findings(filter).into_iter().map(|finding| Finding {
            code: finding.code.to_string(),
            filter: filter.name.clone(),
            place: text.map(|t| LineColumn::of(t, finding.place.start).to_string()),
            line: text.map(|t| caret(t, finding.place)),
            message: finding.message,
            advice: finding.advice,
        }));
    }
    let document = Document::new(file.name(), found);
    match typed.result.format {
        Format::Json => output.write_json(&document)?,
        Format::Text => output.write_text(&text::lint::findings(&document))?,
    }
    Ok(match document.findings.is_empty() {
        true => Exit::Success,
        false => Exit::Findings,
    })
}
