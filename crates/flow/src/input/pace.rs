//! Playing at the media's own speed.

use beamline_io::Cancel;
use beamline_media::Clock;
use std::sync::Arc;

/// Later than this, playing goes on from now instead of running after the time that was lost.
const LATE_US: i64 = 500_000;

/// Tells when a timestamp is due.
#[derive(Debug)]
pub(crate) struct Pacer {
    clock: Arc<dyn Clock>,
    /// (time of the clock, timestamp) that belong together.
    anchor: Option<(i64, i64)>,
}

impl Pacer {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Pacer { clock, anchor: None }
    }

    /// Sleeps until `timestamp_us` is due. False when cancelled.
    pub(crate) fn wait_for(&mut self, timestamp_us: i64, cancel: &Cancel, gone: &dyn Fn() -> bool) -> bool {
        let now = self.clock.now_us();
        let due = match self.anchor {
            Some((at, first)) if now - (at + timestamp_us - first) <= LATE_US => at + timestamp_us - first,
            _ => {
                self.anchor = Some((now, timestamp_us));
                now
            }
        };
        self.clock.sleep_until(due, &|| cancel.is_cancelled() || gone())
    }
}
