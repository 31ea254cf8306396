//! Frames in the hands of users, counted: the back-pressure that acts before memory runs out.

use crate::channel::Waker;
use beamline_media::Frame;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// How many frames of one stream a user may keep open at once.
pub const OPEN_FRAMES_MAX: u32 = 16;

/// The count of one stream's open frames.
pub struct Credits {
    open: AtomicU32,
    limit: u32,
    waker: Waker,
}

impl Credits {
    /// `limit` is [`OPEN_FRAMES_MAX`], or what the source's memory holds when that is less.
    pub(crate) fn new(waker: Waker, limit: u32) -> Arc<Self> {
        Arc::new(Credits {
            open: AtomicU32::new(0),
            limit: limit.clamp(1, OPEN_FRAMES_MAX),
            waker,
        })
    }

    /// Frames that the user has not closed.
    #[must_use]
    pub fn open(&self) -> u32 {
        self.open.load(Ordering::SeqCst)
    }

    /// Whether no further frame may be handed out now.
    #[must_use]
    pub fn exhausted(&self) -> bool {
        self.open() >= self.limit
    }

    pub(crate) fn hold(self: &Arc<Self>, frame: Frame) -> Held {
        self.open.fetch_add(1, Ordering::SeqCst);
        Held {
            frame,
            credit: Some(Arc::new(Credit(Arc::clone(self)))),
        }
    }
}

impl std::fmt::Debug for Credits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credits")
            .field("open", &self.open())
            .finish_non_exhaustive()
    }
}

/// One open frame. Clones of a held frame share it: the memory is the same.
#[derive(Debug)]
struct Credit(Arc<Credits>);

impl Drop for Credit {
    fn drop(&mut self) {
        // Only the one that makes room: the producer may sleep for other reasons (a full queue), and a wake for nothing costs whoever
        // closes frames a system call each.
        if self.0.open.fetch_sub(1, Ordering::SeqCst) == self.0.limit {
            self.0.waker.wake();
        }
    }
}

/// A frame that counts as open, for the stream that gave it, until the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Held {
    /// The frame.
    pub frame: Frame,
    credit: Option<Arc<Credit>>,
}

impl Held {
    /// A frame that no stream gave.
    #[must_use]
    pub fn free(frame: Frame) -> Self {
        Held { frame, credit: None }
    }

    /// Another frame over the same memory, counted together with this one.
    #[must_use]
    pub fn with(&self, frame: Frame) -> Self {
        Held {
            frame,
            credit: self.credit.clone(),
        }
    }

    /// The same frame after `write` was given its memory, when nobody else holds it.
    ///
    /// # Errors
    /// The frame, unwritten, when somebody else does.
    pub fn write_with(self, write: impl FnOnce(&mut beamline_media::FrameMut)) -> Result<Self, Self> {
        let Held { frame, credit } = self;
        match frame.try_into_mut() {
            Ok(mut alone) => {
                write(&mut alone);
                Ok(Held {
                    frame: alone.freeze(),
                    credit,
                })
            }
            Err(frame) => Err(Held { frame, credit }),
        }
    }

    /// The same frame for writing, when nobody else holds its memory and no other process may write it: one atomic step.
    ///
    /// # Errors
    /// The frame, unchanged, when somebody else does: then copy it.
    pub fn try_unshare(self) -> Result<Self, Self> {
        self.write_with(|_| ())
    }
}
