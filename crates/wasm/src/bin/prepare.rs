//! The program that prepares one module: started by the host from sealed memory, inside its confinement.

fn main() {
    portcullis_host::serve_preparation(&portcullis_wasm::Compiler, std::env::args())
}
