//! The tables against independent sources, and against facts written by hand.

mod architectures;
mod arguments;
mod constants;
mod groups;
mod kernel_versions;
mod numbers;
