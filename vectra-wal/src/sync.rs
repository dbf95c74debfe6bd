//! Locks: `parking_lot`'s, or under `cfg(loom)` loom's, so that a model can try every order in which threads get them.

#[cfg(not(loom))]
pub(crate) use parking_lot::{Mutex, MutexGuard};

#[cfg(loom)]
pub(crate) use modelled::{Mutex, MutexGuard};

/// Where threads wait for a change of what a [`Mutex`] holds.
#[derive(Debug, Default)]
pub(crate) struct Condvar {
    #[cfg(not(loom))]
    inner: parking_lot::Condvar,
    #[cfg(loom)]
    inner: loom::sync::Condvar,
}

impl Condvar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Gives the lock away, waits for a signal, and takes the lock again.
    #[cfg(not(loom))]
    pub(crate) fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.inner.wait(&mut guard);
        guard
    }

    /// Gives the lock away, waits for a signal, and takes the lock again.
    #[cfg(loom)]
    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.inner.wait(guard).expect("a model with a panic ends there")
    }

    pub(crate) fn notify_all(&self) {
        self.inner.notify_all();
    }
}

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
