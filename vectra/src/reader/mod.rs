//! Reading beside a writer in another process: pins, and what follows the writer's commits and log.

mod pin;
mod process;
mod view;

pub(crate) use pin::{BothPinned, Pin, pin_both, pin_generation, pins_held};
pub use process::Reader;
