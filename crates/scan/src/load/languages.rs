//! Traces that compilers leave of the source language.

use portcullis_abi::Language;

use super::Object;

/// The languages that left a trace; C when none did.
pub(crate) fn find(object: &Object) -> Vec<Language> {
    let mut found = Vec::new();
    let needs = |name: &[u8]| object.dynamic.needed.iter().any(|n| n.starts_with(name));
    let section = |name: &[u8]| object.sections.iter().any(|s| s.name == name);
    let names = || {
        object
            .names
            .functions
            .iter()
            .map(|f| object.memory.start_of_name(f.name))
    };
    let comment = object.sections.iter().find(|s| s.name == b".comment");
    let comment = comment.map_or(&[][..], |s| s.bytes(&object.memory.file));
    if section(b".gopclntab") || section(b".note.go.buildid") || go_build_information(object) {
        found.push(Language::Go);
    }
    // The v0 mangling, the legacy one (a hash as the last part), or the standard library's
    // source paths, which panic messages carry into stripped binaries.
    let rust = |n: &[u8]| n.starts_with(b"_R") || (n.starts_with(b"_ZN") && legacy_rust(n));
    if contains_in(comment, b"rustc version") || names().any(rust) || contains(object, b"/rustc/") {
        found.push(Language::Rust);
    }
    let cpp = |n: &[u8]| n.starts_with(b"_Z") && !legacy_rust(n);
    if needs(b"libstdc++.so") || needs(b"libc++.so") || names().any(cpp) {
        found.push(Language::Cpp);
    }
    if found.is_empty() {
        found.push(Language::C);
    }
    found.sort_unstable();
    found
}

/// `17h`, sixteen hexadecimal digits and `E`, which code generation may add a suffix to.
fn legacy_rust(name: &[u8]) -> bool {
    let hash = |w: &[u8]| {
        w.starts_with(b"17h") && w[3..19].iter().all(u8::is_ascii_hexdigit) && w[19] == b'E'
    };
    name.windows(20).any(hash)
}

/// The header of Go's build information, which its linker aligns to 16.
fn go_build_information(object: &Object) -> bool {
    const MAGIC: &[u8] = b"\xff Go buildinf:";
    let data = object.memory.segments.iter();
    data.filter(|s| s.address.is_multiple_of(16))
        .filter_map(|s| object.memory.from(s.address))
        .any(|bytes| bytes.chunks_exact(16).any(|c| c.starts_with(MAGIC)))
}

/// Whether data of the file holds `needle`.
fn contains(object: &Object, needle: &[u8]) -> bool {
    let data = object
        .memory
        .segments
        .iter()
        .filter(|s| !s.executable || object.sections.is_empty());
    data.into_iter()
        .filter_map(|s| object.memory.from(s.address))
        .any(|bytes| contains_in(bytes, needle))
}

fn contains_in(bytes: &[u8], needle: &[u8]) -> bool {
    let Some((&first, rest)) = needle.split_first() else {
        return true;
    };
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|&b| b == first) {
        at += found + 1;
        if bytes[at..].starts_with(rest) {
            return true;
        }
    }
    false
}
