//! The mux thread: takes packets of all tracks in the order of their times and writes them.

use super::shared::{Report, Shared};
use crate::{
    Error,
    channel::{Pop, Receiver},
};
use beamline_container::{MuxTrack, Muxer};
use beamline_media::{ErrorCode, Packet};
use std::{collections::VecDeque, sync::Arc, thread, time::Duration};

/// What comes out of a track's queue.
#[derive(Debug)]
pub(super) enum Item {
    /// First: what the track is.
    Format(Box<MuxTrack>),
    /// Then: its packets in decoding order.
    Packet(Packet),
}

/// A track that is fed by JavaScript may lead by so much before its packets are written although another track has none: waiting
/// longer would hang whoever writes one track after the other.
const LEAD_MAX_US: i64 = 10_000_000;
/// The same bound in bytes.
const PENDING_BYTES_MAX: usize = 64 << 20;
/// Packets that wait here of a track that a thread of ours feeds: it waits by its queue.
const PULLED_MAX: usize = 64;

pub(super) struct Track {
    pub(super) items: Receiver<Item>,
    /// Fed by a thread that may wait (`copy`), not by JavaScript.
    pub(super) pulled: bool,
    /// Ends where the last of the other tracks ends, at the latest.
    pub(super) shortest: bool,
    format: Option<Box<MuxTrack>>,
    /// Number in the muxer, once it has begun.
    number: Option<usize>,
    pending: VecDeque<Packet>,
    bytes: usize,
    ended: bool,
}

impl Track {
    pub(super) fn new(items: Receiver<Item>, pulled: bool, shortest: bool) -> Self {
        Track {
            items,
            pulled,
            shortest,
            format: None,
            number: None,
            pending: VecDeque::new(),
            bytes: 0,
            ended: false,
        }
    }

    fn full(&self) -> bool {
        self.pulled && self.pending.len() >= PULLED_MAX
    }

    /// Takes over what came. True when something did.
    fn pull(&mut self) -> Result<bool, Error> {
        let mut any = false;
        while !self.ended && !self.full() {
            match self.items.pop() {
                Pop::Item(Item::Format(format)) => self.format = Some(format),
                Pop::Item(Item::Packet(packet)) => {
                    self.bytes += packet.data.len();
                    self.pending.push_back(packet);
                }
                Pop::Empty => break,
                Pop::End(None) => self.ended = true,
                Pop::End(Some(error)) => return Err(Error::again(&error)),
            }
            any = true;
        }
        Ok(any)
    }

    /// Ends it at `end_us`: what begins later is not written.
    fn cut_at(&mut self, end_us: i64) {
        let keep = self
            .pending
            .iter()
            .take_while(|p| decode_time(p).is_none_or(|t| t < end_us))
            .count();
        if keep < self.pending.len() {
            self.pending.truncate(keep);
            self.ended = true;
        }
    }

    fn over(&self) -> bool {
        self.ended && self.pending.is_empty()
    }

    fn dry(&self) -> bool {
        self.pending.is_empty() && !self.ended
    }

    /// Whether its packets must not wait for the others any longer.
    fn pressing(&self) -> bool {
        let time = |p: Option<&Packet>| p.and_then(decode_time);
        let lead = match (time(self.pending.front()), time(self.pending.back())) {
            (Some(first), Some(last)) => last - first,
            _ => 0,
        };
        !self.pulled && (lead > LEAD_MAX_US || self.heavy())
    }

    /// Whether as many of its bytes wait as may.
    fn heavy(&self) -> bool {
        !self.pulled && self.bytes > PENDING_BYTES_MAX
    }

    /// When its first packet is seen or heard.
    fn first_shown_us(&self) -> Option<i64> {
        let first = self.pending.front()?;
        let trimmed = match self.format.as_ref().and_then(|f| f.info.audio()) {
            Some(audio) if first.trim.0 > 0 => {
                i64::from(first.trim.0) * 1_000_000 / i64::from(audio.sample_rate.max(1))
            }
            _ => 0,
        };
        first.timestamp_us.map(|t| t + trimmed)
    }
}

/// When the file begins, on the tracks' own timeline: with the first picture or sound. Sound of before 0, or before the pictures where
/// those begin earlier, is priming that nobody trimmed (W3C chunks cannot say so): it does not move the pictures.
fn begin_us(tracks: &[Track]) -> i64 {
    let is_sound = |t: &Track| t.format.as_ref().is_some_and(|f| f.info.audio().is_some());
    let pictures_us = tracks
        .iter()
        .filter(|t| !is_sound(t))
        .filter_map(Track::first_shown_us)
        .min();
    let floor_us = pictures_us.unwrap_or(0).min(0);
    let first_us = |t: &Track| {
        t.first_shown_us()
            .map(|us| if is_sound(t) { us.max(floor_us) } else { us })
    };
    tracks.iter().filter_map(first_us).min().unwrap_or(0)
}

fn decode_time(packet: &Packet) -> Option<i64> {
    packet.decode_us.or(packet.timestamp_us)
}

pub(super) struct Mux {
    pub(super) muxer: Box<dyn Muxer>,
    pub(super) tracks: Vec<Track>,
    pub(super) shared: Arc<Shared>,
    /// Taken off all times, so that the file begins at 0.
    base_us: i64,
    end_us: i64,
    /// The same over the tracks that others follow.
    lead_end_us: i64,
}

