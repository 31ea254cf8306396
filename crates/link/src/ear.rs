//! What wakes a client that sleeps, and what it hears then.
//!
//! It sleeps on a word of shared memory, not on its socket: that one is watched by a thread for all clients of the process (`lookout.rs`).
//! What is said between who sleeps and who has news stands in [`beamline_arena::news`], where it is modelled.

use crate::{
    error::Error,
    join::LOOK,
    lookout::{self, Watched},
    socket::{Received, Socket},
    wire::ToClient,
};
use beamline_arena::{FarPool, grant::ReturnPage, news::News};
use rustix::{
    event::Timespec,
    fd::{BorrowedFd, OwnedFd},
    io::Errno,
    thread::futex,
};
use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// The socket has something that was not heard.
pub(crate) const SAID: u32 = 1;
/// Somebody wants the client back.
pub(crate) const INTERRUPTED: u32 = 2;

/// Messages of the socket that are heard at once.
const MESSAGES: usize = 64;
/// How often that must be done until all is heard that was said before now: more than a full socket has.
pub(crate) const TURNS: usize = 8;

/// How often in a row a client may be woken for nothing; an owner that means well does so once per entry, when its wake comes late.
const VAIN_WAKES: u32 = 64;
/// How long it then hears nobody: what comes meanwhile is seen as late.
const DEAF: Duration = Duration::from_millis(4);

/// What a client sleeps on, and what else than frames it is woken for.
#[derive(Debug)]
pub(crate) struct Ear {
    pool: Arc<FarPool>,
    socket: Arc<Socket>,
    news: News,
    vain: Vain,
    /// How often there was something for those who wait beside the client: its socket has said something, or another has heard it.
    happenings: Mutex<u64>,
    more: Condvar,
}

/// Wakes that came with nothing: the owner's, who can wake as often as it likes and must not keep us busy. So there are at most
/// [`VAIN_WAKES`] for each thing that comes, and beyond them one per [`DEAF`].
#[derive(Debug, Default)]
struct Vain {
    in_a_row: AtomicU32,
    all: AtomicU64,
}

impl Vain {
    fn too_many(&self) -> bool {
        self.in_a_row.load(Ordering::Relaxed) >= VAIN_WAKES
    }

    fn one_more(&self) {
        self.in_a_row.fetch_add(1, Ordering::Relaxed);
        self.all.fetch_add(1, Ordering::Relaxed);
    }

    fn came(&self) {
        // Mostly there were none: a look costs less than a store.
        if self.in_a_row.load(Ordering::Relaxed) != 0 {
            self.in_a_row.store(0, Ordering::Relaxed);
        }
    }

    /// Sleeps where no wake reaches. The next wake is heard again.
    fn be_deaf(&self, at_most: Option<Duration>) {
        thread::sleep(at_most.map_or(DEAF, |at_most| at_most.min(DEAF)));
        self.in_a_row.store(VAIN_WAKES - 1, Ordering::Relaxed);
    }
}

impl Ear {
    pub(crate) fn new(pool: &Arc<FarPool>, socket: &Arc<Socket>) -> Arc<Self> {
        Arc::new(Ear {
            pool: Arc::clone(pool),
            socket: Arc::clone(socket),
            news: News::default(),
            vain: Vain::default(),
            happenings: Mutex::new(0),
            more: Condvar::new(),
        })
    }

    fn happenings(&self) -> MutexGuard<'_, u64> {
        self.happenings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much has happened: to be asked before one looks, for [`Ear::wait_for_more`] after it.
    pub(crate) fn so_far(&self) -> u64 {
        *self.happenings()
    }

    /// Those who wait beside the client look again.
    pub(crate) fn happened(&self) {
        *self.happenings() += 1;
        self.more.notify_all();
    }

    /// Waits until more has happened than `so_far`. For those who are not the client: that one goes on sleeping.
    pub(crate) fn wait_for_more(&self, so_far: u64, at_most: Duration) {
        let same = |now: &mut u64| *now == so_far;
        drop(self.more.wait_timeout_while(self.happenings(), at_most, same));
    }

    /// Takes note of one kind of news. True when there were some.
    pub(crate) fn take(&self, news: u32) -> bool {
        self.news.take(news)
    }

    /// Wakes that came with nothing, so far.
    pub(crate) fn vain_wakes(&self) -> u64 {
        self.vain.all.load(Ordering::Relaxed)
    }

    /// Hears what the socket has: of an owner that never stops only the first, and the rest is news; so it is after an error. False at its
    /// end.
    pub(crate) fn hear(
        &self,
        mut each: impl FnMut(ToClient, Vec<OwnedFd>) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        for _ in 0..MESSAGES {
            let heard = match self.socket.receive::<ToClient>() {
                Ok(Received::Message(message, fds)) => each(message, fds),
                Ok(Received::Nothing) => return Ok(true),
                Ok(Received::End) | Err(Error::Os { .. }) => return Ok(false),
                Err(other) => Err(other),
            };
            // What is left unread is told by nobody again.
            heard.inspect_err(|_| self.news.note(SAID))?;
        }
        self.news.note(SAID);
        Ok(true)
    }

