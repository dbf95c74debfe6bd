//! Material for tests of this and other crates: conformance suites for the seams, seeded data, an exact oracle.
//!
//! Only with the feature `testing`.

#![allow(clippy::missing_panics_doc, reason = "conformance suites report by panicking")]

mod values;

pub mod env;
pub mod fs;
pub mod oracle;
pub mod stores;

pub use values::any_value;
