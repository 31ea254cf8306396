//! Where an output's frames go and its memory comes from: the seam between what users write and who shows it to readers.

use super::SharedOutputStats;
use crate::{Error, Runtime};
use beamline_arena::{PoolConfig, Wait};
use beamline_link::{Failure, Limits, Place, Publisher};
use beamline_media::{Caps, Frame, FrameInfo, FrameMut, FramePool, Layout, PixelFormat, Size};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Slots of an output's first segment, as long as they fit.
const SLOTS: u32 = 16;
/// The most slots of an output, for pictures of one size.
const SLOTS_MAX: u64 = 128;
/// The most bytes for pictures of one size.
const BYTES_MAX: u64 = 512 << 20;
/// Kinds of pictures whose memory is kept: who takes turns between some does not get a new segment for each frame.
const KINDS: usize = 4;

/// Who shows frames to readers. Any thread may call any of it at any time, but [`Stage::publish`], which one at a time does.
pub(super) trait Stage: Send + Sync {
    /// The name that readers open.
    fn name(&self) -> &str;

    /// An empty picture in memory that readers can be shown.
    fn acquire(&self, info: FrameInfo, wait: Wait<'_>) -> Result<FrameMut, Error>;

    /// Wakes those who wait in [`Stage::acquire`], so that they look at their `cancelled` again.
    fn interrupt(&self);

    /// Whether readers can be shown this frame where it lies, and see nothing besides that is not its source's.
    fn shows(&self, frame: &Frame) -> bool;

    /// Tells readers, present and coming, what follows.
    fn set_caps(&self, caps: &Caps);

    /// Shows a frame to all readers. Never waits.
    ///
    /// # Errors
    /// Of another process's stage: it is gone.
    fn publish(&self, frame: &Frame) -> Result<(), Error>;

    /// The last word: the end, or a failure. The name is free afterwards.
    fn end(&self, failure: Option<Failure>);

    /// Numbers, and who reads, as far as that is known here; no copies.
    fn stats(&self) -> SharedOutputStats;
}

/// An output that owns its name and its memory.
pub(super) struct Own {
    publisher: Publisher,
    runtime: Runtime,
    /// The kind that was asked for last comes last.
    memory: Mutex<Vec<Memory>>,
}

/// Memory for pictures of one kind: a budget in slots is one in bytes only when their size is known.
struct Memory {
    format: PixelFormat,
    size: Size,
    pool: Arc<FramePool>,
}

impl Own {
    /// Takes the name.
    pub(super) fn new(runtime: &Runtime, name: &str, caps: Caps, limits: Limits) -> Result<Self, Error> {
        Ok(Own {
            publisher: Publisher::listen(Place::new(name)?, caps, true, limits)?,
            runtime: runtime.clone(),
            memory: Mutex::default(),
        })
    }

    fn memory(&self) -> MutexGuard<'_, Vec<Memory>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pool_for(&self, info: &FrameInfo) -> Result<Arc<FramePool>, Error> {
        info.check()?;
        let mut memory = self.memory();
        let known = memory
            .iter()
            .position(|m| (m.format, m.size) == (info.format, info.coded));
        let kind = match known {
            Some(at) => memory.remove(at),
            None => Memory {
                format: info.format,
                size: info.coded,
                pool: Arc::new(FramePool::new(&self.runtime.arena, cut(info)?)),
            },
        };
        if memory.len() == KINDS {
            memory.remove(0);
        }
        let pool = Arc::clone(&kind.pool);
        memory.push(kind);
        Ok(pool)
    }
}

/// A pool of at most [`SLOTS_MAX`] slots for such pictures, or of as many as [`BYTES_MAX`] holds.
fn cut(info: &FrameInfo) -> Result<PoolConfig, Error> {
    // What a slot takes is rounded up by an eighth at most.
    let slot = Layout::aligned(info.format, info.coded)?.len as u64 * 9 / 8 + 4096;
    let slots = (BYTES_MAX / slot).clamp(2, SLOTS_MAX);
    Ok(PoolConfig {
        slots: SLOTS.min(slots as u32),
        max_bytes: slot * slots,
        ..PoolConfig::new("shared output")
    })
}

impl Stage for Own {
    fn name(&self) -> &str {
        self.publisher.place().name()
    }

    fn acquire(&self, info: FrameInfo, wait: Wait<'_>) -> Result<FrameMut, Error> {
        Ok(self.pool_for(&info)?.acquire(info, wait)?)
    }

    fn interrupt(&self) {
        self.memory().iter().for_each(|m| m.pool.interrupt());
    }

    fn shows(&self, frame: &Frame) -> bool {
        super::shows(frame)
    }

    fn set_caps(&self, caps: &Caps) {
        self.publisher.set_caps(caps);
    }

    fn publish(&self, frame: &Frame) -> Result<(), Error> {
        self.publisher.publish(frame);
        Ok(())
    }

    fn end(&self, failure: Option<Failure>) {
        self.publisher.end(failure);
        self.publisher.close();
    }

    fn stats(&self) -> SharedOutputStats {
        SharedOutputStats {
            frames: self.publisher.published(),
            copies: 0,
            swept: Some(self.publisher.swept()),
            clients: Some(self.publisher.readers()),
        }
    }
}
