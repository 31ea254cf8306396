//! The owner's side: a share, its readers, and the thread that hears them.
//!
//! ```text
//! publish(frame) ─ each reader: room? grant : its policy       the source's thread; never waits
//! bl-link        ─ accept, hello │ what came back │ who is gone    sleeps in epoll
//! ```
//!
//! The thread lives until the share is closed and nothing that was granted is out any more.

use crate::{
    client::{Client, ClientInfo},
    error::Error,
    place::Place,
    socket::{Received, Socket, accept_from, listen_at},
    wire::{CROWDED, Caps as WireCaps, Failure, FromClient, Hello, ToClient},
};
use beamline_media::{Caps, ErrorCode, Frame};
use rustix::{
    event::{EventfdFlags, Timespec, epoll, eventfd},
    fd::{AsFd, BorrowedFd, OwnedFd},
    io::Errno,
};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How long a client may take to say hello.
const HELLO_PATIENCE: Duration = Duration::from_secs(2);
/// How late a slot may come back that nobody asked to be woken for, in ns: for a source whose readers hold all that it has.
const LATEST: i64 = 4_000_000;
/// Clients that are connected and have not said hello.
const STRANGERS_MAX: usize = 64;
/// As many of one process.
const STRANGERS_OF_ONE: usize = 32;
/// Clients that are let in at a turn of the thread.
const ACCEPTS: usize = 16;
/// How often a reader may ring for nothing within a [`WINDOW`]; then its bell is off until the next one, and what it gives back is found
/// as late as [`LATEST`].
const VAIN_RINGS: u32 = 500;
const WINDOW: Duration = Duration::from_millis(100);

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
        Limits { clients: 64, hold: 16 }
    }
}

