//! The owner's side: a share, its readers, and what it shows them.
//!
//! ```text
//! publish(frame) ─ each reader: room? grant : its policy       the source's thread; never waits
//! bl-link        ─ see `service.rs`                              sleeps in epoll
//! ```

use crate::{
    client::{Client, ClientInfo, Number},
    error::Error,
    invite::Invitations,
    memory::{self, Memory},
    place::Place,
    produce::Host,
    service::{Greeted, Service},
    socket::listen_at,
    watchers::Watchers,
    wire::{Caps as WireCaps, Failure, ToClient},
};
use beamline_arena::Shortage;
use beamline_media::{Caps, Frame};
use rustix::{
    event::{EventfdFlags, eventfd},
    fd::OwnedFd,
};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How long readers wait for memory after a change of format: what lies in that of the format before goes meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);

/// Bounds of a share.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Readers at once.
    pub clients: usize,
    /// Frames that one reader may hold.
    pub hold: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { clients: 64, hold: 32 }
    }
}

/// A share. Dropping it closes it: readers are told the end and may keep what they hold.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

pub(crate) struct Shared {
    pub(crate) place: Place,
    pub(crate) limits: Limits,
    pub(crate) live: bool,
    pub(crate) caps: Mutex<Caps>,
    pub(crate) clients: RwLock<Vec<Arc<Client>>>,
    /// Of the last frame; unknown before the first. Locked before `clients`.
    pub(crate) memory: Mutex<Option<Memory>>,
    memory_key: AtomicUsize,
    /// Whether readers wait for memory of the present format. Written under the lock of `memory`.
    unsettled: AtomicBool,
    /// Rings `wake` when a source of what is shown here finds no memory.
    pub(crate) shortage: Arc<Shortage>,
    pub(crate) watchers: Watchers,
    pub(crate) invitations: Invitations,
    /// Of those who were invited, whose hello was read beside the thread.
    pub(crate) greeted: Mutex<Vec<Greeted>>,
    pub(crate) host: Option<Host>,
    pub(crate) published: AtomicU64,
    pub(crate) swept: AtomicU64,
    /// Of readers that are gone.
    pub(crate) refused_returns: AtomicU64,
    pub(crate) over: Mutex<Option<ToClient>>,
    pub(crate) closed: AtomicBool,
    /// Whether the thread sleeps for good, since nothing was out.
    pub(crate) dozing: AtomicBool,
    pub(crate) wake: OwnedFd,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn clients(&self) -> std::sync::RwLockReadGuard<'_, Vec<Arc<Client>>> {
        self.clients.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn publish(&self, frame: &Frame) {
        let key = memory::key(frame);
        if self.memory_key.load(Ordering::Relaxed) != key {
            self.change_memory(frame, key);
        }
        let number = self.published.fetch_add(1, Ordering::Relaxed);
        for client in &*self.clients() {
            client.offer(frame, Number::OfSource(number));
        }
    }

    /// The first frame, or the first of another size or source: what readers may hold is set aside there.
    #[cold]
    fn change_memory(&self, frame: &Frame, key: usize) {
        let mut memory = lock(&self.memory);
        // What lies in the memory before goes soon, and leaves room.
        let patience = if memory.is_some() { PATIENCE } else { Duration::ZERO };
        let until = Instant::now() + patience;
        *memory = Memory::of(frame);
        self.memory_key.store(key, Ordering::Relaxed);
        frame.leases().for_each(|lease| lease.tell_of_shortage(&self.shortage));
        let homeless = |client: &&Arc<Client>| !client.move_to(memory.as_mut(), until);
        let homeless = self.clients().iter().filter(homeless).count();
        self.unsettled.store(homeless > 0, Ordering::Relaxed);
        // Should there be somebody to be told, or settled, later.
        ring(&self.wake);
    }

    /// Tries again where there was no room after the last change. Whether there is somebody left to be tried for.
    pub(crate) fn settle(&self) -> bool {
        if !self.unsettled.load(Ordering::Relaxed) {
            return false;
        }
        let mut memory = lock(&self.memory);
        let Some(memory) = &mut *memory else { return false };
        let homeless = self.clients().iter().filter(|client| !client.settle(memory)).count();
        self.unsettled.store(homeless > 0, Ordering::Relaxed);
        homeless > 0
    }

    pub(crate) fn set_caps(&self, caps: &Caps) {
        *lock(&self.caps) = caps.clone();
        self.say_to(&ToClient::Caps(WireCaps::of(caps)), |c| !c.produces());
    }

    /// The source's last word, once.
    pub(crate) fn end(&self, failure: Option<Failure>) {
        let message = failure.map_or(ToClient::End, ToClient::Failed);
        let mut over = lock(&self.over);
        if over.is_some() {
            return;
        }
        *over = Some(message.clone());
        drop(over);
        self.say_to(&message, |_| true);
    }

    fn say_to(&self, message: &ToClient, whom: impl Fn(&Client) -> bool) {
        let clients = self.clients();
        let full = |c: &&Arc<Client>| whom(c) && !c.say(message.clone());
        if clients.iter().filter(full).count() > 0 {
            // The thread tells them as soon as they read.
            ring(&self.wake);
        }
        self.watchers.tell(message);
    }
}

