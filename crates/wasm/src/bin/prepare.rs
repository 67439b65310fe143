//! The program that prepares one module: started by the host from sealed memory, inside its confinement.

use portcullis_host::Counting;

/// The C library's, counted: what counts is what is asked for, not how it is kept.
#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

fn main() {
    portcullis_host::serve_preparation(&portcullis_wasm::Compiler, &ALLOCATOR, std::env::args())
}
