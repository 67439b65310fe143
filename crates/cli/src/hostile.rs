//! The readers of files that the command wrote, or somebody else: for who looks for bytes on which they fail (feature
//! `fuzz`). Each gives what it read as it would be written.

use portcullis_policy::Place;

use crate::cache::codec;
use crate::json::scan::Document;
use crate::json::scan_input;
use crate::profile;
use crate::trace::Log;

/// A trace; merged, as it is written.
pub fn trace(bytes: &[u8]) -> Option<String> {
    let log = Log::read(bytes).ok()?;
    log.write().ok()
}

/// The document of a scan; as it is written, and the first of its sets as an entry of the cache, which takes none with
/// statements.
pub fn document(bytes: &[u8]) -> Option<(String, Option<Vec<u8>>)> {
    let images = scan_input::parse(bytes).ok()?;
    let text = serde_json::to_string(&Document::with(&images)).ok()?;
    Some((text, codec::encode(&images.first)))
}

/// An entry of the cache; as it is written.
pub fn entry(bytes: &[u8]) -> Option<Vec<u8>> {
    codec::encode(&codec::decode(bytes)?)
}

/// A profile; as it is written, or where its mistake is.
pub fn profile(text: &str) -> Result<String, Option<Place>> {
    let profile = profile::read::read(text, Some("/".as_ref())).map_err(|mistake| mistake.place)?;
    Ok(profile::write(&profile))
}
