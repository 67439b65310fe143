//! Section headers are for tools: what runs a program does without, and so does the analysis.

use std::path::Path;

use portcullis_scan::files::HostFiles;
use portcullis_scan::image::{Addr, Image};
use portcullis_scan::link::{LinkRequest, link};

/// The image of `program`, and of a copy that has no section headers.
fn both(program: &str) -> [Image; 2] {
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("copy");
    let mut file = std::fs::read(program).unwrap();
    file[40..48].fill(0);
    file[58..64].fill(0);
    std::fs::write(&copy, file).unwrap();
    [Path::new(program), &copy]
        .map(|p| link(&HostFiles::default(), p, &LinkRequest::default()).unwrap())
}

#[test]
fn a_program_without_section_headers_is_read_the_same() {
    for program in ["/usr/bin/ls", "/usr/bin/bash"] {
        let [with, without] = both(program);
        let roots = |image: &Image| -> Vec<u64> { image.roots().iter().map(|r| r.at.0).collect() };
        assert_eq!(roots(&with), roots(&without), "{program}");
        let starts = without.starts(0);
        for start in with.starts(0) {
            assert!(
                starts.binary_search(&start).is_ok(),
                "{program}: {start:#x}"
            );
            let at = Addr(start);
            assert_eq!(with.fde_range(at), without.fde_range(at), "{program}");
        }
        let base = with.objects[0].base;
        let range = base..base + (1 << 32);
        let slots: Vec<_> = with.slots(range.start..range.end).collect();
        assert!(
            slots.len() > 10 && slots.iter().copied().eq(without.slots(range)),
            "{program}"
        );
        for (at, _) in slots {
            let fixed = |image: &Image| image.region(at).is_some_and(|r| !r.writable || r.linkage);
            assert_eq!(fixed(&with), fixed(&without), "{program}: {at:x?}");
        }
    }
}
