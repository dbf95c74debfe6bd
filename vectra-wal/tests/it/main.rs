//! Integration tests of the log.

mod world;

mod conformance;
mod crash;
mod damage;
mod faults;
mod follow;
mod group;
mod layout;
mod marks;
mod regressions;
mod salvage;
mod syncs;
