//! The segments that one reader knows, from the owner's side: under which numbers, and when it may forget them.

use crate::{socket::Socket, wire::ToClient};
use beamline_arena::{
    Lease, SegmentHold, SlotMut,
    grant::{Granted, SEGMENTS, SLOTS},
};

/// Numbers are places in the reader's table, so there are few; a source that changes its format again and again needs them again.
#[derive(Debug, Default)]
pub(crate) struct Segments(Vec<Place>);

#[derive(Debug)]
enum Place {
    Known(SegmentHold),
    /// The reader was told to forget it, and has not said that it did: its table may still have the old one.
    Leaving,
    Free,
}

impl Segments {
    /// Numbers that are, or were, in use.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the client knows memory of more than one format.
    pub(crate) fn of_several_formats(&self) -> bool {
        let mut known = self.0.iter().filter_map(|place| match place {
            Place::Known(hold) => Some(hold),
            Place::Leaving | Place::Free => None,
        });
        known
            .next()
            .is_some_and(|first| known.any(|hold| !hold.same_class(first)))
    }

    /// The segment of a slot, when the reader knows it.
    pub(crate) fn of(&self, lease: &Lease) -> Option<(usize, &SegmentHold)> {
        self.0.iter().enumerate().find_map(|(number, place)| match place {
            Place::Known(hold) if hold.has(lease) => Some((number, hold)),
            _ => None,
        })
    }

    /// Ends holds on a slot.
    pub(crate) fn let_go(&self, number: usize, slot: usize, count: u32) {
        if let Some(Place::Known(hold)) = self.0.get(number) {
            hold.let_go(slot as u32, count);
        }
    }

    /// Under which number the client knows the segment of a slot that is being written.
    pub(crate) fn of_mut(&self, slot: &SlotMut) -> Option<usize> {
        self.0
            .iter()
            .position(|place| matches!(place, Place::Known(hold) if hold.has_mut(slot)))
    }

    /// The segment of that number.
    pub(crate) fn at(&self, number: usize) -> Option<&SegmentHold> {
        match self.0.get(number)? {
            Place::Known(hold) => Some(hold),
            Place::Leaving | Place::Free => None,
        }
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
            Some(place) => *place = Place::Known(hold),
            None => self.0.push(Place::Known(hold)),
        }
        Ok(Some(number))
    }

    /// Lets go of memory that its source has let go of: formats of the past.
    pub(crate) fn forget_retired(&mut self, granted: &Granted, socket: &Socket) {
        // Mostly there is one, which is in use.
        if self.0.len() > 1 {
            self.forget(granted, socket, SegmentHold::is_retired);
        }
    }

    fn forget(&mut self, granted: &Granted, socket: &Socket, may: impl Fn(&SegmentHold) -> bool) {
        for (number, place) in self.0.iter_mut().enumerate() {
            let Place::Known(hold) = &*place else { continue };
            let idle = (0..SLOTS).all(|slot| granted.held(number, slot) == 0);
            let message = ToClient::Forget { number: number as u32 };
            if idle && may(hold) && socket.send(&message, &[]).unwrap_or(false) {
                *place = Place::Leaving;
            }
        }
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
