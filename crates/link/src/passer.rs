//! Handing frames from one client of a share to another, through the owner, from any thread of the first.

use crate::{error::Error, join::place, socket::Socket, wire::FromClient};
use beamline_arena::FarPool;
use beamline_media::Frame;
use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Frames that may be on their way to others at once.
const ON_THE_WAY: usize = 16;

/// Hands over frames of one reader. Clones are the same. Answers are heard by whoever calls [`crate::Reader::next`].
#[derive(Clone, Debug)]
pub struct Passer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    socket: Arc<Socket>,
    pool: Arc<FarPool>,
    state: Mutex<State>,
    answered: Condvar,
}

#[derive(Debug, Default)]
struct State {
    tickets: u32,
    /// By ticket: whether it was taken, once that is known.
    asked: BTreeMap<u32, Option<bool>>,
    over: bool,
}

impl Passer {
    pub(crate) fn new(name: &str, socket: Arc<Socket>, pool: Arc<FarPool>) -> Self {
        Passer(Arc::new(Inner {
            name: name.into(),
            socket,
            pool,
            state: Mutex::default(),
            answered: Condvar::new(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a frame of this share to another of its clients: the other is granted it, as the owner told it to us, while we still have ours.
    /// True when it was; false when there is no such client, it does not take such frames, or it has no room.
    ///
    /// Blocks: until the owner has answered and the reader has heard it, at most `timeout`.
    ///
    /// # Errors
    /// [`Error::NotOurs`] for a frame of anybody else, [`Error::Timeout`], [`Error::Gone`].
    pub fn pass(&self, frame: &Frame, to: u64, timeout: Duration) -> Result<bool, Error> {
        let ticket = self.ask(frame, to)?;
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        loop {
            if let Some(answer) = self.answer(&mut state, ticket) {
                return answer;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.asked.remove(&ticket);
                return Err(self.late());
            }
            let waited = self.0.answered.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Sends the question; gives its ticket.
    pub(crate) fn ask(&self, frame: &Frame, to: u64) -> Result<u32, Error> {
        let first = frame.leases().next();
        let slot = first
            .and_then(|lease| place(&self.0.pool, lease))
            .ok_or(Error::NotOurs)?;
        let mut state = self.lock();
        if state.asked.len() >= ON_THE_WAY {
            return Err(self.late());
        }
        state.tickets = state.tickets.wrapping_add(1);
        let ticket = state.tickets;
        if !self.0.socket.send(&FromClient::Pass { ticket, to, slot }, &[])? {
            return Err(self.late());
        }
        state.asked.insert(ticket, None);
        Ok(ticket)
    }

    /// The answer to a ticket, when it is there.
    pub(crate) fn taken(&self, ticket: u32) -> Option<Result<bool, Error>> {
        self.answer(&mut self.lock(), ticket)
    }

    fn answer(&self, state: &mut State, ticket: u32) -> Option<Result<bool, Error>> {
        let answer = match state.asked.get(&ticket) {
            Some(Some(taken)) => Ok(*taken),
            _ if state.over => Err(Error::Gone(self.0.name.clone())),
            _ => return None,
        };
        state.asked.remove(&ticket);
        Some(answer)
    }

    pub(crate) fn give_up(&self, ticket: u32) -> Error {
        self.lock().asked.remove(&ticket);
        self.late()
    }

    fn late(&self) -> Error {
        Error::Timeout(self.0.name.clone())
    }

    /// The owner has answered; what nobody asked is nobody's.
    pub(crate) fn heard(&self, ticket: u32, taken: bool) {
        if let Some(answer) = self.lock().asked.get_mut(&ticket) {
            *answer = Some(taken);
        }
        self.0.answered.notify_all();
    }

    /// Nothing is answered any more.
    pub(crate) fn end(&self) {
        self.lock().over = true;
        self.0.answered.notify_all();
    }
}
