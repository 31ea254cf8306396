//! One reader of a share, from the owner's side.
//!
//! Everything that decides stands in [`Books`], private to the owner. What the reader writes is used as a clamped difference alone.

use crate::{
    error::Error,
    memory::Memory,
    message::{FrameMessage, SLOTS_MAX, SlotAt},
    peer::Peer,
    produce::Producing,
    segments::{GRACE, Segments},
    socket::Socket,
    wire::{ClientPolicy, Failure, Hello, ToClient},
};
use beamline_arena::{
    LEFT_FOR_DRIVER, Lease, Reservation, SegmentHold, SharedPage,
    grant::{Granted, RING, ReturnPage, TellPage},
};
use beamline_media::Frame;
use rustix::{
    event::{EventfdFlags, eventfd},
    fd::{AsFd, BorrowedFd, OwnedFd},
    thread::futex,
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
    /// Frames that it holds, or was told of and has not read.
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
    hello: Hello,
    books: Mutex<Books>,
}

#[derive(Default)]
pub(crate) struct Books {
    pub(crate) granted: Granted,
    /// Entries told so far (wraps).
    pub(crate) told: u32,
    pub(crate) segments: Segments,
    /// What was told last: made in place.
    message: FrameMessage,
    /// Of one that produces; it is shown nothing.
    pub(crate) producing: Option<Producing>,
    queue: VecDeque<(Frame, Number)>,
    pub(crate) frames: u64,
    dropped: u64,
    pub(crate) gone: bool,
    /// It has said goodbye, and is kept for what it holds.
    leaving: bool,
    /// What it may hold, where the source's memory is known.
    reservation: Option<Reservation>,
    /// The source's memory has changed, and what it may hold does not fit yet: it gets nothing, and until then it is tried again.
    homeless: Option<Instant>,
    /// It did not fit in time: it gets nothing more.
    refused: bool,
    /// Memory was missed: when, and how much had come back from it by then.
    missed: Option<(Instant, u64)>,
    /// The slots of the last entries, newest last: those that it has not read when it leaves are ours at once.
    log: VecDeque<([SlotAt; SLOTS_MAX], usize)>,
    /// Said while its socket was full: the newest format, and the end. Said again when something comes back, and every few ms.
    owed: [Option<ToClient>; 2],
    /// Grants that came back, pictures that were told, and how many of them there were when its eventfd was last rung.
    pub(crate) returned: u64,
    returned_at_ring: u64,
}

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

/// Whether a frame can be granted now.
enum Room {
    Yes,
    /// When something has come back.
    Later,
    /// Never: its memory cannot be shown to this reader.
    No,
}

impl Books {
    /// Whether it has not been told everything.
    fn owes(&self) -> bool {
        self.owed.iter().any(Option::is_some)
    }
}

/// Whether the driver that this frame's slots belong to has too few left, this frame being out.
fn short_of_slots(frame: &Frame) -> bool {
    let left = |lease: &Lease| lease.left_for_driver();
    frame.leases().filter_map(left).any(|left| left < LEFT_FOR_DRIVER)
}

