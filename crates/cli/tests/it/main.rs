//! The command as a user runs it.

mod hostile;
mod late;
mod phases;
mod place;
mod run;
mod scan;
