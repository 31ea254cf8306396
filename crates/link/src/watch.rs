//! What is shared now, and what changes: names in the runtime directory, and what their owners say.
//!
//! ```text
//! inotify on the directory ─ a name came, a name went
//! a socket to each owner   ─ what it shares │ in which format now │ its end, however it ends
//! ```
//!
//! Nothing is asked twice where the kernel tells: an owner that was killed ends its socket, though its name stays behind (and is removed
//! here). Only what cannot be told is looked at again, soon and then ever later, up to [`RETRY`]: an owner whose backlog is full, or who has
//! just taken its name and does not listen yet.

use crate::{
    error::Error,
    place::{Place, directory, list_in, name_of},
    socket::{Received, Socket},
    wire::{FromClient, Hello, ToClient},
};
use beamline_media::Caps;
use rustix::{
    event::{EventfdFlags, Timespec, epoll, eventfd},
    fd::OwnedFd,
    fs::inotify::{self, ReadFlags, WatchFlags},
    io::Errno,
};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ffi::OsStr,
    mem::MaybeUninit,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

/// Names that are watched at once; further ones are not told of until others have gone.
const NAMES_MAX: usize = 1024;
/// When an owner that could not be asked is asked again for the first time; each time after that it takes twice as long.
const RETRY_SOON: Duration = Duration::from_millis(1);
/// When it is asked again at the latest.
const RETRY: Duration = Duration::from_millis(500);
/// An owner that ended sooner after it came is asked again only then: one that comes and goes must not keep us busy.
const SETTLE: Duration = Duration::from_millis(200);
/// Words of one owner, and of the directory, that are heard at a turn: who never stops talking does not keep us from the others.
const MESSAGES: usize = 64;
/// When an owner that tells as many as it can is asked again.
const FULL: Duration = Duration::from_secs(5);

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub enum ShareChange {
    /// Is shared now, or was so before the watch began.
    Added(String, Caps),
    /// Comes in another format from now on.
    Changed(String, Caps),
    /// Is shared no more; with the format that it had last.
    Removed(String, Caps),
}

/// The shares of this user in the runtime directory (not those at paths elsewhere). One thread asks it.
#[derive(Debug)]
pub struct Watch {
    epoll: OwnedFd,
    inotify: OwnedFd,
    stop: Arc<OwnedFd>,
    /// None: the user's.
    given: Option<PathBuf>,
    directory: PathBuf,
    watched: i32,
    /// The folder that the directory lies in; None when it cannot be watched.
    parent: Option<i32>,
    names: BTreeMap<String, State>,
    /// Of those in `names` that have a socket.
    ids: HashMap<u64, String>,
    next_id: u64,
    ready: VecDeque<ShareChange>,
}

#[derive(Debug)]
enum State {
    /// Its owner was asked and has not answered.
    Asked { id: u64, socket: Socket },
    /// It was told of.
    There {
        id: u64,
        socket: Socket,
        caps: Caps,
        since: Instant,
    },
    /// It is to be asked then; and once more after so long, should that be in vain.
    Later(Instant, Duration),
}

const INOTIFY: u64 = 0;
const STOP: u64 = 1;
const FIRST_ID: u64 = 2;

fn os(what: &'static str) -> impl Fn(Errno) -> Error {
    move |e| Error::os(what, e)
}

impl Watch {
    /// Begins to watch. The directory of names is made when it is not there.
    ///
    /// # Errors
    /// [`Error::Os`], [`Error::Stranger`] when the directory is another user's.
    pub fn open() -> Result<Self, Error> {
        Self::begin(None)
    }

    /// The same for names in another directory.
    ///
    /// # Errors
    /// [`Error::Os`].
    pub fn of_directory(directory: &Path) -> Result<Self, Error> {
        Self::begin(Some(directory.into()))
    }

