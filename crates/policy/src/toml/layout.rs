//! How a file looks: one space around `=`, the keys of a section in one order, long lists over
//! several lines. Comments stay with what they stand at.

use toml_edit::{DocumentMut, Item, Key, RawString, Table, Value};

use super::document::parse;
use crate::Mistake;

/// Columns of a line, where a list can be broken.
const WIDEST: usize = 100;

/// The order of keys; those that are not here come after, as they are.
const ORDER: [&str; 28] = [
    "schema",
    "version",
    "name",
    "thread",
    "phase",
    "file",
    "at",
    "include",
    "call",
    "calls",
    "arch",
    "baseline",
    "newest",
    "default",
    "newer",
    "foreign",
    "x32",
    "strict-high",
    "clone3",
    "ramp-runs",
    "ramp-since",
    "width",
    "when",
    "action",
    "from",
    "note",
    "for",
    "groups",
];

/// A file in its one layout. It says the same as before, and laid out again it is the same.
pub fn fmt(text: &str) -> Result<String, Mistake> {
    // The edits are for documents whose places are gone; mistakes have places.
    let document: DocumentMut = parse(text.to_owned())?.into_mut();
    let mut sections = Vec::new();
    collect(document.as_table(), &mut Vec::new(), None, &mut sections);
    sections.sort_by_key(|s| s.position);
    let mut out = Sheet::default();
    for section in &sections {
        out.section(section);
    }
    let mut trailing = comments(document.trailing().as_str().unwrap_or_default());
    trailing.pop_if(|line| line.is_empty());
    if !trailing.is_empty() {
        out.gap();
    }
    out.lines(&trailing);
    Ok(out.text)
}

/// A table of the document that has a header, or is the top.
struct Section<'a> {
    position: isize,
    header: Option<String>,
    table: &'a Table,
}

fn collect<'a>(
    table: &'a Table,
    path: &mut Vec<String>,
    brackets: Option<(&str, &str)>,
    sections: &mut Vec<Section<'a>>,
) {
    let header = brackets.map(|(open, close)| format!("{open}{}{close}", path.join(".")));
    if !table.is_implicit() && !table.is_dotted() || path.is_empty() {
        sections.push(Section {
            position: match path.is_empty() {
                true => -1,
                false => table.position().unwrap_or_default(),
            },
            header,
            table,
        });
    }
    for (name, item) in table.iter() {
        path.push(table.key(name).map_or(name.to_owned(), written));
        match item {
            Item::Table(inner) if !inner.is_dotted() => {
                collect(inner, path, Some(("[", "]")), sections);
            }
            Item::ArrayOfTables(all) => {
                for inner in all {
                    collect(inner, path, Some(("[[", "]]")), sections);
                }
            }
            _ => {}
        }
        path.pop();
    }
}

/// A key as it is written: bare when it can be.
fn written(key: &Key) -> String {
    key_text(key.get())
}

/// A key, quoted when it must be.
pub(super) fn key_text(key: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    match !key.is_empty() && key.bytes().all(bare) {
        true => key.to_owned(),
        false => quoted(key),
    }
}

