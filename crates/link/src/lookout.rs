//! Clients sleep on a word of shared memory, not on their sockets: one thread of the process watches those for all of them.
//!
//! It never reads: it says that there is something to be heard, and wakes who sleeps. It begins with the first client that sleeps, ends
//! with the last one, and has nothing to do while sockets are silent, as they are but for formats, the end and the owner's death.

use crate::{
    ear::{Ear, SAID},
    error::Error,
};
use rustix::{
    event::{EventfdFlags, Timespec, epoll, eventfd},
    fd::OwnedFd,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How soon one that has news and sleeps on is woken again. The owner can write the word too: a wrong one could do so between the two
/// steps of a wake.
const AGAIN: Duration = Duration::from_millis(10);

/// A client's socket is watched until this is dropped.
#[derive(Debug)]
pub(crate) struct Watched(u64);

/// Watches the socket of a client. An error: no fd or no thread is left; then the client looks at its socket itself, now and then.
pub(crate) fn watch(ear: &Arc<Ear>) -> Result<Watched, Error> {
    let mut running = lock();
    let watch = match &mut *running {
        Some(watch) => watch,
        none => none.insert(Watch::start()?),
    };
    watch.last += 1;
    let id = watch.last;
    // By edges: it is not the thread that reads.
    let flags = epoll::EventFlags::IN | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
    let added = epoll::add(&watch.fds.epoll, ear.socket(), epoll::EventData::new_u64(id), flags);
    match added {
        Ok(()) => {
            watch.ears.insert(id, Arc::clone(ear));
            Ok(Watched(id))
        }
        Err(error) => {
            watch.ring();
            Err(Error::os("an epoll", error))
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(watch) = &mut *lock()
            && let Some(ear) = watch.ears.remove(&self.0)
        {
            let _ = epoll::delete(&watch.fds.epoll, ear.socket());
            if watch.ears.is_empty() {
                watch.ring();
            }
        }
    }
}

/// A client may sleep over its news: the thread sees to it that it does not.
pub(crate) fn see_to_it() {
    if let Some(watch) = &*lock() {
        watch.ring();
    }
}

/// The thread, while there is one.
static WATCH: Mutex<Option<Watch>> = Mutex::new(None);

fn lock() -> MutexGuard<'static, Option<Watch>> {
    WATCH.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Watch {
    fds: Arc<Fds>,
    ears: BTreeMap<u64, Arc<Ear>>,
    last: u64,
}

struct Fds {
    epoll: OwnedFd,
    /// Wakes the thread.
    ring: OwnedFd,
}

/// The event of `ring`; clients count from 1.
const RING: u64 = 0;

impl Watch {
    fn start() -> Result<Self, Error> {
        let fds = Arc::new(Fds {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|e| Error::os("an epoll", e))?,
            ring: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|e| Error::os("an eventfd", e))?,
        });
        let (data, flags) = (epoll::EventData::new_u64(RING), epoll::EventFlags::IN);
        epoll::add(&fds.epoll, &fds.ring, data, flags).map_err(|e| Error::os("an epoll", e))?;
        let of_thread = Arc::clone(&fds);
        thread::Builder::new()
            .name("bl-watch".into())
            .spawn(move || run(&of_thread))
            .map_err(|e| Error::os("a thread", e))?;
        Ok(Watch {
            fds,
            ears: BTreeMap::new(),
            last: RING,
        })
    }

    fn ring(&self) {
        // A full counter means that the wake is under way.
        let _ = rustix::io::write(&self.fds.ring, &1u64.to_ne_bytes());
    }
}

fn run(fds: &Fds) {
    let mut events = [epoll::Event {
        flags: epoll::EventFlags::empty(),
        data: epoll::EventData::new_u64(RING),
    }; 16];
    // Since when there are some that sleep over their news, or when they were last woken again.
    let mut late: Option<Instant> = None;
    loop {
        let patience = late.map(|since| Timespec {
            tv_sec: 0,
            tv_nsec: AGAIN.saturating_sub(since.elapsed()).subsec_nanos().into(),
        });
        let count = epoll::wait(&fds.epoll, &mut events, patience.as_ref()).unwrap_or(0);
        let mut running = lock();
        let Some(watch) = &mut *running else { return };
        for event in &events[..count] {
            match event.data.u64() {
                RING => drop(rustix::io::read(&fds.ring, &mut [0u8; 8])),
                id => {
                    if let Some(ear) = watch.ears.get(&id) {
                        ear.tell(SAID);
                    }
                }
            }
        }
        // Under the lock: whoever comes later starts another thread.
        if watch.ears.is_empty() {
            *running = None;
            return;
        }
        late = wake_again(&watch.ears, late);
    }
}

/// Wakes those who sleep over their news, each [`AGAIN`] as long as there are such, whatever other sockets say meanwhile. Gives since when
/// there are, or when they were woken last.
fn wake_again(ears: &BTreeMap<u64, Arc<Ear>>, late: Option<Instant>) -> Option<Instant> {
    let mut sleepers = ears.values().filter(|ear| ear.sleeps_over_news()).peekable();
    sleepers.peek()?;
    match late {
        Some(since) if since.elapsed() < AGAIN => late,
        Some(_) => {
            sleepers.for_each(|ear| ear.wake());
            Some(Instant::now())
        }
        None => Some(Instant::now()),
    }
}
