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
    wire::{Caps as WireCaps, Failure, FromClient, Hello, ToClient},
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
            client.say(&message);
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
            client.say(&message);
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
        } else if closed || !self.strangers.is_empty() {
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
            (id, PIDFD) => gone.push(id),
            _ => {}
        }
    }

    fn accept(&mut self) {
        let Some(listener) = &self.listener else { return };
        // One at a time: the listener is asked again at once when there are more.
        let Ok(Some((socket, pid))) = accept_from(listener.as_fd()) else {
            return;
        };
        let id = self.next_id;
        self.next_id += 1;
        if self.strangers.len() < STRANGERS_MAX && self.watch(socket.fd(), id, SOCKET, false).is_ok() {
            self.strangers.push(Stranger {
                id,
                socket,
                pid,
                since: Instant::now(),
            });
        }
    }

    /// A stranger has something to say: a hello, or nothing that we understand.
    fn greet(&mut self, at: usize) {
        let stranger = self.strangers.swap_remove(at);
        let hello = match stranger.socket.receive::<FromClient>() {
            Ok(Received::Message(FromClient::Hello(hello), _)) => hello,
            Ok(Received::Nothing) => return self.strangers.push(stranger),
            _ => return,
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
        client.socket.send(&welcome, &client.fds())?;
        if let Some(over) = &*lock(&self.shared.over) {
            client.say(over);
        }
        clients.push(client);
        Ok(())
    }

    /// Whether a reader is still to be listened to: not when its socket has ended, or says what it must not.
    fn listens_to(&self, client: &Client) -> bool {
        match client.socket.receive::<FromClient>() {
            Ok(Received::Nothing) => true,
            Ok(Received::Message(FromClient::Bye { read }, _)) => client.leave(read),
            _ => false,
        }
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

const SOCKET: u64 = 0;
const RETURNED: u64 = 1;
const PIDFD: u64 = 2;
