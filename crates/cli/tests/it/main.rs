//! The command as a user runs it.

mod hostile;
mod place;
mod run;
mod scan;
