//! Frames on their way from one worker_thread to another: a number that is good once.
//!
//! JavaScript cannot transfer objects of ours, so a frame waits here, process-wide, until its token is redeemed, has expired (5 s; the
//! sender sees to it) or its sender's environment ends.

use beamline_flow::Held;
use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

struct Waiting {
    frame: Held,
    sender: u64,
}

fn waiting() -> MutexGuard<'static, HashMap<u64, Waiting>> {
    static WAITING: OnceLock<Mutex<HashMap<u64, Waiting>>> = OnceLock::new();
    WAITING
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

static EXPIRED: AtomicU64 = AtomicU64::new(0);

/// Leaves a frame; gives its token.
pub(crate) fn put(frame: Held, sender: u64) -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let token = NEXT.fetch_add(1, Ordering::Relaxed);
    waiting().insert(token, Waiting { frame, sender });
    token
}

/// Takes the frame, once.
pub(crate) fn take(token: u64) -> Option<Held> {
    waiting().remove(&token).map(|w| w.frame)
}

/// The token's time is over: lets the frame go, if it still waits.
pub(crate) fn expire(token: u64) -> bool {
    let gone = waiting().remove(&token);
    EXPIRED.fetch_add(u64::from(gone.is_some()), Ordering::Relaxed);
    gone.is_some()
}

/// The sender's environment ends: lets go what it had left.
pub(crate) fn expire_all_of(sender: u64) {
    let gone: Vec<Waiting> = {
        let mut all = waiting();
        let tokens: Vec<u64> = all
            .iter()
            .filter(|(_, w)| w.sender == sender)
            .map(|(t, _)| *t)
            .collect();
        tokens.iter().filter_map(|t| all.remove(t)).collect()
    };
    EXPIRED.fetch_add(gone.len() as u64, Ordering::Relaxed);
}

/// Tokens that nobody redeemed, ever.
pub(crate) fn expired() -> u64 {
    EXPIRED.load(Ordering::Relaxed)
}
