//! Frames that another process fills in memory of ours: `shared:decoded?host=true`. The other side is `createOutput('shared:decoded')`.
//!
//! We own the name and the memory: the producer is granted empty slots ahead, and when its process dies, what it has filled is ours all
//! the same. Other processes read the share as any other (`shared:decoded`), through us. One producer at a time; with its end the source
//! ends. Nothing is copied.

use crate::{Context, Error, Event, Source, SourceStats};
use beamline_io::Cancel;
use beamline_link::{Failure, Host, Limits, Place, Produced, Publisher};
use beamline_media::{Caps, Size};
use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Pictures that may wait to be asked for; then the oldest is dropped.
const QUEUE: usize = 8;
/// How soon a wish to stop is seen.
const TURN: Duration = Duration::from_millis(40);

/// Takes the name, and waits for nobody: what a producer fills comes when it comes.
pub(super) fn open(place: Place, context: &Context) -> Result<Box<dyn Source>, Error> {
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
    let said = Caps::raw(beamline_media::PixelFormat::I420, Size::new(1, 1));
    let unknown = Caps {
        pixel_format: None,
        size: Size::new(0, 0),
        ..said.clone()
    };
    Ok(Box::new(HostedSource {
        _publisher: Publisher::host(place, said, Limits::default(), host)?,
        inbox,
        caps: unknown,
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
    frames: VecDeque<beamline_media::Frame>,
    /// The format of the frames that come; told before the next one.
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
                if told.frames.len() == QUEUE {
                    told.frames.pop_front();
                    told.dropped += 1;
                }
                told.frames.push_back(frame);
            }
            Produced::Caps(caps) => told.caps = Some(caps),
            Produced::End => told.last = Some(None),
            Produced::Failed(failure) => told.last = Some(Some(failure)),
        }
        drop(told);
        self.more.notify_one();
    }
}

#[derive(Debug)]
struct HostedSource {
    _publisher: Publisher,
    inbox: Arc<Inbox>,
    caps: Caps,
    over: Option<Option<Failure>>,
}

impl HostedSource {
    /// What comes next, when it is there.
    fn ask(&mut self, told: &mut Told) -> Option<Result<Event, Error>> {
        let format = |caps: &Caps| (caps.pixel_format, caps.size);
        if let Some(frame) = told.frames.front() {
            let info = *frame.info();
            let mut caps = told.caps.clone().unwrap_or_else(|| self.caps.clone());
            (caps.pixel_format, caps.size) = (Some(info.format), info.coded);
            if format(&caps) != format(&self.caps) {
                self.caps = caps.clone();
                return Some(Ok(Event::Caps(caps)));
            }
            told.captured += 1;
            return told.frames.pop_front().map(|frame| Ok(Event::Frame(frame)));
        }
        self.over = self.over.take().or_else(|| told.last.take());
        match &self.over {
            None => None,
            Some(None) => Some(Ok(Event::End)),
            Some(Some(failure)) => Some(Err(beamline_link::Error::Told(failure.clone()).into())),
        }
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

    fn stats(&self) -> SourceStats {
        let told = self.inbox.lock();
        SourceStats {
            captured: told.captured,
            dropped: told.dropped,
        }
    }
}
