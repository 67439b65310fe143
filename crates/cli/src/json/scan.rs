//! `scan --format json`: the document `portcullis.scan`, version 1.

use std::collections::BTreeSet;

use portcullis_abi::{
    self as abi, Arch, ArgValue, Confidence, Language, Linkage, Location, Mode, Origin, SyscallSet,
};
use serde::Serialize;

use crate::images::Images;

/// The whole document, borrowed from the result.
#[derive(Serialize)]
pub(crate) struct Document<'a> {
    schema: &'static str,
    version: u32,
    binary: Binary<'a>,
    objects: Vec<Object<'a>>,
    complete: bool,
    closed: bool,
    kernel: Option<Kernel<'a>>,
    syscalls: Vec<Syscall<'a>>,
    sets: Vec<Set<'a>>,
    residuals: Vec<Residual<'a>>,
    /// Residuals that a statement resolved.
    assumed: Vec<Assumed<'a>>,
    warnings: Vec<Warning<'a>>,
    /// Programs that it may start, each as a document without images.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<Document<'a>>,
    /// What any of them can do, the program included; absent when there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    union: Option<BTreeSet<u32>>,
}

/// The oldest kernel that knows every call; older ones answer `because` with ENOSYS.
#[derive(Serialize)]
struct Kernel<'a> {
    minimum: String,
    because: Vec<&'a str>,
}

#[derive(Serialize)]
struct Binary<'a> {
    path: &'a str,
    arch: String,
    linkage: &'static str,
    stripped: bool,
    language: Vec<&'static str>,
    /// Null unless the program is a script, which is analysed through its interpreter.
    script: Option<Script<'a>>,
}

#[derive(Serialize)]
struct Script<'a> {
    path: &'a str,
    argument: Option<&'a str>,
}

#[derive(Serialize)]
struct Object<'a> {
    path: &'a str,
    soname: Option<&'a str>,
    sha256: String,
}

#[derive(Serialize)]
struct Syscall<'a> {
    name: Option<&'static str>,
    number: u32,
    origin: &'static str,
    confidence: &'static str,
    args: Vec<Arg<'a>>,
    /// Of all sites; absent when the call takes no path.
    #[serde(skip_serializing_if = "Option::is_none")]
    paths: Option<Paths>,
    sites: Vec<Site<'a>>,
    why: Vec<Place<'a>>,
}

/// What is known of one argument: `values`, `ranges`, `mask` with `values`, `string`, or `any`.
#[derive(Serialize)]
struct Arg<'a> {
    index: u8,
    any: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<Vec<String>>,
    /// The names of `values`, null for a value without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    symbols: Option<Vec<Option<String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ranges: Option<Vec<[String; 3]>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mask: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    string: Option<&'a str>,
}

#[derive(Serialize)]
struct Site<'a> {
    object: &'a str,
    address: String,
    function: Option<&'a str>,
    tuples: Vec<Tuple<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paths: Option<Paths>,
}

/// Constant paths that a call is passed, and whether it may be passed others.
#[derive(Serialize)]
struct Paths {
    known: Vec<String>,
    others: bool,
}

impl From<abi::Paths> for Paths {
    fn from(abi::Paths { known, others }: abi::Paths) -> Paths {
        Paths { known, others }
    }
}

#[derive(Serialize)]
struct Tuple<'a> {
    mode: &'static str,
    via: Vec<Place<'a>>,
    args: Vec<Arg<'a>>,
}

#[derive(Serialize)]
struct Place<'a> {
    object: &'a str,
    function: Option<&'a str>,
    address: String,
}

#[derive(Serialize)]
struct Set<'a> {
    thread: &'a str,
    phase: &'a str,
    begins: Vec<String>,
    mode: &'static str,
    numbers: Vec<u32>,
}

#[derive(Serialize)]
struct Residual<'a> {
    id: &'a str,
    kind: &'static str,
    object: &'a str,
    address: String,
    function: Option<&'a str>,
    detail: &'a str,
    why: Vec<Place<'a>>,
}

#[derive(Serialize)]
struct Assumed<'a> {
    residual: Residual<'a>,
    numbers: Vec<u32>,
}

#[derive(Serialize)]
struct Warning<'a> {
    code: &'a str,
    message: &'a str,
}

