//! What a reader is shown: granted, kept waiting or dropped; and what comes back from it.

use super::{Books, Client};
use crate::{
    message::{SLOTS_MAX, SlotAt},
    wire::ClientPolicy,
};
use beamline_arena::{LEFT_FOR_DRIVER, Lease, SegmentHold, grant::RING};
use beamline_media::Frame;
use rustix::thread::futex;

/// Where a frame comes from.
#[derive(Clone, Copy)]
pub(crate) enum Number {
    /// From the source, so many before it.
    OfSource(u64),
    /// From this client, by hand.
    From(u64),
}

/// What became of a frame that was offered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offered {
    /// It was granted, or waits.
    Taken,
    /// It is nothing for this client, or its policy has dropped it.
    Refused,
}

/// Whether a frame can be granted now.
enum Room {
    Yes,
    /// When something has come back.
    Later,
    /// Never: its memory cannot be shown to this reader.
    No,
}

/// Whether the driver that this frame's slots belong to has too few left, this frame being out.
fn short_of_slots(frame: &Frame) -> bool {
    let left = |lease: &Lease| lease.left_for_driver();
    frame.leases().filter_map(left).any(|left| left < LEFT_FOR_DRIVER)
}

impl Client {
    /// A frame of the source: granted, kept waiting or dropped, by what this reader holds and its policy. Never waits.
    pub(crate) fn offer(&self, frame: &Frame, number: Number) -> Offered {
        let mut books = self.books();
        let handed = matches!(number, Number::From(_));
        if books.gone || books.leaving || books.refused || self.produces() || handed && !self.hello.take_handed {
            return Offered::Refused;
        }
        self.drain_books(&mut books);
        if books.homeless.is_some() {
            books.dropped += 1;
            return Offered::Refused;
        }
        let dropped = books.dropped;
        let granted = books.queue.is_empty() && self.grant(&mut books, frame, number);
        if !granted && handed {
            // Nothing is set aside for what others hand over: it is taken now or not at all.
            return Offered::Refused;
        }
        if !granted {
            self.keep(&mut books, frame, number);
            // Whatever comes back now is waited for, also while the thread sleeps.
            self.tell.owner_sleeps();
            self.drain_books(&mut books);
        }
        let newest_dropped = books.dropped > dropped && self.hello.policy == ClientPolicy::DropNewest;
        if newest_dropped {
            Offered::Refused
        } else {
            Offered::Taken
        }
    }

    fn keep(&self, books: &mut Books, frame: &Frame, number: Number) {
        let places = match self.hello.policy {
            ClientPolicy::Latest => 1,
            _ => self.hello.queue as usize,
        };
        if books.queue.len() >= places {
            books.dropped += 1;
            if self.hello.policy == ClientPolicy::DropNewest {
                return;
            }
            books.queue.pop_front();
        }
        // What waits here is out for a driver too: it goes before the driver has too little.
        while short_of_slots(frame) {
            books.dropped += 1;
            let gone = match self.hello.policy {
                ClientPolicy::DropNewest => books.queue.pop_back(),
                _ => books.queue.pop_front(),
            };
            if gone.is_none() {
                return;
            }
        }
        books.queue.push_back((frame.clone(), number));
    }

    /// True when the frame is dealt with: granted, or given up.
    fn grant(&self, books: &mut Books, frame: &Frame, number: Number) -> bool {
        match self.room(books, frame) {
            Room::Yes => {}
            Room::Later => return false,
            Room::No => {
                books.dropped += 1;
                return true;
            }
        }
        let Books { segments, message, .. } = &mut *books;
        let known = message.set(frame, |lease| {
            // `room` has seen to it that each is known.
            let (at, hold) = segments.of(lease)?;
            let slot = lease.slot_index();
            let generation = hold.hold(lease);
            Some(SlotAt {
                segment: at as u16,
                slot: slot as u16,
                generation,
            })
        });
        if !known {
            return true;
        }
        (message.number, message.from) = match number {
            Number::OfSource(number) => (number, None),
            Number::From(client) => (0, Some(client)),
        };
        if books.log.len() == RING {
            books.log.pop_front();
        }
        let entry = books.message.encode();
        let (slots, count) = (books.message.slots, books.message.slot_count);
        books.log.push_back((slots, count));
        books.segments.note(slots[0], &entry);
        let grants = slots.iter().take(count);
        let grants = grants.map(|at| (usize::from(at.segment), usize::from(at.slot)));
        books.granted.tell(&self.tell, books.told, &entry, grants);
        books.told = books.told.wrapping_add(1);
        books.frames += 1;
        self.wake_if_asleep();
        true
    }

    /// Whether the reader may have it, and knows its memory; new segments are told on the way.
    fn room(&self, books: &mut Books, frame: &Frame) -> Room {
        let slots = frame.leases().count() as u32;
        if books.granted.outstanding() + slots > self.hello.hold * slots {
            return Room::Later;
        }
        for lease in frame.leases() {
            if books.segments.of(lease).is_some() {
                continue;
            }
            match self.introduce(books, SegmentHold::of(lease)) {
                Ok(Some(_)) => {}
                Ok(None) => return Room::Later,
                Err(()) => return Room::No,
            }
        }
        if short_of_slots(frame) {
            Room::No
        } else if frame.leases().all(|lease| books.segments.of(lease).is_some()) {
            Room::Yes
        } else {
            // Where all numbers are in use, the last slot's segment may have taken the place of the first one's.
            Room::Later
        }
    }

    /// Tells of a segment; gives its number. None: the client has not read what was told before.
    pub(crate) fn introduce(&self, books: &mut Books, hold: Option<SegmentHold>) -> Result<Option<usize>, ()> {
        let Books { granted, segments, .. } = &mut *books;
        segments.make_room(granted, &self.socket);
        segments.introduce(hold.ok_or(())?, &self.socket)
    }

    pub(crate) fn wake_if_asleep(&self) {
        if self.returns.must_wake_client() {
            // Shared between processes, so without the flag for private ones.
            let _ = futex::wake(self.returns.futex(), futex::Flags::empty(), 1);
        }
    }

    /// Hears what came back, and grants what waited for it.
    pub(crate) fn drain(&self) {
        let mut books = self.books();
        if !books.gone && books.producing.is_none() {
            self.drain_books(&mut books);
        }
    }

    pub(super) fn drain_books(&self, books: &mut Books) {
        let Books {
            granted,
            segments,
            returned,
            ..
        } = books;
        granted.drain(&self.returns, segments.len(), |segment, slot, count| {
            *returned += u64::from(count);
            segments.let_go(segment, slot, count);
        });
        self.pay(books);
        while let Some((frame, number)) = books.queue.pop_front() {
            if !self.grant(books, &frame, number) {
                books.queue.push_front((frame, number));
                break;
            }
        }
        self.pay(books);
    }

    /// The frame in a slot that this client holds, as it was told of it last.
    pub(crate) fn holds(&self, at: SlotAt) -> Option<Frame> {
        let books = self.books();
        let message = books.segments.told_of(at)?;
        let mut leases = [const { None }; SLOTS_MAX];
        for (to, at) in leases.iter_mut().zip(&message.slots[..message.slot_count]) {
            let (segment, slot) = (usize::from(at.segment), usize::from(at.slot));
            if books.granted.held(segment, slot) == 0 {
                return None;
            }
            *to = Some(books.segments.at(segment)?.lease(u32::from(at.slot), at.generation)?);
        }
        message.frame(leases).ok()
    }
}
