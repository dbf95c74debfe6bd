//! Integration tests of the log.

#[cfg(not(loom))]
mod world;

#[cfg(not(loom))]
mod conformance;
#[cfg(not(loom))]
mod crash;
#[cfg(not(loom))]
mod damage;
#[cfg(not(loom))]
mod faults;
#[cfg(not(loom))]
mod follow;
#[cfg(not(loom))]
mod group;
#[cfg(loom)]
mod interleavings;
#[cfg(not(loom))]
mod layout;
#[cfg(not(loom))]
mod marks;
#[cfg(not(loom))]
mod regressions;
#[cfg(not(loom))]
mod salvage;
#[cfg(not(loom))]
mod seals;
#[cfg(not(loom))]
mod syncs;
