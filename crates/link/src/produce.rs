//! The owner's side of a client that fills frames for others: it is granted empty slots ahead, and what it publishes is shown by the owner.
//!
//! Its slots lie in a pool of its own, which it can write as long as it lives: what lies there can change under whoever reads it, so
//! pictures are shown as they are, and nothing that must be parsed may come this way. Readers cannot write it: a segment is closed to
//! further writers before its first picture is shown. The message that tells of a picture is copied out of shared memory before it is
//! looked at.
//!
//! ```text
//! owner:    take a slot ─ granted += 1, "ahead" ─ tell it empty
//! producer: write the slot ─ its ring ─ give it back when it needs it no more
//! owner:    returns first, then the ring: ahead → shared, shown ─ then what came back is let go
//! ```

use crate::{
    client::{Books, Client, Out},
    error::Error,
    message::{FrameMessage, MessageError, SLOTS_MAX, SlotAt, empty_slot},
    segments::Segments,
};
use beamline_arena::{
    Arena, Error as ArenaError, Lease, Pool, PoolConfig, SegmentHold, SharedPage, Shortage, SizeClass, SlotMut, Wait,
    grant::{PublishPage, Told, WORDS},
};
use beamline_media::{Caps, Frame, Layout};
use std::{os::fd::BorrowedFd, sync::Arc};

/// Who takes what producers fill.
#[expect(missing_debug_implementations, reason = "a closure is all there is to see")]
pub struct Host {
    /// Whose budget their memory is taken from.
    pub arena: Arena,
    /// Bytes that one producer may have.
    pub max_bytes: u64,
    /// Producers at once.
    pub producers: usize,
    /// Is told of everything, on the link's thread; it must not wait. Frames are shown to readers besides.
    pub sink: Box<dyn Fn(Produced) + Send + Sync>,
}

/// What comes from a producer.
#[derive(Debug)]
pub enum Produced {
    /// A picture.
    Frame(Frame),
    /// From now on they are of this format.
    Caps(Caps),
    /// It was the last one.
    End,
    /// It has failed, or its process is gone.
    Failed(crate::wire::Failure),
}

/// What is kept of one producer, under the lock of its books.
pub(crate) struct Producing {
    page: SharedPage<PublishPage>,
    pool: Pool,
    /// The share's: what a producer finds no memory for costs the readers of other shares nothing.
    shortage: Arc<Shortage>,
    /// Of its format; none as long as that is not known, and nothing is granted.
    class: Option<SizeClass>,
    /// Empty slots that it shall have.
    asked: usize,
    /// Those that it has: out to be written.
    ahead: Vec<(SlotAt, SlotMut)>,
    read: u32,
    /// Heard, and not dealt with.
    heard: Vec<Frame>,
    broken: Option<Error>,
    /// What it broke was told: nothing is heard of it any more.
    deaf: bool,
    /// Whether it has told its end.
    pub(crate) over: bool,
}

impl Producing {
    pub(crate) fn new(host: &Host, shortage: &Arc<Shortage>, pid: i32, caps: &Caps, asked: u32) -> Result<Self, Error> {
        let pool = host.arena.pool(PoolConfig {
            slots: asked * 2,
            max_bytes: host.max_bytes,
            open: true,
            ..PoolConfig::new(format!("producer {pid}"))
        });
        Ok(Producing {
            page: SharedPage::new("beamline:publish", false)?,
            class: class_of(&pool, caps)?,
            pool,
            shortage: Arc::clone(shortage),
            asked: asked as usize,
            ahead: Vec::new(),
            read: 0,
            heard: Vec::new(),
            broken: None,
            deaf: false,
            over: false,
        })
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.page.fd()
    }

    /// From now on it is granted slots for another format.
    pub(crate) fn set_caps(&mut self, caps: &Caps) -> Result<(), Error> {
        self.class = class_of(&self.pool, caps)?;
        Ok(())
    }

    /// It let a slot go: empty, or as one of those who hold the picture in it.
    pub(crate) fn returned(&mut self, segments: &Segments, segment: usize, slot: usize, count: u32) {
        let is = |at: &SlotAt| (usize::from(at.segment), usize::from(at.slot)) == (segment, slot);
        match self.ahead.iter().position(|(at, _)| is(at)) {
            Some(empty) => drop(self.ahead.swap_remove(empty)),
            None => segments.let_go(segment, slot, count),
        }
    }

    /// Reads its ring to the end.
    fn read_ring(&mut self, segments: &Segments) -> Result<u32, Error> {
        let (mut frames, mut words) = (0, [0; WORDS]);
        loop {
            match self.page.read(self.read, &mut words) {
                Told::Nothing => return Ok(frames),
                Told::Overrun => return Err(Error::Protocol("pictures were told over unread ones".into())),
                Told::Entry => {
                    self.read = self.read.wrapping_add(1);
                    let frame = self.picture(&FrameMessage::decode(&words)?, segments)?;
                    self.heard.push(frame);
                    frames += 1;
                }
            }
        }
    }