impl<'a> Document<'a> {
    /// The document of a program with those that it may start.
    pub(crate) fn with(images: &'a Images) -> Document<'a> {
        Document {
            images: images.others.iter().map(Document::new).collect(),
            union: (!images.others.is_empty()).then(|| images.union()),
            ..Document::new(&images.first)
        }
    }

    /// The document that says what `set` says.
    pub(crate) fn new(set: &'a SyscallSet) -> Document<'a> {
        let arch = set.binary.arch;
        let place = |at: &'a Location| Place {
            object: object(set, at),
            function: at.function.as_deref(),
            address: hex(at.address),
        };
        let places = |way: &'a [Location]| way.iter().map(place).collect::<Vec<_>>();
        let residual = |r: &'a portcullis_abi::Residual| Residual {
            id: &r.id,
            kind: r.kind.name(),
            object: object(set, &r.at),
            address: hex(r.at.address),
            function: r.at.function.as_deref(),
            detail: &r.detail,
            why: places(&r.why),
        };
        Document {
            schema: "portcullis.scan",
            version: 1,
            binary: Binary {
                path: &set.binary.path,
                arch: arch.to_string(),
                linkage: linkage(set.binary.linkage),
                stripped: set.binary.stripped,
                language: set.binary.languages.iter().copied().map(language).collect(),
                script: set.binary.script.as_ref().map(|(path, argument)| Script {
                    path,
                    argument: argument.as_deref(),
                }),
            },
            objects: set
                .objects
                .iter()
                .map(|o| Object {
                    path: &o.path,
                    soname: o.soname.as_deref(),
                    sha256: sha256(&o.sha256),
                })
                .collect(),
            complete: set.complete(),
            closed: set.closed(),
            kernel: set.kernel().map(|(version, numbers)| Kernel {
                minimum: version.to_string(),
                because: numbers.into_iter().filter_map(|n| arch.name(n)).collect(),
            }),
            syscalls: set
                .syscalls
                .iter()
                .map(|call| (call, arch.name(call.number)))
                .map(|(call, name)| Syscall {
                    name,
                    number: call.number.0,
                    origin: origin(call.origin),
                    confidence: confidence(call.confidence),
                    args: args(set.binary.arch, name, &call.args),
                    paths: call.paths().map(Paths::from),
                    sites: call
                        .sites
                        .iter()
                        .map(|site| Site {
                            object: object(set, &site.at),
                            address: hex(site.at.address),
                            function: site.at.function.as_deref(),
                            tuples: site
                                .tuples
                                .iter()
                                .map(|tuple| Tuple {
                                    mode: mode(tuple.mode),
                                    via: places(&tuple.via),
                                    args: args(set.binary.arch, name, &tuple.args),
                                })
                                .collect(),
                            paths: site.paths.clone().map(Paths::from),
                        })
                        .collect(),
                    why: places(&call.why),
                })
                .collect(),
            sets: set
                .sets
                .iter()
                .map(|s| Set {
                    thread: &s.thread,
                    phase: &s.phase,
                    begins: s.begins.iter().map(|at| format!("{at:#x}")).collect(),
                    mode: mode(s.mode),
                    numbers: s.numbers.iter().map(|n| n.0).collect(),
                })
                .collect(),
            residuals: set.residuals.iter().map(residual).collect(),
            assumed: set
                .assumed
                .iter()
                .map(|a| Assumed {
                    residual: residual(&a.residual),
                    numbers: a.calls.iter().map(|n| n.0).collect(),
                })
                .collect(),
            warnings: set
                .warnings
                .iter()
                .map(|w| Warning {
                    code: w.code,
                    message: &w.message,
                })
                .collect(),
            images: Vec::new(),
            union: None,
        }
    }
}

/// The path of the object that `at` lies in; the empty string when the index names none.
fn object<'a>(set: &'a SyscallSet, at: &Location) -> &'a str {
    set.objects.get(at.object).map_or("", |o| &o.path)
}

/// `args` of the call called `name`.
fn args<'a>(arch: Arch, name: Option<&str>, args: &'a [(u8, ArgValue)]) -> Vec<Arg<'a>> {
    let symbols = |index, values: &[u64]| {
        let symbol = |v: &u64| arch.symbol(name?, index, *v);
        Some(values.iter().map(symbol).collect())
    };
    args.iter()
        .map(|(index, value)| {
            let mut arg = Arg {
                index: *index,
                any: false,
                values: None,
                symbols: None,
                ranges: None,
                mask: None,
                string: None,
            };
            match value {
                ArgValue::Any => arg.any = true,
                ArgValue::Values(values) => {
                    arg.values = Some(hex_all(values));
                    arg.symbols = symbols(*index, values);
                }
                ArgValue::Ranges(ranges) => {
                    arg.ranges = Some(
                        ranges
                            .iter()
                            .map(|&(low, high, stride)| [hex(low), hex(high), hex(stride)])
                            .collect(),
                    );
                }
                ArgValue::Masked { mask, values } => {
                    arg.mask = Some(hex(*mask));
                    arg.values = Some(hex_all(values));
                }
                ArgValue::Text(text) => arg.string = Some(text),
            }
            arg
        })
        .collect()
}

/// Numbers are strings in hexadecimal: JSON readers lose bits beyond the 53rd.
pub(crate) fn hex(value: u64) -> String {
    format!("{value:#x}")
}

fn hex_all(values: &[u64]) -> Vec<String> {
    values.iter().copied().map(hex).collect()
}

/// As people write hashes.
pub(crate) fn sha256(hash: &[u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn linkage(linkage: Linkage) -> &'static str {
    match linkage {
        Linkage::Static => "static",
        Linkage::StaticPie => "static-pie",
        Linkage::Dynamic => "dynamic",
    }
}

pub(crate) fn language(language: Language) -> &'static str {
    match language {
        Language::C => "c",
        Language::Cpp => "c++",
        Language::Rust => "rust",
        Language::Go => "go",
    }
}

pub(crate) fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Program => "program",
        Origin::Loader => "loader",
        Origin::Kernel => "kernel",
        Origin::Vdso => "vdso",
    }
}

pub(crate) fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Direct => "direct",
        Confidence::Tight => "tight",
        Confidence::Sound => "sound",
    }
}

pub(crate) fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Sound => "sound",
        Mode::Tight => "tight",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{output, sample};

    #[test]
    fn the_document() {
        let set = sample::set();
        insta::assert_snapshot!(output::json_document(&Document::new(&set)).unwrap());
    }

    #[test]
    fn a_location_beyond_the_objects_is_no_panic() {
        let mut set = sample::set();
        set.objects.clear();
        output::json_document(&Document::new(&set)).unwrap();
    }
}
