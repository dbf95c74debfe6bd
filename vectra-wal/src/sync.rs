//! Locks and sleep: `parking_lot`'s and the standard library's, or under `cfg(loom)` loom's, so that a model can try every
//! order in which threads come by.

#[cfg(not(loom))]
pub(crate) use parking_lot::{Mutex, MutexGuard};
/// A lock with a bell that wakes all sleepers in one call to the system; `parking_lot`'s wakes them one by one.
#[cfg(not(loom))]
pub(crate) use std::{
    sync::{Condvar as Bell, Mutex as Shared},
    thread::yield_now,
};

#[cfg(loom)]
pub(crate) use loom::{
    sync::{Condvar as Bell, Mutex as Shared},
    thread::yield_now,
};
#[cfg(loom)]
pub(crate) use modelled::{Mutex, MutexGuard};

#[cfg(loom)]
mod modelled {
    pub(crate) use loom::sync::MutexGuard;

    /// loom's lock, without poisoning.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(content: T) -> Self {
            Self(loom::sync::Mutex::new(content))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("a model with a panic ends there")
        }
    }
}
