//! Reading `portcullis.scan` back, as the input of a later verb. A file may come from anywhere:
//! everything is checked, and fields that this version does not know are ignored.

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail, ensure};
use portcullis_abi::{
    ArgValue, Assumed, Binary, Confidence, Language, Linkage, Location, Mode, Origin, Paths,
    Residual, ResidualKind, ScannedObject, Site, Syscall, SyscallSet, Sysno, ThreadSet, Tuple,
    Warning,
};
use portcullis_scan::ARCHITECTURES;
use serde::Deserialize;

use super::scan as names;
use crate::images::Images;

#[derive(Deserialize)]
struct Header {
    schema: String,
    version: u32,
}

#[derive(Deserialize)]
struct Document {
    binary: BinaryIn,
    objects: Vec<ObjectIn>,
    syscalls: Vec<SyscallIn>,
    sets: Vec<SetIn>,
    residuals: Vec<ResidualIn>,
    /// Older documents have none.
    #[serde(default)]
    assumed: Vec<AssumedIn>,
    warnings: Vec<WarningIn>,
    #[serde(default)]
    images: Vec<Document>,
}

const MODES: [Mode; 2] = [Mode::Sound, Mode::Tight];

fn sound() -> String {
    names::mode(Mode::Sound).to_owned()
}

#[derive(Deserialize)]
struct BinaryIn {
    path: String,
    arch: String,
    linkage: String,
    stripped: bool,
    language: Vec<String>,
    script: Option<ScriptIn>,
}

#[derive(Deserialize)]
struct ScriptIn {
    path: String,
    argument: Option<String>,
}

#[derive(Deserialize)]
struct ObjectIn {
    path: String,
    soname: Option<String>,
    sha256: String,
}

#[derive(Deserialize)]
struct SyscallIn {
    name: Option<String>,
    number: u32,
    origin: String,
    confidence: String,
    args: Vec<ArgIn>,
    sites: Vec<SiteIn>,
    why: Vec<PlaceIn>,
}

#[derive(Deserialize)]
struct ArgIn {
    index: u8,
    #[serde(default)]
    any: bool,
    values: Option<Vec<String>>,
    ranges: Option<Vec<[String; 3]>>,
    mask: Option<String>,
    string: Option<String>,
}

#[derive(Deserialize)]
struct SiteIn {
    #[serde(flatten)]
    at: PlaceIn,
    tuples: Vec<TupleIn>,
    paths: Option<PathsIn>,
}

#[derive(Deserialize)]
struct PathsIn {
    known: Vec<String>,
    others: bool,
}

#[derive(Deserialize)]
struct TupleIn {
    mode: String,
    via: Vec<PlaceIn>,
    args: Vec<ArgIn>,
}

#[derive(Deserialize)]
struct PlaceIn {
    object: String,
    function: Option<String>,
    address: String,
}

#[derive(Deserialize)]
struct SetIn {
    thread: String,
    phase: String,
    /// Older documents do not say it.
    #[serde(default)]
    begins: Vec<String>,
    /// Older documents have only the one.
    #[serde(default = "sound")]
    mode: String,
    numbers: Vec<u32>,
}

#[derive(Deserialize)]
struct ResidualIn {
    id: String,
    kind: String,
    #[serde(flatten)]
    at: PlaceIn,
    detail: String,
    why: Vec<PlaceIn>,
}

#[derive(Deserialize)]
struct AssumedIn {
    residual: ResidualIn,
    numbers: Vec<u32>,
}

#[derive(Deserialize)]
struct WarningIn {
    code: String,
    message: String,
}

/// The results that the document `json` describes.
pub(crate) fn parse(json: &[u8]) -> Result<Images> {
    let header: Header =
        serde_json::from_slice(json).context("not a JSON document with `schema` and `version`")?;
    ensure!(
        header.schema == "portcullis.scan",
        "the document is `{}`, not `portcullis.scan`",
        header.schema
    );
    ensure!(
        header.version == 1,
        "version {} of `portcullis.scan` is not known here (1 is)",
        header.version
    );
    let mut document: Document = serde_json::from_slice(json)?;
    let others = std::mem::take(&mut document.images).into_iter();
    let others: Vec<SyscallSet> = others.map(set).collect::<Result<_>>()?;
    let mut images = Images::alone(set(document)?);
    for other in others {
        let other = images.fitting(other)?;
        images.others.push(other);
    }
    Ok(images)
}

