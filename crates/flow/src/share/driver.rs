//! The loop over a shared source: it takes frames at their time and publishes them, where they lie.
//!
//! Frames of another process (a capture of `shared:…`) lie in memory that is not ours to give away: they are copied once, and counted.

use super::{Inner, shows};
use crate::{Error, FrameStream, Pop, Runtime, input::Pacer, still::copy_into};
use beamline_arena::Wait;
use beamline_link::Failure;
use beamline_media::{Caps, Frame, FrameError, FramePool};
use std::{sync::Arc, time::Duration};

/// How soon a wish to stop is seen.
const TURN: Duration = Duration::from_millis(20);

/// What the thread asks about its source.
pub(super) type CapsOf = Box<dyn Fn(&Frame) -> Caps + Send>;

/// The thread of a share.
pub(super) struct Driver {
    pub(super) share: Arc<Inner>,
    pub(super) frames: FrameStream,
    pub(super) caps: Caps,
    pub(super) caps_of: CapsOf,
    pub(super) pacer: Option<Pacer>,
    pub(super) runtime: Runtime,
    /// For copies, from the first on.
    pub(super) own: Option<Arc<FramePool>>,
}

impl Driver {
    /// Until the source ends or the share is closed.
    pub(super) fn run(mut self) {
        while !self.share.cancel.is_cancelled() {
            match self.frames.pop_timeout(TURN) {
                Pop::Item(held) => {
                    if let Err(error) = self.publish(&held.frame) {
                        self.share.publisher.end(Some(failure(&error)));
                        return;
                    }
                }
                Pop::Empty => {}
                Pop::End(error) => {
                    self.share.publisher.end(error.as_deref().map(failure));
                    return;
                }
            }
        }
    }

    /// An error: none of its pictures can be shown.
    fn publish(&mut self, frame: &Frame) -> Result<(), Error> {
        if let (Some(pacer), Some(at)) = (&mut self.pacer, frame.info().timestamp_us)
            && !pacer.wait_for(at, &self.share.cancel, &|| false)
        {
            return Ok(());
        }
        let copy;
        let frame = if shows(frame) {
            frame
        } else {
            match self.copy(frame) {
                Ok(copied) => {
                    copy = copied;
                    &copy
                }
                // Readers miss this one, as they do where a source finds no memory for it.
                Err(Error::Frame(FrameError::Memory(error))) => {
                    tracing::debug!(%error, "a frame is not shared");
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        };
        let info = frame.info();
        let same = self.caps.pixel_format == Some(info.format) && self.caps.size == info.coded;
        if !same {
            self.caps = (self.caps_of)(frame);
            self.share.publisher.set_caps(&self.caps);
        }
        self.share.publisher.publish(frame);
        Ok(())
    }

    fn copy(&mut self, frame: &Frame) -> Result<Frame, Error> {
        let Driver { own, runtime, .. } = self;
        let pool = own.get_or_insert_with(|| runtime.frame_pool("share"));
        let copy = copy_into(frame, |info| Ok(pool.acquire(info, Wait::Grow)?))?;
        runtime.copies.add(1);
        Ok(copy)
    }
}

fn failure(error: &Error) -> Failure {
    Failure::new(error.code(), error.reason(), error.to_string())
}
