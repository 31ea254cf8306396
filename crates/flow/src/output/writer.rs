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
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

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
    /// Time of the last item that was taken; [`NEVER`] before the first.
    pub(super) last_us: AtomicI64,
}

/// No time of any item.
pub(super) const NEVER: i64 = i64::MIN;

pub(super) enum Lane {
    Frames(Arc<Sender<Job>>),
    Packets(Arc<Sender<Item>>),
}

impl TrackWriter {
    /// Gives a frame to the encoder; takes its own hold on it. `key` asks for a key packet.
    ///
    /// # Errors
    /// What ended the output; [`Error::Order`], the output lives on; [`Error::Argument`] on a track of packets.
    pub fn write_frame(&self, frame: &Frame, key: bool) -> Result<Written, Error> {
        let Lane::Frames(jobs) = &self.lane else {
            return Err(wrong_lane("a packet", "a frame"));
        };
        begin(&self.shared, &self.threads)?;
        let job = Job {
            frame: frame.clone(),
            key,
        };
        self.put(jobs, job, "timestamp", frame.info().timestamp_us)
    }

    /// Gives a packet to the file.
    ///
    /// # Errors
    /// As [`TrackWriter::write_frame`]; what must rise is the decoding time.
    pub fn write_packet(&self, packet: Packet) -> Result<Written, Error> {
        let Lane::Packets(items) = &self.lane else {
            return Err(wrong_lane("a frame", "a packet"));
        };
        begin(&self.shared, &self.threads)?;
        let at_us = packet.decode_us.or(packet.timestamp_us);
        self.put(items, Item::Packet(packet), "decoding time", at_us)
    }

    /// Puts one item in if its time comes after that of the one before.
    fn put<T>(&self, lane: &Sender<T>, item: T, what: &'static str, at_us: Option<i64>) -> Result<Written, Error> {
        let before_us = self.last_us.load(Ordering::Relaxed);
        if let Some(at_us) = at_us
            && at_us <= before_us
            && !lane.is_gone()
        {
            return Err(Error::Order { what, before_us, at_us });
        }
        match lane.try_push(item) {
            Ok(()) => {
                // One thread writes a track: nobody else changes it meanwhile.
                self.last_us.store(at_us.unwrap_or(before_us), Ordering::Relaxed);
                Ok(Written::Yes)
            }
            Err(Refused::Full(_)) => Ok(Written::Full),
            Err(Refused::Gone) => Err(self.shared.why_gone()),
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
