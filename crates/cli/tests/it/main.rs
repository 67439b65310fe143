//! The command as a user runs it.

mod audit;
mod filters;
mod hostile;
mod images;
mod late;
mod phases;
mod place;
mod run;
mod scan;
