//! Short texts for actions and reasons.

use crate::Provenance;

/// A reason's text.
pub(super) fn reason(reason: &Provenance) -> String {
    match reason {
        Provenance::Site {
            object,
            address,
            function,
        } => {
            let object = escape(object);
            match function {
                Some(function) => format!("site {object} {address:#x} {function}"),
                None => format!("site {object} {address:#x}"),
            }
        }
        Provenance::Trace(name) => format!("trace {name}"),
        Provenance::Launch => "launch".into(),
        Provenance::Assumption(text) => format!("assume {text}"),
        Provenance::Note(text) => format!("note {text}"),
    }
}

/// The reason that a text gives.
pub(super) fn parse_reason(text: &str) -> Result<Provenance, String> {
    let parsed = || {
        if text == "launch" {
            return Some(Provenance::Launch);
        }
        let (kind, rest) = text.split_once(' ')?;
        Some(match kind {
            "assume" => Provenance::Assumption(rest.into()),
            "trace" => Provenance::Trace(rest.into()),
            "note" => Provenance::Note(rest.into()),
            "site" => {
                let mut words = rest.splitn(3, ' ');
                let object = unescape(words.next()?)?;
                let address = words.next()?.strip_prefix("0x")?;
                Provenance::Site {
                    object,
                    address: u64::from_str_radix(address, 16).ok()?,
                    function: words.next().map(str::to_owned),
                }
            }
            _ => return None,
        })
    };
    parsed().ok_or_else(|| {
        format!(
            "`{text}` is no reason; reasons are `site FILE 0xADDRESS [FUNCTION]`, `trace NAME`, \
             `launch`, `assume TEXT` and `note TEXT`"
        )
    })
}

/// A path as one word: spaces and backslashes as `\x20` and `\x5c`.
fn escape(path: &str) -> String {
    path.replace('\\', "\\x5c").replace(' ', "\\x20")
}

fn unescape(word: &str) -> Option<String> {
    let path = word.replace("\\x20", " ").replace("\\x5c", "\\");
    (escape(&path) == word).then_some(path)
}