    /// A picture in slots that were out to be written, each of them: from now on they are read.
    fn picture(&mut self, message: &FrameMessage, segments: &Segments) -> Result<Frame, Error> {
        let mut leases: [Option<Lease>; SLOTS_MAX] = [const { None }; SLOTS_MAX];
        for (to, at) in leases.iter_mut().zip(&message.slots[..message.slot_count]) {
            let unknown = || {
                let (segment, slot) = (at.segment, at.slot);
                Error::Message(MessageError::Slot { segment, slot })
            };
            let empty = self.ahead.iter().position(|(a, _)| a == at).ok_or_else(unknown)?;
            let lease = self.ahead.swap_remove(empty).1.freeze();
            // Its grant goes on as a hold on the picture, until it lets go.
            let segment = segments.at(usize::from(at.segment)).ok_or_else(unknown)?;
            segment.hold(&lease);
            *to = Some(lease);
            // It has mapped what it has filled; readers, who are shown it now, shall never write it.
            segment.segment().close_to_writers()?;
        }
        Ok(message.frame(leases)?)
    }
}

fn class_of(pool: &Pool, caps: &Caps) -> Result<Option<SizeClass>, Error> {
    let Some(format) = caps.pixel_format else {
        return Ok(None);
    };
    Ok(Some(pool.class(Layout::aligned(format, caps.size)?.len)?))
}

impl Client {
    /// Hears a producer: what it has filled since, in order. An error is the last thing that is heard of it.
    pub(crate) fn hear_producer(&self) -> Result<Vec<Frame>, Error> {
        let mut books = self.books();
        if books.gone || books.producing.is_none() {
            return Ok(Vec::new());
        }
        self.look_at_producer(&mut books);
        let Some(producing) = &mut books.producing else {
            return Ok(Vec::new());
        };
        if producing.heard.is_empty()
            && let Some(error) = producing.broken.take()
        {
            producing.deaf = true;
            return Err(error);
        }
        Ok(std::mem::take(&mut producing.heard))
    }

    /// Whether what a producer says is still heard: it has not said its last word, nor what it must not.
    pub(crate) fn is_heard(&self) -> bool {
        let books = self.books();
        let producing = books.producing.as_ref();
        !books.cut_off && producing.is_some_and(|p| !p.deaf && p.broken.is_none() && !p.over)
    }

    pub(crate) fn look_at_producer(&self, books: &mut Books) -> Out {
        let Books {
            granted,
            segments,
            producing,
            frames,
            returned,
            ..
        } = &mut *books;
        let Some(producing) = producing else {
            return Out::Nothing;
        };
        // In this order: what it has told before it gave a slot back is heard before the slot is free.
        let mut back = Vec::new();
        granted.drain(&self.returns, segments.len(), |segment, slot, count| {
            back.push((segment, slot, count));
        });
        if producing.broken.is_none() && !producing.deaf {
            match producing.read_ring(segments) {
                Ok(told) => {
                    *frames += u64::from(told);
                    *returned += u64::from(told);
                }
                Err(error) => producing.broken = Some(error),
            }
        }
        for (segment, slot, count) in back {
            *returned += u64::from(count);
            producing.returned(segments, segment, slot, count);
        }
        let (heard, broken, over) = (!producing.heard.is_empty(), producing.broken.is_some(), producing.over);
        let deaf = producing.deaf;
        // Its formats of the past.
        segments.forget_retired(granted, &self.socket);
        let short = !broken && !deaf && !over && !self.refill(books);
        match (heard || broken, short) {
            (true, _) => Out::Now,
            (false, true) => Out::Soon,
            (false, false) => Out::Nothing,
        }
    }

    /// The share is closed: what was granted to be filled is not waited for, and nobody will see it.
    pub(crate) fn retract(&self) {
        let mut books = self.books();
        let Books { granted, producing, .. } = &mut *books;
        if let Some(producing) = producing {
            producing.over = true;
            for (at, slot) in producing.ahead.drain(..) {
                granted.revoke(usize::from(at.segment), usize::from(at.slot));
                drop(slot);
            }
        }
    }

    /// Grants empty slots until it has as many as it shall have. False when there are none, or it does not read what it is told.
    fn refill(&self, books: &mut Books) -> bool {
        loop {
            let Some(producing) = &books.producing else { return true };
            if producing.ahead.len() >= producing.asked {
                return true;
            }
            let Some(class) = &producing.class else { return true };
            let slot = match class.acquire(Wait::Grow) {
                Ok(slot) => slot,
                Err(error) => {
                    if matches!(error, ArenaError::Budget { .. }) {
                        producing.shortage.ring();
                    }
                    return false;
                }
            };
            let segment = match books.segments.of_mut(&slot) {
                Some(at) => at,
                None => match self.introduce(books, SegmentHold::of_mut(&slot)) {
                    Ok(Some(at)) => at,
                    _ => return false,
                },
            };
            let name = slot.slot_ref();
            let at = SlotAt {
                segment: segment as u16,
                slot: name.slot as u16,
                generation: name.generation,
            };
            if let Some(producing) = &mut books.producing {
                producing.ahead.push((at, slot));
            }
            let grants = [(segment, name.slot as usize)];
            books.granted.tell(&self.tell, books.told, &empty_slot(at), grants);
            books.told = books.told.wrapping_add(1);
            self.wake_if_asleep();
        }
    }
}
