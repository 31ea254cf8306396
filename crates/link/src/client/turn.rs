//! What the share's thread does for a client at a turn: before and after it sleeps, and what it says.

use super::{Books, Client};
use crate::wire::{Failure, ToClient};

/// Whether something is out that this client gives back without waking us.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Out {
    /// Nothing, or it wakes us.
    Nothing,
    /// We had better look after a while.
    Soon,
    /// There is something to be dealt with already.
    Now,
}

impl Client {
    /// The thread is about to sleep; what came back meanwhile is heard.
    ///
    /// It asks to be woken only where somebody waits for what comes back: a wake costs the reader a system call and us a turn, and mostly
    /// the next frame is soon enough.
    pub(crate) fn before_sleep(&self, closing: bool) -> Out {
        let mut books = self.books();
        if books.gone {
            return Out::Nothing;
        }
        if books.producing.is_some() {
            self.tell.owner_sleeps();
            return self.look_at_producer(&mut books);
        }
        if closing || books.leaving || !books.queue.is_empty() {
            self.tell.owner_sleeps();
        }
        self.drain_books(&mut books);
        let Books { granted, segments, .. } = &mut *books;
        segments.forget_retired(granted, &self.socket);
        if books.granted.outstanding() > 0 || books.owes() {
            Out::Soon
        } else {
            Out::Nothing
        }
    }

    /// Its eventfd was rung. False when nothing has come back since it was rung before: it rings for nothing.
    pub(crate) fn rang_for_something(&self) -> bool {
        let mut books = self.books();
        if books.producing.is_some() {
            self.look_at_producer(&mut books);
        } else if !books.gone {
            self.drain_books(&mut books);
        }
        let returned = books.returned;
        std::mem::replace(&mut books.returned_at_ring, returned) != returned
    }

    pub(crate) fn after_sleep(&self) {
        self.tell.owner_wakes();
    }

    /// Something for the socket alone. False when it is full: then the last format and the end are told later, by the thread.
    pub(crate) fn say(&self, message: ToClient) -> bool {
        let mut books = self.books();
        if books.gone {
            return true;
        }
        let at = usize::from(!matches!(message, ToClient::Caps(_)));
        books.owed[at] = Some(message);
        self.pay(&mut books);
        !books.owes()
    }

    /// Says what is owed, as far as it may be said: the end only after the frames that wait for room.
    pub(super) fn pay(&self, books: &mut Books) {
        let may = if books.queue.is_empty() { 2 } else { 1 };
        for owed in &mut books.owed[..may] {
            let Some(message) = owed else { continue };
            // A socket that is broken has its end, which the thread hears of.
            if matches!(self.socket.send(message, &[]), Ok(false)) {
                return;
            }
            *owed = None;
        }
    }

    /// An answer to what it asked. False when it has not read those before.
    pub(crate) fn answer(&self, message: &ToClient) -> bool {
        self.socket.send(message, &[]).unwrap_or(false)
    }

    /// Why it is cut off, as far as it listens.
    pub(crate) fn scold(&self, failure: Failure) {
        tracing::debug!(
            reader = self.id,
            process = self.pid,
            reason = failure.reason,
            "{}",
            failure.message
        );
        self.books().cut_off = true;
        let _ = self.socket.send(&ToClient::Refused(failure), &[]);
    }
}
