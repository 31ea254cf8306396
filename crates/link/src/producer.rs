//! A client that fills frames for others: in memory of the share's owner, which shows them.

use crate::{
    ear::{Ear, INTERRUPTED, Interrupt, SAID, TURNS, Waiter, sleep},
    error::Error,
    invite,
    join::{self, INHERITED, LOOK, LOOK_PATIENCE, Over, Welcome, greeting, place, slot_at, told_of_memory},
    lookout::Watched,
    message::{FrameMessage, SlotAt, empty_slot_of},
    place::Place,
    socket::{Socket, bell},
    wire::{Caps as WireCaps, Failure, FromClient, Hello, ToClient},
};
use beamline_arena::{
    Access, FarPool, Pool, SharedPage, SlotMut,
    grant::{PublishPage, Told, WORDS},
};
use beamline_media::{Caps, Frame, FrameInfo, FrameMut, Layout};
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

/// How a share is produced for.
#[derive(Clone, Copy, Debug)]
pub struct ProducerOptions {
    /// Empty frames that are granted ahead, 1 to 32 and at most what the share allows.
    pub ahead: u32,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        ProducerOptions { ahead: 4 }
    }
}

impl ProducerOptions {
    fn hello(&self, caps: &Caps) -> Hello {
        Hello {
            hold: self.ahead,
            look: false,
            produce: Some(WireCaps::of(caps)),
            ..Hello::look()
        }
    }
}

/// A share that we fill. One thread produces; what it has published may be kept and read as long as one likes: its slot comes back to the
/// owner with the last hold, here and there.
#[derive(Debug)]
pub struct Producer {
    name: String,
    socket: Arc<Socket>,
    pool: Arc<FarPool>,
    ear: Arc<Ear>,
    /// From its first sleep on.
    watched: Option<Watched>,
    page: SharedPage<PublishPage>,
    caps: Caps,
    /// Entries of the owner's that were read; entries of ours that were told.
    read: u32,
    told: u32,
    /// Slots that nobody fills yet: at most as many as we have asked for.
    empty: VecDeque<SlotMut>,
    ahead: usize,
    /// Those that are being filled, as the owner knows them.
    out: Vec<SlotAt>,
    looked: Instant,
    over: Option<Over>,
    /// The newest format, where the socket had no room for it: said with the next picture, or the next look for an empty one.
    owed: Option<WireCaps>,
}

/// What may wait in the socket for the owner, in bytes: a word on each segment that it asked us to forget, and the end, each of which is said
/// once; with the formats there is room for all of them, where the system gives as much (`net.core.wmem_max`).
const IN_SOCKET: usize = 192 << 10;
/// Formats are said as long as no more than this waits: how many there are is not bounded.
const FORMATS_IN_SOCKET: usize = 16 << 10;

