//! What is tried in each environment.

use anyhow::Result;
use portcullis_abi::Arch;

use super::environment::User;
use super::feature::{Features, Need};
use super::initramfs::Files;
use super::step::{Seen, Step};
use super::{
    audited, confined, crate_tests, diagnosis, doctor, features, filters, layers, recorded,
    threads, workers,
};

/// Every suite, in the order of the table's columns.
pub(crate) const SUITES: &[Suite] = &[
    ("features", Scope::Everywhere, features::cases),
    ("filters", Scope::Plain, filters::cases),
    ("threads", Scope::Plain, threads::cases),
    ("confined", Scope::Everywhere, confined::cases),
    ("layers", Scope::Everywhere, layers::cases),
    ("doctor", Scope::Everywhere, doctor::cases),
    ("diagnosis", Scope::Plain, diagnosis::cases),
    ("audited", Scope::Plain, audited::cases),
    ("recorded", Scope::Plain, recorded::cases),
    ("tests", Scope::Everywhere, crate_tests::cases),
    ("workers", Scope::Everywhere, workers::cases),
];

/// A suite: its name, where it is tried, and its cases in an environment; what their steps read is added to
/// the files.
pub(crate) type Suite = (
    &'static str,
    Scope,
    fn(&Environment, &mut Files) -> Result<Vec<Case>>,
);

/// The machines on which a suite is tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scope {
    /// All of them.
    Everywhere,
    /// Those of which nothing is changed: its cases ask for nothing that the changes are about.
    Plain,
}

/// Where cases run.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    /// The kernel's release.
    pub(crate) release: String,
    pub(crate) arch: Arch,
    pub(crate) user: User,
    /// The user's number.
    pub(crate) uid: u32,
    /// Nothing is changed about the machine.
    pub(crate) plain: bool,
    /// The machine is emulated.
    pub(crate) emulated: bool,
    /// What is said to be there. That it is, and nothing else, is the first suite's affair.
    pub(crate) declared: Features,
}

/// One thing that is tried.
pub(crate) struct Case {
    pub(crate) name: String,
    /// Without these it is not tried.
    pub(crate) needs: Vec<Need>,
    pub(crate) step: Step,
    pub(crate) judge: Judge,
}

/// What was compared, counted; or what is wrong.
pub(crate) type Judge = Box<dyn Fn(&Seen) -> Result<usize> + Send>;
