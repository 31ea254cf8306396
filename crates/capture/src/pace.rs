//! When pictures are due, and memory for them: what every source of ours needs.

use crate::{Error, SourceStats};
use beamline_arena::Wait;
use beamline_io::Cancel;
use beamline_media::{Clock, FrameError, FrameInfo, FrameMut, FramePool, Rational, TIMESTAMP_MAX_US};
use std::sync::Arc;

/// Pictures that a live source keeps for a consumer that is late, as drivers do; beyond, it jumps to the newest.
const QUEUE: u64 = 4;

/// The time table of a source, and its counters.
#[derive(Debug)]
pub(crate) struct Pace {
    clock: Arc<dyn Clock>,
    rate: Rational,
    live: bool,
    /// When picture 0 was due, once known.
    start_us: Option<i64>,
    /// The picture that is due next.
    next: u64,
    /// None is due from here on.
    end: u64,
    stats: SourceStats,
}

impl Pace {
    pub(crate) fn new(clock: Arc<dyn Clock>, rate: Rational, live: bool, end: Option<u64>) -> Self {
        // The last picture whose timestamp JavaScript can hold: only rates of one picture in years ever come there.
        let last = TIMESTAMP_MAX_US as u128 * u128::from(rate.num) / (1_000_000 * u128::from(rate.den));
        Pace {
            clock,
            rate,
            live,
            start_us: None,
            next: 0,
            end: end.unwrap_or(u64::MAX).min(u64::try_from(last).unwrap_or(u64::MAX)),
            stats: SourceStats::default(),
        }
    }

    pub(crate) fn live(&self) -> bool {
        self.live
    }

    pub(crate) fn rate(&self) -> Rational {
        self.rate
    }

    pub(crate) fn stats(&self) -> SourceStats {
        self.stats
    }

    /// Waits until a picture is due and gives its number; `None` when none will be. The number stays due until [`Pace::done`].
    pub(crate) fn wait(&mut self, cancel: &Cancel) -> Result<Option<u64>, Error> {
        cancel.check()?;
        if self.next >= self.end {
            return Ok(None);
        }
        if !self.live {
            return Ok(Some(self.next));
        }
        let clock = Arc::clone(&self.clock);
        let start = *self.start_us.get_or_insert_with(|| clock.now_us());
        if !clock.sleep_until(start + self.rate.nth_us(self.next), &|| cancel.is_cancelled()) {
            return Err(Error::Cancelled);
        }
        self.catch_up(clock.now_us() - start);
        Ok((self.next < self.end).then_some(self.next))
    }

    /// Leaves out what a driver's queue would have lost by `elapsed_us`.
    fn catch_up(&mut self, elapsed_us: i64) {
        let newest = (elapsed_us.max(0) as u128 * u128::from(self.rate.num)) / (1_000_000 * u128::from(self.rate.den));
        let newest = u64::try_from(newest).unwrap_or(u64::MAX).min(self.end);
        if newest > self.next.saturating_add(QUEUE) {
            self.stats.dropped += newest - self.next;
            self.next = newest;
        }
    }

    /// Picture `n` by the clock: when it was due.
    pub(crate) fn due_us(&self, n: u64) -> i64 {
        self.start_us.unwrap_or(0) + self.rate.nth_us(n)
    }

    /// Picture `n` by its number alone.
    pub(crate) fn nth_us(&self, n: u64) -> i64 {
        self.rate.nth_us(n)
    }

    /// How long picture `n` lasts: up to the next, so that durations add up.
    pub(crate) fn duration_us(&self, n: u64) -> i64 {
        self.rate.nth_us(n + 1) - self.rate.nth_us(n)
    }

    /// The picture was given out.
    pub(crate) fn done(&mut self) {
        self.next += 1;
        self.stats.captured += 1;
    }

    /// There are no more pictures.
    pub(crate) fn finish(&mut self) {
        self.end = self.next;
    }

    /// The picture was lost.
    fn lost(&mut self) {
        self.next += 1;
        self.stats.dropped += 1;
    }

    /// An empty frame for the picture that is due. Waits for a slot, or when live grows up to the budget and then gives `None`: the
    /// picture is lost.
    pub(crate) fn slot(
        &mut self,
        pool: &Arc<FramePool>,
        info: FrameInfo,
        cancel: &Cancel,
    ) -> Result<Option<FrameMut>, Error> {
        if !self.live {
            return wait_for_slot(pool, info, cancel).map(Some);
        }
        match pool.acquire(info, Wait::Grow) {
            Ok(frame) => Ok(Some(frame)),
            Err(FrameError::Memory(e)) if is_full(&e) && self.stats.captured > 0 => {
                self.lost();
                Ok(None)
            }
            Err(e) => Err(e.into()),
        }
    }
}

fn is_full(error: &beamline_arena::Error) -> bool {
    use beamline_arena::Error as E;
    matches!(error, E::Empty { .. } | E::Budget { .. })
}

fn wait_for_slot(pool: &Arc<FramePool>, info: FrameInfo, cancel: &Cancel) -> Result<FrameMut, Error> {
    match pool.acquire(info, Wait::Never) {
        // The first ones may be on their way back from others.
        Err(FrameError::Memory(error)) if is_full(&error) => {}
        other => return Ok(other?),
    }
    let woken = Arc::clone(pool);
    let _hook = cancel.on_cancel(move || woken.interrupt());
    let wait = Wait::Until {
        deadline: None,
        cancelled: &|| cancel.is_cancelled(),
    };
    match pool.acquire(info, wait) {
        Err(FrameError::Memory(beamline_arena::Error::Cancelled)) => Err(Error::Cancelled),
        other => Ok(other?),
    }
}
