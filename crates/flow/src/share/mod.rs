//! Frames for other processes: of a source, by a loop of its own that publishes instead of handing out; or of whoever makes them.
//!
//! ```text
//! Share         FrameStream ─ at their own time? ─ link::Publisher ─▶ readers in other processes
//! SharedOutput  write(frame) ─ as it lies, or copied ─ Stage ───────▶ the same
//! ```
//!
//! A share drives its source; local loops go on beside it. Whoever reads cannot hold anybody up (see `beamline_link`).
//!
//! Here is the share of a source; `driver.rs` is its thread, `output.rs` the output, `stage.rs` where an output's frames go and its
//! memory comes from, `guest.rs` the one of another process that hosts it.

mod config;
mod driver;
mod guest;
mod output;
mod stage;

pub use config::{Patience, SharedOutputStats, SharedTrackConfig};
pub use output::SharedOutput;

use crate::{
    CaptureOptions, CaptureSession, Error, FrameStream, FramesOptions, Input, Pace, Policy, Runtime, Threads,
    input::Pacer,
};
use beamline_arena::SegmentHold;
use beamline_io::Cancel;
use beamline_link::{ClientInfo, Limits, Place, Publisher};
use beamline_media::{Caps, Frame};
use driver::{CapsOf, Driver};
use serde::Serialize;
use std::{os::fd::OwnedFd, sync::Arc, time::Duration};

/// Frames of a live source that may wait for the share's thread.
const QUEUE: usize = 8;

/// How a source is shared.
#[derive(Clone, Debug)]
pub struct ShareOptions {
    /// Readers at once, at most.
    pub clients: usize,
    /// Whether frames of a source that is not live are published at their own time.
    pub pace: Pace,
}

impl Default for ShareOptions {
    fn default() -> Self {
        ShareOptions {
            clients: Limits::default().clients,
            pace: Pace::Realtime,
        }
    }
}

/// Numbers of a share; they only grow, but for `clients`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShareStats {
    /// Frames that were published.
    pub published: u64,
    /// Holds that came back by themselves because their reader was gone.
    pub swept: u64,
    /// Who reads now.
    pub clients: Vec<ClientInfo>,
}

/// Whether readers can be shown this frame where it lies, and see nothing besides that is not its source's.
fn shows(frame: &Frame) -> bool {
    frame.leases().all(|lease| SegmentHold::of(lease).is_some())
}

/// A share. Clones are the same.
#[derive(Clone)]
pub struct Share(Arc<Inner>);

struct Inner {
    publisher: Publisher,
    cancel: Cancel,
    threads: Threads,
}

impl Share {
    /// Shares a capture. Frames that are another process's themselves (`shared:…`) are copied once each; all others are shown where they
    /// lie.
    ///
    /// # Errors
    /// [`Error::Link`] for a name that cannot be or is taken; [`Error::Closed`].
    pub fn of_capture(
        runtime: &Runtime,
        session: &CaptureSession,
        name: &str,
        options: &ShareOptions,
    ) -> Result<Self, Error> {
        let live = session.live();
        let loop_options = CaptureOptions {
            queue: Some(QUEUE),
            policy: Some(if live { Policy::DropOldest } else { Policy::Block }),
            label: Some(format!("the share '{name}'")),
        };
        let frames = session.frames(loop_options)?;
        let paced = !live && options.pace == Pace::Realtime;
        let asked = session.clone();
        Self::start(
            runtime,
            frames,
            session.caps(),
            live || paced,
            name,
            options,
            paced,
            Box::new(move |frame| caps_of(frame, asked.caps())),
        )
    }

    /// Shares the pictures of a track, from the beginning.
    ///
    /// # Errors
    /// As [`Share::of_capture`] and [`Input::frames`].
    pub fn of_input(
        runtime: &Runtime,
        input: &Input,
        track: usize,
        frames: &FramesOptions,
        name: &str,
        options: &ShareOptions,
    ) -> Result<Self, Error> {
        let video = input.tracks().get(track).and_then(|t| t.video()).cloned();
        let stream = input.frames(track, frames)?;
        // The pixel format is the decoder's: known with the first frame.
        let mut caps = Caps::unknown();
        if let Some(video) = video {
            caps.size = video.coded;
            caps.color = video.color;
            caps.rotation = video.rotation;
            caps.frame_rate = video.frame_rate;
        }
        let told = caps.clone();
        let paced = options.pace == Pace::Realtime;
        Self::start(
            runtime,
            stream,
            caps,
            paced,
            name,
            options,
            paced,
            Box::new(move |frame| caps_of(frame, told.clone())),
        )
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "private: the two functions above are its callers"
    )]
    fn start(
        runtime: &Runtime,
        frames: FrameStream,
        caps: Caps,
        live: bool,
        name: &str,
        options: &ShareOptions,
        paced: bool,
        caps_of: CapsOf,
    ) -> Result<Self, Error> {
        let limits = Limits {
            clients: options.clients,
            ..Limits::default()
        };
        let share = Share(Arc::new(Inner {
            publisher: Publisher::listen(Place::new(name)?, caps.clone(), live, limits)?,
            cancel: Cancel::new(),
            threads: runtime.threads.within(),
        }));
        let driver = Driver {
            share: Arc::clone(&share.0),
            frames,
            caps,
            caps_of,
            pacer: paced.then(|| Pacer::new(Arc::clone(&runtime.clock))),
            runtime: runtime.clone(),
            own: None,
        };
        share.0.threads.spawn("bl-share", move || driver.run())?;
        Ok(share)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.publisher.place().name()
    }

    /// What opens it in every process of this user.
    #[must_use]
    pub fn url(&self) -> String {
        self.0.publisher.place().url()
    }

    /// An end of it for one child that inherits the fd: see [`Publisher::invite`].
    ///
    /// # Errors
    /// [`Error::Link`].
    pub fn invite(&self) -> Result<OwnedFd, Error> {
        Ok(self.0.publisher.invite()?)
    }

    /// Numbers, and who reads.
    #[must_use]
    pub fn stats(&self) -> ShareStats {
        ShareStats {
            published: self.0.publisher.published(),
            swept: self.0.publisher.swept(),
            clients: self.0.publisher.readers(),
        }
    }

    /// Ends it: the name is free, readers are told the end and keep what they hold. The source goes on.
    pub fn close(&self) {
        self.0.cancel.cancel();
        self.0.publisher.close();
    }

    /// Waits until its thread has ended. (The one that hears readers lives on while they hold frames.)
    #[must_use]
    pub fn wait_closed(&self, timeout: Duration) -> bool {
        self.0.threads.wait(timeout)
    }
}

impl std::fmt::Debug for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Share")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

/// What a frame says of its stream, with what only the source knows.
fn caps_of(frame: &Frame, told: Caps) -> Caps {
    let info = frame.info();
    Caps {
        pixel_format: Some(info.format),
        encoded: None,
        size: info.coded,
        color: info.color,
        rotation: info.rotation,
        ..told
    }
}
