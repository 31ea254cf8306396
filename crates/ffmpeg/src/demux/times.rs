//! Times that a container leaves out.
//!
//! ```text
//! shown and decoded are said        passed on                                 (MP4, TS, FLV, …)
//! only "decoded" at first missing   filled in backwards from the first one    (Matroska: FFmpeg needs some packets to know it)
//! only "decoded" is said            "shown" by the order of the pictures      (AVI)
//! nothing is said                   pictures counted, then as above           (H.264 without a container)
//! ```
//!
//! FFmpeg's own `genpts` takes the next packet's decoding time for "shown", which is wrong as soon as pictures are reordered.

use super::picture_order::PictureOrder;
use beamline_container::TrackInfo;
use beamline_media::{EncodedKind, Packet, Rational};
use std::collections::VecDeque;

/// Packets that wait at most for a first decoding time.
const HELD_MAX: usize = 32;
/// Length of a picture where nobody says a rate.
const USUAL_US: i64 = 40_000;

/// What is to be known of a track before its first packet.
pub(super) struct TrackTimes {
    /// Pictures that a decoder holds back to bring them into order.
    pub(super) delay: usize,
    /// Whether the container says no time at all.
    pub(super) counted: bool,
    /// Reads the order of its pictures, where they are reordered.
    pub(super) order: Option<PictureOrder>,
}

/// The times of all tracks.
pub(super) struct Times {
    lanes: Vec<Lane>,
    ready: VecDeque<Packet>,
}

struct Lane {
    track: TrackTimes,
    video: bool,
    h264: bool,
    rate: Option<Rational>,
    mode: Mode,
    held: VecDeque<Packet>,
    sorter: Sorter,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Before the first packet.
    Open,
    /// The container says all.
    Said,
    /// Waiting for the first decoding time.
    Decoded,
    /// By the order of the pictures.
    Sorted,
}

impl Times {
    pub(super) fn new(tracks: &[TrackInfo], each: Vec<TrackTimes>) -> Self {
        let lane = |(info, track): (&TrackInfo, TrackTimes)| Lane {
            video: info.video().is_some(),
            h264: info.encoded == EncodedKind::H264,
            rate: info.video().and_then(|video| video.frame_rate),
            mode: Mode::Open,
            held: VecDeque::new(),
            sorter: Sorter::default(),
            track,
        };
        Times {
            lanes: tracks.iter().zip(each).map(lane).collect(),
            ready: VecDeque::new(),
        }
    }

    /// Whether nothing but counting tells the times of a track.
    pub(super) fn counted(&self, track: usize) -> bool {
        self.lanes.get(track).is_some_and(|lane| lane.track.counted)
    }

    /// Takes the next packet; it comes out of [`Times::pop`] once its times are known.
    pub(super) fn push(&mut self, packet: Packet) {
        match self.lanes.get_mut(packet.track) {
            Some(lane) => lane.push(packet, &mut self.ready),
            None => self.ready.push_back(packet),
        }
    }

    pub(super) fn pop(&mut self) -> Option<Packet> {
        self.ready.pop_front()
    }

    /// No more packets come.
    pub(super) fn end(&mut self) {
        for lane in &mut self.lanes {
            lane.fill(&mut self.ready);
            lane.sorter.show_all();
            lane.sorter.give(&mut self.ready);
        }
    }

    /// Packets come from elsewhere now.
    pub(super) fn reset(&mut self) {
        self.ready.clear();
        for lane in &mut self.lanes {
            lane.mode = Mode::Open;
            lane.held.clear();
            lane.sorter = Sorter::default();
        }
    }

    /// Keeps what waits of these tracks only.
    pub(super) fn select(&mut self, tracks: &[usize]) {
        self.ready.retain(|packet| tracks.contains(&packet.track));
        for (_, lane) in self.lanes.iter_mut().enumerate().filter(|(i, _)| !tracks.contains(i)) {
            lane.held.clear();
            lane.sorter = Sorter::default();
        }
    }
}

impl Lane {
    fn begin(&self, first: &Packet) -> Mode {
        match (first.timestamp_us, first.decode_us) {
            _ if !self.video => Mode::Said,
            (Some(_), None) => Mode::Decoded,
            (None, Some(_)) => Mode::Sorted,
            (None, None) if self.track.counted => Mode::Sorted,
            _ => Mode::Said,
        }
    }

    fn usual_us(&self, packet: &Packet) -> i64 {
        let said = packet.duration_us.filter(|us| *us > 0);
        said.or_else(|| self.rate.map(|rate| rate.nth_us(1)))
            .unwrap_or(USUAL_US)
    }

