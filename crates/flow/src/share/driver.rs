//! The loop over a shared source: it takes frames at their time and publishes them, where they lie.
//!
//! Frames of another process (a capture of `shared:…`) lie in memory that is not ours to give away: they are copied once, and counted.

use super::{Inner, shows};
use crate::{Error, FrameStream, Pop, Runtime, input::Pacer, still::copy_frame};
use beamline_link::Failure;
use beamline_media::{Caps, Frame, FramePool};
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
                Pop::Item(held) => self.publish(&held.frame),
                Pop::Empty => {}
                Pop::End(error) => {
                    self.share.publisher.end(error.as_deref().map(failure));
                    return;
                }
            }
        }
    }

    fn publish(&mut self, frame: &Frame) {
        if let (Some(pacer), Some(at)) = (&mut self.pacer, frame.info().timestamp_us)
            && !pacer.wait_for(at, &self.share.cancel, &|| false)
        {
            return;
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
                Err(error) => {
                    tracing::debug!(%error, "a frame is not shared");
                    return;
                }
            }
        };
        let info = frame.info();
        let same = self.caps.pixel_format == Some(info.format) && self.caps.size == info.coded;
        if !same {
            self.caps = (self.caps_of)(frame);
            self.share.publisher.set_caps(&self.caps);
        }
        self.share.publisher.publish(frame);
    }

    fn copy(&mut self, frame: &Frame) -> Result<Frame, Error> {
        let Driver { own, runtime, .. } = self;
        let pool = own.get_or_insert_with(|| runtime.frame_pool("share"));
        copy_frame(runtime, frame, pool)
    }
}

fn failure(error: &Error) -> Failure {
    Failure::new(error.code(), error.reason(), error.to_string())
}