    /// The socket, to be watched.
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.fd()
    }

    /// There are news: wakes who sleeps.
    pub(crate) fn tell(&self, news: u32) {
        self.news.note(news);
        self.wake();
        if news & SAID != 0 {
            self.happened();
        }
    }

    /// Whether it is to be woken again, or is on its way.
    pub(crate) fn sleeps_over_news(&self) -> bool {
        self.news.sleeps_over()
    }

    /// Wakes who sleeps, after there were news.
    pub(crate) fn wake(&self) {
        self.news.take_back(self.pool.returns());
        // Whatever the word said: it is not ours alone.
        let _ = futex::wake(self.pool.returns().futex(), futex::Flags::empty(), 1);
    }

    /// Sleeps until more than `read` entries are told, there are news, or a while; now and then for nothing.
    pub(crate) fn sleep_until_told(&self, read: u32, at_most: Option<Duration>) {
        if self.vain.too_many() {
            return self.vain.be_deaf(at_most);
        }
        let (tell, returns) = (self.pool.tell(), self.pool.returns());
        let mut woken = true;
        if self.news.sleeps(read, tell, returns) {
            let timeout = at_most.map(|at_most| Timespec {
                tv_sec: i64::try_from(at_most.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(at_most.subsec_nanos()),
            });
            // It returns at once when we are not asleep any more: an entry or news came meanwhile.
            let slept = futex::wait(
                returns.futex(),
                futex::Flags::empty(),
                ReturnPage::ASLEEP,
                timeout.as_ref(),
            );
            woken = slept != Err(Errno::TIMEDOUT);
        }
        self.news.wakes(read, returns);
        if tell.written() != read || self.news.any() {
            self.vain.came();
        } else if woken {
            self.vain.one_more();
        }
    }
}

/// Sleeps as [`Ear::sleep_until_told`] does, and is heard of by the watching thread from the first time on.
pub(crate) fn sleep(ear: &Arc<Ear>, watched: &mut Option<Watched>, read: u32, at_most: Option<Duration>) {
    let at_most = patience(is_watched(ear, watched), at_most);
    ear.sleep_until_told(read, at_most);
}

pub(crate) fn is_watched(ear: &Arc<Ear>, watched: &mut Option<Watched>) -> bool {
    if watched.is_none() {
        match lookout::watch(ear) {
            Ok(now) => *watched = Some(now),
            Err(error) => tracing::debug!(%error, "nobody watches the socket of a client"),
        }
    }
    watched.is_some()
}

/// One whose socket nobody watches looks at it itself.
pub(crate) fn patience(watched: bool, at_most: Option<Duration>) -> Option<Duration> {
    if watched {
        return at_most;
    }
    Some(at_most.map_or(LOOK, |at_most| at_most.min(LOOK)))
}

/// One wait of a client, apart from it: for those who share it under a lock ([`crate::Producer::waiter`]).
#[derive(Debug)]
pub struct Waiter {
    ear: Arc<Ear>,
    read: u32,
    watched: bool,
}

impl Waiter {
    /// Of one that has read so many entries.
    pub(crate) fn new(ear: &Arc<Ear>, watched: &mut Option<Watched>, read: u32) -> Self {
        Waiter {
            watched: is_watched(ear, watched),
            ear: Arc::clone(ear),
            read,
        }
    }

    /// One that has something to say still, and so sleeps for short times.
    pub(crate) fn often(mut self, often: bool) -> Self {
        self.watched &= !often;
        self
    }

    /// Sleeps until something may have come since the client was asked, somebody interrupts it, or `at_most` is over. Of several that wait
    /// at once one alone is woken.
    pub fn wait(self, at_most: Duration) {
        if !self.ear.take(INTERRUPTED) {
            let at_most = patience(self.watched, Some(at_most));
            self.ear.sleep_until_told(self.read, at_most);
            self.ear.take(INTERRUPTED);
        }
    }
}

/// Takes a client that sleeps back, from any thread. Clones are the same; they keep nothing of it alive.
#[derive(Clone, Debug)]
pub struct Interrupt(Weak<Ear>);

impl Interrupt {
    pub(crate) fn new(ear: &Arc<Ear>) -> Self {
        Interrupt(Arc::downgrade(ear))
    }

    /// The client's wait, or its next one, ends with nothing. Never waits.
    pub fn interrupt(&self) {
        let Some(ear) = self.0.upgrade() else { return };
        ear.tell(INTERRUPTED);
        if ear.sleeps_over_news() {
            lookout::see_to_it();
        }
    }
}
