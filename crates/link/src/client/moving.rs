//! A source that changes its memory: what a reader may hold is set aside anew, what lies in memory of the past is let go of.

use super::{Books, Client};
use crate::{memory::Memory, segments::GRACE, wire::ToClient};
use std::time::Instant;

impl Client {
    /// From now on frames lie in this memory: what the reader may hold is set aside there. What it holds stays its own. False when it
    /// does not fit yet: mostly the format before still lies there, so `until` then it is to be tried again, with [`Client::settle`].
    pub(crate) fn move_to(&self, memory: Option<&mut Memory>, until: Instant) -> bool {
        let mut books = self.books();
        // First: it may be the same memory.
        books.reservation = None;
        books.homeless = None;
        let Some(memory) = memory.filter(|_| !self.produces()) else {
            return true;
        };
        books.homeless = Some(until);
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

    /// A source found no memory: whether this reader is to go, since it keeps memory alive that the source has let go of, for longer than
    /// a change of format takes. What waits for one that has given nothing back for as long is dropped.
    pub(crate) fn is_in_the_way(&self, now: Instant) -> bool {
        let mut books = self.books();
        if books.gone || self.produces() {
            return false;
        }
        self.drain_books(&mut books);
        let returned = books.returned;
        match books.missed {
            Some((since, then)) if then == returned => {
                if now.duration_since(since) >= GRACE {
                    books.dropped += books.queue.len() as u64;
                    books.queue.clear();
                }
            }
            _ => books.missed = Some((now, returned)),
        }
        let Books { granted, segments, .. } = &mut *books;
        segments.keeps_the_past(granted, now)
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
