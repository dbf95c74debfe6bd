//! Time.

#![allow(
    clippy::disallowed_methods,
    reason = "this is the one place that may ask the operating system for the time"
)]

use std::fmt::Debug;
use std::time::Duration;

#[cfg(any(test, feature = "testing"))]
pub use sim::SimClock;

/// Tells the time.
pub trait Clock: Debug + Send + Sync {
    /// Monotonic time since an arbitrary start.
    fn now(&self) -> Duration;

    /// Milliseconds since 1970-01-01 UTC; may jump in either direction.
    fn unix_ms(&self) -> u64;
}

/// The operating system's clocks.
///
/// On `wasm32-unknown-unknown` there is none to ask: there both times stand at zero, and an embedder that needs time
/// brings his own [`Clock`].
#[derive(Debug, Clone, Copy)]
pub struct OsClock {
    #[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
    start: std::time::Instant,
}

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
impl OsClock {
    /// A clock whose monotonic time starts now.
    pub fn new() -> Self {
        Self { start: std::time::Instant::now() }
    }
}

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
impl Clock for OsClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn unix_ms(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
    }
}

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
impl OsClock {
    /// A clock that stands still.
    pub fn new() -> Self {
        Self {}
    }
}

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
impl Clock for OsClock {
    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn unix_ms(&self) -> u64 {
        0
    }
}

impl Default for OsClock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(any(test, feature = "testing"))]
mod sim {
    use std::time::Duration;

    use parking_lot::Mutex;

    use super::Clock;
    use crate::env::rng::mix;

    /// A clock that moves only when told to, for tests.
    #[derive(Debug)]
    pub struct SimClock {
        time: Mutex<Time>,
    }

    #[derive(Debug)]
    struct Time {
        now: Duration,
        unix: Duration,
    }

    impl SimClock {
        /// A clock that starts at moments decided by `seed`: up to an hour after the monotonic start, and somewhere in
        /// the 2020s.
        pub fn new(seed: u64) -> Self {
            let year_2020 = Duration::from_hours(438_288);
            let now = Duration::from_millis(mix(seed) % 3_600_000);
            let unix = year_2020 + Duration::from_millis(mix(seed ^ 1) % (9 * 365 * 24 * 3_600_000));
            Self { time: Mutex::new(Time { now, unix }) }
        }

        /// Moves both times forward.
        pub fn advance(&self, by: Duration) {
            let mut time = self.time.lock();
            time.now += by;
            time.unix += by;
        }

        /// Moves the monotonic time forward to `to`, if that is in the future, and the time of day by as much.
        pub fn advance_to(&self, to: Duration) {
            let mut time = self.time.lock();
            let by = to.saturating_sub(time.now);
            time.now += by;
            time.unix += by;
        }

        /// Sets the time of day alone, as an administrator or NTP would.
        pub fn jump_unix_ms(&self, unix_ms: u64) {
            self.time.lock().unix = Duration::from_millis(unix_ms);
        }
    }

    impl Clock for SimClock {
        fn now(&self) -> Duration {
            self.time.lock().now
        }

        fn unix_ms(&self) -> u64 {
            u64::try_from(self.time.lock().unix.as_millis()).unwrap_or(u64::MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::env::clock_conformance;

    #[test]
    fn both_conform() {
        clock_conformance(&OsClock::new());
        clock_conformance(&SimClock::new(7));
    }

    #[test]
    fn the_simulated_clock_moves_only_when_told() {
        let clock = SimClock::new(1);
        let (now, unix) = (clock.now(), clock.unix_ms());
        assert_eq!((clock.now(), clock.unix_ms()), (now, unix));
        clock.advance(Duration::from_millis(1500));
        assert_eq!((clock.now(), clock.unix_ms()), (now + Duration::from_millis(1500), unix + 1500));
        clock.advance_to(now);
        assert_eq!(clock.now(), now + Duration::from_millis(1500), "never back");
        clock.advance_to(now + Duration::from_secs(2));
        assert_eq!((clock.now(), clock.unix_ms()), (now + Duration::from_secs(2), unix + 2000));
        clock.jump_unix_ms(5);
        assert_eq!((clock.now(), clock.unix_ms()), (now + Duration::from_secs(2), 5));
    }

    #[test]
    fn seeds_decide_the_start() {
        assert_eq!(SimClock::new(3).now(), SimClock::new(3).now());
        assert_ne!(SimClock::new(3).unix_ms(), SimClock::new(4).unix_ms());
    }

    #[test]
    fn the_operating_system_knows_that_2020_is_over() {
        assert!(OsClock::new().unix_ms() > 1_577_836_800_000);
    }
}
