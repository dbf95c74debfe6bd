//! How far a long piece of work has come, told to whoever wants to know.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// How far a piece of work has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes dealt with.
    pub done: u64,
    /// Bytes there are to deal with, as far as that is known.
    pub total: u64,
}

/// Somebody who is told how far long work has come; nobody by default.
#[derive(Clone, Copy, Default)]
pub struct Watch<'a>(Option<&'a (dyn Fn(Progress) + Sync)>);

impl<'a> Watch<'a> {
    /// Calls `tell` now and then, on the thread that does the work; it should return soon.
    pub fn new(tell: &'a (dyn Fn(Progress) + Sync)) -> Self {
        Self(Some(tell))
    }
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Watch(somebody)" } else { "Watch(nobody)" })
    }
}

/// Counts for a [`Watch`].
#[derive(Debug)]
pub(crate) struct Meter<'a> {
    watch: Watch<'a>,
    done: AtomicU64,
    total: u64,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(watch: Watch<'a>, total: u64) -> Self {
        Self { watch, done: AtomicU64::new(0), total }
    }

    /// So many bytes more are done.
    pub(crate) fn add(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed).wrapping_add(bytes);
        if let Some(tell) = self.watch.0 {
            tell(Progress { done, total: self.total.max(done) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_is_told_the_sum() {
        let last = AtomicU64::new(0);
        let tell = |progress: Progress| {
            assert!(progress.done <= progress.total);
            last.store(progress.done, Ordering::Relaxed);
        };
        let meter = Meter::new(Watch::new(&tell), 5);
        meter.add(3);
        meter.add(4);
        assert_eq!(last.load(Ordering::Relaxed), 7);
        Meter::new(Watch::default(), 0).add(1);
    }
}
