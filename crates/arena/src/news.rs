//! What a client is woken for besides grants, and whether it sleeps: known to its own process alone.
//!
//! A client sleeps on a word of the page that it shares with the owner ([`ReturnPage::futex`]), so that what is granted wakes it by the
//! shortest way. Its own process has news for it too: a socket that has something to say, somebody who wants it back. Whoever has some
//! notes them and takes the word back, as the owner does.
//!
//! ```text
//! client:   asleep ─ word = ASLEEP ─ fence ─ told? news? ─ no: sleeps while the word is ASLEEP
//! the other: news ─ fence ─ word = 0 ─ wakes who sleeps on it ─ still asleep over news? then again, later
//! ```
//!
//! SYNC POINT "news": of the two looks at least one sees what the other side wrote; the kernel compares the word before it lets anybody
//! sleep. The owner can write the word as well: a wrong one can do so between the two steps of a wake, which then is lost. Therefore
//! "asleep" stands here once more, where the owner cannot reach it: who has news looks at it after them ([`News::sleeps_over`]).

use crate::{
    grant::{ReturnPage, TellPage},
    sync::{AtomicU32, Ordering, fence},
};

/// The news for one client, and its "I sleep". Who sleeps is one thread at a time; who has news are any.
#[derive(Debug)]
pub struct News {
    /// Bits, by the client's own meaning.
    kinds: AtomicU32,
    asleep: AtomicU32,
}

impl Default for News {
    fn default() -> Self {
        News {
            kinds: AtomicU32::new(0),
            asleep: AtomicU32::new(0),
        }
    }
}

impl News {
    /// Client: takes news of these kinds. True when there were some.
    pub fn take(&self, kinds: u32) -> bool {
        // Mostly there are none: a look costs less than an exchange.
        self.kinds.load(Ordering::Relaxed) & kinds != 0 && self.kinds.fetch_and(!kinds, Ordering::Acquire) & kinds != 0
    }

    /// There are some. Who may sleep over them is told by [`News::take_back`].
    pub fn note(&self, kinds: u32) {
        self.kinds.fetch_or(kinds, Ordering::Release);
    }

    /// Whether there are some.
    #[must_use]
    pub fn any(&self) -> bool {
        self.kinds.load(Ordering::Relaxed) != 0
    }

    /// After [`News::note`]: takes back the word that the client sleeps on. Whatever it said: who sleeps on it is to be woken.
    pub fn take_back(&self, returns: &ReturnPage) {
        // SYNC POINT "news"
        fence(Ordering::SeqCst);
        returns.futex().store(0, Ordering::Relaxed);
    }

    /// Client: says that it is about to sleep. True when it may, as long as the word is [`ReturnPage::ASLEEP`]; false when more than `read`
    /// entries are told, or there are news. In both cases [`News::wakes`] comes next.
    #[must_use]
    pub fn sleeps(&self, read: u32, tell: &TellPage, returns: &ReturnPage) -> bool {
        self.asleep.store(1, Ordering::Relaxed);
        returns.client_sleeps();
        // SYNC POINT "news": the fence is that of `client_sleeps`.
        tell.written() == read && !self.any()
    }

    /// Client: is awake, and has read so many entries.
    pub fn wakes(&self, read: u32, returns: &ReturnPage) {
        returns.client_wakes(read);
        self.asleep.store(0, Ordering::Relaxed);
    }

    /// After [`News::take_back`]: whether the client says that it sleeps and has not taken all news. It is on its way out of its sleep, or it
    /// is to be woken again.
    #[must_use]
    pub fn sleeps_over(&self) -> bool {
        self.asleep.load(Ordering::Relaxed) != 0 && self.any()
    }
}