impl Mux {
    pub(super) fn new(muxer: Box<dyn Muxer>, tracks: Vec<Track>, shared: Arc<Shared>) -> Self {
        Mux {
            muxer,
            tracks,
            shared,
            base_us: 0,
            end_us: 0,
            lead_end_us: 0,
        }
    }

    /// The thread.
    pub(super) fn run(mut self) {
        let me = thread::current();
        for track in &self.tracks {
            let me = me.clone();
            track.items.on_ready(move || me.unpark());
        }
        let me = me.clone();
        let hook = self.shared.cancel.on_cancel(move || me.unpark());
        let result = self.all();
        let report = self.conclude(result);
        drop(hook);
        // The queues go before the last word: writers see the error, and nothing waits for us.
        self.tracks.clear();
        drop(self.muxer);
        self.shared.finish(report);
    }

    fn all(&mut self) -> Result<(), Error> {
        self.begin()?;
        while let Some(index) = self.next()? {
            let track = &mut self.tracks[index];
            let Some(mut packet) = track.pending.pop_front() else {
                continue;
            };
            track.bytes -= packet.data.len();
            let Some(number) = track.number else { continue };
            packet.track = number;
            packet.timestamp_us = packet.timestamp_us.map(|t| t - self.base_us);
            packet.decode_us = packet.decode_us.map(|t| t - self.base_us);
            let end = packet.timestamp_us.unwrap_or(0) + packet.duration_us.unwrap_or(0);
            self.end_us = self.end_us.max(end);
            if !track.shortest {
                self.lead_end_us = self.lead_end_us.max(end);
            }
            self.muxer.write(&packet)?;
            self.shared.note(self.muxer.bytes_written(), self.muxer.fragments());
        }
        self.muxer.finish()?;
        Ok(())
    }

    /// Waits for every track's first word and packet, then begins the file.
    fn begin(&mut self) -> Result<(), Error> {
        self.wait_until(|tracks| {
            let ready = |t: &Track| t.ended || (t.format.is_some() && !t.pending.is_empty());
            // The header names every track: nothing that only leads in time may make it begin without one.
            let known = tracks.iter().all(|t| t.ended || t.format.is_some());
            tracks.iter().all(ready) || (known && tracks.iter().any(Track::pressing)) || tracks.iter().any(Track::heavy)
        })?;
        if self.tracks.iter().any(|t| !t.ended && t.format.is_none()) {
            return Err(Error::State {
                what: format!(
                    "a track was added and {} MiB were written to others before its first frame: expected tracks to be written side by side",
                    PENDING_BYTES_MAX >> 20
                ),
                reason: "track-not-written",
            });
        }
        let mut any = false;
        for track in self.tracks.iter_mut().filter(|t| !t.pending.is_empty() || !t.ended) {
            if let Some(format) = &track.format {
                track.number = Some(self.muxer.add_track(format)?);
                any = true;
            }
        }
        if !any {
            return Err(Error::State {
                what: "nothing was written: expected at least one frame or packet before close()".into(),
                reason: "empty-output",
            });
        }
        self.base_us = begin_us(&self.tracks);
        self.muxer.start()?;
        Ok(())
    }

    /// The track whose packet comes next; `None` when all have ended.
    fn next(&mut self) -> Result<Option<usize>, Error> {
        self.wait_until(|tracks| !tracks.iter().any(Track::dry) || tracks.iter().any(Track::pressing))?;
        self.cut_short();
        let waiting = self.tracks.iter().enumerate().filter(|(_, t)| !t.pending.is_empty());
        Ok(waiting
            .min_by_key(|(_, t)| t.pending.front().and_then(decode_time).unwrap_or(i64::MIN))
            .map(|(i, _)| i))
    }

    /// Tracks that follow the others end with the last of them.
    fn cut_short(&mut self) {
        if !self.tracks.iter().any(|t| !t.shortest) || self.tracks.iter().any(|t| !t.shortest && !t.over()) {
            return;
        }
        let end_us = self.lead_end_us + self.base_us;
        for track in self.tracks.iter_mut().filter(|t| t.shortest) {
            track.cut_at(end_us);
        }
    }

    fn wait_until(&mut self, enough: impl Fn(&[Track]) -> bool) -> Result<(), Error> {
        loop {
            if self.shared.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let mut any = false;
            for track in &mut self.tracks {
                any |= track.pull()?;
            }
            if enough(&self.tracks) {
                return Ok(());
            }
            if !any
                && self
                    .tracks
                    .iter()
                    .filter(|t| !t.ended && !t.full())
                    .all(|t| t.items.arm())
            {
                thread::park_timeout(Duration::from_secs(3600));
            }
        }
    }

    fn conclude(&mut self, result: Result<(), Error>) -> Result<Report, Error> {
        match result {
            Ok(()) => Ok(Report {
                bytes: self.muxer.bytes_written(),
                fragments: self.muxer.fragments(),
                duration_us: self.end_us,
                complete: true,
                playable: true,
            }),
            Err(error) => {
                let playable = self.muxer.abort().unwrap_or(false);
                let left = Report {
                    bytes: self.muxer.bytes_written(),
                    fragments: self.muxer.fragments(),
                    duration_us: self.end_us,
                    complete: false,
                    playable,
                };
                self.shared.aborted(left.clone());
                if error.code() == ErrorCode::Aborted && self.shared.was_asked_to_abort() {
                    return Ok(left);
                }
                Err(self.shared.fail(error))
            }
        }
    }
}
