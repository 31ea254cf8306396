//! What a capture backend must do. The conformance suite in `testkit` holds every one of them to it.

use crate::{Context, Controls, DeviceChange, DeviceInfo, Error, Request};
use beamline_io::Cancel;
use beamline_link::ClientInfo;
use beamline_media::{Caps, Frame, Packet};
use serde::Serialize;
use std::{fmt::Debug, os::fd::OwnedFd, sync::Arc, time::Duration};

/// A way for light to come in: one row of [`crate::backends::BACKENDS`]. Stateless; opened sources hold the state.
pub trait Backend: Send + Sync + Debug {
    /// Its identity: kebab-case, unique, never changed.
    fn slug(&self) -> &'static str;

    /// What its devices are to a user: `pattern`, `image`, later `camera`, `network`, `shared`.
    fn kind(&self) -> &'static str;

    /// What its URLs look like, one example each, for messages.
    fn examples(&self) -> &'static [&'static str];

    /// The devices that are there now. Ids are unique over all backends, and opening one as `device` opens it.
    ///
    /// Thread: any. Blocks: as long as the system needs to answer, never for the network.
    fn list(&self) -> Vec<DeviceInfo>;

    /// What becomes of its devices from now on; `None` when they never change, and [`Backend::list`] says all.
    ///
    /// Thread: any. Blocks: as long as the system needs to answer.
    ///
    /// # Errors
    /// What the system says.
    fn watch(&self) -> Result<Option<Box<dyn DeviceWatch>>, Error> {
        Ok(None)
    }

    /// The request that a URL stands for; `None` when the URL is not one of this backend's.
    ///
    /// Claims by form alone: nothing is opened or looked for. Also called with a bare [`Request::device`].
    fn parse(&self, url: &str) -> Option<Result<Request, Error>>;

    /// Opens the device. What cannot be (sizes, formats, options, files) is refused here, not in the first `next`.
    ///
    /// Thread: not the JavaScript thread. Blocks: until the device answers, or `context.cancel` turns.
    ///
    /// # Errors
    /// InvalidConfig and NotSupported for what cannot be; NotFound, Busy, PermissionDenied, Data from outside.
    fn open(&self, request: &Request, context: &Context) -> Result<Box<dyn Source>, Error>;
}

/// A backend's devices as they come and go, asked by one thread. Dropping it ends the watch.
pub trait DeviceWatch: Send + Debug {
    /// The next change; first every device that is there, as added.
    ///
    /// Blocks until there is one, woken by the system and not by looking again, or by `cancel`. Who asks late gets what is true by then:
    /// a device that came and went meanwhile may never be told, but none is ever told as there that is not.
    ///
    /// # Errors
    /// Aborted when cancelled: the next call, with a fresh `Cancel`, goes on. What else the system says ends the watch.
    fn next(&mut self, cancel: &Cancel) -> Result<DeviceChange, Error>;
}

/// What a source gives next.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A picture.
    Frame(Frame),
    /// A compressed picture.
    Packet(Packet),
    /// From the next frame or packet on, the stream looks like this ([`Source::caps`] says so already).
    Caps(Caps),
    /// Nothing more will come; each further `next` says so again.
    End,
}

/// Counters of a source. They only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SourceStats {
    /// Frames and packets given out.
    pub captured: u64,
    /// Pictures that were due and were not given: no slot was free, or nobody asked in time. Only live sources drop.
    pub dropped: u64,
}

/// Hands frames of a source that several processes read to another of them.
pub trait HandOver: Send + Sync + Debug {
    /// What the others call this reader.
    fn client(&self) -> u64;

    /// Gives `frame` to the reader `to`, too. True when it was granted it; false when there is no such reader, or it has no room and its
    /// policy drops new frames.
    ///
    /// Thread: any, whether [`Source::next`] is called meanwhile or not. Blocks: until the owner has answered, at most `timeout`.
    ///
    /// # Errors
    /// InvalidConfig for a frame of another source; Timeout when the owner is stopped: it may still hand the frame over, should it go on;
    /// DeviceLost; Aborted when the source is dropped.
    fn hand_over(&self, frame: &Frame, to: u64, timeout: Duration) -> Result<bool, Error>;
}

/// A source that another process fills, and that others read through us.
pub trait Hosting: Send + Sync + Debug {
    /// Who reads, and who fills it. None once the source is gone.
    ///
    /// Thread: any. Cost: a lock and some 100 ns per client.
    fn clients(&self) -> Vec<ClientInfo>;

    /// An end of it for exactly one child that inherits it, to fill or to read.
    ///
    /// # Errors
    /// Quota when too many are out and unused, NotFound when the source is gone.
    fn invite(&self) -> Result<OwnedFd, Error>;
}

/// An opened device, run by one thread that calls `next` until [`Event::End`] or a fatal error.
///
/// Frames and packets outlive the source. Dropping the source closes the device, within 100 ms.
pub trait Source: Send + Debug {
    /// What comes. Holds from opening on; changes only as [`Event::Caps`] tells.
    fn caps(&self) -> Caps;

    /// Whether pictures come by themselves at their time and are lost when nobody takes them. Else they wait.
    fn live(&self) -> bool;

    /// The next picture. Timestamps rise strictly.
    ///
    /// Blocks until there is one, at most 50 ms after `cancel` turned; a source that is not live also waits here for a free slot.
    /// After a cancelled call the next one, with a fresh `Cancel`, goes on.
    ///
    /// # Errors
    /// Aborted when cancelled; DeviceLost, Data, Quota. Every error but Aborted comes again on the next call.
    fn next(&mut self, cancel: &Cancel) -> Result<Event, Error>;

    /// Whether the next event is there already, so that [`Source::next`] would not wait for it. A hint: it is told to loops together with
    /// the one before.
    fn has_more(&self) -> bool {
        false
    }

    /// Counters up to now. Cost: a copy of two numbers.
    fn stats(&self) -> SourceStats;

    /// Passes over the planes of each picture between the device and the frame, beyond the one that brings it into memory.
    fn copies_per_frame(&self) -> u32 {
        0
    }

    /// Frames that may be held at once, where that is not a matter of memory here: another process has set them aside for us.
    fn holds(&self) -> Option<u32> {
        None
    }

    /// Which picture the last packet was: equal numbers mean equal bytes, so that a decoded picture can be kept. `None` when no
    /// packet comes twice.
    fn picture_id(&self) -> Option<u64> {
        None
    }

    /// Where other processes read the same source: how a frame is handed to one of them, while this one runs.
    fn hand_over(&self) -> Option<Arc<dyn HandOver>> {
        None
    }

    /// Where we are the host of the source: who else is there.
    fn hosting(&self) -> Option<Arc<dyn Hosting>> {
        None
    }

    /// Knobs of the device, usable from any thread while the source runs.
    fn controls(&self) -> Option<Arc<dyn Controls>> {
        None
    }
}
