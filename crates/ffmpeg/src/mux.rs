//! Muxers: packets in, a file out.
//!
//! Fragmented: `movflags=frag_custom+delay_moov+default_base_moof`. We cut ourselves, before every key picture; FFmpeg's
//! `frag_keyframe` together with `frag_duration` would also cut one packet before a key picture whenever a packet of sound passes
//! the second first. Long stretches without a key picture, and sound alone, are cut by time. `delay_moov` writes the index once the
//! first packets are known, so that edit lists can keep encoder delay and priming.
//!
//! Plain: see `target.rs`.

use crate::{
    avio::{Avio, Sink},
    cut::Cutter,
    error, front, log,
    mux_track::Track,
    raii, sys as ff,
    target::{BoxWatch, Out, Spool},
    tracks,
};
use beamline_container::{Error, MuxTrack, Muxer, MuxerConfig};
use beamline_io::{ByteSink, Cancel};
use beamline_media::Packet;
use std::{ffi::c_int, ptr::NonNull};

/// Unit of edit lists: finer than a sample of 48 kHz, so that first picture and first sound keep their place.
const MOVIE_TIMESCALE: &str = "90000";

/// One file being written.
pub(crate) struct Output {
    format: Format,
    config: MuxerConfig,
    tracks: Vec<Track>,
    cutter: Cutter,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Adding,
    Writing,
    Failed,
    Done,
}

/// An AVFormatContext and where it writes; the context goes first.
struct Format {
    ctx: NonNull<ff::AVFormatContext>,
    io: Avio<Sink<Out>>,
}

// SAFETY: as for the demuxer's.
unsafe impl Send for Format {}

impl Drop for Format {
    fn drop(&mut self) {
        // SAFETY: ours and not used after this; a custom AVIOContext is left alone and freed with `io`.
        unsafe {
            self.ctx.as_mut().pb = std::ptr::null_mut();
            ff::avformat_free_context(self.ctx.as_ptr());
        }
    }
}

impl Output {
    pub(crate) fn create(sink: Box<dyn ByteSink>, config: &MuxerConfig, cancel: &Cancel) -> Result<Self, Error> {
        log::install();
        let container = config.container;
        if config.fragmented && !container.fragments {
            return Err(Error::NotSupported {
                what: format!("{} in fragments", container.slug),
                why: "this container has no fragments".into(),
            });
        }
        let spool = if config.fragmented {
            None
        } else {
            Some(Spool::new(sink.name())?)
        };
        let out = Out {
            sink,
            cancel: cancel.clone(),
            spool,
            written: 0,
            boxes: BoxWatch::default(),
        };
        let io = Avio::writer(out, !config.fragmented).ok_or_else(|| error::container_memory("create"))?;
        let name = ff::c_string(container.ffmpeg_muxer);
        let mut ctx = std::ptr::null_mut();
        // SAFETY: the context is made here; the name is NUL-terminated.
        let code = unsafe {
            ff::avformat_alloc_output_context2(&raw mut ctx, std::ptr::null(), name.as_ptr(), std::ptr::null())
        };
        let Some(ctx) = NonNull::new(ctx).filter(|_| code >= 0) else {
            return Err(error::container(container.slug, "create a file", code));
        };
        let mut format = Format { ctx, io };
        // SAFETY: context and AVIO are ours and valid; the AVIO outlives the context.
        unsafe {
            format.ctx.as_mut().pb = format.io.ptr();
            format.ctx.as_mut().flags |= ff::AVFMT_FLAG_CUSTOM_IO as c_int;
        }
        Ok(Output {
            format,
            config: *config,
            tracks: Vec::new(),
            cutter: Cutter::default(),
            state: State::Adding,
        })
    }

    fn out(&mut self) -> &mut Out {
        &mut self.format.io.state().target
    }

    fn expect(&self, state: State, call: &str) -> Result<(), Error> {
        if self.state == state {
            return Ok(());
        }
        let now = match self.state {
            State::Adding => "one that was not started",
            State::Writing => "one that was started",
            State::Failed => "one that failed before",
            State::Done => "one that is closed",
        };
        Err(Error::Config {
            expected: format!("a muxer that is ready for '{call}'"),
            got: now.into(),
        })
    }

    /// Result of a call of FFmpeg's; what the sink said counts more.
    fn check(&mut self, code: c_int, action: &'static str) -> Result<(), Error> {
        if let Some(failure) = self.format.io.take_failure() {
            self.state = State::Failed;
            return Err(failure.into());
        }
        if code < 0 {
            self.state = State::Failed;
            return Err(error::container(self.config.container.slug, action, code));
        }
        Ok(())
    }

    /// Ends the present fragment. With `delay_moov` the first call writes the index alone.
    fn cut(&mut self) -> Result<(), Error> {
        let calls = if self.cutter.cut() { 2 } else { 1 };
        for _ in 0..calls {
            // SAFETY: the header was written; null asks for a flush.
            let code = unsafe { ff::av_write_frame(self.format.ctx.as_ptr(), std::ptr::null_mut()) };
            self.check(code, "write a fragment")?;
        }
        self.flush_io("write a fragment")
    }

    fn flush_io(&mut self, action: &'static str) -> Result<(), Error> {
        // SAFETY: the AVIO is ours.
        unsafe { ff::avio_flush(self.format.io.ptr()) };
        self.check(0, action)
    }

