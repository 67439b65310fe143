//! A runtime of a parachain: two and a half megabytes of code that validators run untrusted.
//!
//! It is in the specification of a chain in a package that is downloaded and not copied (GPL-3.0). What it imports is a
//! host's whole interface; each function of it is replaced by one that traps, but for what its first question about
//! itself needs.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{Place, document, taken};
use crate::{needs, process};

/// The package, the file in it, and the chain's name for its code.
const PACKAGE: &str = "@substrate/connect-known-chains@1.10.3";
const ARCHIVE: &str = "substrate-connect-known-chains-1.10.3.tgz";
const FILE: &str = "package/dist/esm/specs/rococo_v2_2_asset_hub.js";
const CODE: &str = "\"0x3a636f6465\"";
/// Begins code that is compressed with zstd.
const COMPRESSED: [u8; 8] = [0x52, 0xbc, 0x53, 0x76, 0x46, 0xdb, 0x8e, 0x05];
/// What it calls itself.
const NAME: &str = "statemine";

/// What a host of the chain gives, here: memory by whole pages, which are never taken back, and silence.
const GIVEN: &[(&str, &str)] = &[
    (
        "ext_allocator_malloc_version_1",
        "(i32.mul (i32.const 65536) (memory.grow (i32.add (i32.const 1) (i32.shr_u (local.get 0) (i32.const 16)))))",
    ),
    ("ext_allocator_free_version_1", ""),
    ("ext_logging_max_level_version_1", "(i32.const 0)"),
];

pub(super) fn runtime(place: &Place) -> Result<()> {
    let code = code(place)?;
    ensure!(
        code.len() > 2_000_000,
        "the runtime has {} bytes",
        code.len()
    );
    let module = place.at("runtime.wasm");
    fs::write(&module, stubbed(&code)?)?;
    // Too little of anything is told, and nothing is kept of it.
    for (limit, named) in [("cpu=200ms", "cpu"), ("memory=16M", "memory")] {
        let mut short = place.job("prepare", &module);
        short.args(["--prepare-limit", limit]);
        let outcome = process::take(&mut short, b"", super::PATIENCE)?;
        let said = String::from_utf8_lossy(&outcome.stderr).into_owned();
        let wanted = format!("over its limit of {named}");
        ensure!(
            outcome.status.code() == Some(1) && said.contains(&wanted),
            "{limit}: {said}"
        );
    }
    let limits = ["--prepare-limit", "cpu=300s,memory=2G"];
    for wanted in ["made", "kept"] {
        let found = document(place.job("prepare", &module).args(limits))?;
        ensure!(found["found"] == wanted, "not {wanted}: {found}");
    }
    let job = document(
        place
            .job("run", &module)
            .args(limits)
            .args(["--limit", "cpu=10s"]),
    )?;
    ensure!(job["outcome"] == "ok", "it was not instantiated: {job}");
    println!(
        "jobs: a runtime of {} bytes says that it is {NAME}",
        code.len()
    );
    Ok(())
}

/// The runtime, out of its package.
fn code(place: &Place) -> Result<Vec<u8>> {
    if !place.at(ARCHIVE).exists() {
        let npm = Command::new("npm").arg("--version").output();
        if !npm.is_ok_and(|output| output.status.success()) {
            needs::install(&["npm"])?;
        }
        process::show(
            Command::new("npm")
                .args(["pack", "--silent", PACKAGE])
                .current_dir(&place.directory),
        )?;
    }
    let extract = ["--extract", "--to-stdout", "--file"];
    let text = taken(
        Command::new("tar")
            .args(extract)
            .arg(place.at(ARCHIVE))
            .arg(FILE),
        b"",
    )?;
    let text = String::from_utf8(text)?;
    let (_, after) = text
        .split_once(CODE)
        .context("the specification has no code")?;
    let hex = after
        .split('"')
        .nth(1)
        .and_then(|hex| hex.strip_prefix("0x"));
    let hex = hex.context("the code is not hexadecimal")?.as_bytes();
    let byte = |pair: &[u8]| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?);
    let bytes: Vec<u8> = hex.chunks(2).map(byte).collect::<Result<_>>()?;
    let compressed = bytes
        .strip_prefix(&COMPRESSED)
        .context("the code is not compressed")?;
    let decompress = ["--decompress", "--quiet", "--stdout"];
    taken(Command::new("zstd").args(decompress), compressed)
}

/// The same module without imports. Its start asks it for its version and traps when that is of something else:
/// [`NAME`] behind its length (a compact integer of SCALE), at the address in the lower half of the answer.
fn stubbed(code: &[u8]) -> Result<Vec<u8>> {
    let text = wasmprinter::print_bytes(code)?;
    let mut stubbed = String::with_capacity(text.len());
    let mut version = None;
    // Each item that has the length of a line is one; the last line ends the module.
    for line in text.trim_end().trim_end_matches(')').lines() {
        let import = line.trim_start().strip_prefix("(import \"env\" \"");
        let Some((name, item)) = import.and_then(|rest| rest.split_once("\" ")) else {
            if let Some(function) = line.trim_start().strip_prefix("(export \"Core_version\" ") {
                version = function
                    .strip_prefix("(func ")
                    .and_then(|rest| rest.split(')').next());
            }
            stubbed.push_str(line);
            stubbed.push('\n');
            continue;
        };
        let item = item
            .strip_suffix(')')
            .context("an import is longer than its line")?;
        let body = match GIVEN.iter().find(|(given, _)| *given == name) {
            _ if item.starts_with("(memory") => "",
            Some((_, body)) => body,
            None => "unreachable",
        };
        let item = item.strip_suffix(')').context("an import without an end")?;
        writeln!(stubbed, "{item} {body})")?;
    }
    let version = version.context("it does not export Core_version")?;
    let memory_is_exported = text.contains("(export \"memory\"");
    if !memory_is_exported {
        stubbed.push_str("(export \"memory\" (memory 0))\n");
    }
    let mut start = format!(
        "(func (export \"_start\") (local $at i32)\n\
         (local.set $at (i32.wrap_i64 (call {version} (i32.const 0) (i32.const 0))))\n"
    );
    let length = u8::try_from(NAME.len() * 4)?;
    for (place, byte) in std::iter::once(length).chain(NAME.bytes()).enumerate() {
        writeln!(
            start,
            "(if (i32.ne (i32.load8_u offset={place} (local.get $at)) (i32.const {byte})) (then unreachable))"
        )?;
    }
    write!(stubbed, "{start}))")?;
    wat::parse_str(&stubbed).context("the module without imports")
}
