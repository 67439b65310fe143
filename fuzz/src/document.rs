//! Documents of scans, which an audit or a policy begins with, and entries of the cache.

use portcullis_cli::hostile;

use crate::seeds;

/// Bytes of a small document.
pub(crate) const LONGEST: usize = 16 << 10;

/// Documents of this repository, and the entries that they make.
pub(crate) fn begin() -> Vec<Vec<u8>> {
    let mut all = seeds::of(&["testdata/audit"]);
    all.retain(|bytes| hostile::document(bytes).is_some());
    let entries = all.iter().filter_map(|bytes| hostile::document(bytes)?.1);
    let entries: Vec<Vec<u8>> = entries.collect();
    all.extend(entries);
    all
}

/// Asks of one file, as a document and as an entry. What was read is written, and read again it is the same.
pub fn ask(bytes: &[u8]) {
    if let Some((written, entry)) = hostile::document(bytes) {
        let again = hostile::document(written.as_bytes());
        assert_eq!(again, Some((written, entry.clone())));
        if let Some(entry) = entry {
            assert_eq!(hostile::entry(&entry).as_ref(), Some(&entry));
        }
    }
    if let Some(written) = hostile::entry(bytes) {
        assert_eq!(hostile::entry(&written).as_ref(), Some(&written));
    }
}