    fn begin(given: Option<PathBuf>) -> Result<Self, Error> {
        let inotify = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)
            .map_err(os("a watch for names"))?;
        let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(os("an eventfd"))?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(os("an epoll"))?;
        for (fd, token) in [(&inotify, INOTIFY), (&stop, STOP)] {
            epoll::add(&epoll, fd, epoll::EventData::new_u64(token), epoll::EventFlags::IN).map_err(os("an epoll"))?;
        }
        let mut watch = Watch {
            epoll,
            inotify,
            stop: Arc::new(stop),
            given,
            directory: PathBuf::new(),
            watched: -1,
            parent: None,
            names: BTreeMap::new(),
            ids: HashMap::new(),
            next_id: FIRST_ID,
            ready: VecDeque::new(),
        };
        watch.begin_anew()?;
        Ok(watch)
    }

    /// Ends a [`Watch::next_change`] that waits, or the next one, from any thread. Cost: a system call.
    pub fn stopper(&self) -> impl Fn() + Send + Sync + 'static {
        let stop = Arc::clone(&self.stop);
        move || {
            // A full counter stops as well.
            let _ = rustix::io::write(&*stop, &1u64.to_ne_bytes());
        }
    }

    /// The next change: first everything that is there, as added, each as soon as its owner has answered. `None` after
    /// [`Watch::stopper`].
    ///
    /// Blocks until there is one; whoever asks late gets what is true by then, and misses what came and went meanwhile.
    ///
    /// # Errors
    /// [`Error::Os`], [`Error::Stranger`] when the directory of names is gone and cannot be had again.
    pub fn next_change(&mut self) -> Result<Option<ShareChange>, Error> {
        let mut events = [epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        }; 64];
        loop {
            if let Some(change) = self.ready.pop_front() {
                return Ok(Some(change));
            }
            let count = match epoll::wait(&self.epoll, &mut events, self.patience().as_ref()) {
                Ok(count) => count,
                Err(Errno::INTR) => 0,
                Err(e) => return Err(Error::os("an epoll", e)),
            };
            let mut stopped = false;
            // Owners first: one that ended and came again under its name is gone before it is looked for.
            for event in &events[..count] {
                match event.data.u64() {
                    INOTIFY => {}
                    STOP => stopped = true,
                    id => self.hear(id),
                }
            }
            if events[..count].iter().any(|e| e.data.u64() == INOTIFY) {
                self.read_names()?;
            }
            self.ask_again();
            if stopped {
                let _ = rustix::io::read(&*self.stop, &mut [0u8; 8]);
                return Ok(None);
            }
        }
    }

    /// Watches the directory, as it is now.
    fn begin_anew(&mut self) -> Result<(), Error> {
        self.directory = self.given.clone().map_or_else(directory, Ok)?;
        let what = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        self.watched = inotify::add_watch(&self.inotify, &self.directory, what)
            .map_err(os("a watch for the directory of shares"))?;
        // A directory that is removed says so only when the last socket in it is closed; the folder around it says so at once.
        let what = WatchFlags::DELETE | WatchFlags::MOVED_FROM | WatchFlags::ONLYDIR;
        self.parent = self.directory.parent().and_then(|parent| {
            let parent = if parent.as_os_str().is_empty() {
                Path::new(".")
            } else {
                parent
            };
            inotify::add_watch(&self.inotify, parent, what).ok()
        });
        self.look();
        Ok(())
    }

    /// What inotify has to say: mostly that the names are to be read.
    fn read_names(&mut self) -> Result<(), Error> {
        let mut space = [MaybeUninit::uninit(); 4096];
        let (mut lost, mut born) = (false, Vec::new());
        {
            let mut reader = inotify::Reader::new(&self.inotify, &mut space);
            // Some last words of a directory that is no longer watched may be among them.
            for _ in 0..MESSAGES {
                let Ok(event) = reader.next() else { break };
                let itself = ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::IGNORED | ReadFlags::UNMOUNT;
                if Some(event.wd()) == self.parent {
                    let name = event.file_name().and_then(|name| name.to_str().ok());
                    lost |= name.is_some() && name == self.directory.file_name().and_then(OsStr::to_str);
                    continue;
                }
                lost |= event.wd() == self.watched && event.events().intersects(itself);
                if event.events().intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) && born.len() < NAMES_MAX {
                    born.extend(event.file_name().and_then(|name| name_of(name.to_str().ok()?)));
                }
            }
        }
        if !lost {
            // A new socket under a name that was to be asked again some time.
            for name in born {
                if let Some(State::Later(..)) = self.names.get(&name) {
                    self.names.remove(&name);
                }
            }
            self.look();
            return Ok(());
        }
        for old in self.parent.take().into_iter().chain([self.watched]) {
            let _ = inotify::remove_watch(&self.inotify, old);
        }
        self.begin_anew()
    }

    /// Compares the names that there are with those that are known.
    fn look(&mut self) {
        let found = list_in(&self.directory);
        let gone: Vec<String> = self
            .names
            .keys()
            .filter(|n| found.binary_search(n).is_err())
            .cloned()
            .collect();
        for name in gone {
            self.lose(&name);
        }
        for name in found {
            if !self.names.contains_key(&name) && self.names.len() < NAMES_MAX {
                self.ask(name, RETRY_SOON);
            }
        }
    }

    /// Asks an owner what it shares, and to be told more.
    fn ask(&mut self, name: String, again: Duration) {
        let joined = Place::named(&self.directory, &name).and_then(|place| {
            let socket = Socket::connect_at_once(&place)?;
            socket.send(&FromClient::Hello(Hello::watch()), &[])?;
            Ok(socket)
        });
        let socket = match joined {
            Ok(socket) => socket,
            Err(Error::Os { .. }) => return self.ask_later(name, again),
            // Nobody's: a dead name was removed by this. Or it is none that can be asked.
            Err(_) => {
                self.names.remove(&name);
                return;
            }
        };
        let id = self.next_id;
        self.next_id += 1;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::RDHUP;
        if epoll::add(&self.epoll, socket.fd(), epoll::EventData::new_u64(id), flags).is_err() {
            return self.ask_later(name, again);
        }
        self.ids.insert(id, name.clone());
        self.names.insert(name, State::Asked { id, socket });
    }

    fn ask_later(&mut self, name: String, after: Duration) {
        let again = (after * 2).clamp(RETRY_SOON, RETRY);
        self.names.insert(name, State::Later(Instant::now() + after, again));
    }

    /// An owner has something to say, or is gone.
    fn hear(&mut self, id: u64) {
        for _ in 0..MESSAGES {
            let Some(name) = self.ids.get(&id).cloned() else { return };
            let (State::Asked { socket, .. } | State::There { socket, .. }) = &self.names[&name] else {
                return;
            };
            match socket.receive::<ToClient>() {
                Ok(Received::Nothing) => return,
                Ok(Received::Message(message, _)) => self.heard(&name, message),
                Ok(Received::End) | Err(_) => self.ended(&name),
            }
        }
    }

    fn heard(&mut self, name: &str, message: ToClient) {
        match message {
            ToClient::Welcome { caps, .. } | ToClient::Caps(caps) => match caps.to_media() {
                Some(caps) => self.is_now(name, caps),
                None => self.lose(name),
            },
            // The source's end is not its share's: who joins is told so.
            ToClient::End => {}
            ToClient::Refused(failure) if failure.reason == Hello::FULL => {
                self.lose(name);
                self.ask_later(name.into(), FULL);
            }
            // Failed, not to be served, or nothing that is said to us.
            _ => self.lose(name),
        }
    }

    fn is_now(&mut self, name: &str, now: Caps) {
        match self.names.remove(name) {
            Some(State::Asked { id, socket }) => {
                self.ready.push_back(ShareChange::Added(name.into(), now.clone()));
                let state = State::There {
                    id,
                    socket,
                    caps: now,
                    since: Instant::now(),
                };
                self.names.insert(name.into(), state);
            }
            Some(State::There {
                id,
                socket,
                caps,
                since,
            }) => {
                if caps != now {
                    self.ready.push_back(ShareChange::Changed(name.into(), now.clone()));
                }
                let state = State::There {
                    id,
                    socket,
                    caps: now,
                    since,
                };
                self.names.insert(name.into(), state);
            }
            Some(State::Later(..)) | None => {}
        }
    }

    /// The socket has ended: its owner is gone or has closed the share, and perhaps another has the name.
    fn ended(&mut self, name: &str) {
        let again = match self.names.get(name) {
            Some(State::There { since, .. }) => SETTLE.saturating_sub(since.elapsed()),
            _ => RETRY,
        };
        self.lose(name);
        self.ask_later(name.into(), again);
    }

    /// Lets go of a name.
    fn lose(&mut self, name: &str) {
        match self.names.remove(name) {
            Some(State::There { id, caps, .. }) => {
                self.ids.remove(&id);
                self.ready.push_back(ShareChange::Removed(name.into(), caps));
            }
            Some(State::Asked { id, .. }) => {
                self.ids.remove(&id);
            }
            Some(State::Later(..)) | None => {}
        }
    }

    /// Asks those whose time has come.
    fn ask_again(&mut self) {
        let now = Instant::now();
        let due = |(name, state): (&String, &State)| match state {
            State::Later(at, again) if *at <= now => Some((name.clone(), *again)),
            _ => None,
        };
        let due: Vec<_> = self.names.iter().filter_map(due).collect();
        for (name, again) in due {
            self.ask(name, again);
        }
    }

    /// How long there is nothing to do unless somebody says something.
    fn patience(&self) -> Option<Timespec> {
        let times = self.names.values().filter_map(|state| match state {
            State::Later(at, _) => Some(*at),
            _ => None,
        });
        let left = times.min()?.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        Some(Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_nanos()),
        })
    }
}
