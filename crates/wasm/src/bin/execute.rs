//! The worker that runs artifacts: started by the host from sealed memory, inside its confinement.

fn main() {
    let runtime = portcullis_wasm::Runtime::new();
    portcullis_host::serve_jobs(runtime, std::env::args())
}
