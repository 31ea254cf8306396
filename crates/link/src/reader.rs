//! The client's side: frames of another process, in its memory.

use crate::{
    ear::{Ear, INTERRUPTED, Interrupt, SAID, TURNS, patience},
    error::Error,
    hearing::Hearing,
    invite,
    join::{self, INHERITED, LOOK, LOOK_PATIENCE, Over, Welcome, greeting},
    message::{FrameMessage, SLOTS_MAX},
    passer::Passer,
    place::Place,
    socket::{Socket, bell},
    wire::{ClientPolicy, FromClient, Hello},
};
use beamline_arena::{
    Access, FarPool, Lease, Pool, SharedPage,
    grant::{Entry, RING, Told, WORDS},
};
use beamline_media::{Caps, Frame};
use std::{
    num::NonZeroU64,
    sync::Arc,
    time::{Duration, Instant},
};

/// How a share is read.
#[derive(Clone, Copy, Debug)]
pub struct ReaderOptions {
    /// Frames that may be held at once.
    pub hold: u32,
    /// Frames that may wait at the owner's.
    pub queue: u32,
    /// What happens when as many wait.
    pub policy: ClientPolicy,
    /// How memory is mapped: [`Access::Private`] where JavaScript will see it.
    pub access: Access,
    /// Whether frames come too that other clients hand over: [`Next::Handed`].
    pub take_handed: bool,
}

impl Default for ReaderOptions {
    fn default() -> Self {
        ReaderOptions {
            hold: 4,
            queue: 4,
            policy: ClientPolicy::Latest,
            access: Access::Read,
            take_handed: false,
        }
    }
}

impl ReaderOptions {
    fn hello(&self) -> Hello {
        Hello {
            hold: self.hold,
            queue: self.queue,
            policy: self.policy,
            look: false,
            take_handed: self.take_handed,
            ..Hello::look()
        }
    }
}

/// What [`Reader::next`] gives.
#[derive(Debug)]
pub enum Next {
    /// A frame; and how many the share has published before it.
    Frame(Frame, u64),
    /// A frame that another client has handed over; and which one (also in its [`beamline_media::FrameInfo::handed_by`]). It stands where
    /// it comes, so its time may lie before that of the frame before it.
    Handed(Frame, u64),
    /// The format has changed.
    Caps(Caps),
    /// Nothing within the time.
    Nothing,
    /// The source has ended.
    End,
}

/// A share that was joined. One thread reads; frames may live on any, and longer than it.
#[derive(Debug)]
pub struct Reader {
    hearing: Arc<Hearing>,
    pool: Arc<FarPool>,
    ear: Arc<Ear>,
    /// From its first sleep on.
    watched: bool,
    options: ReaderOptions,
    caps: Caps,
    live: bool,
    read: u32,
    looked: Instant,
    /// What the socket said while a frame was looked for.
    pending: Option<Caps>,
    /// The entry that was read last, as words and as what they mean: in place, since a frame is told by some hundred bytes.
    words: Entry,
    message: FrameMessage,
    /// Whether it is still to be given: the first frame of a new format, while that is told.
    kept: bool,
    over: Option<Over>,
    skipped: u64,
    id: u64,
}