    fn push(&mut self, mut packet: Packet, ready: &mut VecDeque<Packet>) {
        if self.mode == Mode::Open {
            self.mode = self.begin(&packet);
        }
        match self.mode {
            Mode::Decoded => {
                let known = packet.decode_us.is_some();
                self.held.push_back(packet);
                if known || self.held.len() > HELD_MAX {
                    self.fill(ready);
                }
            }
            Mode::Sorted => {
                // An empty packet repeats the picture before it; there is nothing to decode.
                if packet.data.is_empty() {
                    return;
                }
                let usual = self.usual_us(&packet);
                let at = packet.decode_us.unwrap_or_else(|| self.sorter.count(self.rate, usual));
                packet.duration_us.get_or_insert(usual);
                let order = match &mut self.track.order {
                    Some(order) if self.h264 => order.of(&packet),
                    _ => None,
                };
                let delay = if order.is_some() { self.track.delay } else { 0 };
                self.sorter.push(packet, at, order, delay, usual);
                self.sorter.give(ready);
            }
            Mode::Open | Mode::Said => {
                if packet.timestamp_us.is_none() && !self.video {
                    packet.timestamp_us = packet.decode_us;
                }
                ready.push_back(packet);
            }
        }
    }

    /// Gives the held packets times of decoding before that of the last one, or before the first picture that is shown.
    fn fill(&mut self, ready: &mut VecDeque<Packet>) {
        let Some(last) = self.held.back() else { return };
        let step = self.usual_us(last);
        let first_shown = self.held.iter().filter_map(|packet| packet.timestamp_us).min();
        let mut next = match last.decode_us {
            Some(at) => at.saturating_add(step),
            None => first_shown.unwrap_or(0).saturating_add(step),
        };
        for packet in self.held.iter_mut().rev() {
            next = next.saturating_sub(step);
            let at = packet.decode_us.unwrap_or(next);
            next = at.min(packet.timestamp_us.unwrap_or(at));
            packet.decode_us = Some(next);
        }
        ready.extend(self.held.drain(..));
        self.mode = Mode::Said;
    }
}

/// Brings pictures into the order in which they are shown, as a decoder does: the one that comes first of those it holds back is shown
/// once it would hold back too many. The n-th one that is shown is shown at the n-th time.
#[derive(Default)]
struct Sorter {
    /// Packets in decoding order, until they know when they are shown.
    packets: VecDeque<Packet>,
    /// Number of the first of them.
    first: u64,
    /// Those that were not shown yet: place in the order, number.
    waiting: Vec<(i64, u64)>,
    /// Times that no picture has yet.
    free: VecDeque<i64>,
    /// Times of the last `delay` packets: pictures are decoded so much earlier than they are numbered.
    late: VecDeque<i64>,
    counted: u64,
    counted_us: i64,
}

impl Sorter {
    /// Time of the next picture where none is said.
    fn count(&mut self, rate: Option<Rational>, usual: i64) -> i64 {
        let at = rate.map_or(self.counted_us, |rate| rate.nth_us(self.counted));
        self.counted += 1;
        self.counted_us += usual;
        at
    }

    /// Takes a packet of time `at` whose picture has that place and begins anew, if so.
    fn push(&mut self, mut packet: Packet, at: i64, order: Option<(i64, bool)>, delay: usize, usual: i64) {
        if self.first == 0 && self.packets.is_empty() && self.late.is_empty() {
            let lead = |n: usize| at.saturating_sub(usual.saturating_mul(n as i64));
            self.late = (1..=delay).rev().map(lead).collect();
        }
        let (place, anew) = order.unwrap_or((i64::MAX, false));
        if anew {
            self.show_all();
        }
        self.late.push_back(at);
        packet.decode_us = self.late.pop_front();
        packet.timestamp_us = None;
        self.free.push_back(at);
        self.waiting.push((place, self.first + self.packets.len() as u64));
        self.packets.push_back(packet);
        while self.waiting.len() > delay {
            self.show();
        }
    }

    fn show(&mut self) {
        let Some(next) = (0..self.waiting.len()).min_by_key(|i| self.waiting[*i]) else {
            return;
        };
        let (_, number) = self.waiting.swap_remove(next);
        let at = self.free.pop_front();
        if let Some(packet) = self.packets.get_mut((number - self.first) as usize) {
            packet.timestamp_us = at;
        }
    }

    fn show_all(&mut self) {
        while !self.waiting.is_empty() {
            self.show();
        }
    }

    /// Hands out what is known.
    fn give(&mut self, ready: &mut VecDeque<Packet>) {
        while self.packets.front().is_some_and(|packet| packet.timestamp_us.is_some()) {
            self.first += 1;
            ready.extend(self.packets.pop_front());
        }
    }
}