fn lock(books: &Mutex<Books>) -> MutexGuard<'_, Books> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
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
        lock(&self.books)
    }

    /// Whether it fills frames instead of reading them.
    pub(crate) fn produces(&self) -> bool {
        self.hello.produce.is_some()
    }

    /// A frame of the source: granted, kept waiting or dropped, by what this reader holds and its policy. Never waits.
    pub(crate) fn offer(&self, frame: &Frame, number: Number) -> Offered {
        let mut books = lock(&self.books);
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

    /// From now on frames lie in this memory: what the reader may hold is set aside there. What it holds stays its own. False when it
    /// does not fit yet: mostly the format before still lies there, so `until` then it is to be tried again, with [`Client::settle`].
    pub(crate) fn move_to(&self, memory: Option<&mut Memory>, until: Instant) -> bool {
        let mut books = lock(&self.books);
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
        let mut books = lock(&self.books);
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
        let mut books = lock(&self.books);
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

    /// The frame in a slot that this client holds, as it was told of it last.
    pub(crate) fn holds(&self, at: SlotAt) -> Option<Frame> {
        let books = lock(&self.books);
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

    /// Hears what came back, and grants what waited for it.
    pub(crate) fn drain(&self) {
        let mut books = lock(&self.books);
        if !books.gone && books.producing.is_none() {
            self.drain_books(&mut books);
        }
    }

    fn drain_books(&self, books: &mut Books) {
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
        let Books {
            granted,
            segments,
            message,
            ..
        } = &mut *books;
        let known = message.set(frame, |lease| {
            // `room` has seen to it that each is known.
            let (at, hold) = segments.of(lease)?;
            let slot = lease.slot_index();
            let generation = hold.hold(lease);
            granted.grant(at, slot as usize);
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
        books.log.push_back((books.message.slots, books.message.slot_count));
        books.segments.note(books.message.slots[0], &entry);
        self.tell.tell(books.told, &entry);
        books.told = books.told.wrapping_add(1);
        books.frames += 1;
        self.wake_if_asleep();
        true
    }

    pub(crate) fn wake_if_asleep(&self) {
        if self.returns.must_wake_client() {
            // Shared between processes, so without the flag for private ones.
            let _ = futex::wake(self.returns.futex(), futex::Flags::empty(), 1);
        }
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

    /// Whether it knows memory that may be of a past format: nobody wakes us when that can go.
    pub(crate) fn may_forget(&self) -> bool {
        self.books().segments.of_several_formats()
    }

    /// The client has let go of a segment. False when it was not told to.
    pub(crate) fn forgot(&self, number: u32) -> bool {
        lock(&self.books).segments.forgot(number)
    }

    /// The thread is about to sleep; what came back meanwhile is heard.
    ///
    /// It asks to be woken only where somebody waits for what comes back: a wake costs the reader a system call and us a turn, and mostly
    /// the next frame is soon enough.
    pub(crate) fn before_sleep(&self, closing: bool) -> Out {
        let mut books = lock(&self.books);
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
        let mut books = lock(&self.books);
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
        let mut books = lock(&self.books);
        if books.gone {
            return true;
        }
        let at = usize::from(!matches!(message, ToClient::Caps(_)));
        books.owed[at] = Some(message);
        self.pay(&mut books);
        !books.owes()
    }

    /// Says what is owed, as far as it may be said: the end only after the frames that wait for room.
    fn pay(&self, books: &mut Books) {
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
        let _ = self.socket.send(&ToClient::Refused(failure), &[]);
    }

    /// It reads no more: what it was told and has not read is ours again. False when it lies about what it has read.
    pub(crate) fn leave(&self, read: u32) -> bool {
        let mut books = lock(&self.books);
        let unread = books.told.wrapping_sub(read) as usize;
        if books.leaving || unread > books.log.len() {
            return false;
        }
        books.leaving = true;
        books.queue.clear();
        let Books {
            granted, segments, log, ..
        } = &mut *books;
        for (slots, count) in log.drain(log.len() - unread..) {
            for at in &slots[..count] {
                let (segment, slot) = (usize::from(at.segment), usize::from(at.slot));
                if granted.revoke(segment, slot) {
                    segments.let_go(segment, slot, 1);
                }
            }
        }
        true
    }

    /// Whether it has said goodbye and given back everything.
    pub(crate) fn has_left(&self) -> bool {
        let books = lock(&self.books);
        books.leaving && books.granted.outstanding() == 0 && books.producing.is_none()
    }

    /// The reader is gone: all that it held is ours again, and nothing of its memory was looked at. Gives how many holds that were.
    pub(crate) fn sweep(&self) -> u32 {
        let mut books = lock(&self.books);
        if books.gone {
            return 0;
        }
        books.gone = true;
        books.reservation = None;
        books.queue.clear();
        let swept = books.granted.outstanding();
        let Books {
            granted,
            segments,
            producing,
            ..
        } = &mut *books;
        granted.sweep(|segment, slot, count| match producing {
            Some(producing) => producing.returned(segments, segment, slot, count),
            None => segments.let_go(segment, slot, count),
        });
        books.segments = Segments::default();
        books.producing = None;
        swept
    }

    /// Whether it holds anything, or something waits for it.
    pub(crate) fn idle(&self) -> bool {
        let books = lock(&self.books);
        books.granted.outstanding() == 0 && books.queue.is_empty()
    }

    /// Returns of slots that it was not granted.
    pub(crate) fn refused_returns(&self) -> u64 {
        lock(&self.books).granted.refused()
    }

    /// As things stand now: what came back is heard first.
    pub(crate) fn info(&self) -> ClientInfo {
        self.drain();
        let books = lock(&self.books);
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
