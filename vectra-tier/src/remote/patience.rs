//! How long to go on with a store that fails.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use vectra_core::env::Rng;

/// How requests to an object store are made and tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How often one thing is tried before it is given up; at least 1.
    pub attempts: u32,
    /// The pause before the second attempt; each later one is twice as long, and a random part of it is left out.
    pub pause_first: Duration,
    /// The longest pause.
    pub pause_max: Duration,
    /// How long a request may take, in addition to a second for each MiB that it moves.
    pub request: Duration,
    /// The most bytes that are asked for at once when a part is read; at least 1.
    pub read_bytes: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: 6,
            pause_first: Duration::from_millis(100),
            pause_max: Duration::from_secs(10),
            request: Duration::from_secs(30),
            read_bytes: 4 << 20,
        }
    }
}

impl Patience {
    /// How long a request that moves `bytes` may take.
    pub(super) fn limit(&self, bytes: u64) -> Duration {
        self.request.saturating_add(Duration::from_millis(bytes >> 10))
    }

    /// The pause behind attempt number `attempt` (from 1): between half and all of what is due.
    fn pause(&self, attempt: u32, rng: &dyn Rng) -> Duration {
        let doubled = self.pause_first.saturating_mul(1_u32.checked_shl(attempt - 1).unwrap_or(u32::MAX));
        let due = doubled.min(self.pause_max);
        if due.is_zero() {
            return due;
        }
        due.mul_f64(0.5 + 0.5 * (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64)
    }

    /// Tries until `once` succeeds, says that trying again is no use, or all attempts are made. `once` gets the number
    /// of the attempt, from 1.
    pub(super) fn try_hard<T, E>(
        &self,
        rng: &dyn Rng,
        mut once: impl FnMut(u32) -> Result<T, Miss<E>>,
    ) -> Result<T, E> {
        let mut attempt = 1;
        loop {
            match once(attempt) {
                Ok(done) => return Ok(done),
                Err(Miss::Final(error)) => return Err(error),
                Err(Miss::Again(error)) if attempt >= self.attempts => return Err(error),
                Err(Miss::Again(_)) => rest(self.pause(attempt, rng)),
            }
            attempt += 1;
        }
    }
}

/// A failed attempt.
#[derive(Debug)]
pub(super) enum Miss<E> {
    /// Another attempt may do better.
    Again(E),
    /// No attempt will.
    Final(E),
}

fn rest(pause: Duration) {
    if !pause.is_zero() {
        // Nobody wakes it.
        let (quiet, bell) = (Mutex::new(()), Condvar::new());
        bell.wait_for(&mut quiet.lock(), pause);
    }
}

#[cfg(test)]
mod tests {
    use vectra_core::env::SeededRng;

    use super::*;

    const HASTY: Patience = Patience {
        attempts: 4,
        pause_first: Duration::ZERO,
        pause_max: Duration::ZERO,
        request: Duration::from_secs(1),
        read_bytes: 1,
    };

    #[test]
    fn attempts_are_bounded_and_stop_early_where_they_are_no_use() {
        let rng = SeededRng::new(1);
        let mut made = 0;
        let failed = HASTY.try_hard(&rng, |attempt| {
            made += 1;
            Err::<(), _>(Miss::Again(attempt))
        });
        assert_eq!((failed, made), (Err(4), 4));
        let refused = HASTY.try_hard(&rng, |attempt| Err::<(), _>(Miss::Final(attempt)));
        assert_eq!(refused, Err(1));
        let third = HASTY.try_hard(&rng, |n| if n == 3 { Ok(n) } else { Err(Miss::Again(n)) });
        assert_eq!(third, Ok(3));
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_none_is_for_ever() {
        let (rng, patience) = (SeededRng::new(2), Patience::default());
        for attempt in 1..200 {
            let pause = patience.pause(attempt, &rng);
            let due = Duration::from_millis(100).saturating_mul(1 << (attempt - 1).min(20));
            let due = due.min(patience.pause_max);
            assert!(pause >= due / 2 && pause <= due, "{attempt}: {pause:?}");
        }
        assert_eq!(HASTY.pause(1, &rng), Duration::ZERO);
        assert_eq!(HASTY.limit(10 << 20), Duration::from_millis(1000 + 10 * 1024));
    }
}
