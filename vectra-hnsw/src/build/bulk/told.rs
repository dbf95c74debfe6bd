//! How far a build is, and whether it goes on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use crate::build::BuildError;

/// Turns work done into rows done.
pub(super) struct Told<'a> {
    rows: u64,
    total: u64,
    done: AtomicU64,
    last: Mutex<u64>,
    stopped: AtomicBool,
    progress: &'a (dyn Fn(u64) -> bool + Sync),
}

impl<'a> Told<'a> {
    /// For `total` work that gives `rows` rows.
    pub(super) fn new(rows: u64, total: u64, progress: &'a (dyn Fn(u64) -> bool + Sync)) -> Self {
        let (done, last, stopped) = (AtomicU64::new(0), Mutex::new(0), AtomicBool::new(false));
        Self { rows, total: total.max(1), done, last, stopped, progress }
    }

    /// Tells of more work done; `None` if the build is to stop.
    pub(super) fn add(&self, work: u64) -> Option<()> {
        let done = self.done.fetch_add(work, Relaxed) + work;
        let rows = u128::from(done) * u128::from(self.rows) / u128::from(self.total);
        // The last row is told at the end.
        self.tell(u64::try_from(rows).map_or(self.rows, |rows| rows.min(self.rows.saturating_sub(1))))
    }

    fn tell(&self, rows: u64) -> Option<()> {
        let mut last = self.last.lock();
        if rows > *last && !self.stopped.load(Relaxed) {
            *last = rows;
            self.stopped.store(!(self.progress)(rows), Relaxed);
        }
        (!self.stopped.load(Relaxed)).then_some(())
    }

    /// Whether the build came to its end.
    pub(super) fn end(&self) -> Result<(), BuildError> {
        match self.tell(self.rows) {
            Some(()) => Ok(()),
            None => Err(BuildError::Stopped(*self.last.lock())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_grows_and_ends_at_the_rows() {
        let heard = Mutex::new(Vec::new());
        let progress = |rows| {
            heard.lock().push(rows);
            true
        };
        let told = Told::new(10, 1000, &progress);
        for work in [50, 49, 1, 0, 500, 399, 5000, u64::from(u32::MAX)] {
            assert_eq!(told.add(work), Some(()));
        }
        assert_eq!(told.end(), Ok(()));
        assert_eq!(*heard.lock(), [1, 6, 9, 10]);
    }

    #[test]
    fn a_stop_is_for_good() {
        let told = Told::new(10, 100, &|rows| rows < 4);
        assert_eq!(told.add(39), Some(()));
        assert_eq!(told.add(10), None);
        assert_eq!(told.add(1), None, "whatever the caller would say now");
        assert_eq!(told.end(), Err(BuildError::Stopped(4)));
        assert_eq!(Told::new(1, 0, &|_| true).end(), Ok(()), "no work at all");
    }
}
