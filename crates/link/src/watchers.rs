//! Those who want to know what a share is, and no frames: from the owner's side.
//!
//! They have nothing to say. One that does not read what it is told is let go; it finds the share again when it does.

use crate::{socket::Socket, wire::ToClient};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most of one share.
const WATCHERS_MAX: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Watchers(Mutex<Vec<(u64, Socket)>>);

impl Watchers {
    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Socket)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn are_full(&self) -> bool {
        self.lock().len() >= WATCHERS_MAX
    }

    /// Answers one, who hears of all that is told from then on. `welcome` says what is so at that moment.
    pub(crate) fn welcome(&self, id: u64, socket: Socket, welcome: impl FnOnce() -> ToClient) {
        let mut watchers = self.lock();
        if socket.send(&welcome(), &[]).unwrap_or(false) {
            watchers.push((id, socket));
        }
    }

    /// Tells all. Never waits.
    pub(crate) fn tell(&self, message: &ToClient) {
        self.lock()
            .retain(|(_, socket)| socket.send(message, &[]).unwrap_or(false));
    }

    /// Its socket has ended, or says something, which it must not.
    pub(crate) fn let_go(&self, id: u64) {
        self.lock().retain(|(i, _)| *i != id);
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }
}
