//! Starts a program behind its filter and gives a verdict.
//!
//! [`Spec`] says what is wanted, [`Plan`] what will be done (pure data, printable), a child does
//! it, and [`launch`] gives the [`Verdict`]. The launch exec is `execveat` on the descriptor that
//! was opened and hashed, with a secret in the sixth register that only this start's filter knows
//! ([`ArmedFilter`]); so the filter that is loaded before it can deny every other exec.
//!
//! Who follows the program while it runs is an [`Observer`]; it is the tracer of every task.
//!
//! A process that does nothing but start one program calls [`launch`]. One that has other things to do starts them
//! by a [`Command`] each, or has sandboxes ready in a [`Pool`]; one that makes its own plans follows each from a thread
//! of its own with [`launch_embedded`].

mod attempt;
mod bounds;
mod breakout;
mod breakout_table;
mod canonical;
mod cgroup;
mod child;
mod clocks;
mod command;
mod confinement;
mod descriptors;
mod error;
mod features;
mod filter;
mod handed;
mod help;
mod identity;
mod init;
mod job;
mod launch;
mod layer;
mod limits;
mod mapped;
mod modules;
mod objection;
mod own_ids;
mod places_table;
mod plan;
mod pool;
mod proof;
mod reader;
mod relay;
mod rules;
mod secret;
mod sockets;
mod standard;
mod started;
mod subids;
mod trees;
mod users;
mod verdict;
mod view;
mod watchdog;
mod witness;

pub use breakout::{Answer, Came, Filtered, Stage, Tried, prove, prove_embedded};
pub use breakout_table::Attempt;
pub use cgroup::{Counted, Forks, Group, Meter, Shortage};
pub use command::{Child, Command};
pub use confinement::{Confinement, Network};
pub use error::Error;
pub use features::Features;
pub use filter::Filter;
pub use identity::{Identity, Program};
pub use job::{Job, Running};
pub use launch::{Followed, Observer, Root, launch, launch_embedded};
pub use layer::LayerName;
pub use limits::{Limits, duration, size};
pub use mapped::{MappedFile, Unlisted};
pub use modules::{Directory, Module, Modules};
pub use objection::{Objection, Wish};
pub use plan::{Mode, Plan, Spec};
pub use pool::Pool;
pub use reader::only_read;
pub use secret::{ArmedFilter, Cookie};
pub use standard::Stdio;
pub use started::{Last, rehearse, rehearse_embedded};
pub use verdict::{Layer, Missing, Outcome, Reached, Usage, Verdict};
pub use view::Shown;