    /// Writes the held packet of a track; it lasts until `next`, or as long as it says itself.
    fn release(&mut self, index: usize, next: Option<i64>) -> Result<(), Error> {
        let fragmented = self.config.fragmented;
        let held = self
            .tracks
            .get_mut(index)
            .and_then(|track| track.take(next, fragmented));
        let Some((packet, at)) = held else {
            return Ok(());
        };
        self.cutter.took(index, at);
        // SAFETY: the header was written; the packet is ours and refers to one of the streams.
        let code = unsafe { ff::av_write_frame(self.format.ctx.as_ptr(), packet.ptr()) };
        self.check(code, "write a packet")
    }

    fn write_index_and_end(&mut self) -> Result<(), Error> {
        for index in 0..self.tracks.len() {
            self.release(index, None)?;
        }
        if self.config.fragmented && self.cutter.pending() {
            self.cut()?;
        }
        // SAFETY: the header was written, the trailer not yet.
        let code = unsafe { ff::av_write_trailer(self.format.ctx.as_ptr()) };
        self.check(code, "complete the file")?;
        self.flush_io("complete the file")?;
        let out = self.out();
        if let Some(spool) = out.spool.take() {
            let len = crate::avio::Target::len(&spool);
            front::write(out, spool, len)?;
        }
        let cancel = out.cancel.clone();
        out.sink.finish(&cancel)?;
        Ok(())
    }
}

impl Muxer for Output {
    fn add_track(&mut self, track: &MuxTrack) -> Result<usize, Error> {
        self.expect(State::Adding, "add_track")?;
        let (container, kind) = (self.config.container, track.info.encoded);
        if !container.codecs.contains(&kind.0) {
            return Err(Error::NotSupported {
                what: format!("{} in {}", kind.0, container.slug),
                why: format!("it holds {}", container.codecs.join(", ")),
            });
        }
        let ours = Track::new(track);
        // SAFETY: the context is ours and not started; the new stream is ours to fill.
        unsafe {
            let stream = ff::avformat_new_stream(self.format.ctx.as_ptr(), std::ptr::null());
            if stream.is_null() {
                return Err(error::container_memory("add a track"));
            }
            (*stream).time_base = ours.base;
            tracks::write(stream, &track.info)?;
            if let Some(language) = &track.info.language {
                let value = ff::c_string(language);
                ff::av_dict_set(&raw mut (*stream).metadata, c"language".as_ptr(), value.as_ptr(), 0);
            }
        }
        self.tracks.push(ours);
        Ok(self.tracks.len() - 1)
    }

    fn start(&mut self) -> Result<(), Error> {
        self.expect(State::Adding, "start")?;
        if self.tracks.is_empty() {
            return Err(Error::Config {
                expected: "at least one track".into(),
                got: "none".into(),
            });
        }
        let mut options = raii::Dict::new()
            .with("use_editlist", "1")
            .with("avoid_negative_ts", "disabled")
            .with("movie_timescale", MOVIE_TIMESCALE);
        if self.config.fragmented {
            options.set("movflags", "frag_custom+delay_moov+default_base_moof");
        }
        // SAFETY: the context has its tracks and its AVIO.
        let code = unsafe { ff::avformat_write_header(self.format.ctx.as_ptr(), &raw mut options.0) };
        self.check(code, "write the header")?;
        if let Some(left) = options.first_key() {
            self.state = State::Failed;
            return Err(Error::Library {
                library: "FFmpeg".into(),
                action: "write the header",
                detail: format!("the option '{left}' is not known"),
            });
        }
        let videos: Vec<bool> = self.tracks.iter().map(|track| track.video).collect();
        self.cutter = Cutter::new(&videos);
        let tool = ff::c_string(concat!("Beamline ", env!("CARGO_PKG_VERSION")));
        // SAFETY: the context is started; it has a stream for every track. The header sets its own name as the tool's, so ours comes
        // after it; both forms write their index later.
        unsafe {
            let ctx = self.format.ctx.as_mut();
            // MP4 takes the one, MOV the other.
            for key in [c"encoding_tool", c"encoder"] {
                ff::av_dict_set(&raw mut ctx.metadata, key.as_ptr(), tool.as_ptr(), 0);
            }
            for (i, track) in self.tracks.iter_mut().enumerate() {
                track.base = (**ctx.streams.add(i)).time_base;
            }
        }
        self.state = State::Writing;
        Ok(())
    }

    fn write(&mut self, packet: &Packet) -> Result<(), Error> {
        self.expect(State::Writing, "write")?;
        let (count, index) = (self.tracks.len(), packet.track);
        let Some(track) = self.tracks.get_mut(index) else {
            return Err(Error::Config {
                expected: format!("a track below {count}"),
                got: index.to_string(),
            });
        };
        let filled = track.fill(packet)?;
        let at = packet.decode_us.or(packet.timestamp_us).unwrap_or(0);
        let next = track.last;
        self.release(index, next)?;
        if self.config.fragmented && self.cutter.before(index, at, packet.key) {
            self.cut()?;
        }
        self.tracks[index].held = Some((filled, at));
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.expect(State::Writing, "finish")?;
        let result = self.write_index_and_end();
        self.state = if result.is_ok() { State::Done } else { State::Failed };
        result
    }

    fn abort(&mut self) -> Result<bool, Error> {
        if self.state == State::Done {
            return Ok(true);
        }
        self.state = State::Done;
        let out = self.out();
        if out.spool.take().is_none() && out.boxes.fragments > 0 {
            out.sink.keep()?;
            return Ok(true);
        }
        out.sink.discard()?;
        Ok(false)
    }

    fn bytes_written(&self) -> u64 {
        // SAFETY: the state is ours and no callback runs outside a call that needs `&mut self`.
        unsafe { (*self.format.io.state_ptr()).target.written }
    }

    fn fragments(&self) -> u64 {
        // SAFETY: as above.
        unsafe { (*self.format.io.state_ptr()).target.boxes.fragments }
    }
}
