//! Loading and linking, from the outside: the machine's own programs, and files that lie.

#[path = "load/binding.rs"]
mod binding;
#[path = "load/closure.rs"]
mod closure;
#[path = "load/copy.rs"]
mod copy;
#[path = "load/elf.rs"]
mod elf;
#[path = "load/hostile.rs"]
mod hostile;
#[path = "load/search.rs"]
mod search;
#[path = "load/stripped.rs"]
mod stripped;