impl Publisher {
    /// Shares what will be published under a name. A dead name is taken over.
    ///
    /// # Errors
    /// [`Error::Taken`], [`Error::Name`], [`Error::Os`].
    pub fn listen(place: Place, caps: Caps, live: bool, limits: Limits) -> Result<Self, Error> {
        Self::start(place, caps, live, limits, None)
    }

    /// The same for pictures that other processes fill, in memory of ours: a [`crate::Producer`] there is granted empty slots ahead.
    /// What it publishes is told to `host`, and shown to every reader. `caps` hold until a producer says better; [`Caps::unknown`] is
    /// told as such.
    ///
    /// # Errors
    /// As [`Publisher::listen`].
    pub fn host(place: Place, caps: Caps, limits: Limits, host: Host) -> Result<Self, Error> {
        Self::start(place, caps, true, limits, Some(host))
    }

    fn start(place: Place, caps: Caps, live: bool, limits: Limits, host: Option<Host>) -> Result<Self, Error> {
        let listener = listen_at(&place)?;
        let wake =
            eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|e| Error::os("an eventfd", e))?;
        let shared = Arc::new(Shared {
            place,
            limits,
            live,
            caps: Mutex::new(caps),
            clients: RwLock::default(),
            memory: Mutex::new(None),
            memory_key: AtomicUsize::new(0),
            unsettled: AtomicBool::new(false),
            shortage: Shortage::new(wake.try_clone().map_err(|e| Error::os("an eventfd", e))?),
            watchers: Watchers::default(),
            invitations: Invitations::default(),
            greeted: Mutex::default(),
            host,
            published: AtomicU64::new(0),
            swept: AtomicU64::new(0),
            refused_returns: AtomicU64::new(0),
            over: Mutex::new(None),
            closed: AtomicBool::new(false),
            dozing: AtomicBool::new(false),
            wake,
        });
        let service = Service::new(Arc::clone(&shared), listener)?;
        let thread = thread::Builder::new()
            .name("bl-link".into())
            .spawn(move || service.run())
            .map_err(|e| Error::os("a thread", e))?;
        Ok(Publisher {
            shared,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.shared.place
    }

    /// Shows a frame to every reader. Never waits: who has no room is served by his policy.
    ///
    /// Thread: the source's, one at a time. Cost: some 0.26 µs per reader that is awake and has room, its own reading and
    /// giving back included (row `grant` of `benches/RESULTS.md`), and a futex call for one that sleeps.
    pub fn publish(&self, frame: &Frame) {
        self.shared.publish(frame);
        if self.shared.dozing.load(Ordering::SeqCst) && self.shared.dozing.swap(false, Ordering::SeqCst) {
            ring(&self.shared.wake);
        }
    }

    /// Tells readers, present and coming, that the format has changed.
    pub fn set_caps(&self, caps: &Caps) {
        self.shared.set_caps(caps);
    }

    /// The source's last word: its end, or its failure. No one joins any more.
    pub fn end(&self, failure: Option<Failure>) {
        self.shared.end(failure);
    }

    /// An end for one child that inherits it: [`Reader::inherit`](crate::Reader::inherit) there, without a name. The copy here is to be
    /// closed when the child has its own. Unused ones cost a socket each; at most 64 are out at once.
    ///
    /// # Errors
    /// [`Error::Invitations`]; [`Error::Closed`]; [`Error::Os`].
    pub fn invite(&self) -> Result<OwnedFd, Error> {
        let name = self.shared.place.name();
        if self.shared.closed.load(Ordering::SeqCst) {
            return Err(Error::Closed(name.into()));
        }
        let end = self.shared.invitations.make(name)?;
        ring(&self.shared.wake);
        Ok(end)
    }

    /// Who reads now, and what each holds at this moment.
    #[must_use]
    pub fn readers(&self) -> Vec<ClientInfo> {
        self.shared.clients().iter().map(|c| c.info()).collect()
    }

    /// Holds that readers had when they went without giving them back, and that came back by themselves.
    #[must_use]
    pub fn swept(&self) -> u64 {
        self.shared.swept.load(Ordering::Relaxed)
    }

    /// Returns that readers claimed of what they did not hold: such a reader lies, and gained nothing; or its frames were taken from it
    /// before, and it closes them now.
    #[must_use]
    pub fn refused_returns(&self) -> u64 {
        let gone = self.shared.refused_returns.load(Ordering::Relaxed);
        self.shared
            .clients()
            .iter()
            .fold(gone, |sum, c| sum.saturating_add(c.refused_returns()))
    }

    /// Frames that were published.
    #[must_use]
    pub fn published(&self) -> u64 {
        self.shared.published.load(Ordering::Relaxed)
    }

    /// Ends the share: its name is free, readers are told. What they hold stays theirs until they give it back or go.
    pub fn close(&self) {
        self.end(None);
        if !self.shared.closed.swap(true, Ordering::SeqCst) {
            // Here and not by the thread: the name is free when this returns, and what is then found under it is another's.
            let _ = rustix::fs::unlink(self.shared.place.path());
            ring(&self.shared.wake);
        }
    }

    /// Whether the thread has ended: nothing is out any more.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.close();
    }
}

pub(crate) fn ring(eventfd: &OwnedFd) {
    // Ours alone: a full counter means that the wake is under way.
    let _ = rustix::io::write(eventfd, &1u64.to_ne_bytes());
}
