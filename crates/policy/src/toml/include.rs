//! A file with the files that it includes.

use toml_edit::Document;

use super::document::{MOST_BYTES, Section, Word, parse};
use crate::{LineColumn, Mistake, Place};

/// Files in files.
const DEEPEST: usize = 8;
/// Files in all: one that is included twice counts twice.
const MOST_FILES: usize = 64;

/// Gives the texts of files that a policy includes.
pub trait Includes {
    /// The text of the file that is called `name` in an `include`, or why there is none. What a name
    /// is relative to is the implementor's to say.
    fn text(&self, name: &str) -> Result<String, String>;
}

/// No file can be included.
pub struct NoIncludes;

impl Includes for NoIncludes {
    fn text(&self, _: &str) -> Result<String, String> {
        Err("files cannot be included here".into())
    }
}

/// A file that was included, parsed.
pub(super) struct Included {
    /// Its name.
    pub(super) name: String,
    /// Where the file that includes it names it.
    pub(super) place: Place,
    document: Document<String>,
    /// What it includes itself.
    pub(super) includes: Vec<Included>,
}

/// Loads files within the bounds that hold for one policy.
pub(super) struct Loader<'a> {
    source: &'a dyn Includes,
    /// The files that are being loaded, the outermost first.
    open: Vec<String>,
    files: usize,
    bytes: usize,
}

impl<'a> Loader<'a> {
    pub(super) fn new(source: &'a dyn Includes) -> Loader<'a> {
        Loader {
            source,
            open: Vec::new(),
            files: 0,
            bytes: 0,
        }
    }

    /// What the `include` of a section names, and what that includes.
    pub(super) fn load(&mut self, section: Section<'_>) -> Result<Vec<Included>, Mistake> {
        let names = section.words("include")?.unwrap_or_default();
        names.into_iter().map(|name| self.file(name)).collect()
    }

    fn file(&mut self, word: Word<'_>) -> Result<Included, Mistake> {
        let super::document::Literal::Text(name) = word.literal else {
            return Err(word.mistake("`include` takes names of files"));
        };
        if self.open.iter().any(|open| open == name) {
            return Err(word.mistake(format!("`{name}` includes itself")));
        }
        self.files += 1;
        if self.open.len() == DEEPEST || self.files > MOST_FILES {
            return Err(word.mistake(format!(
                "at most {MOST_FILES} files are included, at most {DEEPEST} deep"
            )));
        }
        let text = self.source.text(name);
        let text = text.map_err(|why| word.mistake(format!("`{name}` is not included: {why}")))?;
        self.bytes += text.len();
        if self.bytes > MOST_BYTES {
            return Err(word.mistake(format!(
                "the included files have more than {MOST_BYTES} bytes"
            )));
        }
        self.open.push(name.to_owned());
        let included = self.parsed(&text, word.place, name);
        self.open.pop();
        included.map_err(|mistake| within(name, &text, word.place, mistake))
    }

    fn parsed(&mut self, text: &str, place: Place, name: &str) -> Result<Included, Mistake> {
        let document = parse(text.to_owned())?;
        let includes = self.load(Section::top(&document, "an included file"))?;
        Ok(Included {
            name: name.to_owned(),
            place,
            document,
            includes,
        })
    }
}

impl Included {
    /// What it says.
    pub(super) fn top(&self) -> Section<'_> {
        Section::top(&self.document, "an included file")
    }

    /// The mistake of this file as one of the file that includes it.
    pub(super) fn mistake(&self, mistake: Mistake) -> Mistake {
        within(&self.name, self.document.raw(), self.place, mistake)
    }
}

fn within(name: &str, text: &str, place: Place, mistake: Mistake) -> Mistake {
    let message = match mistake.place {
        Some(inner) => {
            let at = LineColumn::of(text, inner.start);
            format!("{name}:{at}: {}", mistake.message)
        }
        None => format!("{name}: {}", mistake.message),
    };
    Mistake::at(place, message)
}
