//! The thread of a share: who joins (`service/door.rs`), what came back, who is gone.
//!
//! It sleeps in epoll, hears what is said and what came back, and lives until the share is closed and nothing that was granted is out any
//! more. What a client sends decides about that client alone.

mod door;

pub(crate) use door::Greeted;

use crate::{
    client::{Client, Out},
    error::Error,
    produce::Produced,
    publisher::Shared,
    socket::Received,
    wire::{Failure, FromClient},
};
use beamline_media::ErrorCode;
use rustix::{
    event::{Timespec, epoll},
    fd::{AsFd, BorrowedFd, OwnedFd},
    io::Errno,
};
use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

/// How late a slot may come back that nobody asked to be woken for, in ns: for a source whose readers hold all that it has.
const LATEST: i64 = 4_000_000;
/// How often a reader may ring for nothing within a [`WINDOW`]; then its bell is off until the next one, and what it gives back is found
/// as late as [`LATEST`].
const VAIN_RINGS: u32 = 500;
const WINDOW: Duration = Duration::from_millis(100);
/// How often memory is looked for, while it is missed.
const LOOK_FOR_ROOM: Duration = Duration::from_millis(50);

/// What the thread works with.
pub(crate) struct Service {
    pub(crate) shared: Arc<Shared>,
    listener: Option<OwnedFd>,
    epoll: OwnedFd,
    strangers: Vec<door::Stranger>,
    next_id: u64,
    /// Since when rings are counted.
    window: Instant,
    /// Who rang for nothing in this window, how often.
    vain: Vec<(u64, u32)>,
    /// Whether nobody is let in until the window's end: there are no fds left.
    shut: bool,
    /// Whether readers wait for memory.
    unsettled: bool,
    looked_for_room: Instant,
}

/// What an epoll event is about: the two fds of the share, else an id and what of it.
const LISTENER: u64 = 0;
const WAKE: u64 = 1;
const FIRST_ID: u64 = 2;

fn token(id: u64, what: u64) -> epoll::EventData {
    epoll::EventData::new_u64(id << 2 | what)
}

impl Service {
    pub(crate) fn new(shared: Arc<Shared>, listener: OwnedFd) -> Result<Self, Error> {
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
            unsettled: false,
            looked_for_room: Instant::now(),
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

    pub(crate) fn run(mut self) {
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
            let out = self.anything_out(&clients, closed);
            self.unsettled = self.shared.settle();
            let out = if self.unsettled { out.max(Out::Soon) } else { out };
            let old = clients.iter().any(|c| c.may_forget());
            let timeout = self.patience(closed || old || self.shared.shortage.is_rung(), out);
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
                if client.has_left() || (client.produces() && !self.hear(client)) {
                    gone.push(client.id);
                }
            }
            self.make_room_for_the_source(&clients);
            self.forget(&gone);
            self.turn_away_the_silent();
            self.next_window(&clients);
        }
    }

    /// A source found no memory for a frame, or a reader none for its frames: what readers keep alive of the past goes.
    ///
    /// Not at every turn: it is this thread, too, that is refused memory, and so rings for itself.
    fn make_room_for_the_source(&mut self, clients: &[Arc<Client>]) {
        if self.looked_for_room.elapsed() < LOOK_FOR_ROOM || !(self.unsettled || self.shared.shortage.take()) {
            return;
        }
        let now = Instant::now();
        self.looked_for_room = now;
        for client in clients {
            let swept = client.make_room(now);
            self.shared.swept.fetch_add(u64::from(swept), Ordering::Relaxed);
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
        self.shared.clients().clone()
    }

    /// Hears what came back; whether anything is still out. If not, `publish` wakes us with the next frame.
    fn anything_out(&self, clients: &[Arc<Client>], closed: bool) -> Out {
        // Each is looked at: it is told that we sleep.
        let out = || {
            clients
                .iter()
                .map(|c| c.before_sleep(closed))
                .fold(Out::Nothing, Out::max)
        };
        let now = out();
        if now > Out::Nothing {
            return now;
        }
        // SeqCst: of "doze, then look at the books" and "write into the books, then look whether they doze" one sees the other.
        self.shared.dozing.store(true, Ordering::SeqCst);
        out()
    }

    /// Sleeps for good, but for strangers whose time runs out, and for what is out: the source may wait for a slot that a reader has given
    /// back without a wake.
    ///
    /// `now_and_then`: there is something to look after that wakes nobody: a close, memory of past formats.
    fn patience(&self, now_and_then: bool, out: Out) -> Option<Timespec> {
        let tv_nsec = if out == Out::Now {
            0
        } else if out == Out::Soon {
            LATEST
        } else if now_and_then
            || self.shut
            || self.strangers.iter().any(door::Stranger::connected)
            || !self.vain.is_empty()
        {
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
                self.receive_invited();
                self.receive_greeted();
            }
            (id, SOCKET) => {
                if let Some(at) = self.strangers.iter().position(|s| s.id == id) {
                    self.greet(at);
                } else if let Some(client) = clients.iter().find(|c| c.id == id) {
                    if !self.listens_to(client) {
                        gone.push(id);
                    }
                } else {
                    self.shared.watchers.let_go(id);
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

    /// Whether a reader is still to be listened to: not when its socket has ended, or says what it must not. One message at a turn.
    fn listens_to(&self, client: &Client) -> bool {
        let wrong = match client.socket.receive::<FromClient>() {
            Ok(Received::Nothing) => return true,
            Ok(Received::End) | Err(Error::Os { .. }) => return false,
            Ok(Received::Message(message, _)) if client.produces() => {
                if self.producer_says(client, message) {
                    return true;
                }
                "something that a producer does not say".into()
            }
            Ok(Received::Message(FromClient::Pass { ticket, to, slot }, _)) => {
                if self.pass(client, ticket, to, slot) {
                    return true;
                }
                "a slot that cannot be, or more questions than it reads answers to".into()
            }
            Ok(Received::Message(FromClient::Forgot { number }, _)) => {
                if client.forgot(number) {
                    return true;
                }
                "word of a segment that it was not told to forget".into()
            }
            Ok(Received::Message(FromClient::Bye { read }, _)) => {
                if client.leave(read) {
                    return true;
                }
                "a goodbye that cannot be".into()
            }
            Ok(Received::Message(FromClient::Hello(_), _)) => "a second hello".into(),
            Ok(Received::Message(..)) => "what only a producer says".into(),
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
            if client.produces() {
                // What a process has filled before it died is whole, and what it has said was said: mostly its end.
                self.hear(&client);
                self.hear_last_words(&client);
                let message = format!("the process {} that produced has ended", client.pid);
                let gone = Failure::new(ErrorCode::DeviceLost, "producer-gone", message);
                self.producer_is_over(&client, Produced::Failed(gone));
            }
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
        drop(self.shared.invitations.take());
        drop(door::take_greeted(&self.shared));
        self.shared.watchers.clear();
        self.snapshot().iter().for_each(|c| c.retract());
    }
}

fn misspoken(wrong: &str) -> Failure {
    let message =
        format!("the owner has cut this process off: expected a message of the protocol but received {wrong}");
    Failure::new(ErrorCode::Data, "share-protocol", message)
}

const SOCKET: u64 = 0;
const RETURNED: u64 = 1;
const PIDFD: u64 = 2;