/// The result of one program.
fn set(document: Document) -> Result<SyscallSet> {
    let said = &document.binary.arch;
    let mut scanned = ARCHITECTURES.into_iter();
    let arch = scanned
        .find(|arch| arch.to_string() == *said)
        .with_context(|| format!("programs of the architecture `{said}` are not scanned"))?;
    let index: HashMap<String, usize> = document
        .objects
        .iter()
        .enumerate()
        .map(|(i, o)| (o.path.clone(), i))
        .collect();
    let place = |p: PlaceIn| -> Result<Location> {
        Ok(Location {
            object: *index
                .get(&p.object)
                .with_context(|| format!("`{}` is not among the objects", p.object))?,
            address: number(&p.address)?,
            function: p.function,
        })
    };
    let places =
        |way: Vec<PlaceIn>| -> Result<Vec<Location>> { way.into_iter().map(place).collect() };
    let mut syscalls = document
        .syscalls
        .into_iter()
        .map(|call| {
            let known = arch.name(Sysno(call.number));
            if let (Some(known), Some(said)) = (known, &call.name) {
                ensure!(known == said, "{} is {known}, not {said}", call.number);
            }
            Ok(Syscall {
                number: Sysno(call.number),
                origin: one_of(
                    &[
                        Origin::Program,
                        Origin::Loader,
                        Origin::Kernel,
                        Origin::Vdso,
                    ],
                    names::origin,
                    &call.origin,
                )?,
                confidence: one_of(
                    &[Confidence::Direct, Confidence::Tight, Confidence::Sound],
                    names::confidence,
                    &call.confidence,
                )?,
                args: args(call.args)?,
                sites: call
                    .sites
                    .into_iter()
                    .map(|site| {
                        Ok(Site {
                            at: place(site.at)?,
                            tuples: site
                                .tuples
                                .into_iter()
                                .map(|tuple| {
                                    Ok(Tuple {
                                        mode: one_of(&MODES, names::mode, &tuple.mode)?,
                                        via: places(tuple.via)?,
                                        args: args(tuple.args)?,
                                    })
                                })
                                .collect::<Result<_>>()?,
                            paths: site
                                .paths
                                .map(|PathsIn { known, others }| Paths { known, others }),
                        })
                    })
                    .collect::<Result<_>>()?,
                why: places(call.why)?,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    syscalls.sort_by_key(|s| s.number);
    ensure!(
        syscalls.windows(2).all(|w| w[0].number != w[1].number),
        "a system call is listed twice"
    );
    let kinds = [
        ResidualKind::Number,
        ResidualKind::Target,
        ResidualKind::Module,
        ResidualKind::Exec,
        ResidualKind::Code,
    ];
    let residual = |r: ResidualIn| {
        Ok(Residual {
            id: r.id,
            kind: one_of(&kinds, ResidualKind::name, &r.kind)?,
            at: place(r.at)?,
            detail: r.detail,
            why: places(r.why)?,
        })
    };
    Ok(SyscallSet {
        syscalls,
        sets: document
            .sets
            .into_iter()
            .map(|s| {
                Ok(ThreadSet {
                    thread: s.thread,
                    phase: s.phase,
                    begins: s
                        .begins
                        .iter()
                        .map(|at| number(at))
                        .collect::<Result<_>>()?,
                    mode: one_of(&MODES, names::mode, &s.mode)?,
                    numbers: s.numbers.into_iter().map(Sysno).collect(),
                    made: None,
                    starts: Vec::new(),
                })
            })
            .collect::<Result<_>>()?,
        residuals: document
            .residuals
            .into_iter()
            .map(residual)
            .collect::<Result<_>>()?,
        assumed: document
            .assumed
            .into_iter()
            .map(|a| {
                Ok(Assumed {
                    residual: residual(a.residual)?,
                    calls: a.numbers.into_iter().map(Sysno).collect(),
                })
            })
            .collect::<Result<_>>()?,
        warnings: document
            .warnings
            .into_iter()
            .map(|w| {
                Ok(Warning {
                    code: super::warning_code(&w.code)
                        .with_context(|| format!("`{}` is no code", w.code))?,
                    message: w.message,
                })
            })
            .collect::<Result<_>>()?,
        objects: document
            .objects
            .into_iter()
            .map(|o| {
                Ok(ScannedObject {
                    sha256: hash(&o.sha256)
                        .with_context(|| format!("`{}` is no SHA-256", o.sha256))?,
                    path: o.path,
                    soname: o.soname,
                })
            })
            .collect::<Result<_>>()?,
        binary: Binary {
            path: document.binary.path,
            script: document.binary.script.map(|s| (s.path, s.argument)),
            arch,
            linkage: one_of(
                &[Linkage::Static, Linkage::StaticPie, Linkage::Dynamic],
                names::linkage,
                &document.binary.linkage,
            )?,
            stripped: document.binary.stripped,
            languages: document
                .binary
                .language
                .iter()
                .map(|l| {
                    one_of(
                        &[Language::C, Language::Cpp, Language::Rust, Language::Go],
                        names::language,
                        l,
                    )
                })
                .collect::<Result<_>>()?,
        },
    })
}

/// The value of `all` that `name` calls `said`.
fn one_of<T: Copy>(all: &[T], name: fn(T) -> &'static str, said: &str) -> Result<T> {
    all.iter()
        .copied()
        .find(|v| name(*v) == said)
        .with_context(|| format!("`{said}` is not known here"))
}

fn args(args: Vec<ArgIn>) -> Result<Vec<(u8, ArgValue)>> {
    let all = |texts: Vec<String>| texts.iter().map(|t| number(t)).collect::<Result<Vec<_>>>();
    args.into_iter()
        .map(|arg| {
            ensure!(arg.index < 6, "a system call has no argument {}", arg.index);
            let value = match arg {
                ArgIn { any: true, .. } => ArgValue::Any,
                ArgIn {
                    mask: Some(mask),
                    values: Some(values),
                    ..
                } => ArgValue::Masked {
                    mask: number(&mask)?,
                    values: all(values)?,
                },
                ArgIn {
                    values: Some(values),
                    ..
                } => ArgValue::Values(all(values)?),
                ArgIn {
                    ranges: Some(ranges),
                    ..
                } => ArgValue::Ranges(
                    ranges
                        .iter()
                        .map(|[low, high, stride]| {
                            Ok((number(low)?, number(high)?, number(stride)?))
                        })
                        .collect::<Result<_>>()?,
                ),
                ArgIn {
                    string: Some(text), ..
                } => ArgValue::Text(text),
                _ => bail!("argument {} says nothing", arg.index),
            };
            Ok((arg.index, value))
        })
        .collect()
}

fn number(text: &str) -> Result<u64> {
    text.strip_prefix("0x")
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .with_context(|| format!("`{text}` is no hexadecimal number"))
}

fn hash(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{output, sample};

    fn document() -> String {
        output::json_document(&names::Document::new(&sample::set())).unwrap()
    }

    #[test]
    fn what_was_written_is_read() {
        assert_eq!(parse(document().as_bytes()).unwrap().first, sample::set());
    }

    #[test]
    fn other_documents_are_refused() {
        for (from, to, says) in [
            (
                "portcullis.scan",
                "portcullis.audit",
                "not `portcullis.scan`",
            ),
            ("\"version\": 1", "\"version\": 2", "version 2"),
            ("x86_64\"", "vax\"", "vax"),
            (
                "\"number\": 41",
                "\"number\": 42",
                "42 is connect, not socket",
            ),
            ("\"0x1040\"", "\"4160\"", "hexadecimal"),
            ("\"kind\": \"exec\"", "\"kind\": \"other\"", "other"),
            ("\"mask\"", "\"sack\"", ""),
        ] {
            let changed = document().replacen(from, to, 1);
            assert_ne!(changed, document(), "{from}");
            match parse(changed.as_bytes()) {
                Err(e) => assert!(format!("{e:#}").contains(says), "{from}: {e:#}"),
                Ok(_) => assert_eq!(says, "", "{from} was accepted"),
            }
        }
        assert!(parse(b"").is_err());
        assert!(parse(b"[]").is_err());
    }
}
