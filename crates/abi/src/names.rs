//! Lists of names without a pointer to each.
//!
//! Where a program lies in memory is chosen at every start, so the loader writes each pointer of a constant then, and
//! with it copies the page that it stands in. The tables of this crate had ten thousand in 55 pages, most of which no
//! start of a program asks for (bench/README.md, Starts).

/// Names in the order of a table's rows.
pub(crate) struct Names {
    text: &'static str,
    /// Where each ends in the text.
    ends: &'static [u32],
}

impl Names {
    /// To be made by [`names!`].
    pub(crate) const fn new(text: &'static [u8], ends: &'static [u32]) -> Names {
        match std::str::from_utf8(text) {
            Ok(text) => Names { text, ends },
            Err(_) => panic!("names are joined where they end"),
        }
    }

    /// The name of a row.
    pub(crate) fn at(&self, row: usize) -> &'static str {
        let begin = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[begin as usize..self.ends[row] as usize]
    }

    /// The row of a name, in a table that is sorted by name.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        let mut rows = 0..self.ends.len();
        while !rows.is_empty() {
            let middle = rows.start + rows.len() / 2;
            match self.at(middle).cmp(name) {
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Less => rows.start = middle + 1,
                std::cmp::Ordering::Greater => rows.end = middle,
            }
        }
        None
    }
}

/// The [`Names`] in a field of constant rows: `names!(ROWS, 0)`. The rows themselves are then nowhere in the program.
macro_rules! names {
    ($rows:expr, $field:tt) => {{
        const ENDS: [u32; $rows.len()] = {
            let mut ends = [0; $rows.len()];
            let (mut row, mut end) = (0, 0);
            while row < ends.len() {
                end += $rows[row].$field.len();
                ends[row] = end as u32;
                row += 1;
            }
            ends
        };
        const TEXT: [u8; ENDS[ENDS.len() - 1] as usize] = {
            let mut text = [0; ENDS[ENDS.len() - 1] as usize];
            let (mut row, mut rest) = (0, text.as_mut_slice());
            while row < $rows.len() {
                let name = $rows[row].$field.as_bytes();
                let (own, after) = rest.split_at_mut(name.len());
                own.copy_from_slice(name);
                rest = after;
                row += 1;
            }
            text
        };
        $crate::names::Names::new(&TEXT, &ENDS)
    }};
}
pub(crate) use names;

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &[(u8, &str)] = &[(1, "a"), (2, "bcd"), (3, "be")];
    static NAMES: Names = names!(ROWS, 1);

    #[test]
    fn every_name_is_found_and_no_other() {
        for (row, (_, name)) in ROWS.iter().enumerate() {
            assert_eq!(NAMES.at(row), *name);
            assert_eq!(NAMES.find(name), Some(row));
        }
        for name in ["", "0", "b", "bcde", "bd", "c"] {
            assert_eq!(NAMES.find(name), None, "{name}");
        }
    }
}
