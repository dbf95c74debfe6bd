//! The engine against models, power cuts, faults and damage, on a simulated disk and on a real one.
#![allow(clippy::disallowed_methods, reason = "what tests do to files, threads and processes is theirs")]

mod api;
mod backup;
mod bulk;
mod checkpoint;
mod concurrent;
mod corpus;
mod crash;
mod evidence;
mod fallback;
mod faults;
mod flips;
mod forge;
mod full_disk;
mod hostile;
mod kill;
mod lanes;
mod lies;
mod maintain;
mod meddle;
mod model;
mod mutants;
mod reader_process;
mod readers;
mod real;
mod recall;
mod refuse;
mod regressions;
mod salvage;
mod sites;
mod slice;
mod small;
mod spill;
mod verified;
mod vouch;
mod world;