/// A share. Dropping it closes it: readers are told the end and may keep what they hold.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    place: Place,
    limits: Limits,
    live: bool,
    caps: Mutex<Caps>,
    clients: RwLock<Vec<Arc<Client>>>,
    published: AtomicU64,
    swept: AtomicU64,
    /// Of readers that are gone.
    refused_returns: AtomicU64,
    over: Mutex<Option<ToClient>>,
    closed: AtomicBool,
    /// Whether the thread sleeps for good, since nothing was out.
    dozing: AtomicBool,
    wake: OwnedFd,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Publisher {
    /// Shares what will be published under a name. A dead name is taken over.
    ///
    /// # Errors
    /// [`Error::Taken`], [`Error::Name`], [`Error::Os`].
    pub fn listen(place: Place, caps: Caps, live: bool, limits: Limits) -> Result<Self, Error> {
        let listener = listen_at(&place)?;
        let wake =
            eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|e| Error::os("an eventfd", e))?;
        let shared = Arc::new(Shared {
            place,
            limits,
            live,
            caps: Mutex::new(caps),
            clients: RwLock::default(),
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
    /// Thread: the source's, one at a time. Cost: some 50 ns per reader that is awake and has room, a futex call for one that sleeps.
    pub fn publish(&self, frame: &Frame) {
        let number = self.shared.published.fetch_add(1, Ordering::Relaxed);
        for client in &*self.clients() {
            client.offer(frame, number);
        }
        if self.shared.dozing.load(Ordering::SeqCst) && self.shared.dozing.swap(false, Ordering::SeqCst) {
            ring(&self.shared.wake);
        }
    }

    fn clients(&self) -> std::sync::RwLockReadGuard<'_, Vec<Arc<Client>>> {
        self.shared.clients.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells readers, present and coming, that the format has changed.
    pub fn set_caps(&self, caps: &Caps) {
        *lock(&self.shared.caps) = caps.clone();
        let message = ToClient::Caps(WireCaps::of(caps));
        for client in &*self.clients() {
            client.say(message.clone());
        }
    }

    /// The source's last word: its end, or its failure. No one joins any more.
    pub fn end(&self, failure: Option<Failure>) {
        let message = failure.map_or(ToClient::End, ToClient::Failed);
        let mut over = lock(&self.shared.over);
        if over.is_some() {
            return;
        }
        *over = Some(message.clone());
        drop(over);
        for client in &*self.clients() {
            client.say(message.clone());
        }
    }

    /// Who reads now.
    #[must_use]
    pub fn readers(&self) -> Vec<ClientInfo> {
        self.clients().iter().map(|c| c.info()).collect()
    }

    /// Holds that readers had when they went without giving them back, and that came back by themselves.
    #[must_use]
    pub fn swept(&self) -> u64 {
        self.shared.swept.load(Ordering::Relaxed)
    }

    /// Returns that readers claimed of what they were not granted: such a reader lies, and gained nothing.
    #[must_use]
    pub fn refused_returns(&self) -> u64 {
        let gone = self.shared.refused_returns.load(Ordering::Relaxed);
        self.clients()
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

fn ring(eventfd: &OwnedFd) {
    // Ours alone: a full counter means that the wake is under way.
    let _ = rustix::io::write(eventfd, &1u64.to_ne_bytes());
}

/// What the thread works with.
struct Service {
    shared: Arc<Shared>,
    listener: Option<OwnedFd>,
    epoll: OwnedFd,
    strangers: Vec<Stranger>,
    next_id: u64,
    /// Since when rings are counted.
    window: Instant,
    /// Who rang for nothing in this window, how often.
    vain: Vec<(u64, u32)>,
    /// Whether nobody is let in until the window's end: there are no fds left.
    shut: bool,
}

/// A client that has not said hello.
struct Stranger {
    id: u64,
    socket: Socket,
    pid: i32,
    since: Instant,
}

/// What an epoll event is about: the two fds of the share, else an id and what of it.
const LISTENER: u64 = 0;
const WAKE: u64 = 1;
const FIRST_ID: u64 = 2;

fn token(id: u64, what: u64) -> epoll::EventData {
    epoll::EventData::new_u64(id << 2 | what)
}

impl Service {
    fn new(shared: Arc<Shared>, listener: OwnedFd) -> Result<Self, Error> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|e| Error::os("an epoll", e))?;
        let service = Service {
            shared,
            listener: Some(listener),
            epoll,
            strangers: Vec::new(),
            next_id: FIRST_ID,
            window: Instant::now(),
            vain: Vec::new(),
            shut: false,
        };
        let os = |e: Errno| Error::os("an epoll", e);
        if let Some(listener) = &service.listener {
            epoll::add(&service.epoll, listener, token(LISTENER, 0), epoll::EventFlags::IN).map_err(os)?;
        }
        epoll::add(
            &service.epoll,
            &service.shared.wake,
            token(WAKE, 0),
            epoll::EventFlags::IN,
        )
        .map_err(os)?;
        Ok(service)
    }

    fn watch(&self, fd: BorrowedFd<'_>, id: u64, what: u64, edge: bool) -> Result<(), Error> {
        let flags = epoll::EventFlags::IN | epoll::EventFlags::RDHUP;
        let flags = if edge { flags | epoll::EventFlags::ET } else { flags };
        epoll::add(&self.epoll, fd, token(id, what), flags).map_err(|e| Error::os("an epoll", e))
    }

    fn run(mut self) {
        let mut events = [epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        }; 64];
        loop {
            let closed = self.shared.closed.load(Ordering::SeqCst);
            if closed {
                self.leave();
                if self.snapshot().iter().all(|c| c.idle()) {
                    return;
                }
            }
            let clients = self.snapshot();
            let timeout = self.patience(closed, self.anything_out(&clients, closed));
            let count = epoll::wait(&self.epoll, &mut events, timeout.as_ref()).unwrap_or(0);
            self.shared.dozing.store(false, Ordering::SeqCst);
            clients.iter().for_each(|c| c.after_sleep());
            let mut gone = Vec::new();
            for event in &events[..count] {
                let data = event.data.u64();
                self.event(data >> 2, data & 3, &clients, &mut gone);
            }
            // What woke us is mostly something that came back, from whomever.
            for client in &clients {
                client.drain();
                if client.has_left() {
                    gone.push(client.id);
                }
            }
            self.forget(&gone);
            self.strangers.retain(|s| s.since.elapsed() < HELLO_PATIENCE);
            self.next_window(&clients);
        }
    }

    /// Bells that were off are on again, and so is the door's.
    fn next_window(&mut self, clients: &[Arc<Client>]) {
        if self.window.elapsed() < WINDOW {
            return;
        }
        self.window = Instant::now();
        for (id, rings) in std::mem::take(&mut self.vain) {
            if rings >= VAIN_RINGS
                && let Some(client) = clients.iter().find(|c| c.id == id)
            {
                // One that is gone meanwhile has its fds closed with its last copy here.
                let _ = self.watch(client.wake.as_fd(), id, RETURNED, true);
            }
        }
        if std::mem::take(&mut self.shut)
            && let Some(listener) = &self.listener
        {
            let _ = epoll::add(&self.epoll, listener, token(LISTENER, 0), epoll::EventFlags::IN);
        }
    }

    fn snapshot(&self) -> Vec<Arc<Client>> {
        self.shared
            .clients
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Hears what came back; whether anything is still out. If not, `publish` wakes us with the next frame.
    fn anything_out(&self, clients: &[Arc<Client>], closed: bool) -> bool {
        let out = || clients.iter().filter(|c| c.before_sleep(closed)).count() > 0;
        if out() {
            return true;
        }
        // SeqCst: of "doze, then look at the books" and "write into the books, then look whether they doze" one sees the other.
        self.shared.dozing.store(true, Ordering::SeqCst);
        out()
    }

    /// Sleeps for good, but for strangers whose time runs out, and for what is out: the source may wait for a slot that a reader has given
    /// back without a wake.
    fn patience(&self, closed: bool, out: bool) -> Option<Timespec> {
        let tv_nsec = if out {
            LATEST
        } else if closed || self.shut || !self.strangers.is_empty() || !self.vain.is_empty() {
            100_000_000
        } else {
            return None;
        };
        Some(Timespec { tv_sec: 0, tv_nsec })
    }

    fn event(&mut self, id: u64, what: u64, clients: &[Arc<Client>], gone: &mut Vec<u64>) {
        match (id, what) {
            (LISTENER, _) => self.accept(),
            (WAKE, _) => {
                let _ = rustix::io::read(&self.shared.wake, &mut [0u8; 8]);
            }
            (id, SOCKET) => {
                if let Some(at) = self.strangers.iter().position(|s| s.id == id) {
                    self.greet(at);
                } else if let Some(client) = clients.iter().find(|c| c.id == id)
                    && !self.listens_to(client)
                {
                    gone.push(id);
                }
            }
            (id, RETURNED) => {
                if let Some(client) = clients.iter().find(|c| c.id == id)
                    && !client.rang_for_something()
                {
                    self.rang_in_vain(client);
                }
            }
            (id, PIDFD) => gone.push(id),
            _ => {}
        }
    }

    /// It must not keep us from the others.
    fn rang_in_vain(&mut self, client: &Client) {
        let at = self
            .vain
            .iter()
            .position(|(id, _)| *id == client.id)
            .unwrap_or_else(|| {
                self.vain.push((client.id, 0));
                self.vain.len() - 1
            });
        self.vain[at].1 += 1;
        if self.vain[at].1 == VAIN_RINGS {
            tracing::debug!(reader = client.id, process = client.pid, "a reader rings for nothing");
            let _ = epoll::delete(&self.epoll, &client.wake);
        }
    }

    fn accept(&mut self) {
        // Some at a time: the listener is asked again at once when there are more.
        for _ in 0..ACCEPTS {
            let Some(listener) = &self.listener else { return };
            let (socket, pid) = match accept_from(listener.as_fd()) {
                Ok(Some(came)) => came,
                Ok(None) => return,
                Err(Error::Stranger(_)) => continue,
                Err(error) => {
                    // No fds, mostly. Asked again at once it would say so again.
                    tracing::debug!(%error, "nobody can be let in");
                    let _ = epoll::delete(&self.epoll, listener);
                    self.shut = true;
                    return;
                }
            };
            self.make_room(pid);
            let id = self.next_id;
            self.next_id += 1;
            if self.watch(socket.fd(), id, SOCKET, false).is_ok() {
                self.strangers.push(Stranger {
                    id,
                    socket,
                    pid,
                    since: Instant::now(),
                });
            }
        }
    }

    /// Who comes is heard: among too many that say nothing the oldest goes, of the process that has the most.
    fn make_room(&mut self, pid: i32) {
        let of = |pid: i32| self.strangers.iter().filter(|s| s.pid == pid).count();
        let crowd = if of(pid) >= STRANGERS_OF_ONE {
            Some(pid)
        } else if self.strangers.len() >= STRANGERS_MAX {
            self.strangers.iter().map(|s| s.pid).max_by_key(|pid| of(*pid))
        } else {
            None
        };
        let of_crowd = self.strangers.iter().enumerate().filter(|(_, s)| Some(s.pid) == crowd);
        if let Some((oldest, _)) = of_crowd.min_by_key(|(_, s)| s.since) {
            let stranger = self.strangers.swap_remove(oldest);
            let message = "too many processes are connected to this share and say nothing: try again";
            let failure = Failure::new(ErrorCode::Busy, CROWDED, message);
            let _ = stranger.socket.send(&ToClient::Refused(failure), &[]);
        }
    }

    /// A stranger has something to say: a hello, or nothing that we understand.
    fn greet(&mut self, at: usize) {
        let stranger = self.strangers.swap_remove(at);
        let hello = match stranger.socket.receive::<FromClient>() {
            Ok(Received::Message(FromClient::Hello(hello), _)) => hello,
            Ok(Received::Nothing) => return self.strangers.push(stranger),
            Ok(Received::End) => return,
            Ok(Received::Message(..)) => return scold(&stranger, "no hello"),
            Err(error) => return scold(&stranger, &error.to_string()),
        };
        if let Err(failure) = self.may_join(&hello) {
            let _ = stranger.socket.send(&ToClient::Refused(failure), &[]);
            return;
        }
        if let Err(error) = self.welcome(stranger, hello) {
            tracing::debug!(%error, "a reader could not be welcomed");
        }
    }

    fn may_join(&self, hello: &Hello) -> Result<(), Failure> {
        hello.check()?;
        if let Some(ToClient::Failed(failure)) = &*lock(&self.shared.over) {
            return Err(failure.clone());
        }
        let (now, most) = (self.snapshot().len(), self.shared.limits.clients);
        let quota = |message: String| Err(Failure::new(ErrorCode::Quota, "share-full", message));
        if !hello.look && now >= most {
            return quota(format!("{now} processes read this share, as many as may"));
        }
        if hello.hold > self.shared.limits.hold {
            let most = self.shared.limits.hold;
            return quota(format!(
                "expected to hold at most {most} frames but received {}",
                hello.hold
            ));
        }
        Ok(())
    }

    fn welcome(&mut self, stranger: Stranger, hello: Hello) -> Result<(), Error> {
        let welcome = ToClient::Welcome {
            caps: WireCaps::of(&lock(&self.shared.caps)),
            live: self.shared.live,
        };
        if hello.look {
            return stranger.socket.send(&welcome, &[]).map(drop);
        }
        let Stranger { id, socket, pid, .. } = stranger;
        let client = Arc::new(Client::new(id, pid, socket, hello)?);
        self.watch(client.wake.as_fd(), id, RETURNED, true)?;
        if let Some(pidfd) = &client.pidfd {
            self.watch(pidfd.as_fd(), id, PIDFD, false)?;
        }
        // Welcomed and among the readers at once: every frame that is published after the welcome is for it, and none before.
        let mut clients = self.shared.clients.write().unwrap_or_else(PoisonError::into_inner);
        if !client.socket.send(&welcome, &client.fds())? {
            return Err(Error::Protocol("a new client's socket is full".into()));
        }
        if let Some(over) = &*lock(&self.shared.over) {
            client.say(over.clone());
        }
        clients.push(client);
        Ok(())
    }

    /// Whether a reader is still to be listened to: not when its socket has ended, or says what it must not. One message at a turn.
    fn listens_to(&self, client: &Client) -> bool {
        let wrong = match client.socket.receive::<FromClient>() {
            Ok(Received::Nothing) => return true,
            Ok(Received::End) | Err(Error::Os { .. }) => return false,
            Ok(Received::Message(FromClient::Bye { read }, _)) => {
                if client.leave(read) {
                    return true;
                }
                "a goodbye that cannot be".into()
            }
            Ok(Received::Message(FromClient::Hello(_), _)) => "a second hello".into(),
            Err(error) => error.to_string(),
        };
        client.scold(misspoken(&wrong));
        false
    }

    fn forget(&mut self, gone: &[u64]) {
        if gone.is_empty() {
            return;
        }
        let mut clients = self.shared.clients.write().unwrap_or_else(PoisonError::into_inner);
        let (leaving, staying) = clients.drain(..).partition(|c| gone.contains(&c.id));
        *clients = staying;
        drop(clients);
        for client in leaving {
            let swept = client.sweep();
            let refused = client.refused_returns();
            self.shared.refused_returns.fetch_add(refused, Ordering::Relaxed);
            self.shared.swept.fetch_add(u64::from(swept), Ordering::Relaxed);
            // Its fds leave the epoll by themselves, with their last copy here.
            let _ = epoll::delete(&self.epoll, client.socket.fd());
            let _ = epoll::delete(&self.epoll, &client.wake);
            if let Some(pidfd) = &client.pidfd {
                let _ = epoll::delete(&self.epoll, pidfd);
            }
        }
    }

    /// Nobody joins any more. Readers stay until they have given back what they hold.
    fn leave(&mut self) {
        if let Some(listener) = self.listener.take() {
            let _ = epoll::delete(&self.epoll, &listener);
            self.strangers.clear();
        }
    }
}

fn scold(stranger: &Stranger, wrong: &str) {
    let _ = stranger.socket.send(&ToClient::Refused(misspoken(wrong)), &[]);
}

fn misspoken(wrong: &str) -> Failure {
    let message =
        format!("the owner has cut this process off: expected a message of the protocol but received {wrong}");
    Failure::new(ErrorCode::Data, "share-protocol", message)
}

const SOCKET: u64 = 0;
const RETURNED: u64 = 1;
const PIDFD: u64 = 2;
