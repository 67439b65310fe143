//! The line of a text that a finding is about.

use crate::Place;

/// Columns that are shown of a line.
const WIDTH: usize = 100;
/// Columns that are shown before the place, in a line that is cut.
const BEFORE: usize = 30;
/// Columns of a tab.
const TAB: usize = 4;

/// The line of `text` in which `place` begins, and a line with `^` under the place, both ending in
/// a newline. Tabs become blanks, other control characters and those that change the direction of
/// writing become `\u{fffd}`; of a long line the part around the place is shown.
pub fn caret(text: &str, place: Place) -> String {
    let mut start = place.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let line_start = text[..start].rfind('\n').map_or(0, |n| n + 1);
    let line = text[line_start..].split('\n').next().unwrap_or_default();
    let line = line.strip_suffix('\r').unwrap_or(line);
    let mut columns: Vec<char> = Vec::new();
    // The columns of the place in the line as it is shown.
    let (mut from, mut to) = (None, None);
    for (at, character) in line.char_indices() {
        let at = line_start + at;
        if at >= start && from.is_none() {
            from = Some(columns.len());
        }
        if at >= place.end && to.is_none() {
            to = Some(columns.len());
        }
        match character {
            '\t' => columns.extend([' '; TAB]),
            hostile if is_hostile(hostile) => columns.push('\u{fffd}'),
            plain => columns.push(plain),
        }
    }
    let from = from.unwrap_or(columns.len());
    let to = to.unwrap_or(columns.len()).max(from + 1);
    let first = match columns.len() > WIDTH {
        true => from.saturating_sub(BEFORE),
        false => 0,
    };
    let last = (first + WIDTH).min(columns.len());
    let mut shown = String::new();
    let head = if first > 0 { "…" } else { "" };
    shown.push_str(head);
    shown.extend(&columns[first.min(last)..last]);
    shown.push_str(if last < columns.len() { "…" } else { "" });
    shown.push('\n');
    shown.push_str(&" ".repeat(head.chars().count() + from - first));
    shown.push_str(&"^".repeat(to.min(last.max(from + 1)) - from));
    shown.push('\n');
    shown
}

/// Whether a character does something to a terminal other than to be shown.
fn is_hostile(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(character, '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, start: usize, end: usize) -> String {
        caret(text, Place { start, end })
    }

    #[test]
    fn the_place_is_marked() {
        assert_eq!(at("one\ntwo three\n", 8, 13), "two three\n    ^^^^^\n");
        assert_eq!(at("one\r\ntwo", 0, 3), "one\n^^^\n");
        // A place over several lines is marked to the end of the first.
        assert_eq!(at("one two\nthree", 4, 12), "one two\n    ^^^\n");
        // One without a length, at the end, and behind it.
        assert_eq!(at("one", 3, 3), "one\n   ^\n");
        assert_eq!(at("one", 9, 12), "one\n   ^\n");
        assert_eq!(at("", 0, 0), "\n^\n");
    }

    #[test]
    fn what_moves_the_cursor_does_not() {
        assert_eq!(at("\tx\ty", 1, 2), "    x    y\n    ^\n");
        assert_eq!(
            at("a\u{1b}[31mb\u{202e}", 7, 8),
            "a\u{fffd}[31mb\u{fffd}\n       ^\n"
        );
        // In the middle of a character.
        assert_eq!(at("é!", 1, 2), "é!\n^\n");
    }

    #[test]
    fn of_a_long_line_the_part_around_it_is_shown() {
        let line = format!("{}here{}", "a".repeat(200), "b".repeat(200));
        let shown = at(&line, 200, 204);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0].chars().count(), WIDTH + 2);
        let place = lines[1].chars().take_while(|c| *c == ' ').count();
        let marked: String = lines[0].chars().skip(place).take(4).collect();
        assert_eq!((marked.as_str(), lines[1].trim()), ("here", "^^^^"));
        let whole = at(&line, 0, 404);
        assert!(
            whole.lines().all(|l| l.chars().count() <= WIDTH + 2),
            "{whole}"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_place_is_shown(text in "(?s).{0,300}", start in 0usize..400, length in 0usize..400) {
            let shown = caret(&text, Place { start, end: start + length });
            proptest::prop_assert_eq!(shown.lines().count(), 2);
            proptest::prop_assert!(shown.contains('^'));
            proptest::prop_assert!(!shown.contains(|c: char| c != '\n' && is_hostile(c)));
        }
    }
}