impl Producer {
    /// Joins a share whose owner takes producers ([`crate::Publisher::host`]), to fill pictures of `caps`, which may be
    /// [`Caps::unknown`]: then nothing is granted ahead of the first. `pool` is where its memory is counted.
    ///
    /// Blocks: up to 5 s, or until `cancelled`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Told`] when the owner refuses, [`Error::Stranger`], [`Error::Protocol`], [`Error::Timeout`].
    pub fn connect(
        place: &Place,
        pool: &Pool,
        caps: Caps,
        options: ProducerOptions,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Self, Error> {
        let (socket, welcome) = join::join(place, &options.hello(&caps), cancelled)?;
        Self::new(socket, place.name(), welcome, pool, caps, options)
    }

    /// The same over a socket that was inherited: the other end of [`Publisher::invite`](crate::Publisher::invite).
    ///
    /// # Errors
    /// As [`Producer::connect`].
    pub fn from_fd(
        fd: rustix::fd::OwnedFd,
        pool: &Pool,
        caps: Caps,
        options: ProducerOptions,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Self, Error> {
        Self::invited(Socket::from_fd(fd)?, pool, caps, options, cancelled)
    }

    /// The same by the number of the fd, which stays open itself: it is copied.
    ///
    /// # Errors
    /// As [`Producer::connect`]; [`Error::NoInvitation`], [`Error::UsedInvitation`].
    pub fn inherit(
        number: u32,
        pool: &Pool,
        caps: Caps,
        options: ProducerOptions,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Self, Error> {
        Self::invited(invite::take(number)?, pool, caps, options, cancelled)
    }

    /// Whether a share takes producers and would take us now, without joining it.
    ///
    /// Blocks: up to 1 s.
    ///
    /// # Errors
    /// Why not, as [`Producer::connect`].
    pub fn look(place: &Place) -> Result<(), Error> {
        let socket = Socket::connect(place, Instant::now() + LOOK_PATIENCE, &|| false)?;
        let hello = Hello {
            produce: Some(WireCaps::of(&Caps::unknown())),
            ..Hello::look()
        };
        socket.send(&FromClient::Hello(hello), &[])?;
        greeting(&socket, place.name(), LOOK_PATIENCE, &|| false).map(drop)
    }

    fn invited(
        socket: Socket,
        pool: &Pool,
        caps: Caps,
        options: ProducerOptions,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Self, Error> {
        let welcome = join::invited(&socket, &options.hello(&caps), cancelled)?;
        Self::new(socket, INHERITED, welcome, pool, caps, options)
    }

    fn new(
        socket: Socket,
        name: &str,
        Welcome { fds, .. }: Welcome,
        pool: &Pool,
        caps: Caps,
        options: ProducerOptions,
    ) -> Result<Self, Error> {
        let [tell, returns, wake, page] =
            <[_; 4]>::try_from(fds).map_err(|_| Error::Protocol("a welcome without its four fds".into()))?;
        let socket = Arc::new(socket);
        let tell = SharedPage::attach(tell, Access::Read)?;
        let returns = SharedPage::attach(returns, Access::Shared)?;
        let pool = FarPool::new(pool, Access::Shared, tell, returns, bell(wake)?, socket.clone());
        let pool = Arc::new(pool);
        socket.set_room(IN_SOCKET);
        Ok(Producer {
            name: name.into(),
            ear: Ear::new(&pool, &socket),
            watched: None,
            pool,
            page: SharedPage::attach(page, Access::Shared)?,
            socket,
            caps,
            read: 0,
            told: 0,
            empty: VecDeque::new(),
            ahead: options.ahead as usize,
            out: Vec::new(),
            looked: Instant::now(),
            over: None,
            owed: None,
        })
    }

    /// What it fills.
    #[must_use]
    pub fn caps(&self) -> &Caps {
        &self.caps
    }

    /// Slots of the owner's memory that we know, and how many of them hold frames that are open here.
    #[must_use]
    pub fn memory(&self) -> (u32, u32) {
        let (slots, held) = self.pool.slots();
        (slots, held.saturating_sub(self.empty.len() as u32))
    }

    /// From now on it fills pictures of another format. An owner that does not listen is told the newest one with a later picture, look for
    /// an empty one or end.
    ///
    /// # Errors
    /// [`Error::Ended`], [`Error::Told`], [`Error::Gone`] as [`Producer::frame`].
    pub fn set_caps(&mut self, caps: &Caps) -> Result<(), Error> {
        if *caps == self.caps {
            return Ok(());
        }
        self.owed = Some(WireCaps::of(caps));
        self.pay()?;
        if (caps.pixel_format, caps.size) != (self.caps.pixel_format, self.caps.size) {
            // They have the size of the old format: they go back, and others come.
            self.empty.clear();
        }
        self.caps = caps.clone();
        Ok(())
    }

    /// An empty picture in the owner's memory; its bytes are whatever was there before. `None` when none was granted within the time:
    /// readers hold them all. [`Interrupt::interrupt`] ends the wait too.
    ///
    /// # Errors
    /// [`Error::Ended`], [`Error::Told`] when the owner has ended the share, [`Error::Gone`] when it has ended itself; [`Error::Frame`]
    /// for an impossible size.
    pub fn frame(&mut self, info: FrameInfo, timeout: Duration) -> Result<Option<FrameMut>, Error> {
        let layout = Layout::aligned(info.format, info.coded)?;
        if self.caps.pixel_format != Some(info.format) || self.caps.size != info.coded {
            let caps = Caps {
                pixel_format: Some(info.format),
                size: info.coded,
                ..self.caps.clone()
            };
            self.set_caps(&caps)?;
        }
        let deadline = Instant::now().checked_add(timeout);
        loop {
            if self.over.is_some() {
                self.hear()?;
            }
            self.pay()?;
            self.take_granted()?;
            while let Some(slot) = self.empty.pop_front() {
                // One that was granted for the format before.
                if slot.len() < layout.len {
                    continue;
                }
                self.note_out(&slot)?;
                return Ok(Some(FrameMut::new(info, slot, &layout)?));
            }
            if self.ear.take(SAID) || (self.watched.is_none() && self.looked.elapsed() >= LOOK) {
                self.hear()?;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) || self.ear.take(INTERRUPTED) {
                return Ok(None);
            }
            let left = if self.owed.is_some() {
                Some(left.map_or(LOOK, |left| left.min(LOOK)))
            } else {
                left
            };
            sleep(&self.ear, &mut self.watched, self.read, left);
        }
    }

    /// Takes this producer back from [`Producer::frame`], or from a [`Waiter`] of it, from any thread.
    #[must_use]
    pub fn interrupt(&self) -> Interrupt {
        Interrupt::new(&self.ear)
    }

    /// Waits for what comes after the last [`Producer::frame`] of no patience, without this producer: for those who share it under a lock
    /// and must not sleep there.
    #[must_use]
    pub fn waiter(&mut self) -> Waiter {
        Waiter::new(&self.ear, &mut self.watched, self.read).often(self.owed.is_some())
    }

    /// As [`Reader::vain_wakes`](crate::Reader::vain_wakes).
    #[must_use]
    pub fn vain_wakes(&self) -> u64 {
        self.ear.vain_wakes()
    }

    fn note_out(&mut self, slot: &SlotMut) -> Result<(), Error> {
        let at = self.pool.place_of_mut(slot).ok_or(Error::NotOurs).map(slot_at)?;
        // One that was dropped unfilled has come back by another grant.
        self.out.retain(|o| (o.segment, o.slot) != (at.segment, at.slot));
        self.out.push(at);
        Ok(())
    }

    /// Whether a picture came from [`Producer::frame`] and was not shown yet.
    #[must_use]
    pub fn can_publish(&self, frame: &Frame) -> bool {
        frame
            .leases()
            .all(|lease| place(&self.pool, lease).is_some_and(|at| self.out.contains(&at)))
    }

    /// Shows a picture that came from [`Producer::frame`] to the owner and all who read the share.
    ///
    /// Never waits. Cost: some 100 ns, and a system call when the owner sleeps.
    ///
    /// # Errors
    /// [`Error::NotOurs`] for any other picture, and for one that was shown already; [`Error::Ended`], [`Error::Gone`], [`Error::Told`]
    /// as [`Producer::frame`], some 40 ms late.
    pub fn publish(&mut self, frame: &Frame) -> Result<(), Error> {
        if self.over.is_some() || self.looked.elapsed() >= LOOK {
            self.hear()?;
        }
        self.pay()?;
        let (pool, out) = (&self.pool, &self.out);
        let message = FrameMessage::of(frame, u64::from(self.told), |lease| {
            place(pool, lease).filter(|at| out.contains(at))
        })
        .ok_or(Error::NotOurs)?;
        self.out.retain(|at| !message.slots[..message.slot_count].contains(at));
        frame.leases().for_each(|lease| self.pool.filled(lease));
        self.page.tell(self.told, &message.encode());
        self.told = self.told.wrapping_add(1);
        if self.pool.tell().must_wake_owner() {
            self.pool.wake_owner();
        }
        Ok(())
    }

    /// Says that it was the last picture. An owner that does not listen finds it when it does, though we be gone by then.
    ///
    /// # Errors
    /// As [`Producer::set_caps`]; [`Error::Timeout`] where the system gives the socket no room for it and the owner does not listen.
    pub fn end(&mut self) -> Result<(), Error> {
        self.last_word(&FromClient::End)
    }

    /// Says that it has failed.
    ///
    /// # Errors
    /// As [`Producer::end`].
    pub fn fail(&mut self, failure: Failure) -> Result<(), Error> {
        self.last_word(&FromClient::Failed(failure))
    }

    /// There is room for it in the socket, and for the newest format, even where the owner has read nothing of what was said before.
    fn last_word(&mut self, message: &FromClient) -> Result<(), Error> {
        if let Some(caps) = self.owed.take()
            && !self.say(&FromClient::Caps(caps.clone()))?
        {
            self.owed = Some(caps);
        }
        if self.owed.is_none() && self.say(message)? {
            Ok(())
        } else {
            Err(Error::Timeout(self.name.clone()))
        }
    }

    /// Tells the newest format, as far as formats may be told now.
    fn pay(&mut self) -> Result<(), Error> {
        let Some(caps) = self.owed.take() else { return Ok(()) };
        self.socket.set_room(FORMATS_IN_SOCKET);
        let sent = self.say_at_once(&FromClient::Caps(caps.clone()));
        self.socket.set_room(IN_SOCKET);
        if !self.is_said(sent)? {
            self.owed = Some(caps);
        }
        Ok(())
    }

    /// False: the owner does not listen, and the socket is full.
    fn say(&mut self, message: &FromClient) -> Result<bool, Error> {
        let sent = self.say_at_once(message);
        self.is_said(sent)
    }

    fn say_at_once(&mut self, message: &FromClient) -> Result<bool, Error> {
        if self.over.is_some() {
            self.hear()?;
        }
        self.socket.send(message, &[])
    }

    fn is_said(&mut self, sent: Result<bool, Error>) -> Result<bool, Error> {
        match sent {
            Ok(true) => Ok(true),
            // Perhaps it has closed its end, and said why before.
            Ok(false) => self.hear().map(|()| false),
            Err(_) => self.hear().and_then(|()| Err(Error::Gone(self.name.clone()))),
        }
    }

    /// Reads what was granted: never more than was asked for.
    fn take_granted(&mut self) -> Result<(), Error> {
        let mut words = [0; WORDS];
        loop {
            match self.pool.tell().read(self.read, &mut words) {
                Told::Nothing => return Ok(()),
                Told::Overrun => return Err(Error::Protocol("slots were granted over unread ones".into())),
                Told::Entry => {
                    self.read = self.read.wrapping_add(1);
                    if self.empty.len() >= self.ahead {
                        return Err(Error::Protocol("more slots were granted than were asked for".into()));
                    }
                    let slot = self.granted(empty_slot_of(&words)?)?;
                    self.empty.push_back(slot);
                }
            }
        }
    }

    fn granted(&mut self, at: SlotAt) -> Result<SlotMut, Error> {
        let segment = u32::from(at.segment);
        // Its fd was sent before the entry was told.
        for _ in 0..TURNS {
            if self.pool.knows(segment) {
                break;
            }
            self.hear()?;
        }
        self.pool
            .receive_mut(segment, u32::from(at.slot), at.generation)
            .ok_or_else(|| Error::Protocol("a slot that cannot be written".into()))
    }

    /// Reads what the socket has; of an owner that never stops only the first. An error when the share is over.
    fn hear(&mut self) -> Result<(), Error> {
        self.looked = Instant::now();
        if self.over.is_none() {
            let ear = Arc::clone(&self.ear);
            if !ear.hear(|message, fds| self.heard(message, fds))? {
                self.over.get_or_insert(Over::Gone);
            }
        }
        match &self.over {
            None => Ok(()),
            Some(Over::Failed(failure)) => Err(Error::Told(failure.clone())),
            Some(Over::End) => Err(Error::Ended(self.name.clone())),
            Some(Over::Gone) => Err(Error::Gone(self.name.clone())),
        }
    }

    fn heard(&mut self, message: ToClient, fds: Vec<rustix::fd::OwnedFd>) -> Result<(), Error> {
        match message {
            ToClient::Segment { .. } | ToClient::Forget { .. } => {
                told_of_memory(&self.pool, &self.socket, &message, fds)?;
            }
            // The first word on it holds.
            ToClient::End => {
                self.over.get_or_insert(Over::End);
            }
            ToClient::Failed(failure) | ToClient::Refused(failure) => {
                self.over.get_or_insert(Over::Failed(failure));
            }
            _ => return Err(Error::Protocol("something that is nothing for a producer".into())),
        }
        Ok(())
    }
}
