//! Modules drawn from bytes, through the compiler and the runtime: whatever they do, the host can read what their worker
//! says of them, and a second time they do the same.

use portcullis_host::Preparer as _;
use portcullis_wasm::Compiler;

use crate::wasi::{self, Job};

#[path = "../../crates/wasm/tests/it/generator.rs"]
mod generator;

/// Bytes from which modules of a few functions are drawn: a larger one takes longer to compile than it is worth.
pub(crate) const LONGEST: usize = 1024;
/// Steps of a run: what loops ends soon.
const FUEL: u64 = 20_000;

/// None: bytes of any length are a module, or none.
pub(crate) fn begin() -> Vec<Vec<u8>> {
    Vec::new()
}

/// Asks of the module that is drawn from these bytes.
pub fn ask(bytes: &[u8]) {
    let Some(module) = generator::module(bytes) else {
        return;
    };
    let Ok(artifact) = Compiler.prepare(&module, true) else {
        // What the engine was built without.
        return;
    };
    let Ok((runtime, loaded)) = wasi::loaded(&artifact) else {
        return;
    };
    let job = Job {
        input: bytes,
        fuel: Some(FUEL),
    };
    let heard = job.run(&runtime, &loaded);
    wasi::judge(&heard);
    assert_eq!(heard, job.run(&runtime, &loaded));
}
