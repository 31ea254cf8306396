//! What a source lives on: memory, time, a wish to stop.

use crate::Error;
use beamline_arena::{Arena, PoolConfig};
use beamline_io::Cancel;
use beamline_media::{Clock, FramePool, Layout, PixelFormat, Size, SystemClock};
use std::sync::Arc;

/// Slots of a source's pool unless told otherwise.
const DEFAULT_SLOTS: u32 = 8;
/// Bytes that a source's pool may use unless told otherwise.
const DEFAULT_MAX_BYTES: u64 = 1 << 30;

/// What the opener gives to a source.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where frames are born.
    pub arena: Arena,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Ends the opening; `next` gets one of its own.
    pub cancel: Cancel,
    /// Slots that the source begins with, 1 to 64; fewer when `max_bytes` does not hold them. A source that is not live never
    /// has more: whoever holds them all makes it wait.
    pub slots: u32,
    /// Bytes that the source's frames may use. A live source grows up to it, then drops.
    pub max_bytes: u64,
}

impl Context {
    /// Eight slots, 1 GiB, the system's clock.
    #[must_use]
    pub fn new(arena: Arena) -> Self {
        Context {
            arena,
            clock: Arc::new(SystemClock),
            cancel: Cancel::new(),
            slots: DEFAULT_SLOTS,
            max_bytes: DEFAULT_MAX_BYTES,
        }
    }

    /// A pool for frames of that kind, with as many slots as the budget holds, at most `slots`.
    ///
    /// # Errors
    /// InvalidConfig for an impossible size. A budget too small for one frame shows at the first frame.
    pub fn frame_pool(&self, label: &str, format: PixelFormat, size: Size) -> Result<Arc<FramePool>, Error> {
        let layout = Layout::aligned(format, size)?;
        let pool = FramePool::new(
            &self.arena,
            PoolConfig {
                slots: self.slots,
                max_bytes: self.max_bytes,
                ..PoolConfig::new(label)
            },
        );
        let slot = pool
            .pool()
            .class(layout.len)
            .map_err(beamline_media::FrameError::from)?
            .slot_size() as u64;
        let fit = (self.max_bytes / slot).clamp(1, u64::from(self.slots.clamp(1, 64))) as u32;
        Ok(Arc::new(FramePool::new(
            &self.arena,
            PoolConfig {
                slots: fit,
                max_bytes: self.max_bytes,
                ..PoolConfig::new(label)
            },
        )))
    }
}
