//! What the socket of a reader says, heard by whoever has time for it: the reader, or one who waits for an answer while nobody reads.
//!
//! ```text
//! Reader::next ─┐                 ┌─ formats, the end: the reader's, who is woken when another has heard them
//! Passer::pass ─┴─ hear ─ Heard ──┴─ answers: of those who wait for them
//! ```

use crate::{
    ear::{Ear, SAID, is_watched},
    error::Error,
    join::{LOOK, Over, told_of_memory},
    lookout::{self, Watched},
    socket::Socket,
    wire::ToClient,
};
use beamline_arena::FarPool;
use beamline_media::{Caps, Frame};
use rustix::fd::OwnedFd;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The socket of one reader.
#[derive(Debug)]
pub(crate) struct Hearing {
    pub(crate) name: String,
    pub(crate) socket: Arc<Socket>,
    pub(crate) pool: Arc<FarPool>,
    pub(crate) ear: Arc<Ear>,
    heard: Mutex<Heard>,
    /// From the first on who waits; until the reader goes.
    watched: Mutex<Option<Watched>>,
}

/// What was heard and is not dealt with.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// The newest format.
    pub(crate) caps: Option<Caps>,
    pub(crate) over: Option<Over>,
    /// Nothing will be heard any more.
    pub(crate) closed: bool,
    /// What was wrong with what another than the reader has heard.
    pub(crate) wrong: Option<Error>,
    /// Tickets that were given out (wraps).
    pub(crate) tickets: u32,
    /// Those that wait for their answer, or whose answer nobody has looked at.
    pub(crate) asked: BTreeMap<u32, Asked>,
    /// The reader is gone.
    pub(crate) left: bool,
}

/// A frame on its way to another client.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Held until the owner has answered: it looks whether we hold it.
    pub(crate) _frame: Frame,
    pub(crate) taken: Option<bool>,
    /// Whether nobody waits for the answer any more.
    pub(crate) given_up: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Heard {
    /// Kinds of things that wait for the reader.
    fn for_reader(&self) -> usize {
        [self.caps.is_some(), self.over.is_some(), self.wrong.is_some()]
            .into_iter()
            .filter(|there| *there)
            .count()
    }
}

impl Hearing {
    pub(crate) fn new(name: &str, socket: Arc<Socket>, pool: Arc<FarPool>) -> Arc<Self> {
        Arc::new(Hearing {
            name: name.into(),
            ear: Ear::new(&pool, &socket),
            socket,
            pool,
            heard: Mutex::default(),
            watched: Mutex::default(),
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Heard> {
        lock(&self.heard)
    }

    /// Hears what the socket has; of an owner that never stops only the first, and the rest is news for the reader.
    pub(crate) fn hear(&self, heard: &mut Heard) -> Result<(), Error> {
        if !self.ear.hear(|message, fds| self.heard(heard, message, fds))? {
            heard.over.get_or_insert(Over::Gone);
            heard.closed = true;
            self.ear.happened();
        }
        Ok(())
    }

    fn heard(&self, heard: &mut Heard, message: ToClient, fds: Vec<OwnedFd>) -> Result<(), Error> {
        match message {
            ToClient::Segment { .. } | ToClient::Forget { .. } => {
                told_of_memory(&self.pool, &self.socket, &message, fds)?;
            }
            ToClient::Caps(caps) => {
                let caps = caps.to_media();
                heard.caps = Some(caps.ok_or_else(|| Error::Protocol("a format that nobody knows".into()))?);
            }
            ToClient::End => heard.over = Some(Over::End),
            ToClient::Failed(failure) | ToClient::Refused(failure) => heard.over = Some(Over::Failed(failure)),
            ToClient::Passed { ticket, taken } => self.answered(heard, ticket, taken),
            ToClient::Welcome { .. } => return Err(Error::Protocol("a second welcome".into())),
        }
        Ok(())
    }

    /// What nobody asked is nobody's.
    fn answered(&self, heard: &mut Heard, ticket: u32, taken: bool) {
        if let Some(asked) = heard.asked.get_mut(&ticket) {
            asked.taken = Some(taken);
            if asked.given_up {
                heard.asked.remove(&ticket);
            }
        }
        self.ear.happened();
    }

    /// The same for one who is not the reader: what is the reader's waits for it, and wakes it.
    pub(crate) fn hear_beside(&self, heard: &mut Heard) -> Result<(), Error> {
        let before = heard.for_reader();
        let outcome = self.hear(heard).map_err(|error| {
            let same = Error::Protocol(error.to_string());
            heard.wrong = Some(error);
            same
        });
        // Once: as long as it does not read, it is not told again.
        if heard.for_reader() > before {
            self.ear.tell(SAID);
            if self.ear.sleeps_over_news() {
                lookout::see_to_it();
            }
        }
        outcome
    }

    /// From now on the thread that watches sockets tells of this one. False when it cannot: then one looks every [`LOOK`].
    pub(crate) fn watch(&self) -> bool {
        let mut watched = lock(&self.watched);
        !self.lock().left && is_watched(&self.ear, &mut watched)
    }

    /// Waits until more has happened than `so_far`, at most `left`; now and then for nothing, should a word have been missed.
    pub(crate) fn wait_beside(&self, so_far: u64, left: Duration) {
        self.watch();
        self.ear.wait_for_more(so_far, left.min(LOOK));
    }

    /// The reader goes: nobody waits any more, and no frame is kept.
    pub(crate) fn leave(&self) {
        let mut heard = self.lock();
        heard.left = true;
        let asked = std::mem::take(&mut heard.asked);
        drop(heard);
        *lock(&self.watched) = None;
        self.ear.happened();
        drop(asked);
    }
}
