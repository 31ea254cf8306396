//! What a cursor gives, from the consumer's side.

use crate::{
    channel::{Pop, Receiver},
    held::{Credits, Held},
    session::{HeldUp, Seat},
};
use beamline_media::{Frame, Packet};
use std::{sync::Arc, time::Duration};

/// Numbers of one stream; all but `waiting` and `open` only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct StreamStats {
    /// Frames that the producer put into the queue.
    pub produced: u64,
    /// Frames that were dropped by the queue's policy.
    pub dropped: u64,
    /// Frames that wait in the queue now.
    pub waiting: u64,
    /// Frames that the user holds open now.
    pub open: u64,
}

/// Frames of one cursor or capture. Dropping it ends the producer.
#[derive(Debug)]
pub struct FrameStream {
    receiver: Receiver<Frame>,
    credits: Arc<Credits>,
    seat: Option<Seat>,
}

impl FrameStream {
    pub(crate) fn new(receiver: Receiver<Frame>, credits: Arc<Credits>) -> Self {
        FrameStream {
            receiver,
            credits,
            seat: None,
        }
    }

    /// It is one of several loops over the same source.
    pub(crate) fn beside(self, seat: Seat) -> Self {
        FrameStream {
            seat: Some(seat),
            ..self
        }
    }

    /// The next frame, if there is one now. Never waits. It counts as open until its last clone is dropped.
    #[must_use]
    pub fn pop(&self) -> Pop<Held> {
        self.hold(self.receiver.pop())
    }

    /// The next frame, waiting at most `timeout`.
    #[must_use]
    pub fn pop_timeout(&self, timeout: Duration) -> Pop<Held> {
        self.hold(self.receiver.pop_timeout(timeout))
    }

    fn hold(&self, pop: Pop<Frame>) -> Pop<Held> {
        match pop {
            Pop::Item(frame) => Pop::Item(self.credits.hold(frame)),
            Pop::Empty => Pop::Empty,
            Pop::End(error) => Pop::End(error),
        }
    }

    /// Once, before the first [`FrameStream::arm`]: how to tell that a frame or the end is there.
    pub fn on_ready(&self, notify: impl Fn() + Send + Sync + 'static) {
        self.receiver.on_ready(notify);
    }

    /// Asks to be notified, once. False: look again instead.
    #[must_use]
    pub fn arm(&self) -> bool {
        self.receiver.arm()
    }

    /// Whether the user holds as many frames open as he may: then no further one comes.
    #[must_use]
    pub fn exhausted(&self) -> bool {
        self.credits.exhausted()
    }

    /// Whether no frame comes because another loop over the same capture makes the source wait.
    #[must_use]
    pub fn held_up(&self) -> Option<HeldUp> {
        self.seat.as_ref()?.held_up()
    }

    /// Numbers.
    #[must_use]
    pub fn stats(&self) -> StreamStats {
        let (produced, dropped) = self.receiver.counts();
        StreamStats {
            produced,
            dropped,
            waiting: self.receiver.len() as u64,
            open: u64::from(self.credits.open()),
        }
    }
}

/// Packets of one cursor. Dropping it ends the producer.
#[derive(Debug)]
pub struct PacketStream {
    receiver: Receiver<Packet>,
}

impl PacketStream {
    pub(crate) fn new(receiver: Receiver<Packet>) -> Self {
        PacketStream { receiver }
    }

    /// The next packet, if there is one now. Never waits.
    #[must_use]
    pub fn pop(&self) -> Pop<Packet> {
        self.receiver.pop()
    }

    /// The next packet, waiting at most `timeout`.
    #[must_use]
    pub fn pop_timeout(&self, timeout: Duration) -> Pop<Packet> {
        self.receiver.pop_timeout(timeout)
    }

    /// As [`FrameStream::on_ready`].
    pub fn on_ready(&self, notify: impl Fn() + Send + Sync + 'static) {
        self.receiver.on_ready(notify);
    }

    /// As [`FrameStream::arm`].
    #[must_use]
    pub fn arm(&self) -> bool {
        self.receiver.arm()
    }
}
