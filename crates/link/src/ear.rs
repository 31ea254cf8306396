//! Clients sleep on a word of shared memory, not on their sockets: one thread of the process watches those for all of them.
//!
//! It never reads: it says that there is something to be heard, and wakes who sleeps. It begins with the first client that sleeps, ends
//! with the last one, and has nothing to do while sockets are silent, as they are but for formats, the end and the owner's death.
//!
//! SYNC POINT "news": who sleeps says so, fences and looks for news once more; who has news notes them, fences, and takes the word back. Of
//! the two at least one sees the other; the kernel compares the word before it lets anybody sleep.

use crate::{error::Error, join::LOOK, socket::Socket};
use beamline_arena::{FarPool, grant::ReturnPage};
use rustix::{
    event::{EventfdFlags, Timespec, epoll, eventfd},
    fd::OwnedFd,
    thread::futex,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering, fence},
    },
    thread,
    time::Duration,
};

/// The socket has something that was not heard.
pub(crate) const SAID: u32 = 1;
/// Somebody wants the client back.
pub(crate) const INTERRUPTED: u32 = 2;

/// How soon one that has news and sleeps on is woken again. The owner can write the word too: a wrong one could do so between the two
/// steps of a wake.
const AGAIN: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 10_000_000,
};

/// What a client sleeps on, and what else than frames it is woken for.
#[derive(Debug)]
pub(crate) struct Ear {
    pool: Arc<FarPool>,
    socket: Arc<Socket>,
    news: AtomicU32,
    /// Known to this process alone, unlike the word that it sleeps on.
    asleep: AtomicBool,
}

impl Ear {
    pub(crate) fn new(pool: &Arc<FarPool>, socket: &Arc<Socket>) -> Arc<Self> {
        Arc::new(Ear {
            pool: Arc::clone(pool),
            socket: Arc::clone(socket),
            news: AtomicU32::new(0),
            asleep: AtomicBool::new(false),
        })
    }

    /// Takes note of one kind of news. True when there were some.
    pub(crate) fn take(&self, news: u32) -> bool {
        // Mostly there are none: a look costs less than an exchange.
        self.news.load(Ordering::Relaxed) & news != 0 && self.news.fetch_and(!news, Ordering::Acquire) & news != 0
    }

    /// There are some.
    pub(crate) fn note(&self, news: u32) {
        self.news.fetch_or(news, Ordering::Release);
    }

    fn tell(&self, news: u32) {
        self.note(news);
        self.wake();
    }

    fn wake(&self) {
        // SYNC POINT "news"
        fence(Ordering::SeqCst);
        let word = self.pool.returns().futex();
        word.store(0, Ordering::Relaxed);
        // Whatever the word said: it is not ours alone.
        let _ = futex::wake(word, futex::Flags::empty(), 1);
    }

    fn sleeps_over_news(&self) -> bool {
        self.asleep.load(Ordering::Relaxed) && self.news.load(Ordering::Relaxed) != 0
    }

    /// Sleeps until more than `read` entries are told, there are news, or a while.
    fn sleep_until_told(&self, read: u32, at_most: Option<Duration>) {
        let (tell, returns) = (self.pool.tell(), self.pool.returns());
        self.asleep.store(true, Ordering::Relaxed);
        returns.client_sleeps();
        // SYNC POINT "news": the fence is that of `client_sleeps`.
        if tell.written() == read && self.news.load(Ordering::Relaxed) == 0 {
            let timeout = at_most.map(|at_most| Timespec {
                tv_sec: i64::try_from(at_most.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(at_most.subsec_nanos()),
            });
            // It returns at once when we are not asleep any more: an entry or news came meanwhile.
            let _ = futex::wait(
                returns.futex(),
                futex::Flags::empty(),
                ReturnPage::ASLEEP,
                timeout.as_ref(),
            );
        }
        returns.client_wakes(read);
        self.asleep.store(false, Ordering::Relaxed);
    }
}

/// Sleeps as [`Ear::sleep_until_told`] does, and is heard of by the watching thread from the first time on.
pub(crate) fn sleep(ear: &Arc<Ear>, watched: &mut Option<Watched>, read: u32, mut at_most: Option<Duration>) {
    if watched.is_none() {
        match watch(ear) {
            Ok(now) => *watched = Some(now),
            Err(error) => {
                tracing::debug!(%error, "nobody watches the socket of a client");
                at_most = Some(at_most.map_or(LOOK, |at_most| at_most.min(LOOK)));
            }
        }
    }
    ear.sleep_until_told(read, at_most);
}

/// Takes a client that sleeps back, from any thread. Clones are the same.
#[derive(Clone, Debug)]
pub struct Interrupt(Arc<Ear>);

impl Interrupt {
    pub(crate) fn new(ear: &Arc<Ear>) -> Self {
        Interrupt(Arc::clone(ear))
    }

    /// The client's wait, or its next one, ends with nothing. Never waits.
    pub fn interrupt(&self) {
        self.0.tell(INTERRUPTED);
        if let Some(watch) = &*lock()
            && self.0.sleeps_over_news()
        {
            // It sees to it that the client is awake.
            watch.ring();
        }
    }
}

/// A client's socket is watched until this is dropped.
#[derive(Debug)]
pub(crate) struct Watched(u64);

/// Watches the socket of a client. An error: no fd or no thread is left; then the client looks at its socket itself, now and then.
fn watch(ear: &Arc<Ear>) -> Result<Watched, Error> {
    let mut running = lock();
    let watch = match &mut *running {
        Some(watch) => watch,
        none => none.insert(Watch::start()?),
    };
    watch.last += 1;
    let id = watch.last;
    // By edges: it is not the thread that reads.
    let flags = epoll::EventFlags::IN | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
    let added = epoll::add(&watch.fds.epoll, ear.socket.fd(), epoll::EventData::new_u64(id), flags);
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
            let _ = epoll::delete(&watch.fds.epoll, ear.socket.fd());
            if watch.ears.is_empty() {
                watch.ring();
            }
        }
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
    let mut again = false;
    loop {
        let count = epoll::wait(&fds.epoll, &mut events, again.then_some(&AGAIN)).unwrap_or(0);
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
        let late = watch.ears.values().filter(|ear| ear.sleeps_over_news());
        again = late
            .inspect(|ear| {
                if count == 0 {
                    ear.wake()
                }
            })
            .count()
            > 0;
    }
}
