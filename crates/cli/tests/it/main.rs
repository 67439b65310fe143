//! The command as a user runs it.

mod hostile;
mod late;
mod place;
mod run;
mod scan;
