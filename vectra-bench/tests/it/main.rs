//! The program from end to end, on small sets.

#![allow(clippy::disallowed_methods, reason = "tests run the program on real files")]

mod ann;
mod generate;
mod refusals;
mod set;
mod throughput;
mod upkeep;
