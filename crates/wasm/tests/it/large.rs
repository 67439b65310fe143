//! The code of a worker, which its jobs find as one large page.

use std::fs;

use portcullis_host::{
    ALLOCATIONS, Artifact, Job, Outcome, Pool, Preparation, Request, Settings, prepare,
};
use portcullis_wasm::carried;

use crate::module::{ECHO, module};

/// Of the running workers, how much of their code is in large pages, in KiB.
fn large() -> Vec<u64> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let workers = processes.filter(|process| {
        let words = fs::read(process.path().join("cmdline")).unwrap_or_default();
        words.starts_with(b"portcullis-wasm-execute\0")
    });
    // Others may end meanwhile.
    let maps = workers.flat_map(|worker| fs::read_to_string(worker.path().join("smaps")));
    maps.map(|maps| {
        let sizes = maps
            .lines()
            .filter_map(|line| line.strip_prefix("ShmemPmdMapped:"));
        let sizes = sizes.map(|size| size.trim().trim_end_matches(" kB").parse::<u64>().unwrap());
        sizes.sum()
    })
    .collect()
}

/// Needs a kernel with large pages for files in memory, and root, who may look at workers. It fails as well when the program
/// has become shorter than a large page: then jobs take a fifth longer, and something has to fill it up.
#[test]
fn a_worker_has_its_code_in_a_large_page() {
    let state = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
    let state = state.expect("large pages of files in memory are needed");
    assert!(!state.contains("[deny]"), "{state}");
    let module = module(ECHO);
    let preparation = Preparation {
        module: &module,
        metered: false,
        bounds: portcullis_sandbox::Limits::default(),
        allocations: ALLOCATIONS,
    };
    let artifact = prepare(&carried::prepare(), &preparation, &[]).unwrap();
    let mut settings = Settings::new(carried::execute());
    settings.memory = None;
    let pool = Pool::new(settings).unwrap();
    let job = Job {
        input: b"input".to_vec(),
        ..Job::default()
    };
    let artifact = Artifact::trusted(&artifact).unwrap().into();
    let finished = pool.run(Request::new("tenant", artifact, job)).unwrap();
    let done = finished.done().unwrap();
    assert_eq!(
        (&done.outcome, &done.stdout[..]),
        (&Outcome::Ok, &b"input"[..])
    );
    // It waits for the next one.
    let large = large();
    assert!(large.contains(&2048), "{large:?}");
}
