//! Time that moves when a test says so.

use beamline_media::Clock;
use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How often a sleeper looks whether it is interrupted.
const LOOK: Duration = Duration::from_millis(10);

/// A clock that stands still until [`TestClock::advance`], or one that jumps to wherever somebody wants to sleep to.
#[derive(Debug)]
pub struct TestClock {
    now_us: Mutex<i64>,
    moved: Condvar,
    jumps: bool,
}

impl TestClock {
    /// Stands at 0 until it is moved.
    #[must_use]
    pub fn manual() -> Self {
        TestClock {
            now_us: Mutex::new(0),
            moved: Condvar::new(),
            jumps: false,
        }
    }

    /// Begins at 0; every sleep ends at once with the clock at its end.
    #[must_use]
    pub fn jumping() -> Self {
        TestClock {
            jumps: true,
            ..TestClock::manual()
        }
    }

    /// Moves it on by `us` µs and wakes those who sleep.
    pub fn advance(&self, us: i64) {
        *self.lock() += us;
        self.moved.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, i64> {
        self.now_us.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for TestClock {
    fn now_us(&self) -> i64 {
        *self.lock()
    }

    fn sleep_until(&self, at_us: i64, interrupted: &dyn Fn() -> bool) -> bool {
        let mut now = self.lock();
        loop {
            if interrupted() {
                return false;
            }
            if self.jumps {
                *now = at_us.max(*now);
            }
            if *now >= at_us {
                return true;
            }
            now = match self.moved.wait_timeout(now, LOOK) {
                Ok((now, _)) => now,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = Arc::new(TestClock::manual());
        let sleeper = {
            let clock = Arc::clone(&clock);
            std::thread::spawn(move || clock.sleep_until(1000, &|| false))
        };
        clock.advance(999);
        std::thread::sleep(Duration::from_millis(30));
        assert!(!sleeper.is_finished());
        clock.advance(1);
        assert!(sleeper.join().unwrap());
        assert!(!clock.sleep_until(2000, &|| true));
    }

    #[test]
    fn a_jumping_clock_never_steps_back() {
        let clock = TestClock::jumping();
        assert!(clock.sleep_until(500, &|| false));
        assert!(clock.sleep_until(100, &|| false));
        assert_eq!(clock.now_us(), 500);
    }
}
