//! Properties of parts and stores, seen from outside.

mod conformance;
mod crash;
mod damage;
mod file_section;
mod forged;
mod lazy;
mod mapped;
mod material;
mod owned;
mod probe;
mod remote;
mod remote_sweep;
mod round_trip;
mod tiered;
mod tiered_crash;
mod write_faults;
