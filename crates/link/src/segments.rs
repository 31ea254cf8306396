//! The segments that one reader knows, from the owner's side: under which numbers, and when it may forget them.

use crate::{
    message::{FrameMessage, SlotAt},
    socket::Socket,
    wire::ToClient,
};
use beamline_arena::{
    Lease, SegmentHold, SlotMut,
    grant::{Entry, Granted, SEGMENTS, SLOTS, WORDS},
};
use std::time::{Duration, Instant};

/// How long a reader may hold frames of memory that its source has let go of, once that memory is missed.
pub(crate) const GRACE: Duration = Duration::from_millis(500);
/// After so long without a look what was seen then says nothing of the time between.
pub(crate) const STALE: Duration = Duration::from_secs(2);

/// Numbers are places in the reader's table, so there are few; a source that changes its format again and again needs them again.
#[derive(Debug, Default)]
pub(crate) struct Segments(Vec<Place>);

#[derive(Debug)]
enum Place {
    Known(Known),
    /// The reader was told to forget it, and has not said that it did: its table may still have the old one.
    Leaving,
    Free,
}

#[derive(Debug)]
struct Known {
    hold: SegmentHold,
    /// Since when its source has let go of it and the client has not, as far as anybody has looked; and when that was.
    retired: Option<(Instant, Instant)>,
    /// By slot: what was told of it last. Ours alone, so what a client says of a frame it holds need not be believed. Nothing before the
    /// first is told.
    told: Vec<Entry>,
}

impl From<SegmentHold> for Known {
    fn from(hold: SegmentHold) -> Self {
        Known {
            hold,
            retired: None,
            told: Vec::new(),
        }
    }
}

impl Segments {
    /// Numbers that are, or were, in use.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the client knows memory of more than one format.
    pub(crate) fn of_several_formats(&self) -> bool {
        let mut known = (0..self.len()).filter_map(|number| self.at(number));
        known
            .next()
            .is_some_and(|first| known.any(|hold| !hold.same_class(first)))
    }

    /// The segment of a slot, when the reader knows it.
    pub(crate) fn of(&self, lease: &Lease) -> Option<(usize, &SegmentHold)> {
        self.0.iter().enumerate().find_map(|(number, place)| match place {
            Place::Known(known) if known.hold.has(lease) => Some((number, &known.hold)),
            _ => None,
        })
    }

    /// Ends holds on a slot.
    pub(crate) fn let_go(&self, number: usize, slot: usize, count: u32) {
        if let Some(hold) = self.at(number) {
            hold.let_go(slot as u32, count);
        }
    }

    /// Under which number the client knows the segment of a slot that is being written.
    pub(crate) fn of_mut(&self, slot: &SlotMut) -> Option<usize> {
        self.0
            .iter()
            .position(|place| matches!(place, Place::Known(known) if known.hold.has_mut(slot)))
    }

    /// The segment of that number.
    pub(crate) fn at(&self, number: usize) -> Option<&SegmentHold> {
        match self.0.get(number)? {
            Place::Known(known) => Some(&known.hold),
            Place::Leaving | Place::Free => None,
        }
    }

    /// Notes what the client is told of a frame whose first slot this is: its source uses that memory.
    pub(crate) fn note(&mut self, first: SlotAt, entry: &Entry) {
        if let Some(Place::Known(known)) = self.0.get_mut(usize::from(first.segment)) {
            known.retired = None;
            known.told.resize(SLOTS, [0; WORDS]);
            known.told[usize::from(first.slot)] = *entry;
        }
    }

    /// What it was told of the frame whose first slot this is, in this use of it.
    pub(crate) fn told_of(&self, first: SlotAt) -> Option<FrameMessage> {
        let Some(Place::Known(known)) = self.0.get(usize::from(first.segment)) else {
            return None;
        };
        let message = FrameMessage::decode(known.told.get(usize::from(first.slot))?).ok()?;
        (message.slots[0] == first).then_some(message)
    }

    fn free(&self) -> usize {
        let free = self.0.iter().position(|place| matches!(place, Place::Free));
        free.unwrap_or(self.0.len())
    }

    /// Where all numbers are in use: asks the reader to forget all that nothing is held of, whether its source may use it again or not.
    pub(crate) fn make_room(&mut self, granted: &Granted, socket: &Socket) {
        if self.free() == SEGMENTS {
            self.forget(granted, socket, |_| true);
        }
    }

    /// Tells of a segment; gives its number. None: not now, the client has yet to read what it was told; an error: never.
    pub(crate) fn introduce(&mut self, hold: SegmentHold, socket: &Socket) -> Result<Option<usize>, ()> {
        let number = self.free();
        if number == SEGMENTS {
            let leaving = self.0.iter().any(|place| matches!(place, Place::Leaving));
            return if leaving { Ok(None) } else { Err(()) };
        }
        let segment = hold.segment();
        let message = ToClient::Segment {
            number: number as u32,
            slot_size: segment.slot_size() as u64,
            slots: segment.slots(),
        };
        if !socket.send(&message, &[segment.fd()]).map_err(drop)? {
            return Ok(None);
        }
        match self.0.get_mut(number) {
            Some(place) => *place = Place::Known(hold.into()),
            None => self.0.push(Place::Known(hold.into())),
        }
        Ok(Some(number))
    }

    /// Lets go of memory that its source has let go of: formats of the past.
    pub(crate) fn forget_retired(&mut self, granted: &Granted, socket: &Socket) {
        self.forget(granted, socket, SegmentHold::is_retired);
    }

    fn forget(&mut self, granted: &Granted, socket: &Socket, may: impl Fn(&SegmentHold) -> bool) {
        for (number, place) in self.0.iter_mut().enumerate() {
            let Place::Known(known) = &*place else { continue };
            let message = ToClient::Forget { number: number as u32 };
            if may(&known.hold) && !holds_of(granted, number) && socket.send(&message, &[]).unwrap_or(false) {
                *place = Place::Leaving;
            }
        }
    }

    /// Memory is missed: takes what the client has held for [`GRACE`] in some that its source has let go of. Gives how many holds.
    ///
    /// The number stays taken: the client, which is served no more, may go on with what lies there.
    pub(crate) fn take_the_past(&mut self, granted: &mut Granted, now: Instant) -> u32 {
        let mut taken = 0;
        for (number, place) in self.0.iter_mut().enumerate() {
            let Place::Known(known) = place else { continue };
            if !known.hold.is_retired() || !holds_of(granted, number) {
                known.retired = None;
                continue;
            }
            let since = match known.retired {
                Some((since, looked)) if now.duration_since(looked) < STALE => since,
                _ => now,
            };
            known.retired = Some((since, now));
            if now.duration_since(since) >= GRACE && known.hold.close_if_retired() {
                for slot in 0..SLOTS {
                    while granted.revoke(number, slot) {
                        known.hold.let_go(slot as u32, 1);
                        taken += 1;
                    }
                }
                *place = Place::Leaving;
            }
        }
        taken
    }

    /// The reader has forgotten it. False when it was not told to.
    pub(crate) fn forgot(&mut self, number: u32) -> bool {
        let place = self.0.get_mut(number as usize);
        let told = matches!(place, Some(Place::Leaving));
        if let (Some(place), true) = (place, told) {
            *place = Place::Free;
        }
        told
    }
}

/// Whether the client holds a slot of a segment.
fn holds_of(granted: &Granted, number: usize) -> bool {
    (0..SLOTS).any(|slot| granted.held(number, slot) != 0)
}
