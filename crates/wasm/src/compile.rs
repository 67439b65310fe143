//! Preparing: a module becomes code.

use portcullis_host::Preparer;
use wasmtime::Engine;

use crate::settings::settings;

/// The compiler.
#[derive(Debug)]
pub struct Compiler;

impl Preparer for Compiler {
    fn prepare(&self, module: &[u8], metered: bool) -> Result<Vec<u8>, String> {
        let text = |e: wasmtime::Error| format!("{e:#}");
        let engine = settings(metered).and_then(|settings| Engine::new(&settings));
        let engine = engine.map_err(text)?;
        engine.precompile_module(module).map_err(text)
    }
}
