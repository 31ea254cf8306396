//! What is kept of one reader, and what others are told of it.

use super::Number;
use crate::{
    error::Error,
    message::{FrameMessage, SLOTS_MAX, SlotAt},
    peer::Peer,
    produce::Producing,
    segments::Segments,
    socket::Socket,
    wire::{Hello, ToClient},
};
use beamline_arena::{
    Reservation, SharedPage,
    grant::{Granted, ReturnPage, TellPage},
};
use beamline_media::Frame;
use rustix::{
    event::{EventfdFlags, eventfd},
    fd::{AsFd, BorrowedFd, OwnedFd},
};
use serde::Serialize;
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// What a share knows of one reader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientInfo {
    /// Tells readers of one share apart.
    pub id: u64,
    /// Its process.
    pub pid: i32,
    /// Whether it fills frames instead of reading them; what it holds are empty ones then, and those that it has filled and not let go.
    pub produces: bool,
    /// Frames that it holds, or was told of and has not read; one that lies in several slots counts as so many.
    pub held: u32,
    /// Frames that were told and, as it says, not read.
    pub behind: u32,
    /// Frames that wait here until it gives some back.
    pub waiting: u32,
    /// Frames that were granted to it.
    pub granted: u64,
    /// Frames that its policy has dropped here.
    pub dropped: u64,
    /// Whether it takes frames that others hand over.
    pub takes_handed: bool,
}

/// One reader.
pub(crate) struct Client {
    pub(crate) id: u64,
    pub(crate) pid: i32,
    pub(crate) socket: Socket,
    /// Written by the reader alone; we only watch it.
    pub(crate) wake: OwnedFd,
    pub(crate) pidfd: Option<OwnedFd>,
    pub(crate) tell: SharedPage<TellPage>,
    pub(crate) returns: SharedPage<ReturnPage>,
    pub(super) hello: Hello,
    pub(super) books: Mutex<Books>,
}

#[derive(Default)]
pub(crate) struct Books {
    pub(crate) granted: Granted,
    /// Entries told so far (wraps).
    pub(crate) told: u32,
    pub(crate) segments: Segments,
    /// What was told last: made in place.
    pub(super) message: FrameMessage,
    /// Of one that produces; it is shown nothing.
    pub(crate) producing: Option<Producing>,
    pub(super) queue: VecDeque<(Frame, Number)>,
    pub(crate) frames: u64,
    pub(super) dropped: u64,
    pub(crate) gone: bool,
    /// It has said what it must not: nothing more is heard of it.
    pub(crate) cut_off: bool,
    /// It has said goodbye, and is kept for what it holds.
    pub(super) leaving: bool,
    /// What it may hold, where the source's memory is known.
    pub(super) reservation: Option<Reservation>,
    /// The source's memory has changed, and what it may hold does not fit yet: it gets nothing, and until then it is tried again.
    pub(super) homeless: Option<Instant>,
    /// It did not fit in time: it gets nothing more.
    pub(super) refused: bool,
    /// Memory is missed: since when, when that was looked at last, and how much had come back from it by then.
    pub(super) missed: Option<(Instant, Instant, u64)>,
    /// The slots of the last entries, newest last: those that it has not read when it leaves are ours at once.
    pub(super) log: VecDeque<([SlotAt; SLOTS_MAX], usize)>,
    /// Said while its socket was full: the newest format, and the end. Said again when something comes back, and every few ms.
    pub(super) owed: [Option<ToClient>; 2],
    /// Grants that came back, pictures that were told, and how many of them there were when its eventfd was last rung.
    pub(crate) returned: u64,
    pub(super) returned_at_ring: u64,
}

impl Books {
    /// Whether it has not been told everything.
    pub(super) fn owes(&self) -> bool {
        self.owed.iter().any(Option::is_some)
    }
}

impl Client {
    pub(crate) fn new(
        id: u64,
        peer: Peer,
        socket: Socket,
        hello: Hello,
        producing: Option<Producing>,
        reservation: Option<Reservation>,
    ) -> Result<Self, Error> {
        let wake =
            eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|e| Error::os("an eventfd", e))?;
        Ok(Client {
            id,
            pid: peer.pid,
            wake,
            pidfd: peer.pidfd,
            socket,
            tell: SharedPage::new("beamline:tell", true)?,
            returns: SharedPage::new("beamline:return", false)?,
            hello,
            books: Mutex::new(Books {
                producing,
                reservation,
                ..Books::default()
            }),
        })
    }

    /// The fds that go with the welcome; for one that produces its ring comes after them.
    pub(crate) fn fds(&self) -> [BorrowedFd<'_>; 3] {
        [self.tell.fd(), self.returns.fd(), self.wake.as_fd()]
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it fills frames instead of reading them.
    pub(crate) fn produces(&self) -> bool {
        self.hello.produce.is_some()
    }

    /// Whether it holds anything, or something waits for it.
    pub(crate) fn idle(&self) -> bool {
        let books = self.books();
        books.granted.outstanding() == 0 && books.queue.is_empty()
    }

    /// Returns of slots that it was not granted.
    pub(crate) fn refused_returns(&self) -> u64 {
        self.books().granted.refused()
    }

    /// As things stand now: what came back is heard first.
    pub(crate) fn info(&self) -> ClientInfo {
        self.drain();
        let books = self.books();
        ClientInfo {
            id: self.id,
            pid: self.pid,
            produces: self.produces(),
            held: books.granted.outstanding(),
            behind: self.returns.behind(books.told),
            waiting: books.queue.len() as u32,
            granted: books.frames,
            dropped: books.dropped,
            takes_handed: self.hello.take_handed,
        }
    }
}