impl Reader {
    /// Joins a share. `pool` is where its memory is counted.
    ///
    /// Blocks: up to 5 s, or until `cancelled`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Told`] when the owner refuses, [`Error::Stranger`], [`Error::Protocol`], [`Error::Timeout`].
    pub fn connect(
        place: &Place,
        pool: &Pool,
        options: ReaderOptions,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Self, Error> {
        let (socket, welcome) = join::join(place, &options.hello(), cancelled)?;
        Self::new(socket, place.name(), welcome, pool, options)
    }

    /// The same over a socket that was inherited: the other end of [`Publisher::invite`](crate::Publisher::invite).
    ///
    /// # Errors
    /// As [`Reader::connect`].
    pub fn from_fd(
        fd: rustix::fd::OwnedFd,
        pool: &Pool,
        options: ReaderOptions,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Self, Error> {
        Self::invited(Socket::from_fd(fd)?, pool, options, cancelled)
    }

    /// The same by the number of the fd, which stays open itself: it is copied.
    ///
    /// # Errors
    /// As [`Reader::connect`]; [`Error::NoInvitation`], [`Error::UsedInvitation`].
    pub fn inherit(
        number: u32,
        pool: &Pool,
        options: ReaderOptions,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Self, Error> {
        Self::invited(invite::take(number)?, pool, options, cancelled)
    }

    fn invited(
        socket: Socket,
        pool: &Pool,
        options: ReaderOptions,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Self, Error> {
        let welcome = join::invited(&socket, &options.hello(), cancelled)?;
        Self::new(socket, INHERITED, welcome, pool, options)
    }

    fn new(socket: Socket, name: &str, welcome: Welcome, pool: &Pool, options: ReaderOptions) -> Result<Self, Error> {
        let Welcome { id, caps, live, fds } = welcome;
        let broken = |what: &str| Error::Protocol(what.into());
        let [tell, returns, wake] = <[_; 3]>::try_from(fds).map_err(|_| broken("a welcome without its three fds"))?;
        let socket = Arc::new(socket);
        let wake = bell(wake)?;
        let tell = SharedPage::attach(tell, Access::Read)?;
        let returns = SharedPage::attach(returns, Access::Shared)?;
        let pool = Arc::new(FarPool::new(pool, options.access, tell, returns, wake, socket.clone()));
        let hearing = Hearing::new(name, socket, Arc::clone(&pool));
        Ok(Reader {
            ear: Arc::clone(&hearing.ear),
            hearing,
            watched: false,
            pool,
            options,
            caps,
            live,
            read: 0,
            looked: Instant::now(),
            pending: None,
            words: [0; WORDS],
            message: FrameMessage::default(),
            kept: false,
            over: None,
            skipped: 0,
            id,
        })
    }

    /// What a share gives, without joining it.
    ///
    /// # Errors
    /// As [`Reader::connect`].
    pub fn look(place: &Place) -> Result<(Caps, bool), Error> {
        let socket = Socket::connect(place, Instant::now() + LOOK_PATIENCE, &|| false)?;
        socket.send(&FromClient::Hello(Hello::look()), &[])?;
        greeting(&socket, place.name(), LOOK_PATIENCE, &|| false).map(|w| (w.caps, w.live))
    }

    /// What comes.
    #[must_use]
    pub fn caps(&self) -> &Caps {
        &self.caps
    }

    /// Whether pictures come at their own time.
    #[must_use]
    pub fn live(&self) -> bool {
        self.live
    }

    /// Frames that were given back unseen because a newer one was there already (`latest`).
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The next frame, waited for at most `timeout`; with [`Duration::MAX`] for good, which costs no timer.
    ///
    /// A change of format, the end and the death of the owner end the wait at once, and so does [`Interrupt::interrupt`], with
    /// [`Next::Nothing`]. An owner that lies can take all of them away from us (a futex may be requeued by whoever has its memory), the
    /// timeout it cannot: who must get free of any owner says one.
    ///
    /// # Errors
    /// [`Error::Gone`] when the owner's process has ended, [`Error::Told`] when its source has failed; what does not fit the protocol.
    pub fn next(&mut self, timeout: Duration) -> Result<Next, Error> {
        // Where a frame waits already nobody asks for the time.
        let mut deadline = None;
        loop {
            if self.ear.take(SAID) {
                self.hear()?;
            }
            if std::mem::take(&mut self.kept) || self.entry()? {
                if !self.fits() {
                    // The change was said before the frame was told.
                    self.hear()?;
                    if self.pending.is_some() {
                        self.kept = true;
                    }
                }
                if !self.kept {
                    return self.frame();
                }
            }
            if let Some(caps) = self.pending.take() {
                self.caps = caps.clone();
                return Ok(Next::Caps(caps));
            }
            if !self.watched && self.over.is_none() && self.looked.elapsed() >= LOOK {
                self.looked = Instant::now();
                self.hear()?;
                continue;
            }
            match &self.over {
                Some(Over::End) => return Ok(Next::End),
                Some(Over::Failed(failure)) => return Err(Error::Told(failure.clone())),
                Some(Over::Gone) => return Err(Error::Gone(self.hearing.name.clone())),
                None => {}
            }
            if self.ear.take(INTERRUPTED) || !self.sleep(timeout, &mut deadline) {
                return Ok(Next::Nothing);
            }
        }
    }

    /// Whether a frame was told that was not read yet. Cost: a load.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.kept || self.pool.tell().written() != self.read
    }

    /// Sleeps until something may have come. False when the time is over.
    fn sleep(&mut self, timeout: Duration, deadline: &mut Option<Instant>) -> bool {
        let mut left = None;
        if timeout < Duration::MAX {
            let now = Instant::now();
            if deadline.is_none() {
                *deadline = now.checked_add(timeout);
            }
            left = deadline.map(|deadline| deadline.saturating_duration_since(now));
            if left == Some(Duration::ZERO) {
                return false;
            }
        }
        if !self.watched {
            self.watched = self.hearing.watch();
        }
        self.ear.sleep_until_told(self.read, patience(self.watched, left));
        true
    }

    /// Takes this reader back from [`Reader::next`], from any thread.
    #[must_use]
    pub fn interrupt(&self) -> Interrupt {
        Interrupt::new(&self.ear)
    }

    /// Wakes that came with nothing. An honest owner's are few; one that makes more of them keeps us no busier, and is heard late: by 4 ms.
    #[must_use]
    pub fn vain_wakes(&self) -> u64 {
        self.ear.vain_wakes()
    }

    /// Whether a frame is what the last word on the format says.
    fn fits(&self) -> bool {
        let info = &self.message.info;
        self.caps.pixel_format == Some(info.format) && self.caps.size == info.coded
    }

    /// Reads the next entry; with `latest` the newest, what lies before it goes back. False when there is none.
    fn entry(&mut self) -> Result<bool, Error> {
        // No further than a ring: an owner that never stops telling must not keep us here.
        let latest = self.options.policy == ClientPolicy::Latest;
        let mut skips = if latest { RING } else { 0 };
        loop {
            match self.pool.tell().read(self.read, &mut self.words) {
                Told::Nothing => return Ok(false),
                Told::Overrun => return Err(Error::Protocol("frames were told over unread ones".into())),
                Told::Entry => {}
            }
            self.read = self.read.wrapping_add(1);
            self.message.decode_into(&self.words)?;
            // What was handed over is nobody's older picture.
            let handed = self.message.from.is_some();
            if skips == 0 || handed || self.pool.tell().written() == self.read {
                self.pool.returns().has_read(self.read);
                return Ok(true);
            }
            skips -= 1;
            self.skipped += 1;
            drop(self.leases()?);
        }
    }

    /// The slots of the entry that was read, all of them.
    fn leases(&mut self) -> Result<[Option<Lease>; SLOTS_MAX], Error> {
        let mut leases = [const { None }; SLOTS_MAX];
        let (slots, count) = (self.message.slots, self.message.slot_count);
        for (to, at) in leases.iter_mut().zip(&slots[..count]) {
            // Its fd was sent before the entry was told.
            for _ in 0..TURNS {
                if self.pool.knows(u32::from(at.segment)) {
                    break;
                }
                self.hear()?;
            }
            let lease = self
                .pool
                .receive(u32::from(at.segment), u32::from(at.slot), at.generation);
            *to = Some(lease.ok_or_else(|| Error::Protocol("a slot of an unknown segment".into()))?);
        }
        Ok(leases)
    }

    fn frame(&mut self) -> Result<Next, Error> {
        let leases = self.leases()?;
        self.message.info.handed_by = self.message.from.and_then(NonZeroU64::new);
        let frame = self.message.frame(leases)?;
        Ok(match self.message.from {
            Some(client) => Next::Handed(frame, client),
            None => Next::Frame(frame, self.message.number),
        })
    }

    /// Which client we are, for [`Reader::pass`] of another one.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Hands frames of this share to others of its clients, from any thread.
    #[must_use]
    pub fn passer(&self) -> Passer {
        Passer(Arc::clone(&self.hearing))
    }

    /// As [`Passer::pass`].
    ///
    /// # Errors
    /// As [`Passer::pass`].
    pub fn pass(&mut self, frame: &Frame, to: u64, timeout: Duration) -> Result<bool, Error> {
        self.passer().pass(frame, to, timeout)
    }

    /// Gives a frame back by half and loses it, as a process does that is killed there. For tests alone.
    #[doc(hidden)]
    pub fn release_halfway(&self, frame: &Frame) {
        for lease in frame.leases() {
            self.pool.release_halfway(lease.clone());
        }
    }

    /// Hears what the socket has, of an owner that never stops only the first; and takes over what others have heard of it.
    fn hear(&mut self) -> Result<(), Error> {
        let mut heard = self.hearing.lock();
        let outcome = self.hearing.hear(&mut heard);
        self.pending = heard.caps.take().or(self.pending.take());
        if heard.over.is_some() {
            self.over.clone_from(&heard.over);
        }
        heard.wrong.take().map_or(outcome, Err)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.hearing.leave();
        if self.kept {
            drop(self.leases());
        }
        // Frames that are still open live on, and with them the socket: without this the owner would go on granting.
        let _ = self.hearing.socket.send(&FromClient::Bye { read: self.read }, &[]);
    }
}
