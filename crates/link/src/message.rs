//! A frame as the words of a ring's entry: what it is, where its planes lie, and the slots that are granted with it.
//!
//! No I/O, no memory: words in, values out. Read by clients of an owner that they did not choose, so nothing is taken on trust: each field
//! has its range, and what the fields mean together is checked by [`beamline_media::Frame::new`] against the slots as they are mapped.

use beamline_arena::{
    Lease,
    grant::{Entry, SEGMENTS, SLOTS, WORDS},
};
use beamline_media::{
    ColorSpace, Frame, FrameError, FrameInfo, PLANES_MAX, PixelFormat, Plane, Rational, Rect, Rotation, Size,
};
use serde::{Deserialize, Serialize};

/// The slots that one frame may lie in.
pub(crate) const SLOTS_MAX: usize = PLANES_MAX;

/// One granted slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotAt {
    /// Which segment, in the order in which this client was told of them.
    pub segment: u16,
    /// Which slot of it.
    pub slot: u16,
    /// Which use of the slot.
    pub generation: u32,
}

/// Where one plane begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlaneAt {
    /// Index into [`FrameMessage::slots`].
    pub slot: u8,
    /// Bytes from the slot's start.
    pub offset: u64,
    /// Bytes from row to row.
    pub stride: u64,
}

/// One frame on its way to another process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrameMessage {
    /// What it is.
    pub info: FrameInfo,
    /// How many of `slots` there are, 1 to 4.
    pub slot_count: usize,
    /// Granted with it: all of them.
    pub slots: [SlotAt; SLOTS_MAX],
    /// As many as the format has planes.
    pub planes: [PlaneAt; PLANES_MAX],
    /// Frames that the share had published before it.
    pub number: u64,
    /// Which client has handed it over; then `number` says nothing.
    pub from: Option<u64>,
}

/// What is wrong with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// No such pixel format.
    #[error("pixel format {0}")]
    Format(u16),
    /// No slot, or more than four.
    #[error("{0} slots")]
    SlotCount(u8),
    /// A slot outside the tables.
    #[error("slot {slot} of segment {segment}")]
    Slot {
        /// Segment.
        segment: u16,
        /// Slot.
        slot: u16,
    },
    /// A plane in a slot that is not among the granted ones, or beyond any memory.
    #[error("plane {0}")]
    Plane(usize),
    /// Impossible size, rectangle, rotation or shape of pixels.
    #[error("a picture of impossible shape")]
    Shape,
}

const HEAD: usize = 0;
const CODED: usize = 1;
const VISIBLE_AT: usize = 2;
const VISIBLE_SIZE: usize = 3;
const COLOR: usize = 4;
const TIMESTAMP: usize = 5;
const DURATION: usize = 6;
const NUMBER: usize = 7;
const SLOT: usize = 8;
const PLANE: usize = SLOT + SLOTS_MAX;
const ASPECT: usize = PLANE + 2 * PLANES_MAX;
const _: () = assert!(ASPECT < WORDS);

/// No time.
const NONE: u64 = i64::MIN as u64;
/// Bits of a plane's offset; the rest is its slot.
const OFFSET_BITS: u32 = 56;

