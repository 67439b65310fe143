//! Foreign forms that are texts: what is read means what their tools make of it, and what is written
//! is read back.

#[path = "text/cases.rs"]
mod cases;
#[path = "text/fuzz.rs"]
mod fuzz;
#[path = "text/round_trip.rs"]
mod round_trip;
