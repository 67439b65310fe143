//! The command as a user runs it.

mod audit;
mod confinement;
mod diagnosis;
mod filters;
#[cfg(target_arch = "x86_64")]
mod foreign;
mod hostile;
mod images;
#[cfg(feature = "wasm")]
mod job;
#[cfg(feature = "wasm")]
mod job_files;
#[cfg(feature = "host")]
mod job_programs;
#[cfg(feature = "wasm")]
mod job_user;
mod late;
mod phases;
mod place;
mod profiles;
mod reader;
mod record;
mod run;
mod scan;
mod schema;
