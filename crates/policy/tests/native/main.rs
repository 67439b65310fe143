//! The native form: what is written reads back, edits keep what they do not change, and what is
//! wrong is said with its place.

mod edits;
mod manual;
mod meaning;
mod mistakes;
mod model;
mod round_trip;