fn pair(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

fn unpair(word: u64) -> (u32, u32) {
    (word as u32, (word >> 32) as u32)
}

fn byte(word: u64, index: u32) -> u8 {
    (word >> (8 * index)) as u8
}

fn time(word: u64) -> Option<i64> {
    (word != NONE).then_some(word as i64)
}

impl Default for FrameMessage {
    /// One that tells of nothing.
    fn default() -> Self {
        FrameMessage {
            info: FrameInfo::new(PixelFormat::GRAY8, Size::new(1, 1)),
            slot_count: 0,
            slots: [SlotAt::default(); SLOTS_MAX],
            planes: [PlaneAt::default(); PLANES_MAX],
            number: 0,
            from: None,
        }
    }
}

impl FrameMessage {
    /// As words. What it says must be right: it is ours.
    #[must_use]
    pub fn encode(&self) -> Entry {
        let mut words = [0; WORDS];
        let info = &self.info;
        words[HEAD] = info.format.index() as u64
            | (self.slot_count as u64) << 16
            | u64::from(info.rotation.degrees() / 90) << 24
            | u64::from(info.flip) << 32;
        words[CODED] = pair(info.coded.width, info.coded.height);
        words[VISIBLE_AT] = pair(info.visible.x, info.visible.y);
        words[VISIBLE_SIZE] = pair(info.visible.width, info.visible.height);
        let range = info.color.full_range.map_or(2, u64::from);
        words[COLOR] = u64::from(info.color.primaries)
            | u64::from(info.color.transfer) << 8
            | u64::from(info.color.matrix) << 16
            | range << 24;
        words[TIMESTAMP] = info.timestamp_us.map_or(NONE, |us| us as u64);
        words[DURATION] = info.duration_us.map_or(NONE, |us| us as u64);
        words[HEAD] |= u64::from(self.from.is_some()) << 40;
        words[NUMBER] = self.from.unwrap_or(self.number);
        words[ASPECT] = pair(info.pixel_aspect.num, info.pixel_aspect.den);
        for (word, at) in words[SLOT..].iter_mut().zip(&self.slots[..self.slot_count]) {
            *word = pair(u32::from(at.segment) | u32::from(at.slot) << 16, at.generation);
        }
        for (words, at) in words[PLANE..ASPECT].chunks_exact_mut(2).zip(&self.planes) {
            words[0] = at.offset | u64::from(at.slot) << OFFSET_BITS;
            words[1] = at.stride;
        }
        words
    }

    /// From words.
    ///
    /// # Errors
    /// [`MessageError`], for the first field that cannot be.
    pub fn decode(words: &Entry) -> Result<Self, MessageError> {
        let mut message = Self::default();
        message.decode_into(words)?;
        Ok(message)
    }

    /// As [`FrameMessage::decode`], in place; after an error it says nothing.
    pub(crate) fn decode_into(&mut self, words: &Entry) -> Result<(), MessageError> {
        self.slot_count = 0;
        let head = words[HEAD];
        let index = head as u16;
        let format = PixelFormat::from_index(usize::from(index)).ok_or(MessageError::Format(index))?;
        let slot_count = byte(head, 2);
        if !(1..=SLOTS_MAX).contains(&usize::from(slot_count)) {
            return Err(MessageError::SlotCount(slot_count));
        }
        let slot_count = usize::from(slot_count);
        let handed = byte(head, 5) & 1 == 1;
        self.info = info(format, words)?;
        self.slots = slots(words, slot_count)?;
        self.planes = planes(words, format, slot_count)?;
        self.number = if handed { 0 } else { words[NUMBER] };
        self.from = handed.then_some(words[NUMBER]);
        self.slot_count = slot_count;
        Ok(())
    }

    /// What is told of a frame, where `place` says how the other side knows a slot. `None` when it does not know one of them.
    pub fn of(frame: &Frame, number: u64, place: impl FnMut(&Lease) -> Option<SlotAt>) -> Option<Self> {
        let mut message = FrameMessage {
            number,
            ..Self::default()
        };
        message.set(frame, place).then_some(message)
    }

    /// As [`FrameMessage::of`], in place, but for the number: that stays. False when a slot is not known.
    pub(crate) fn set(&mut self, frame: &Frame, mut place: impl FnMut(&Lease) -> Option<SlotAt>) -> bool {
        self.info = *frame.info();
        self.slot_count = 0;
        for (lease, to) in frame.leases().zip(&mut self.slots) {
            let Some(at) = place(lease) else { return false };
            *to = at;
            self.slot_count += 1;
        }
        let one = self.slot_count == 1;
        for (i, to) in self.planes.iter_mut().enumerate().take(frame.plane_count()) {
            let (lease, offset, stride) = frame.plane(i);
            let slot = if one {
                Some(0)
            } else {
                frame.leases().position(|l| l.same_slot(lease))
            };
            let Some(slot) = slot else { return false };
            *to = PlaneAt {
                slot: slot as u8,
                offset: offset as u64,
                stride: stride as u64,
            };
        }
        true
    }

    /// The frame, of leases for [`FrameMessage::slots`] in their order.
    ///
    /// # Errors
    /// [`FrameError`] when a plane does not lie in its slot.
    pub fn frame(&self, mut leases: [Option<Lease>; SLOTS_MAX]) -> Result<Frame, FrameError> {
        let place = |at: &PlaneAt| (at.offset as usize, at.stride as usize);
        if self.slot_count == 1
            && let Some(lease) = leases[0].take()
        {
            // As nearly all are: no list, no clones.
            return Frame::in_one_slot(self.info, lease, self.planes.each_ref().map(place));
        }
        let planes = self.planes[..self.info.format.plane_count()].iter().filter_map(|at| {
            let lease = leases[usize::from(at.slot)].clone()?;
            let (offset, stride) = place(at);
            Some(Plane { lease, offset, stride })
        });
        Frame::new(self.info, planes.collect())
    }
}

/// The entry that grants an empty slot to one that produces.
pub(crate) fn empty_slot(at: SlotAt) -> Entry {
    let mut words = [0; WORDS];
    words[SLOT] = pair(u32::from(at.segment) | u32::from(at.slot) << 16, at.generation);
    words
}

/// Which slot it grants.
pub(crate) fn empty_slot_of(words: &Entry) -> Result<SlotAt, MessageError> {
    slots(words, 1).map(|slots| slots[0])
}

fn info(format: PixelFormat, words: &Entry) -> Result<FrameInfo, MessageError> {
    let head = words[HEAD];
    let (width, height) = unpair(words[CODED]);
    let (x, y) = unpair(words[VISIBLE_AT]);
    let (visible_width, visible_height) = unpair(words[VISIBLE_SIZE]);
    if byte(head, 4) > 1 {
        return Err(MessageError::Shape);
    }
    let (num, den) = unpair(words[ASPECT]);
    let pixel_aspect = Rational::new(num, den).filter(|_| num > 0).ok_or(MessageError::Shape)?;
    let color = words[COLOR];
    let info = FrameInfo {
        visible: Rect {
            x,
            y,
            width: visible_width,
            height: visible_height,
        },
        pixel_aspect,
        rotation: match byte(head, 3) {
            0 => Rotation::None,
            1 => Rotation::Quarter,
            2 => Rotation::Half,
            3 => Rotation::ThreeQuarters,
            _ => return Err(MessageError::Shape),
        },
        flip: byte(head, 4) == 1,
        color: ColorSpace {
            primaries: byte(color, 0),
            transfer: byte(color, 1),
            matrix: byte(color, 2),
            full_range: match byte(color, 3) {
                0 => Some(false),
                1 => Some(true),
                _ => None,
            },
        },
        timestamp_us: time(words[TIMESTAMP]),
        duration_us: time(words[DURATION]),
        ..FrameInfo::new(format, Size::new(width, height))
    };
    info.check().map_err(|_| MessageError::Shape)?;
    Ok(info)
}

fn slots(words: &Entry, count: usize) -> Result<[SlotAt; SLOTS_MAX], MessageError> {
    let mut slots = [SlotAt::default(); SLOTS_MAX];
    for (to, word) in slots[..count].iter_mut().zip(&words[SLOT..]) {
        let (at, generation) = unpair(*word);
        let (segment, slot) = (at as u16, (at >> 16) as u16);
        if usize::from(segment) >= SEGMENTS || usize::from(slot) >= SLOTS {
            return Err(MessageError::Slot { segment, slot });
        }
        *to = SlotAt {
            segment,
            slot,
            generation,
        };
    }
    Ok(slots)
}

fn planes(words: &Entry, format: PixelFormat, slot_count: usize) -> Result<[PlaneAt; PLANES_MAX], MessageError> {
    let mut planes = [PlaneAt::default(); PLANES_MAX];
    let pairs = words[PLANE..].chunks_exact(2);
    for (i, (to, pair)) in planes.iter_mut().zip(pairs).take(format.plane_count()).enumerate() {
        let slot = (pair[0] >> OFFSET_BITS) as u8;
        let (offset, stride) = (pair[0] & ((1 << OFFSET_BITS) - 1), pair[1]);
        if usize::from(slot) >= slot_count || stride >= 1 << OFFSET_BITS {
            return Err(MessageError::Plane(i));
        }
        *to = PlaneAt { slot, offset, stride };
    }
    Ok(planes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> FrameMessage {
        let mut info = FrameInfo::new(PixelFormat::I420, Size::new(1920, 1088));
        info.visible = Rect {
            x: 2,
            y: 4,
            width: 1900,
            height: 1080,
        };
        info.rotation = Rotation::from_degrees(270.0);
        info.flip = true;
        info.pixel_aspect = Rational { num: 16, den: 11 };
        info.timestamp_us = Some(-7);
        info.color.full_range = Some(false);
        let at = |segment, slot, generation| SlotAt {
            segment,
            slot,
            generation,
        };
        let plane = |slot, offset, stride| PlaneAt { slot, offset, stride };
        FrameMessage {
            info,
            slot_count: 2,
            slots: [at(3, 63, u32::MAX), at(63, 0, 1), at(0, 0, 0), at(0, 0, 0)],
            planes: [
                plane(0, 64, 1920),
                plane(1, 0, 960),
                plane(1, 1 << 40, 960),
                plane(0, 0, 0),
            ],
            number: u64::MAX,
            from: None,
        }
    }

    #[test]
    fn what_is_told_is_what_is_heard() {
        let message = message();
        assert_eq!(FrameMessage::decode(&message.encode()), Ok(message));
        let handed = FrameMessage {
            number: 0,
            from: Some(7),
            ..message
        };
        assert_eq!(FrameMessage::decode(&handed.encode()), Ok(handed));
        assert_eq!(empty_slot_of(&empty_slot(message.slots[0])), Ok(message.slots[0]));
    }

    #[test]
    fn seeds_of_the_fuzz_target_are_entries_that_are_taken() {
        let seeds: [&[u8]; 3] = [
            include_bytes!("../../../fuzz/seeds/link_messages/i420"),
            include_bytes!("../../../fuzz/seeds/link_messages/two-slots"),
            include_bytes!("../../../fuzz/seeds/link_messages/four-slots"),
        ];
        let slots = seeds.map(|seed| {
            let mut words = [0; WORDS];
            for (word, bytes) in words.iter_mut().zip(seed.chunks_exact(8)) {
                *word = u64::from_le_bytes(bytes.try_into().unwrap());
            }
            FrameMessage::decode(&words).map(|message| message.slot_count)
        });
        assert_eq!(slots, [Ok(1), Ok(2), Ok(4)]);
    }

    #[test]
    fn every_field_out_of_its_range_is_refused() {
        let with = |index: usize, word: u64| {
            let mut words = message().encode();
            words[index] = word;
            FrameMessage::decode(&words)
        };
        assert_eq!(with(HEAD, 0xffff), Err(MessageError::Format(0xffff)));
        assert_eq!(with(HEAD, 0), Err(MessageError::SlotCount(0)));
        assert_eq!(with(HEAD, 5 << 16), Err(MessageError::SlotCount(5)));
        assert_eq!(with(HEAD, 2 << 16 | 4 << 24), Err(MessageError::Shape));
        assert_eq!(with(CODED, 0), Err(MessageError::Shape));
        assert_eq!(with(CODED, u64::MAX), Err(MessageError::Shape));
        assert_eq!(with(VISIBLE_SIZE, pair(1920, 1080)), Err(MessageError::Shape));
        assert_eq!(with(ASPECT, pair(0, 1)), Err(MessageError::Shape));
        assert_eq!(with(ASPECT, pair(1, 0)), Err(MessageError::Shape));
        let slot = MessageError::Slot { segment: 64, slot: 0 };
        assert_eq!(with(SLOT, 64), Err(slot));
        assert_eq!(with(PLANE + 2, 2 << OFFSET_BITS), Err(MessageError::Plane(1)));
        assert_eq!(with(PLANE + 5, u64::MAX), Err(MessageError::Plane(2)));
    }
}
