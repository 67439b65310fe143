//! `portcullis cost POLICY`.

use anyhow::Result;
use portcullis_abi::{Arch, Sysno};
use portcullis_bpf::{Cost, is_cached};

use crate::args::{CostArgs, Format};
use crate::exit::Exit;
use crate::filter_file::FilterFile;
use crate::output::Output;
use crate::{json, text};

/// The architectures whose calls the kernel keeps in its cache; it keeps none of x32.
const CACHED: [Arch; 4] = [Arch::X86_64, Arch::I386, Arch::Aarch64, Arch::Arm];

/// Runs the verb.
pub(crate) fn cost(typed: CostArgs) -> Result<Exit> {
    let output = Output::from_option(typed.result.output);
    let file = FilterFile::open(&typed.policy, &typed.input)?;
    let program = file.program(&typed.input)?;
    let cached = CACHED.into_iter().map(|arch| {
        let skip = |n: &Sysno| is_cached(&program, arch.audit_arch(), n.0);
        let calls = arch.syscalls().map(|(n, _)| n);
        (arch, calls.filter(skip).collect())
    });
    let document = json::filter::costs(&Cost::of(&program), cached);
    match typed.result.format {
        Format::Json => output.write_json(&document)?,
        Format::Text => output.write_text(&text::filter::costs(&document))?,
    }
    Ok(Exit::Success)
}
