//! One timeline: whole microseconds, on CLOCK_MONOTONIC for what is captured. No timestamp is `None`, never 0.

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use std::{fmt, time::Duration};

/// The largest timestamp that JavaScript can hold exactly, in µs (2^53 − 1: some 285 years).
pub const TIMESTAMP_MAX_US: i64 = (1 << 53) - 1;

/// A fraction: frame rates, time bases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Rational {
    /// Numerator.
    pub num: u32,
    /// Denominator, not 0.
    pub den: u32,
}

impl Rational {
    /// 1/1.
    pub const ONE: Self = Rational { num: 1, den: 1 };

    /// `num / den`; `None` for a denominator of 0.
    #[must_use]
    pub const fn new(num: u32, den: u32) -> Option<Self> {
        if den == 0 { None } else { Some(Rational { num, den }) }
    }

    /// The fraction of two numbers in lowest terms; where those do not fit into 31 bits (FFmpeg's and MP4's), the nearest that does.
    /// `None` when either is 0.
    #[must_use]
    pub fn reduced(num: u128, den: u128) -> Option<Self> {
        if num == 0 || den == 0 {
            return None;
        }
        let (mut a, mut b) = (num, den);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let (num, den) = (num / a, den / a);
        let most = num.max(den);
        let shift = (128 - most.leading_zeros()).saturating_sub(31);
        let fit = |n: u128| u32::try_from(n >> shift).unwrap_or(u32::MAX).max(1);
        Some(Rational {
            num: fit(num),
            den: fit(den),
        })
    }

    /// The nearest fraction to a rate: whole rates, the NTSC family (n·1000/1001) and thousandths are exact.
    #[must_use]
    pub fn from_rate(rate: f64) -> Option<Self> {
        if !(rate.is_finite() && rate > 0.0 && rate <= 1_000_000.0) {
            return None;
        }
        let whole = rate.round();
        if (rate - whole).abs() < 1e-9 {
            return Self::new(whole as u32, 1);
        }
        let ntsc = (rate * 1001.0 / 1000.0).round();
        if (rate - ntsc * 1000.0 / 1001.0).abs() < 1e-3 {
            return Self::new(ntsc as u32 * 1000, 1001);
        }
        Self::new((rate * 1000.0).round().min(f64::from(u32::MAX)) as u32, 1000).filter(|r| r.num > 0)
    }

    /// As a number.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }

    /// When frame `n` of this rate is due, in µs, without drift.
    #[must_use]
    pub fn nth_us(self, n: u64) -> i64 {
        (u128::from(n) * 1_000_000 * u128::from(self.den) / u128::from(self.num.max(1))) as i64
    }
}

impl fmt::Display for Rational {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.den == 1 {
            write!(f, "{}", self.num)
        } else {
            write!(f, "{}/{}", self.num, self.den)
        }
    }
}

/// Where time comes from, so that tests own it.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Now, in µs of a clock that never steps back.
    fn now_us(&self) -> i64;

    /// Sleeps until `at_us`, or until `interrupted` turns true (looked at least every 20 ms). True when the time was reached.
    fn sleep_until(&self, at_us: i64, interrupted: &dyn Fn() -> bool) -> bool;
}

/// CLOCK_MONOTONIC, which is one for all processes of the machine: 0 is about when it started.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_us(&self) -> i64 {
        let now = clock_gettime(ClockId::Monotonic);
        now.tv_sec * 1_000_000 + now.tv_nsec / 1000
    }

    fn sleep_until(&self, at_us: i64, interrupted: &dyn Fn() -> bool) -> bool {
        loop {
            if interrupted() {
                return false;
            }
            let left = at_us - self.now_us();
            if left <= 0 {
                return true;
            }
            std::thread::sleep(Duration::from_micros(left.min(20_000) as u64));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_become_the_fractions_people_mean() {
        assert_eq!(Rational::from_rate(25.0), Rational::new(25, 1));
        assert_eq!(Rational::from_rate(29.97), Rational::new(30000, 1001));
        assert_eq!(Rational::from_rate(23.976), Rational::new(24000, 1001));
        assert_eq!(Rational::from_rate(12.5), Rational::new(12500, 1000));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
            assert_eq!(Rational::from_rate(bad), None, "{bad}");
        }
    }

    #[test]
    fn fractions_are_reduced_and_always_fit() {
        assert_eq!(Rational::reduced(720 * 16, 576 * 11), Rational::new(20, 11));
        assert_eq!(Rational::reduced(7, 7), Some(Rational::ONE));
        assert_eq!(Rational::reduced(0, 1), None);
        assert_eq!(Rational::reduced(1, 0), None);
        let huge = Rational::reduced(u128::MAX, 3 << 100).unwrap();
        assert!(huge.num <= i32::MAX as u32 && huge.den >= 1, "{huge:?}");
        let tiny = Rational::reduced(1, u128::MAX).unwrap();
        assert_eq!((tiny.num, tiny.den), (1, i32::MAX as u32));
    }

    #[test]
    fn the_system_clock_is_the_kernels_monotonic_one() {
        let kernel_us = || {
            let now = clock_gettime(ClockId::Monotonic);
            i64::try_from(Duration::new(now.tv_sec as u64, now.tv_nsec as u32).as_micros()).unwrap()
        };
        let (before, now, after) = (kernel_us(), SystemClock.now_us(), kernel_us());
        assert!(before <= now && now <= after, "{before} ≤ {now} ≤ {after}");
        assert!(SystemClock.sleep_until(now + 2000, &|| false));
        assert!(SystemClock.now_us() >= now + 2000);
        assert!(!SystemClock.sleep_until(i64::MAX, &|| true));
    }

    #[test]
    fn frame_times_do_not_drift() {
        let ntsc = Rational { num: 30000, den: 1001 };
        assert_eq!(ntsc.nth_us(30_000), 1_001_000_000);
    }
}
