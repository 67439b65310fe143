//! From an ELF binary to the system calls it can make, with evidence.

#[path = "draft.rs"]
pub mod image;
pub mod isa;
mod report;
pub mod solve;
pub mod summary;

/// Interim.
pub fn scan_draft(path: &std::path::Path) -> Result<portcullis_abi::SyscallSet, String> {
    let image = image::load(path, &[])?;
    let t = std::time::Instant::now();
    let solution = solve::solve(&image);
    if std::env::var_os("STATS").is_some() {
        #[expect(clippy::print_stderr, reason = "interim")]
        {
            eprintln!("{:?} rounds {} functions {} instances {} open {} unsettled {}", t.elapsed(), solution.rounds, solution.functions.len(), solution.instances.len(), solution.open.len(), solution.unsettled);
        }
    }
    Ok(report::report(&image, &solution, portcullis_abi::Arch::X86_64))
}
