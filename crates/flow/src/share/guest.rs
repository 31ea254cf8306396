//! An output on another process's stage: that one owns the name and the memory, and we fill slots that it grants ahead.

use super::{SharedOutputStats, stage::Stage};
use crate::{Error, Runtime};
use beamline_arena::{Error as ArenaError, PoolConfig, Wait};
use beamline_link::{Failure, Interrupt, Place, Producer, ProducerOptions, Waiter};
use beamline_media::{Caps, Frame, FrameError, FrameInfo, FrameMut};
use std::{
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How long one who has no deadline sleeps at a time.
const TURN: Duration = Duration::from_millis(250);

/// Begins the number of an inherited end. No name can: they have no colon.
const INHERITED: &str = "fd:";

/// What a share that takes producers is filled by.
pub(super) struct Guest {
    /// Of an inherited end its number, as it was said.
    name: String,
    /// Until the end: what it was granted and did not fill goes back then.
    producer: Mutex<Option<Producer>>,
    interrupt: Interrupt,
    queue: Queue,
    published: AtomicU64,
}

/// Those who wait for a slot. One of them sleeps at the link, which wakes one alone, and when it wakes it wakes the others: all look again.
#[derive(Default)]
struct Queue {
    /// Whether one sleeps at the link.
    led: Mutex<bool>,
    changed: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.led.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, waiter: Waiter, at_most: Duration, cancelled: &dyn Fn() -> bool) {
        let mut led = self.lock();
        // Under the lock: who is cancelled after this look is woken.
        if cancelled() {
            return;
        }
        if *led {
            drop(self.changed.wait_timeout(led, at_most));
            return;
        }
        *led = true;
        drop(led);
        waiter.wait(at_most);
        *self.lock() = false;
        self.changed.notify_all();
    }

    fn wake(&self) {
        drop(self.lock());
        self.changed.notify_all();
    }
}

impl Guest {
    /// Joins the share of that name, when there is one that takes producers, or of an inherited end; `None` when nobody is there.
    /// `clients` was asked for: that is not a guest's to say.
    pub(super) fn join(
        runtime: &Runtime,
        name: &str,
        caps: Caps,
        clients: Option<usize>,
    ) -> Result<Option<Self>, Error> {
        let pool = runtime.arena.pool(PoolConfig::new(format!("producer for {name}")));
        let options = ProducerOptions::default();
        let refuse = |clients: usize| Error::Argument {
            name: "clients",
            expected: format!(
                "nothing (how many may read '{name}' is said by its host: openCapture('shared:…', {{ host: true, clients }}))"
            ),
            got: clients.to_string(),
        };
        if let Some(number) = name.strip_prefix(INHERITED) {
            let number = number.parse().map_err(|_| Error::Argument {
                name: "target",
                expected: "'shared:fd:' and the number of an inherited fd".into(),
                got: format!("'shared:{name}'"),
            })?;
            if let Some(clients) = clients {
                return Err(refuse(clients));
            }
            let producer = Producer::inherit(number, &pool, caps, options, &|| false)?;
            return Ok(Some(Guest::new(name, producer)));
        }
        let place = Place::new(name)?;
        let joined = match clients {
            // First a look: who has joined and goes has failed.
            Some(clients) => Producer::look(&place).map(|()| Err(refuse(clients))),
            None => Producer::connect(&place, &pool, caps, options, &|| false).map(Ok),
        };
        match joined {
            Ok(producer) => Ok(Some(Guest::new(place.name(), producer?))),
            Err(beamline_link::Error::NotFound(_)) => Ok(None),
            // Somebody shares a source of his own under the name: for us it is taken.
            Err(beamline_link::Error::Told(failure)) if failure.reason == "share-not-hosted" => {
                Err(beamline_link::Error::Taken(place.name().to_owned()).into())
            }
            Err(other) => Err(other.into()),
        }
    }

    fn new(name: &str, producer: Producer) -> Self {
        Guest {
            name: name.to_owned(),
            interrupt: producer.interrupt(),
            queue: Queue::default(),
            producer: Mutex::new(Some(producer)),
            published: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Producer>> {
        self.producer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Producer) -> Result<T, beamline_link::Error>) -> Result<T, Error> {
        match &mut *self.lock() {
            Some(producer) => Ok(act(producer)?),
            None => Err(Error::Closed { what: "the output" }),
        }
    }

    fn memory(error: ArenaError) -> Error {
        Error::Frame(FrameError::Memory(error))
    }
}

impl Stage for Guest {
    fn name(&self) -> &str {
        &self.name
    }

    fn acquire(&self, info: FrameInfo, wait: Wait<'_>) -> Result<FrameMut, Error> {
        let pool = || format!("what the owner of '{}' grants", self.name);
        loop {
            let waits = matches!(wait, Wait::Until { .. });
            // Nobody sleeps under the lock: others write meanwhile, some of them on the JavaScript thread.
            let granted = self.with(|producer| {
                let granted = producer.frame(info, Duration::ZERO)?;
                Ok(granted.ok_or_else(|| (waits.then(|| producer.waiter()), producer.memory())))
            })?;
            let (waiter, (slots, in_use)) = match granted {
                Ok(frame) => return Ok(frame),
                Err(wait) => wait,
            };
            let (Wait::Until { deadline, cancelled }, Some(waiter)) = (wait, waiter) else {
                // Memory is the owner's to grow.
                return Err(Self::memory(ArenaError::Empty { pool: pool(), slots }));
            };
            if cancelled() {
                return Err(Self::memory(ArenaError::Cancelled));
            }
            let left = deadline.map_or(TURN, |d| d.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Err(Self::memory(ArenaError::Timeout {
                    pool: pool(),
                    in_use,
                    slots,
                }));
            }
            self.queue.wait(waiter, left, cancelled);
        }
    }

    fn interrupt(&self) {
        self.interrupt.interrupt();
        self.queue.wake();
    }

    fn shows(&self, frame: &Frame) -> bool {
        self.lock().as_ref().is_some_and(|p| p.can_publish(frame))
    }

    fn set_caps(&self, caps: &Caps) {
        if let Err(error) = self.with(|producer| producer.set_caps(caps)) {
            tracing::debug!(%error, "the owner was not told of a format");
        }
    }

    fn publish(&self, frame: &Frame) -> Result<(), Error> {
        self.with(|producer| producer.publish(frame))?;
        self.published.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn end(&self, failure: Option<Failure>) {
        let Some(mut producer) = self.lock().take() else { return };
        let told = match failure {
            Some(failure) => producer.fail(failure),
            None => producer.end(),
        };
        if let Err(error) = told {
            tracing::debug!(%error, "the owner was not told of the end");
        }
        // Nothing is granted any more.
        drop(producer);
        self.interrupt();
    }

    fn stats(&self) -> SharedOutputStats {
        SharedOutputStats {
            frames: self.published.load(Ordering::Relaxed),
            copies: 0,
            // Who reads is the owner's to know.
            swept: None,
            clients: None,
        }
    }
}
