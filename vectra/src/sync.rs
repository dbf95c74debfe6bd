//! Locks and the cell of the newest snapshot: `parking_lot`'s and `arc_swap`'s, or under `cfg(loom)` loom's, so that a
//! model can try every order in which threads get them.

#[cfg(not(loom))]
pub(crate) use arc_swap::ArcSwap;
#[cfg(not(loom))]
pub(crate) use parking_lot::{Mutex, MutexGuard, RwLock};

#[cfg(loom)]
pub(crate) use loom::sync::MutexGuard;
#[cfg(loom)]
pub(crate) use modelled::{ArcSwap, Mutex, RwLock};

#[cfg(loom)]
mod modelled {
    use std::sync::Arc;

    use loom::sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};

    const NO_POISON: &str = "a model with a panic ends there";

    /// loom's lock, without poisoning.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(content: T) -> Self {
            Self(loom::sync::Mutex::new(content))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect(NO_POISON)
        }
    }

    impl<T: Default> Default for Mutex<T> {
        fn default() -> Self {
            Self::new(T::default())
        }
    }

    /// loom's lock, without poisoning.
    #[derive(Debug)]
    pub(crate) struct RwLock<T>(loom::sync::RwLock<T>);

    impl<T> RwLock<T> {
        pub(crate) fn new(content: T) -> Self {
            Self(loom::sync::RwLock::new(content))
        }

        pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
            self.0.read().expect(NO_POISON)
        }

        pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
            self.0.write().expect(NO_POISON)
        }
    }

    /// Stands in for `arc_swap::ArcSwap`, which has no mode for models, with what it promises: `load_full` gives the
    /// current `Arc`, `store` replaces it, each in one step and in one order for everybody. How it does that is not
    /// modelled.
    #[derive(Debug)]
    pub(crate) struct ArcSwap<T>(Mutex<Arc<T>>);

    impl<T> ArcSwap<T> {
        pub(crate) fn from_pointee(content: T) -> Self {
            Self(Mutex::new(Arc::new(content)))
        }

        pub(crate) fn load_full(&self) -> Arc<T> {
            Arc::clone(&self.0.lock())
        }

        pub(crate) fn load(&self) -> Arc<T> {
            self.load_full()
        }

        pub(crate) fn store(&self, next: Arc<T>) {
            *self.0.lock() = next;
        }
    }
}
