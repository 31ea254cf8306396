//! The door of a share: who has connected or was invited and has not said hello, who may join, and the welcome.
//!
//! Whoever comes is heard, and has little time; among too many the oldest of the process that has the most goes. A hello that is refused
//! costs nobody else anything.

use super::{PIDFD, RETURNED, SOCKET, Service, misspoken};
use crate::{
    client::Client,
    error::Error,
    invite::Invitation,
    peer::Peer,
    produce::{Produced, Producing},
    publisher::{Shared, lock, ring},
    socket::{Received, Socket, accept_from},
    wire::{CROWDED, Caps as WireCaps, Failure, FromClient, Hello, Knock, ToClient},
};
use beamline_arena::Reservation;
use beamline_media::{Caps, ErrorCode};
use rustix::{
    event::epoll,
    fd::{AsFd, OwnedFd},
};
use std::{
    sync::{Arc, Mutex, PoisonError, Weak, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

/// How long a client may take to say hello.
const HELLO_PATIENCE: Duration = Duration::from_secs(2);
/// Clients that are connected and have not said hello.
const STRANGERS_MAX: usize = 64;
/// As many of one process.
const STRANGERS_OF_ONE: usize = 32;
/// Clients that are let in at a turn of the thread.
const ACCEPTS: usize = 16;

/// A client that has not said hello.
pub(crate) struct Stranger {
    pub(super) id: u64,
    socket: Socket,
    /// Who has connected; nobody knows it of those who were invited.
    pid: i32,
    since: Instant,
    /// It may take its time: the child is perhaps not yet born.
    invitation: Option<Invitation>,
}

/// One that has said it, and who it is.
pub(crate) struct Greeted {
    stranger: Stranger,
    hello: Hello,
    peer: Peer,
}

impl Stranger {
    /// One that has to hurry, and has to make room for others.
    pub(super) fn connected(&self) -> bool {
        self.invitation.is_none()
    }
}

impl Service {
    pub(super) fn accept(&mut self) {
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
            self.receive(socket, pid, None);
        }
    }

    /// Whose time to say hello is over.
    pub(super) fn turn_away_the_silent(&mut self) {
        self.strangers
            .retain(|s| !s.connected() || s.since.elapsed() < HELLO_PATIENCE);
    }

    /// Ends that were made for children.
    pub(super) fn receive_invited(&mut self) {
        let all = self.shared.invitations.take();
        if self.listener.is_none() {
            return;
        }
        for (socket, invitation) in all {
            self.receive(socket, 0, Some(invitation));
        }
    }

    fn receive(&mut self, socket: Socket, pid: i32, invitation: Option<Invitation>) {
        let id = self.next_id;
        self.next_id += 1;
        if self.watch(socket.fd(), id, SOCKET, false).is_ok() {
            self.strangers.push(Stranger {
                id,
                socket,
                pid,
                since: Instant::now(),
                invitation,
            });
        }
    }

    /// Who comes is heard: among too many that say nothing the oldest goes, of the process that has the most.
    fn make_room(&mut self, pid: i32) {
        let connected = || self.strangers.iter().filter(|s| s.connected());
        let of = |pid: i32| connected().filter(|s| s.pid == pid).count();
        let crowd = if of(pid) >= STRANGERS_OF_ONE {
            Some(pid)
        } else if connected().count() >= STRANGERS_MAX {
            connected().map(|s| s.pid).max_by_key(|pid| of(*pid))
        } else {
            None
        };
        let strangers = self.strangers.iter().enumerate();
        let of_crowd = strangers.filter(|(_, s)| s.connected() && Some(s.pid) == crowd);
        if let Some((oldest, _)) = of_crowd.min_by_key(|(_, s)| s.since) {
            let stranger = self.strangers.swap_remove(oldest);
            let message = "too many processes are connected to this share and say nothing: try again";
            let failure = Failure::new(ErrorCode::Busy, CROWDED, message);
            let _ = stranger.socket.send(&ToClient::Refused(failure), &[]);
        }
    }

    /// A stranger has something to say: a hello, or nothing that we understand.
    pub(super) fn greet(&mut self, at: usize) {
        let stranger = self.strangers.swap_remove(at);
        if stranger.invitation.is_some() {
            let _ = epoll::delete(&self.epoll, stranger.socket.fd());
            let shared = Arc::downgrade(&self.shared);
            // At most one for each end that is out. Where no thread can be had, this one client is turned away.
            // Ours again when none can: a thread that is not started drops what it was given.
            let kept = Arc::new(Mutex::new(Some(stranger)));
            let given = Arc::clone(&kept);
            let started = thread::Builder::new().name("bl-hello".into()).spawn(move || {
                let stranger = lock(&given).take();
                if let Some(stranger) = stranger {
                    hear_invited(stranger, &shared);
                }
            });
            if started.is_err()
                && let Some(stranger) = lock(&kept).take()
            {
                let message = "the share's owner can start no thread to hear this process: try again with another end";
                let failure = Failure::new(ErrorCode::Busy, CROWDED, message);
                let _ = stranger.socket.send(&ToClient::Refused(failure), &[]);
            }
            return;
        }
        let hello = match hello(&stranger) {
            Heard::Hello(hello, _) => hello,
            Heard::Nothing => return self.strangers.push(stranger),
            Heard::Wrong => return,
        };
        // None: nobody is there to be served.
        if let Some(peer) = Peer::connected(stranger.pid, &stranger.socket) {
            self.seat(Greeted { stranger, hello, peer });
        }
    }

    /// Those whose hello was read beside us.
    pub(super) fn receive_greeted(&mut self) {
        let all = take_greeted(&self.shared);
        if self.listener.is_none() {
            return;
        }
        for greeted in all {
            if self
                .watch(greeted.stranger.socket.fd(), greeted.stranger.id, SOCKET, false)
                .is_ok()
            {
                self.seat(greeted);
            }
        }
    }

    /// Somebody who has said a hello is served, or told why not.
    fn seat(&mut self, greeted: Greeted) {
        let Greeted { stranger, hello, peer } = greeted;
        if let Err(failure) = self.may_join(&hello) {
            let _ = stranger.socket.send(&ToClient::Refused(failure), &[]);
            return;
        }
        let shared = Arc::clone(&self.shared);
        // Until it is among the readers: whoever changes the memory then finds it there. One that produces brings its own.
        let reads = !hello.look && !hello.watch && hello.produce.is_none();
        let mut memory = reads.then(|| lock(&shared.memory));
        let known = memory.as_mut().and_then(|m| m.as_mut());
        let reservation = match known.map(|m| m.set_aside(&hello)).transpose() {
            Ok(reservation) => reservation,
            Err(failure) => {
                let _ = stranger.socket.send(&ToClient::Refused(failure), &[]);
                return;
            }
        };
        if let Err(error) = self.welcome(stranger, peer, hello, reservation) {
            tracing::debug!(%error, "a reader could not be welcomed");
        }
    }

    fn may_join(&self, hello: &Hello) -> Result<(), Failure> {
        hello.check()?;
        if let Some(ToClient::Failed(failure)) = &*lock(&self.shared.over) {
            return Err(failure.clone());
        }
        let clients = self.snapshot();
        let most = self.shared.limits.clients;
        let quota = |message: String| Err(Failure::new(ErrorCode::Quota, "share-full", message));
        // Also of one that only looks whether it might.
        if hello.produce.is_some() {
            let Some(host) = &self.shared.host else {
                let message = "this share has a source of its own: expected one whose owner takes producers";
                return Err(Failure::new(ErrorCode::NotSupported, "share-not-hosted", message));
            };
            // Who reads hears the end, and all that was shown before it.
            if lock(&self.shared.over).is_some() {
                let message = "the producer of this share has said its end: nobody would show what comes after it";
                return Err(Failure::new(ErrorCode::InvalidState, "share-ended", message));
            }
            let busy = clients.iter().filter(|c| c.produces()).count();
            if busy >= host.producers {
                let message = format!("{busy} processes produce for this share, as many as may");
                return Err(Failure::new(ErrorCode::Busy, "share-produced", message));
            }
        }
        // Those who produce have bounds of their own, and take no reader's place.
        let reading = clients.iter().filter(|c| !c.produces()).count();
        if !hello.look && hello.produce.is_none() && reading >= most {
            return quota(format!("{reading} processes read this share, as many as may"));
        }
        if hello.watch && self.shared.watchers.are_full() {
            let message = "as many processes watch this share as may";
            return Err(Failure::new(ErrorCode::Quota, Hello::FULL, message));
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

    fn welcome(
        &mut self,
        stranger: Stranger,
        peer: Peer,
        hello: Hello,
        reservation: Option<Reservation>,
    ) -> Result<(), Error> {
        let id = stranger.id;
        let welcome = || ToClient::Welcome {
            id,
            caps: WireCaps::of(&lock(&self.shared.caps)),
            live: self.shared.live,
        };
        if hello.watch {
            self.shared.watchers.welcome(id, stranger.socket, welcome);
            return Ok(());
        }
        let welcome = welcome();
        if hello.look {
            return stranger.socket.send(&welcome, &[]).map(drop);
        }
        let Stranger { socket, .. } = stranger;
        let (producing, caps) = match &hello.produce {
            Some(caps) => match self.begin_producing(caps, peer.pid, hello.hold) {
                Ok((producing, caps)) => (Some(producing), Some(caps)),
                Err(failure) => return socket.send(&ToClient::Refused(failure), &[]).map(drop),
            },
            None => (None, None),
        };
        let client = Arc::new(Client::new(id, peer, socket, hello, producing, reservation)?);
        self.watch(client.wake.as_fd(), id, RETURNED, true)?;
        if let Some(pidfd) = &client.pidfd {
            self.watch(pidfd.as_fd(), id, PIDFD, false)?;
        }
        // Welcomed and among the readers at once: every frame that is published after the welcome is for it, and none before.
        let mut clients = self.shared.clients.write().unwrap_or_else(PoisonError::into_inner);
        {
            let books = client.books();
            let ring = books.producing.iter().map(Producing::fd);
            let fds: Vec<_> = client.fds().into_iter().chain(ring).collect();
            let sent = client.socket.send(&welcome, &fds);
            if !matches!(sent, Ok(true)) {
                // One that was sent to us lives on with its sender, and would wake us for nobody.
                if let Some(pidfd) = &client.pidfd {
                    let _ = epoll::delete(&self.epoll, pidfd);
                }
                sent?;
                return Err(Error::Protocol("a new client's socket is full".into()));
            }
        }
        if let Some(over) = &*lock(&self.shared.over) {
            client.say(over.clone());
        }
        clients.push(client);
        drop(clients);
        // Not before: one that could not be welcomed has changed nothing.
        if let Some(caps) = caps.filter(|caps| *caps != Caps::unknown()) {
            self.produced(Produced::Caps(caps));
        }
        Ok(())
    }
}

/// What a stranger had to say.
enum Heard {
    Hello(Hello, Vec<OwnedFd>),
    Nothing,
    /// No hello of ours; it was told so.
    Wrong,
}

fn hello(stranger: &Stranger) -> Heard {
    match stranger.socket.receive::<Knock>() {
        Ok(Received::Message(Knock::Says(FromClient::Hello(hello)), fds)) => return Heard::Hello(hello, fds),
        Ok(Received::Nothing) => return Heard::Nothing,
        Ok(Received::Message(Knock::Foreign(failure), _)) => {
            let _ = stranger.socket.send(&ToClient::Refused(failure), &[]);
        }
        Ok(Received::End) => {}
        Ok(Received::Message(..)) => scold(stranger, "no hello"),
        Err(error) => scold(stranger, &error.to_string()),
    }
    Heard::Wrong
}

/// Reads the hello of one that was invited, and who it is. It may send fds, and the last `close` of one takes as long as its maker likes
/// (of a socket that lingers, of a file of his own file system): that is nothing for a thread that others wait for.
fn hear_invited(stranger: Stranger, shared: &Weak<Shared>) {
    // It is there already, but for a wake that was none.
    if !stranger.socket.wait(HELLO_PATIENCE) {
        return;
    }
    let Heard::Hello(hello, fds) = hello(&stranger) else {
        return;
    };
    let peer = Peer::invited(&hello, fds, &stranger.socket);
    // From now on no fds come (Linux 6.16 and newer); what came before with more than the hello must not be closed elsewhere. Nobody who waits
    // for a welcome speaks.
    if stranger.socket.wait(Duration::ZERO) {
        return scold(&stranger, "more than a hello");
    }
    let Some(shared) = shared.upgrade() else { return };
    lock(&shared.greeted).push(Greeted { stranger, hello, peer });
    ring(&shared.wake);
    // The share's thread may have ended before it could see that.
    if shared.closed.load(Ordering::SeqCst) {
        drop(take_greeted(&shared));
    }
}

/// Those whose hello was read since this was last asked.
pub(super) fn take_greeted(shared: &Shared) -> Vec<Greeted> {
    std::mem::take(&mut lock(&shared.greeted))
}

fn scold(stranger: &Stranger, wrong: &str) {
    let _ = stranger.socket.send(&ToClient::Refused(misspoken(wrong)), &[]);
}
