//! Text from binaries, made harmless before it reaches a terminal.
//!
//! A symbol, a path or a soname is chosen by whoever made the file. Control characters start
//! terminal escape sequences, bidirectional overrides and invisible characters make one name look
//! like another (CVE-2021-42574). Each such character is written as an escape; a backslash is
//! doubled, so that no name can imitate an escape.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` with every character that could steer or deceive a terminal written as an escape.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| c == '\\' || deceives(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        push(&mut out, c);
    }
    Cow::Owned(out)
}

/// The same for bytes that may not be UTF-8: what is invalid becomes `\xNN`.
pub(crate) fn bytes(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(valid) = std::str::from_utf8(bytes) {
        return text(valid);
    }
    let mut out = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            push(&mut out, c);
        }
        for byte in chunk.invalid() {
            push_hex(&mut out, "\\x", u32::from(*byte), 2, "");
        }
    }
    Cow::Owned(out)
}

/// [`bytes`] of a path.
pub(crate) fn path(path: &std::path::Path) -> Cow<'_, str> {
    use std::os::unix::ffi::OsStrExt as _;
    bytes(path.as_os_str().as_bytes())
}

/// [`text`] over several lines that our own code composed: line feeds stay.
pub(crate) fn lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\\' => out.push(c),
            c => push(&mut out, c),
        }
    }
    out
}

/// JSON whose strings hold no raw character that could deceive; the value is unchanged.
///
/// `serde_json` escapes only what RFC 8259 demands. Outside strings JSON is ASCII, so a character
/// of [`deceives`] (line feeds aside, which stand between tokens) can only be inside one.
pub(crate) fn json(json: String) -> String {
    if !json.chars().any(|c| c != '\n' && deceives(c)) {
        return json;
    }
    let mut out = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        if c != '\n' && deceives(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                push_hex(&mut out, "\\u", u32::from(*unit), 4, "");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// At most `limit` characters of `text`, its end cut off visibly: a demangled name can be
/// kilobytes long.
pub(crate) fn short(text: &str, limit: usize) -> Cow<'_, str> {
    match text.char_indices().nth(limit) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
    }
}

/// Text as one word of a shell.
pub(crate) fn word(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-+@%:,".contains(&b);
    match !text.is_empty() && text.bytes().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
        )
}

fn push(out: &mut String, c: char) {
    match c {
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        c if deceives(c) && u32::from(c) < 0x80 => push_hex(out, "\\x", c.into(), 2, ""),
        c if deceives(c) => push_hex(out, "\\u{", c.into(), 0, "}"),
        c => out.push(c),
    }
}

fn push_hex(out: &mut String, before: &str, value: u32, width: usize, after: &str) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{before}{value:0width$x}{after}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_one_word_of_a_shell() {
        assert_eq!(word("/srv/data-1.x"), "/srv/data-1.x");
        assert_eq!(word("/a b'c"), r"'/a b'\''c'");
        assert_eq!(word(""), "''");
    }

    #[test]
    fn plain_text_is_borrowed() {
        assert!(matches!(text("std::vec<α>::push"), Cow::Borrowed(_)));
    }

    #[test]
    fn escapes_are_visible() {
        assert_eq!(text("\x1b]0;owned\x07"), "\\x1b]0;owned\\x07");
        assert_eq!(text("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(text("\u{9b}31m"), "\\u{9b}31m");
        assert_eq!(text("a\nb\tc"), "a\\nb\\tc");
    }

    #[test]
    fn nothing_can_imitate_an_escape() {
        assert_eq!(text("\\x1b"), "\\\\x1b");
    }

    #[test]
    fn invalid_utf8_is_shown_byte_by_byte() {
        assert_eq!(bytes(b"lib\xff\xfe.so\x1b"), "lib\\xff\\xfe.so\\x1b");
    }

    #[test]
    fn json_keeps_its_value() {
        let name = "x\u{9b}\u{202e}\u{e0041}\"\u{7f}é";
        let plain = serde_json::to_string_pretty(&[name]).unwrap();
        let safe = json(plain);
        assert!(safe.chars().all(|c| c == '\n' || !deceives(c)), "{safe}");
        let back: Vec<String> = serde_json::from_str(&safe).unwrap();
        assert_eq!(back, [name]);
    }

    #[test]
    fn long_names_are_cut_at_a_character() {
        assert_eq!(short("ααα", 2), "αα…");
        assert_eq!(short("ααα", 3), "ααα");
    }
}
