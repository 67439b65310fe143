//! The cache of scan results and proved filters: what it is keyed by, and when it is believed.
//!
//! ```text
//! request ──memo──▶ closure ──scan──▶ SyscallSet
//!                             filter─▶ BPF with a placeholder (proved again by who uses it)
//! ```
//! - A *memo* belongs to a request (program, environment of the loader, plugins, root). It lists
//!   every path that the analysis looked at, found or not, with what it found; when all of that
//!   still holds, the memo names the closure.
//! - A *scan* belongs to a closure: the contents of its objects, the analyser, and everything that
//!   the request says. A *brief* is the same without evidence (sites, arguments, ways), which is most of it.
//!
//! A second start therefore reads three small files and compares times, sizes and inodes. Whatever
//! is wrong with the cache (no directory, a foreign owner, a corrupt entry) only makes it useless.

pub(crate) mod codec;
pub(crate) mod memo;
pub(crate) mod store;
