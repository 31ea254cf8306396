//! What users hold of a track that is written.

use super::{
    encode::Job,
    mux::Item,
    shared::{Shared, begin},
};
use crate::{
    Error,
    channel::{Refused, Sender},
    threads::Threads,
};
use beamline_media::{Frame, Packet};
use std::sync::Arc;

/// Whether a write took the item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It did.
    Yes,
    /// There is no room now: ask [`TrackWriter::arm_room`] and try again.
    Full,
}

/// Writes one track. Frames for [`Output::add_video`], packets for [`Output::add_packets`].
pub struct TrackWriter {
    pub(super) shared: Arc<Shared>,
    pub(super) threads: Threads,
    pub(super) lane: Lane,
}

pub(super) enum Lane {
    Frames(Arc<Sender<Job>>),
    Packets(Arc<Sender<Item>>),
}

impl TrackWriter {
    /// Gives a frame to the encoder; takes its own hold on it. `key` asks for a key packet.
    ///
    /// # Errors
    /// What ended the output; [`Error::Argument`] on a track of packets.
    pub fn write_frame(&self, frame: &Frame, key: bool) -> Result<Written, Error> {
        let Lane::Frames(jobs) = &self.lane else {
            return Err(wrong_lane("a packet", "a frame"));
        };
        begin(&self.shared, &self.threads)?;
        self.written(
            jobs.try_push(Job {
                frame: frame.clone(),
                key,
            })
            .map_err(|r| matches!(r, Refused::Full(_))),
        )
    }

    /// Gives a packet to the file.
    ///
    /// # Errors
    /// What ended the output; [`Error::Argument`] on a track of frames.
    pub fn write_packet(&self, packet: Packet) -> Result<Written, Error> {
        let Lane::Packets(items) = &self.lane else {
            return Err(wrong_lane("a frame", "a packet"));
        };
        begin(&self.shared, &self.threads)?;
        self.written(
            items
                .try_push(Item::Packet(packet))
                .map_err(|r| matches!(r, Refused::Full(_))),
        )
    }

    fn written(&self, pushed: Result<(), bool>) -> Result<Written, Error> {
        match pushed {
            Ok(()) => Ok(Written::Yes),
            Err(true) => Ok(Written::Full),
            Err(false) => Err(self.shared.why_gone()),
        }
    }

    /// Once: how to tell that there is room again, or nobody to write for.
    pub fn on_room(&self, notify: impl Fn() + Send + Sync + 'static) {
        match &self.lane {
            Lane::Frames(jobs) => jobs.on_room(notify),
            Lane::Packets(items) => items.on_room(notify),
        }
    }

    /// Asks to be told, once. False: try again instead.
    #[must_use]
    pub fn arm_room(&self) -> bool {
        match &self.lane {
            Lane::Frames(jobs) => jobs.arm_room(),
            Lane::Packets(items) => items.arm_room(),
        }
    }
}

impl std::fmt::Debug for TrackWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrackWriter").finish_non_exhaustive()
    }
}

fn wrong_lane(expected: &str, got: &str) -> Error {
    Error::Argument {
        name: "track",
        expected: format!("{expected} for this track"),
        got: got.into(),
    }
}
