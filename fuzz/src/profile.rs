//! Profiles of `run`, and the small files beside them: what is accepted, what is assumed, a trace of strace, a question.

use portcullis_abi::Arch;
use portcullis_cli::hostile;
use portcullis_policy::audit::{Accepted, drift};
use portcullis_policy::{Asked, LineColumn, Place, Trace};
use portcullis_scan::assume::Assumptions;

use crate::seeds;

/// Bytes of a text.
pub(crate) const LONGEST: usize = 2048;

/// The profiles that are shipped, and a text of each other kind.
pub(crate) fn begin() -> Vec<Vec<u8>> {
    let mut all = seeds::of(&["profiles"]);
    all.extend([
        b"[[accept]]\ncode = \"PC0502\"\ncall = \"socket\"\nreason = \"kept for a while\"\n".to_vec(),
        b"number:libc.so.6:0x86720 = { setuid, setgid }\nmodule:libc.so.6:dlopen = {}\n".to_vec(),
        b"socket(AF_INET, _, 0)".to_vec(),
        b"1 openat(AT_FDCWD, \"/\", O_RDONLY) = 3\n% time     seconds  usecs/call     calls    errors syscall\n 10.00    0.000010           1         7           read\n".to_vec(),
        b"# portcullis syscalls 1: THREAD/PHASE CALL ARGUMENTS\nmain/loop read\n".to_vec(),
    ]);
    all
}

/// Asks of one text, as each of them.
pub fn ask(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let within = |place: Place| {
        assert!(
            place.start <= place.end && place.end <= text.len(),
            "{place:?}"
        );
        LineColumn::of(text, place.start);
    };
    match hostile::profile(text) {
        Ok(written) => assert_eq!(hostile::profile(&written).as_ref(), Ok(&written)),
        Err(place) => place.into_iter().for_each(within),
    }
    if let Err(mistake) = Accepted::read(text) {
        mistake.place.into_iter().for_each(within);
    }
    let mut assumed = Assumptions::default();
    if assumed.add(text).is_ok() {
        // Said twice it says the same.
        let once = assumed.clone();
        assert!(assumed.add(text).is_ok());
        assert_eq!(assumed, once);
    }
    let same = drift(text, text);
    assert!(same.gained.is_empty() && same.lost.is_empty());
    for arch in Arch::ALL {
        if let Err(mistake) = Asked::read(text, arch) {
            mistake.place.into_iter().for_each(within);
        }
        if let Some(trace) = Trace::read(text, arch) {
            assert_eq!(trace.by_frequency().len(), trace.calls.len());
        }
    }
}
