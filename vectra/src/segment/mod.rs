//! Where rows rest: mutable and frozen in memory, sealed in parts.

pub(crate) mod build;
pub(crate) mod calibrate;
pub(crate) mod calibration;
pub(crate) mod codes;
pub(crate) mod exact;
pub(crate) mod ids;
pub(crate) mod index;
pub(crate) mod ledger;
pub(crate) mod mutable;
pub(crate) mod open;
pub(crate) mod overlay;
pub(crate) mod schema;
pub(crate) mod sealed;
pub(crate) mod sections;
pub(crate) mod tombstones;
pub(crate) mod truth;
