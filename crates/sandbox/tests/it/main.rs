//! Real processes behind real filters, made by hand instruction by instruction.

mod breakout;
mod command;
mod confined;
mod denial;
mod diagnosis;
mod endurance;
mod faults;
mod files;
mod filter;
mod following;
mod harness;
mod launcher;
mod observe;
mod pool;
mod ports;
mod start;
