//! Opening and closing.

use super::{
    cursor::{Cursor, FramesOptions, PacketsOptions, Sink},
    stream::{FrameStream, PacketStream},
};
use crate::{
    Error, Runtime,
    channel::channel,
    held::{Credits, OPEN_FRAMES_MAX},
    threads::Threads,
};
use beamline_container::{Demuxer, Error as ContainerError, TrackInfo, boxes};
use beamline_io::{ByteSource, Cancel};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How an input is opened.
#[derive(Clone, Debug, Default)]
pub struct InputOptions {
    /// A file that ends too early or cannot be decoded in places gives what can be had and ends quietly.
    pub recover: bool,
}

/// An open media file. Clones are the same input.
#[derive(Clone)]
pub struct Input(Arc<Inner>);

struct Inner {
    runtime: Runtime,
    source: Arc<dyn ByteSource>,
    format: String,
    tracks: Vec<TrackInfo>,
    duration_us: Option<i64>,
    /// What is missing at the end of the file, by our own walk over its boxes.
    incomplete: Option<String>,
    options: InputOptions,
    cancel: Cancel,
    threads: Threads,
    /// The demuxer that read the index, for the first cursor.
    spare: Mutex<Option<Box<dyn Demuxer>>>,
}

impl Input {
    /// Opens `source` and reads its index. Blocks: call it on a thread of its own. `cancel` ends the opening, and later the input.
    ///
    /// # Errors
    /// [`Error::Container`] with `not-media`, `truncated` (the index is not whole), `container-not-supported`; [`Error::Io`].
    pub fn open(
        runtime: &Runtime,
        source: Arc<dyn ByteSource>,
        options: InputOptions,
        cancel: Cancel,
    ) -> Result<Self, Error> {
        let incomplete = if source.one_pass() {
            None
        } else {
            examine(&*source, &cancel)?
        };
        let demuxer = runtime.containers.open(Arc::clone(&source), &cancel)?;
        Ok(Input(Arc::new(Inner {
            runtime: runtime.clone(),
            format: demuxer.format().to_owned(),
            tracks: demuxer.tracks().to_vec(),
            duration_us: demuxer.duration_us(),
            source,
            incomplete,
            options,
            cancel,
            threads: runtime.threads.within(),
            spare: Mutex::new(Some(demuxer)),
        })))
    }

    /// The container's slug.
    #[must_use]
    pub fn format(&self) -> &str {
        &self.0.format
    }

    /// The tracks, in the order of the file.
    #[must_use]
    pub fn tracks(&self) -> &[TrackInfo] {
        &self.0.tracks
    }

    /// Length in µs, when known.
    #[must_use]
    pub fn duration_us(&self) -> Option<i64> {
        self.0.duration_us
    }

    /// What is missing at the end of the file, if it was found incomplete when it was opened.
    #[must_use]
    pub fn incomplete(&self) -> Option<&str> {
        self.0.incomplete.as_deref()
    }

    /// Decoded pictures of a video track, by a cursor of their own.
    ///
    /// # Errors
    /// [`Error::Closed`]; [`Error::Argument`] for a track that is none or no video; [`Error::Codec`] when nobody decodes it.
    pub fn frames(&self, track: usize, options: &FramesOptions) -> Result<FrameStream, Error> {
        let info = self.track(track)?;
        let Some(video) = info.video() else {
            return Err(Error::Argument {
                name: "track",
                expected: "a video track".into(),
                got: format!("track {track} ({})", info.codec),
            });
        };
        let pool = self.0.runtime.frame_pool("input");
        let decoder = Cursor::open_decoder(&self.0.runtime, info, video, options, Arc::clone(&pool))?;
        let (sender, receiver) = channel(options.queue.max(1), options.policy);
        let credits = Credits::new(receiver.waker(), OPEN_FRAMES_MAX);
        let cursor = self.cursor(track)?;
        let stop = receiver.stopper();
        // A decoder that waits for memory looks at nothing else.
        let hook = self.0.cancel.on_cancel(move || {
            stop();
            pool.pool().stop_waiting();
        });
        let (sink, options) = (Sink::new(sender, Arc::clone(&credits)), options.clone());
        self.0.threads.spawn("bl-input", move || {
            let _until_the_end = hook;
            cursor.run_frames(decoder, &sink, &options);
        })?;
        Ok(FrameStream::new(receiver, credits))
    }

    /// The packets of a track as they are, by a cursor of their own.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::Argument`].
    pub fn packets(&self, track: usize, options: &PacketsOptions) -> Result<PacketStream, Error> {
        self.track(track)?;
        let (sender, receiver) = channel(options.queue.max(1), crate::Policy::Block);
        let cursor = self.cursor(track)?;
        let hook = self.0.cancel.on_cancel(receiver.stopper());
        let options = options.clone();
        self.0.threads.spawn("bl-packets", move || {
            let _until_the_end = hook;
            cursor.run_packets(sender, &options);
        })?;
        Ok(PacketStream::new(receiver))
    }

    fn track(&self, track: usize) -> Result<&TrackInfo, Error> {
        if self.0.cancel.is_cancelled() {
            return Err(Error::Closed { what: "the input" });
        }
        self.0.tracks.get(track).ok_or_else(|| Error::Argument {
            name: "track",
            expected: format!("a number below {}", self.0.tracks.len()),
            got: track.to_string(),
        })
    }

    fn cursor(&self, track: usize) -> Result<Cursor, Error> {
        let inner = &self.0;
        let spare = inner.spare.lock().unwrap_or_else(PoisonError::into_inner).take();
        if spare.is_none() && inner.source.one_pass() {
            return Err(Error::State {
                what: format!(
                    "'{}' can be read only once, and a loop has begun already",
                    inner.source.name()
                ),
                reason: "one-pass",
            });
        }
        Ok(Cursor {
            demuxer: spare,
            runtime: inner.runtime.clone(),
            source: Arc::clone(&inner.source),
            track,
            info: inner.tracks[track].clone(),
            incomplete: inner.incomplete.clone(),
            recover: inner.options.recover,
            cancel: inner.cancel.clone(),
        })
    }

    /// Ends all cursors. Frames that were handed out live on.
    pub fn close(&self) {
        self.0.cancel.cancel();
        self.0.spare.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Waits until all threads of this input have ended, at most `timeout`.
    #[must_use]
    pub fn wait_closed(&self, timeout: Duration) -> bool {
        self.0.threads.wait(timeout)
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input")
            .field("name", &self.0.source.name())
            .field("format", &self.0.format)
            .finish_non_exhaustive()
    }
}

/// Whether an MP4 or MOV is whole: an error when its index is not, else what is missing behind it.
fn examine(source: &dyn ByteSource, cancel: &Cancel) -> Result<Option<String>, Error> {
    let truncated = |detail: &str| {
        Error::Container(ContainerError::Truncated {
            name: source.name().to_owned(),
            detail: detail.to_owned(),
        })
    };
    match boxes::examine(source, cancel)? {
        None => Ok(None),
        Some(found) => match &found.index {
            boxes::Index::Whole => {
                Ok((!found.complete).then(|| found.missing.unwrap_or_else(|| "its end is missing".into())))
            }
            boxes::Index::Missing { detail } | boxes::Index::Cut { detail } => Err(truncated(detail)),
        },
    }
}
