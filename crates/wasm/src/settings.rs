//! What preparing and running must agree on; an artifact that was made with other settings is not taken.

use wasmtime::{Config, Result};

/// The settings. With `metered` the code counts steps.
pub(crate) fn settings(metered: bool) -> Result<Config> {
    let mut config = Config::new();
    config.consume_fuel(metered);
    // A job's process has no descriptor that its memory's first content could be mapped from: it is copied.
    config.memory_init_cow(false);
    // The same bytes on every processor.
    #[cfg(feature = "prepare")]
    config.cranelift_nan_canonicalization(true);
    config.relaxed_simd_deterministic(true);
    // Whoever counts steps has to come to the same end as others. How many calls fit into each other is up to the code, so
    // that has to be the same: for the architecture, and not for what this processor has beyond it.
    #[cfg(feature = "prepare")]
    if metered {
        config.target(&format!("{}-unknown-linux-gnu", std::env::consts::ARCH))?;
    }
    Ok(config)
}
