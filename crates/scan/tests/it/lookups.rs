//! Functions that are found by their names.

use std::path::Path;

use portcullis_abi::{ArgValue, Sysno};
use portcullis_scan::files::HostFiles;
use portcullis_scan::{LinkRequest, scan};

const PRLIMIT64: Sysno = Sysno(302);
/// `include/uapi/asm-generic/resource.h`.
const RLIMIT_STACK: u64 = 3;

/// glibc's loader looks `__libc_early_init` up and calls it; that asks how large the stack may be
/// (sysdeps/nptl/pthread_early_init.h), which no program here does by itself.
#[test]
fn the_loader_calls_what_it_looks_up_in_the_c_library() {
    let program = Path::new("/bin/true");
    let scanned = scan(&HostFiles::default(), program, &LinkRequest::default()).unwrap();
    let calls = scanned.set.syscalls.iter();
    let sites = calls
        .filter(|s| s.number == PRLIMIT64)
        .flat_map(|s| &s.sites);
    let arguments = sites.flat_map(|site| &site.tuples).flat_map(|t| &t.args);
    let asks = |(place, value): &(u8, ArgValue)| {
        *place == 1 && matches!(value, ArgValue::Values(all) if all.contains(&RLIMIT_STACK))
    };
    assert!({ arguments }.any(asks));
}
