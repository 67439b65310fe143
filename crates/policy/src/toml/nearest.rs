//! The known word that somebody probably meant.

/// Longer words are not compared: the work is the product of the lengths.
const LONGEST: usize = 64;

/// The candidate with the fewest changed letters, when they are few enough that it is a guess worth
/// making: a third of the word.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let measured = candidates.into_iter().filter(|c| c.len() <= LONGEST);
    let measured = measured.map(|c| (distance(word, c), c));
    let (changes, best) = measured.min_by_key(|&(changes, _)| changes)?;
    (changes <= (word.chars().count() / 3).max(1)).then_some(best)
}

/// `; did you mean ...?`, or nothing.
pub(super) fn suggestion<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(word, candidates) {
        Some(best) => format!("; did you mean `{best}`?"),
        None => String::new(),
    }
}

/// Letters to insert, remove, replace, or swap with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut before: Option<char> = None;
    for (row, letter) in a.chars().enumerate() {
        let mut this = vec![row + 1];
        for (column, other) in b.iter().enumerate() {
            let replaced = last[column] + usize::from(letter != *other);
            let mut least = replaced.min(last[column + 1] + 1).min(this[column] + 1);
            if column > 0 && before == Some(*other) && b[column - 1] == letter {
                least = least.min(before_last[column - 1] + 1);
            }
            this.push(least);
        }
        before = Some(letter);
        before_last = std::mem::replace(&mut last, this);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_is_near() {
        let known = ["read", "readv", "openat", "openat2", "ioctl"];
        for (word, expected) in [
            ("raed", Some("read")),
            ("iotcl", Some("ioctl")),
            ("openat3", Some("openat")),
            ("xyz", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }
}
