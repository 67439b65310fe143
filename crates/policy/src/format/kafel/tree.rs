//! What the text of a policy says, before names mean anything.

use std::collections::BTreeMap;

use super::super::token::Spot;
use crate::{Action, Remark};

/// A whole policy.
#[derive(Debug, Default)]
pub(super) struct Program {
    /// Policies that others use, in the order in which they are defined.
    pub(super) policies: Vec<(String, Vec<Entry>)>,
    /// What stands outside of them.
    pub(super) main: Vec<Entry>,
    /// What `DEFAULT` says.
    pub(super) default: Option<Action>,
    /// `#define`.
    pub(super) constants: BTreeMap<String, u64>,
    /// What a reader should know.
    pub(super) remarks: Vec<Remark>,
}

/// A part of a policy.
#[derive(Debug)]
pub(super) enum Entry {
    /// The place of the policy that is used.
    Use(usize),
    /// Calls and the answer to them.
    Block(Action, Vec<Call>),
}

/// One call of a block.
#[derive(Debug)]
pub(super) struct Call {
    /// Which.
    pub(super) name: Name,
    /// What its arguments are called, when the policy says it.
    pub(super) arguments: Option<Vec<String>>,
    /// For which architectures it is meant; all when none are named.
    pub(super) only_on: Vec<String>,
    /// What is asked of the arguments.
    pub(super) expression: Option<Expression>,
    /// All of it.
    pub(super) spot: Spot,
}

/// How a call is named.
#[derive(Debug)]
pub(super) enum Name {
    /// By its name.
    Known(String),
    /// By its number.
    Number(u32),
}

/// A statement about arguments.
#[derive(Debug)]
pub(super) enum Expression {
    /// One of these.
    Any(Vec<Expression>),
    /// All of these.
    All(Vec<Expression>),
    /// The opposite.
    Not(Box<Expression>),
    /// A comparison.
    Compare(Value, &'static str, Value, Spot),
}

/// A side of a comparison.
#[derive(Debug)]
pub(super) enum Value {
    /// A number.
    Number(u64),
    /// An argument.
    Argument(String, Spot),
    /// `&` or `|` of two.
    Joined(&'static str, Box<Value>, Box<Value>),
}
