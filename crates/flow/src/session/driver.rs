//! The thread that drives a source.

use super::{Decode, Shared, held_up::Member, lock};
use crate::{
    Error, Policy,
    channel::{Refused, Sender},
    held::Credits,
};
use beamline_capture::{Event, Source, SourceStats};
use beamline_io::CancelHook;
use beamline_media::Frame;
use std::{
    sync::{Arc, atomic::Ordering},
    thread,
};

/// One loop, from the driver's side.
pub(super) struct Consumer {
    pub(super) sender: Sender<Frame>,
    pub(super) credits: Arc<Credits>,
    pub(super) policy: Policy,
    pub(super) member: Arc<Member>,
    /// Ends a push that waits for room when the capture is closed.
    pub(super) _stop: CancelHook,
}

/// The thread that drives the source.
pub(super) struct Driver {
    pub(super) shared: Arc<Shared>,
    pub(super) source: Box<dyn Source>,
    pub(super) decode: Decode,
    pub(super) consumers: Vec<Consumer>,
}

impl Driver {
    pub(super) fn run(mut self) {
        *lock(&self.shared.driver) = Some(thread::current());
        let me = thread::current();
        let hook = self.shared.cancel.on_cancel(move || me.unpark());
        let how = self.drive();
        drop(hook);
        let error = how.err().map(Arc::new);
        let late = {
            let mut loops = lock(&self.shared.loops);
            loops.over = Some(error.clone());
            std::mem::take(&mut loops.new)
        };
        let consumers = std::mem::take(&mut self.consumers);
        // The source's and the decoder's memory goes before the last word.
        drop(self);
        for consumer in consumers.into_iter().chain(late) {
            consumer
                .sender
                .end(error.as_ref().map_or(Ok(()), |e| Err(Error::again(e))));
        }
    }

    fn drive(&mut self) -> Result<(), Error> {
        loop {
            self.wait_for_consumers()?;
            let event = self.ask();
            self.note(self.source.stats());
            match event {
                Ok(Event::Frame(frame)) => self.hand_out(frame),
                Ok(Event::Packet(packet)) => {
                    let id = self.source.picture_id();
                    let decoded = self.decode.packet(&packet, id, &self.shared.counters);
                    // It ends a wait of the decoder's for memory.
                    let cancelled = self.shared.cancel.is_cancelled();
                    let frames = decoded.map_err(|error| if cancelled { Error::Cancelled } else { error })?;
                    frames.into_iter().for_each(|frame| self.hand_out(frame));
                }
                Ok(Event::Caps(caps)) => self.shared.change_to(caps),
                Ok(Event::End) => return Ok(()),
                Ok(_) => {}
                Err(_) if self.shared.cancel.is_cancelled() => return Err(Error::Cancelled),
                Err(error) => return Err(error.into()),
            }
            // Frames that came together are told together.
            if !self.source.has_more() {
                self.consumers.iter().for_each(|c| c.sender.ring());
            }
        }
    }

    fn ask(&mut self) -> Result<Event, beamline_capture::Error> {
        // A live source waits for its time, never for memory.
        if self.shared.live {
            return self.source.next(&self.shared.cancel);
        }
        self.shared.neighbours.waits_for(None);
        let event = self.source.next(&self.shared.cancel);
        self.shared.neighbours.goes_on();
        event
    }

    fn note(&self, stats: SourceStats) {
        self.shared.counters.captured.store(stats.captured, Ordering::Relaxed);
        self.shared.counters.lost.store(stats.dropped, Ordering::Relaxed);
    }

    fn wait_for_consumers(&mut self) -> Result<(), Error> {
        loop {
            if self.shared.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            self.consumers.append(&mut lock(&self.shared.loops).new);
            self.consumers.retain(|c| !c.sender.is_gone());
            if !self.consumers.is_empty() {
                return Ok(());
            }
            thread::park();
        }
    }

    fn hand_out(&mut self, frame: Frame) {
        for consumer in &self.consumers {
            if consumer.credits.exhausted() {
                if consumer.policy != Policy::Block {
                    self.shared.counters.dropped.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                let stopped = &self.shared.cancel;
                self.waiting_for(consumer, || {
                    consumer
                        .sender
                        .wait(|| !consumer.credits.exhausted() || stopped.is_cancelled());
                });
            }
            self.push(consumer, frame.clone());
            self.shared
                .counters
                .dropped
                .fetch_add(consumer.sender.take_dropped(), Ordering::Relaxed);
        }
    }
    fn push(&self, consumer: &Consumer, frame: Frame) {
        if consumer.policy != Policy::Block {
            let _ = consumer.sender.put(frame);
        } else if let Err(Refused::Full(frame)) = consumer.sender.try_put(frame) {
            self.waiting_for(consumer, || {
                let _ = consumer.sender.put(frame);
            });
        }
    }

    /// Waits, and lets the other loops know for whom.
    fn waiting_for(&self, consumer: &Consumer, wait: impl FnOnce()) {
        // What the others have got they are told of first.
        self.consumers.iter().for_each(|c| c.sender.ring());
        self.shared.neighbours.waits_for(Some(&consumer.member));
        wait();
        self.shared.neighbours.goes_on();
    }
}