/// A basic string of TOML.
pub(super) fn quoted(text: &str) -> String {
    let plain = |b: u8| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\';
    if text.bytes().all(plain) {
        return format!("\"{text}\"");
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            // What TOML forbids, and what would disturb a terminal or the order of letters.
            c if c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) => {
                out.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The comment lines of what stands between values. An empty line behind or between comments is
/// kept as one: it sets a remark apart from what follows.
fn comments(raw: &str) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for line in raw.lines().map(str::trim) {
        let double = kept.last().is_none_or(String::is_empty);
        if line.starts_with('#') || !double {
            kept.push(line.to_owned());
        }
    }
    kept
}

fn comments_of(raw: Option<&RawString>) -> Vec<String> {
    comments(raw.and_then(RawString::as_str).unwrap_or_default())
}

/// A text that grows by lines.
#[derive(Default)]
pub(super) struct Sheet {
    /// What is there.
    pub(super) text: String,
}

impl Sheet {
    pub(super) fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// An empty line, but at the start.
    pub(super) fn gap(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    fn lines(&mut self, lines: &[String]) {
        for line in lines {
            self.line(line);
        }
    }

    /// A key with a list: on one line when it fits, else one item a line, or as many as fit.
    pub(super) fn list(&mut self, key: &str, items: &[String], tail: &str) {
        let short = format!("{key} = [{}]{tail}", items.join(", "));
        if short.chars().count() <= WIDEST || items.len() < 2 {
            return self.line(&short);
        }
        self.line(&format!("{key} = ["));
        // Names are read as a paragraph, conditions and reasons one by one.
        let filled = !["when", "from"].contains(&key);
        let mut line = String::new();
        for item in items {
            let longer = line.chars().count() + item.chars().count() + 2;
            if !line.is_empty() && (!filled || longer > WIDEST) {
                self.line(&line);
                line.clear();
            }
            line.push_str(match line.is_empty() {
                true => "  ",
                false => " ",
            });
            line.push_str(item);
            line.push(',');
        }
        self.line(&line);
        self.line(&format!("]{tail}"));
    }

    fn section(&mut self, section: &Section<'_>) {
        let mut entries = Vec::new();
        flatten(section.table, &mut Vec::new(), &mut entries);
        match &section.header {
            Some(header) => {
                self.gap();
                self.lines(&comments_of(section.table.decor().prefix()));
                let behind = comments_of(section.table.decor().suffix());
                self.line(&with(header.clone(), &behind));
            }
            // What is set apart above the first key is about the file, whichever key comes first.
            None => {
                if let Some(first) = entries.first_mut() {
                    let apart = first.above.iter().rposition(|l| l.is_empty());
                    let apart = apart.map_or(0, |at| at + 1);
                    let own = first.above.split_off(apart);
                    self.lines(&std::mem::replace(&mut first.above, own));
                }
            }
        }
        entries.sort_by_key(|e| e.rank);
        for entry in &entries {
            let above = entry.above.iter().filter(|l| !l.is_empty());
            above.for_each(|line| self.line(line));
            self.entry(entry);
        }
    }

    fn entry(&mut self, entry: &Entry<'_>) {
        let tail = with(String::new(), &entry.behind);
        let Value::Array(array) = entry.value else {
            return self.line(&format!("{} = {}{tail}", entry.key, text_of(entry.value)));
        };
        let mut items: Vec<Commented> = Vec::new();
        for value in array.iter() {
            let (behind, above) = around(value.decor().prefix());
            match items.last_mut() {
                Some(last) => last.behind.extend(behind),
                None => items.push(Commented::default().above(behind)),
            }
            let mut item = Commented::default().above(above);
            item.text = text_of(value);
            item.behind = comments_of(value.decor().suffix());
            items.push(item);
        }
        let (behind, last) = around(Some(array.trailing()));
        match items.last_mut() {
            Some(item) => item.behind.extend(behind),
            None => items.push(Commented::default().above(behind)),
        }
        items.push(Commented::default().above(last));
        if items
            .iter()
            .all(|i| i.above.is_empty() && i.behind.is_empty())
        {
            let items = items.into_iter().map(|i| i.text);
            let items: Vec<String> = items.filter(|t| !t.is_empty()).collect();
            return self.list(&entry.key, &items, &tail);
        }
        // Where comments stand between the items, each item has its line.
        self.line(&format!("{} = [", entry.key));
        for item in items {
            for line in &item.above {
                self.line(&format!("  {line}"));
            }
            if !item.text.is_empty() {
                self.line(&with(format!("  {},", item.text), &item.behind));
            }
        }
        self.line(&format!("]{tail}"));
    }
}

/// An item of a list; without text it is a place for comments alone.
#[derive(Default)]
struct Commented {
    above: Vec<String>,
    text: String,
    behind: Vec<String>,
}

impl Commented {
    fn above(mut self, mut above: Vec<String>) -> Commented {
        above.retain(|l| !l.is_empty());
        self.above.extend(above);
        self
    }
}

/// The comments between two items: those behind the first, on its line, and those above the second.
fn around(raw: Option<&RawString>) -> (Vec<String>, Vec<String>) {
    let raw = raw.and_then(RawString::as_str).unwrap_or_default();
    let (same_line, rest) = raw.split_once('\n').unwrap_or((raw, ""));
    (comments(same_line), comments(rest))
}

/// A line with the comments behind it.
fn with(mut line: String, behind: &[String]) -> String {
    for comment in behind.iter().filter(|l| !l.is_empty()) {
        line.push(' ');
        line.push_str(comment);
    }
    line
}

/// A key with its value and the comments around.
struct Entry<'a> {
    rank: usize,
    key: String,
    value: &'a Value,
    above: Vec<String>,
    behind: Vec<String>,
}

fn flatten<'a>(table: &'a Table, path: &mut Vec<String>, entries: &mut Vec<Entry<'a>>) {
    for (name, item) in table.iter() {
        let Some(key) = table.key(name) else {
            continue;
        };
        path.push(written(key));
        match item {
            Item::Value(value) => {
                let first = path.first().map_or("", String::as_str);
                let rank = ORDER.iter().position(|k| *k == first);
                entries.push(Entry {
                    rank: rank.unwrap_or(ORDER.len()),
                    key: path.join("."),
                    value,
                    above: comments_of(key.leaf_decor().prefix()),
                    behind: comments_of(value.decor().suffix()),
                });
            }
            Item::Table(inner) if inner.is_dotted() => flatten(inner, path, entries),
            _ => {}
        }
        path.pop();
    }
}

/// A value without what stands around it.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text.value()),
        other => {
            let mut bare = other.clone();
            bare.decor_mut().clear();
            bare.to_string().trim().to_owned()
        }
    }
}
