//! Workers and their jobs from outside: jobs of a program that does what it is told, behind the filters of the real
//! engine.

mod clocks;
mod exec;
mod faults;
mod functions;
mod groups;
mod ids;
mod jobs;
mod killed;
mod pool;
mod puppet;
mod recorded;
mod soak;
mod starts;
mod taken;
