//! Frames that another process fills in memory of ours: `shared:decoded?host=true`. The other side is `createOutput('shared:decoded')`.
//!
//! We own the name and the memory: the producer is granted empty slots ahead, and when its process dies, what it has filled is ours all
//! the same. Other processes read the share as any other (`shared:decoded`), through us. One producer at a time; with its end the source
//! ends. Nothing is copied. The format is not known before the producer says it.

use crate::{Context, Error, Event, Hosting, Source, SourceStats};
use beamline_io::Cancel;
use beamline_link::{ClientInfo, Failure, Host, Limits, Place, Produced, Publisher};
use beamline_media::{Caps, Frame};
use std::{
    collections::VecDeque,
    os::fd::OwnedFd,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

/// Pictures that may wait to be asked for; then the oldest is dropped.
const QUEUE: usize = 8;
/// How soon a wish to stop is seen.
const TURN: Duration = Duration::from_millis(40);

/// Takes the name, and waits for nobody: what a producer fills comes when it comes. `readers`: at once, at most.
pub(super) fn open(place: Place, readers: Option<usize>, context: &Context) -> Result<Box<dyn Source>, Error> {
    let inbox = Arc::new(Inbox::default());
    let host = Host {
        arena: context.arena.clone(),
        max_bytes: context.max_bytes,
        producers: 1,
        sink: {
            let inbox = Arc::clone(&inbox);
            Box::new(move |what| inbox.take(what))
        },
    };
    let default = Limits::default();
    let limits = Limits {
        clients: readers.unwrap_or(default.clients),
        ..default
    };
    Ok(Box::new(HostedSource {
        publisher: Arc::new(Publisher::host(place, Caps::unknown(), limits, host)?),
        inbox,
        caps: Caps::unknown(),
        over: None,
    }))
}

/// What the link's thread has told, until it is asked for.
#[derive(Debug, Default)]
struct Inbox {
    told: Mutex<Told>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Told {
    /// Each with the format that was said before it, where one was.
    frames: VecDeque<(Frame, Option<Caps>)>,
    /// What was said of the frames that come after these.
    caps: Option<Caps>,
    last: Option<Option<Failure>>,
    captured: u64,
    dropped: u64,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// On the link's thread: never waits.
    fn take(&self, what: Produced) {
        let mut told = self.lock();
        match what {
            Produced::Frame(frame) => {
                let said = told.caps.take();
                told.frames.push_back((frame, said));
                if told.frames.len() > QUEUE
                    && let Some((_, said)) = told.frames.pop_front()
                {
                    told.dropped += 1;
                    // What was said of it holds for the next one, too.
                    if let Some((_, next)) = told.frames.front_mut() {
                        *next = next.take().or(said);
                    }
                }
            }
            Produced::Caps(caps) => told.caps = Some(caps),
            Produced::End => told.last = Some(None),
            Produced::Failed(failure) => told.last = Some(Some(failure)),
        }
        drop(told);
        self.more.notify_one();
    }
}

/// Who is at a publisher; once it is gone, nobody.
#[derive(Debug)]
struct Guests(Weak<Publisher>, String);

impl Hosting for Guests {
    fn clients(&self) -> Vec<ClientInfo> {
        self.0.upgrade().map(|p| p.readers()).unwrap_or_default()
    }

    fn invite(&self) -> Result<OwnedFd, Error> {
        let gone = || beamline_link::Error::Closed(self.1.clone());
        Ok(self.0.upgrade().ok_or_else(gone)?.invite()?)
    }
}

#[derive(Debug)]
struct HostedSource {
    publisher: Arc<Publisher>,
    inbox: Arc<Inbox>,
    caps: Caps,
    over: Option<Option<Failure>>,
}

impl HostedSource {
    /// What comes next, when it is there.
    fn ask(&mut self, told: &mut Told) -> Option<Result<Event, Error>> {
        if let Some((frame, said)) = told.frames.front_mut() {
            let info = *frame.info();
            // Whatever was said, the frame is what it is.
            let said = said.take().unwrap_or_else(|| self.caps.clone());
            let caps = Caps {
                pixel_format: Some(info.format),
                size: info.coded,
                ..said
            };
            if let Some(change) = self.change(caps) {
                return Some(Ok(change));
            }
            told.captured += 1;
            return told.frames.pop_front().map(|(frame, _)| Ok(Event::Frame(frame)));
        }
        if let Some(change) = told.caps.take().and_then(|caps| self.change(caps)) {
            return Some(Ok(change));
        }
        self.over = self.over.take().or_else(|| told.last.take());
        match &self.over {
            None => None,
            Some(None) => Some(Ok(Event::End)),
            Some(Some(failure)) => Some(Err(beamline_link::Error::Told(failure.clone()).into())),
        }
    }
}

impl HostedSource {
    fn change(&mut self, caps: Caps) -> Option<Event> {
        if caps == self.caps {
            return None;
        }
        self.caps = caps.clone();
        Some(Event::Caps(caps))
    }
}

impl Drop for HostedSource {
    fn drop(&mut self) {
        // Whoever just asks who is there does not put it off.
        self.publisher.close();
    }
}

impl Source for HostedSource {
    fn caps(&self) -> Caps {
        self.caps.clone()
    }

    fn live(&self) -> bool {
        // They come when the other process has them.
        true
    }

    fn next(&mut self, cancel: &Cancel) -> Result<Event, Error> {
        let inbox = Arc::clone(&self.inbox);
        let mut told = inbox.lock();
        loop {
            cancel.check()?;
            if let Some(event) = self.ask(&mut told) {
                return event;
            }
            told = inbox
                .more
                .wait_timeout(told, TURN)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn holds(&self) -> Option<u32> {
        // As many as loops may: the memory grows. (And nobody makes a producer wait, as no share does.)
        Some(u32::MAX)
    }

    fn hosting(&self) -> Option<Arc<dyn Hosting>> {
        let name = self.publisher.place().name().to_owned();
        Some(Arc::new(Guests(Arc::downgrade(&self.publisher), name)))
    }

    fn stats(&self) -> SourceStats {
        let told = self.inbox.lock();
        SourceStats {
            captured: told.captured,
            dropped: told.dropped,
        }
    }
}
