//! Running: an artifact is loaded once, and instantiated anew in each job's process.

use std::fmt;
use std::fs::File;
use std::mem::ManuallyDrop;

use portcullis_host::{Engine, Results, Said, Task};
use wasmtime::{InstancePre, Linker, ResourceLimiter, Store, Trap};

use crate::artifact;
use crate::settings::settings;
use crate::wasi::{self, Exit, State};

/// The runtime.
pub struct Runtime {
    /// One for code that does not count steps, one for code that does.
    engines: [Result<wasmtime::Engine, String>; 2],
}

/// An artifact, linked with what jobs are given.
pub struct Loaded {
    begin: InstancePre<State>,
    engine: wasmtime::Engine,
    metered: bool,
}

/// What an element of a table takes: a pointer, on all machines for which there is an engine.
const ELEMENT: usize = 8;

impl Runtime {
    /// The runtime, with what it needs of the machine; it is made before the first fork.
    pub fn new() -> Runtime {
        let engine = |metered| {
            let engine = settings(metered).and_then(|settings| wasmtime::Engine::new(&settings));
            engine.map_err(|e| e.to_string())
        };
        Runtime {
            engines: [engine(false), engine(true)],
        }
    }
}

impl Default for Runtime {
    fn default() -> Runtime {
        Runtime::new()
    }
}

impl Engine for Runtime {
    type Loaded = Loaded;

    fn load(&mut self, file: File) -> Result<Loaded, String> {
        let text = |e: wasmtime::Error| format!("{e:#}");
        let mut why = String::new();
        for (engine, metered) in self.engines.iter().zip([false, true]) {
            let engine = engine.as_ref().map_err(Clone::clone)?;
            let again = file.try_clone().map_err(|e| e.to_string())?;
            let module = match artifact::load(engine, again) {
                Ok(module) => module,
                // Made with the other setting.
                Err(e) => {
                    why = text(e);
                    continue;
                }
            };
            let mut linker = Linker::new(engine);
            wasi::link(&mut linker, &module).map_err(text)?;
            let begin = linker.instantiate_pre(&module).map_err(text)?;
            // What a thread sets up at its first entry is inherited by every job.
            wasmtime::Engine::tls_eager_initialize();
            return Ok(Loaded {
                begin,
                engine: engine.clone(),
                metered,
            });
        }
        Err(why)
    }

    fn run(&self, loaded: &Loaded, mut task: Task, mut results: Results) {
        for secret in std::mem::take(&mut task.secrets) {
            match str::from_utf8(&secret.bytes) {
                Ok(text) if !text.contains('\0') => {
                    task.environment.push(format!("{}={text}", secret.name));
                }
                _ => {
                    let why = format!("{secret:?} is no text, as variables of an environment are");
                    return results.end(&Said::Refused(why));
                }
            }
        }
        let (fuel, files) = (task.fuel, std::mem::take(&mut task.files));
        // The process ends next, which gives back all at once what the store would give back piece by piece.
        let mut store = ManuallyDrop::new(Store::new(&loaded.engine, State::new(task, results)));
        store.limiter(|state| state);
        let said = match store.data_mut().place(files) {
            Err(said) => said,
            Ok(()) => match loaded.call(&mut store, fuel) {
                Ok(()) => Said::Exit(0),
                Err(error) => said(&error),
            },
        };
        store.data_mut().end(&said);
    }
}

impl Loaded {
    fn call(&self, store: &mut Store<State>, fuel: Option<u64>) -> wasmtime::Result<()> {
        if self.metered {
            store.set_fuel(fuel.unwrap_or(u64::MAX))?;
        }
        let instance = self.begin.instantiate(&mut *store)?;
        let start = instance.get_typed_func::<(), ()>(&mut *store, "_start")?;
        start.call(store, ())
    }
}

/// An error of the engine as a last word.
fn said(error: &wasmtime::Error) -> Said {
    if let Some(Exit(code)) = error.downcast_ref() {
        return Said::Exit(*code);
    }
    if error.downcast_ref::<OverMemory>().is_some() {
        return Said::OverMemory;
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => Said::OverFuel,
        Some(trap) => Said::Trap(trap.to_string()),
        None => Said::Refused(format!("{error:#}")),
    }
}

/// The job asked for more memory than it may have.
#[derive(Debug)]
struct OverMemory;

impl fmt::Display for OverMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("over its limit of memory")
    }
}

impl std::error::Error for OverMemory {}

impl State {
    /// Whether a memory or a table may grow by so many bytes. Beyond what its own type allows nothing grows, and the module is
    /// told so, as the language says: then nothing of its limit is used.
    fn grows(&mut self, bytes: usize, allowed: bool) -> wasmtime::Result<bool> {
        if !allowed {
            return Ok(false);
        }
        match self.room.take(u64::try_from(bytes).unwrap_or(u64::MAX)) {
            true => Ok(true),
            false => Err(OverMemory.into()),
        }
    }
}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        self.grows(more, maximum.is_none_or(|most| desired <= most))
    }

    /// What was let grow, and this machine has no memory for. Told of that, the module could do something else than on
    /// another machine.
    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        Err(OverMemory.into())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current).saturating_mul(ELEMENT);
        self.grows(more, maximum.is_none_or(|most| desired <= most))
    }
}
