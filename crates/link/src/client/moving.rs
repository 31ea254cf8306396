//! A source that changes its memory: what a reader may hold is set aside anew, what lies in memory of the past is let go of.

use super::{Books, Client};
use crate::{
    memory::Memory,
    segments::{GRACE, STALE},
    wire::{Failure, ToClient},
};
use beamline_media::ErrorCode;
use std::time::Instant;

/// Why a reader gets nothing more that keeps memory alive which the source misses.
const PAST: &str = "share-past-formats";

impl Client {
    /// From now on frames lie in this memory: what the reader may hold is set aside there. What it holds stays its own. False when it
    /// does not fit yet: mostly the format before still lies there, so `until` then it is to be tried again, with [`Client::settle`].
    pub(crate) fn move_to(&self, memory: Option<&mut Memory>, until: Instant) -> bool {
        let mut books = self.books();
        // First: it may be the same memory.
        books.reservation = None;
        let since = books.homeless.take();
        let nothing = books.gone || books.leaving || books.refused || self.produces();
        let Some(memory) = memory.filter(|_| !nothing) else {
            return true;
        };
        // A source that changes all the time does not make it wait for good.
        books.homeless = Some(since.map_or(until, |since| since.min(until)));
        drop(books);
        self.settle(memory)
    }

    /// Sets aside what a reader may hold, where that has not been done. False when it is to be tried again; who finds no room in time is
    /// told that it gets nothing more.
    pub(crate) fn settle(&self, memory: &mut Memory) -> bool {
        let mut books = self.books();
        let Some(until) = books.homeless else { return true };
        if books.gone || books.leaving {
            return true;
        }
        match memory.set_aside(&self.hello) {
            Ok(reservation) => books.reservation = Some(reservation),
            Err(_) if Instant::now() < until => return false,
            Err(failure) => {
                // Once: others may be tried again.
                books.homeless = None;
                books.refused = true;
                books.queue.clear();
                drop(books);
                self.say(ToClient::Failed(failure));
                return true;
            }
        }
        books.homeless = None;
        true
    }

    /// Memory is missed. What waits for a reader that has given nothing back for [`GRACE`] is dropped. Of one that holds frames for as long
    /// in memory that its source has let go of, they are taken: it gets nothing more, and there they are still to be read, but here they
    /// keep nothing alive. Gives how many holds were taken.
    pub(crate) fn make_room(&self, now: Instant) -> u32 {
        let mut books = self.books();
        if books.gone || self.produces() {
            return 0;
        }
        self.drain_books(&mut books);
        let returned = books.returned;
        match books.missed {
            // One that lies long back says nothing of what was meanwhile.
            Some((since, looked, then)) if then == returned && now.duration_since(looked) < STALE => {
                books.missed = Some((since, now, then));
                if now.duration_since(since) >= GRACE {
                    books.dropped += books.queue.len() as u64;
                    books.queue.clear();
                }
            }
            _ => books.missed = Some((now, now, returned)),
        }
        let Books { granted, segments, .. } = &mut *books;
        let taken = segments.take_the_past(granted, now);
        if taken == 0 {
            return 0;
        }
        tracing::debug!(
            reader = self.id,
            process = self.pid,
            taken,
            "frames of past formats are taken back"
        );
        books.refused = true;
        books.homeless = None;
        books.reservation = None;
        books.queue.clear();
        drop(books);
        let message = "the share's owner has no memory left, and this process held frames of past formats: expected them to be closed within \
                       half a second";
        self.say(ToClient::Failed(Failure::new(ErrorCode::Quota, PAST, message)));
        taken
    }

    /// Whether it knows memory that may be of a past format: nobody wakes us when that can go.
    pub(crate) fn may_forget(&self) -> bool {
        self.books().segments.of_several_formats()
    }

    /// The client has let go of a segment. False when it was not told to.
    pub(crate) fn forgot(&self, number: u32) -> bool {
        self.books().segments.forgot(number)
    }
}
