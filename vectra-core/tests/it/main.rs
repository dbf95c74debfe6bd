//! The crate as others see it.

mod crash_safety;
mod determinism;
