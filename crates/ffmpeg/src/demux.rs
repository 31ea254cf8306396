//! Demuxers: a source in, packets out.
//!
//! FFmpeg may open the source and nothing else: no protocol is allowed, `io_open` refuses, only demuxers and probing decoders of the
//! table are let in. Packets keep FFmpeg's memory; nothing is copied.

use crate::{
    avio::{Avio, Source},
    error, log, raii, sys as ff, table, tracks,
};
use beamline_container::{Demuxer, Error, TrackInfo};
use beamline_io::{ByteSource, Cancel};
use beamline_media::{MAX_PIXELS, Packet};
use std::{
    collections::VecDeque,
    ffi::{c_char, c_int, c_void},
    ptr::NonNull,
    sync::Arc,
};

/// Bytes that are looked over at most to learn what the headers leave unsaid.
const PROBE_BYTES: &str = "2000000";
/// Packets read ahead at most to see where a seek landed.
const SEEK_PACKETS: usize = 2000;

/// One opened input.
pub(crate) struct Input {
    ctx: Format,
    packet: raii::Packet,
    name: String,
    format: String,
    tracks: Vec<TrackInfo>,
    duration_us: Option<i64>,
    forward: bool,
    ended: bool,
    /// Read after a seek, not yet given out.
    pending: VecDeque<Packet>,
}

/// When the first packet behind a seek is shown and decoded.
type Landing = (Option<i64>, Option<i64>);

/// An AVFormatContext and the bytes it reads; the context goes first.
struct Format {
    ctx: NonNull<ff::AVFormatContext>,
    io: Avio<Source>,
}

// SAFETY: a format context may move between threads as long as calls do not overlap, which `&mut` sees to.
unsafe impl Send for Format {}

impl Drop for Format {
    fn drop(&mut self) {
        let mut ctx = self.ctx.as_ptr();
        // SAFETY: ours, opened, not used after this; it leaves a custom AVIOContext alone, which `io` frees afterwards.
        unsafe { ff::avformat_close_input(&raw mut ctx) };
    }
}

unsafe extern "C" fn cancelled(opaque: *mut c_void) -> c_int {
    // SAFETY: `opaque` is the state of the AVIO, which outlives the context; the flag is read by a shared reference to its own field.
    let cancel = unsafe { &(*opaque.cast::<Source>()).cancel };
    c_int::from(cancel.is_cancelled())
}

/// No file refers to another one.
unsafe extern "C" fn refuse(
    _ctx: *mut ff::AVFormatContext,
    _pb: *mut *mut ff::AVIOContext,
    _url: *const c_char,
    _flags: c_int,
    _options: *mut *mut ff::AVDictionary,
) -> c_int {
    ff::AVERROR_PROTOCOL_NOT_FOUND
}

impl Input {
    pub(crate) fn open(source: Arc<dyn ByteSource>, cancel: &Cancel) -> Result<Self, Error> {
        log::install();
        cancel.check()?;
        let name = source.name().to_owned();
        let forward = source.one_pass();
        let mut ctx = open(&source, &name, cancel)?;
        look_over(&mut ctx, &name)?;
        // SAFETY: the context is open; its list of streams has nb_streams entries.
        let (tracks, format, duration) = unsafe {
            let raw = ctx.ctx.as_ref();
            let tracks = ctx
                .streams()
                .iter()
                .map(|stream| tracks::read(*stream))
                .collect::<Vec<_>>();
            (tracks, ff::static_str((*raw.iformat).name), raw.duration)
        };
        if tracks.is_empty() {
            return Err(Error::NotMedia {
                name,
                detail: format!("it looks like {format}, but there are no tracks in it"),
            });
        }
        let known = (duration > 0).then_some(duration);
        let longest = tracks.iter().filter_map(|track| track.duration_us).max();
        Ok(Input {
            packet: raii::Packet::new().map_err(|_| error::container_memory("read"))?,
            ctx,
            name,
            format: slug(format),
            tracks,
            duration_us: longest.or(known),
            forward,
            ended: false,
            pending: VecDeque::new(),
        })
    }

    /// The next packet of FFmpeg, of a track that we know.
    fn read_one(&mut self) -> Result<Option<Packet>, Error> {
        loop {
            // SAFETY: context and packet are ours; an old packet was taken or is dropped first.
            let code = unsafe {
                self.packet.unref();
                ff::av_read_frame(self.ctx.ctx.as_ptr(), self.packet.ptr())
            };
            if let Some(failure) = self.ctx.io.take_failure() {
                return Err(failure.into());
            }
            match code {
                ff::AVERROR_EOF => return Ok(None),
                error::AGAIN => {}
                ..0 => return Err(self.damaged(code)),
                _ => {
                    if let Some(packet) = self.take_packet()? {
                        return Ok(Some(packet));
                    }
                }
            }
        }
    }

    fn damaged(&mut self, code: c_int) -> Error {
        if matches!(code, ff::AVERROR_EXIT) {
            return beamline_io::Error::Cancelled.into();
        }
        if code == ff::AVERROR_INVALIDDATA && self.ctx.at_end() {
            return self.truncated("its index speaks of packets behind its end");
        }
        Error::Data {
            name: self.name.clone(),
            detail: error::text(code),
        }
    }

    fn truncated(&mut self, detail: &str) -> Error {
        self.ended = true;
        Error::Truncated {
            name: self.name.clone(),
            detail: detail.into(),
        }
    }

    /// `None` for a track that appeared after opening, or is switched off (FFmpeg may have read its packet before it was).
    fn take_packet(&mut self) -> Result<Option<Packet>, Error> {
        // SAFETY: av_read_frame has just filled the packet; its stream index is one of the context's.
        let (raw, index) = unsafe { (self.packet.ptr(), usize::try_from((*self.packet.ptr()).stream_index)) };
        let index = index.unwrap_or(usize::MAX);
        let Some(stream) = self
            .ctx
            .streams()
            .get(index)
            .copied()
            .filter(|_| index < self.tracks.len())
        else {
            return Ok(None);
        };
        // SAFETY: the stream is valid.
        if unsafe { (*stream).discard } == ff::AVDiscard::AVDISCARD_ALL {
            return Ok(None);
        }
        // SAFETY: as above; the stream is valid.
        let (flags, times, trim) = unsafe {
            let (packet, base) = (&*raw, (*stream).time_base);
            let length = if packet.duration > 0 {
                packet.duration
            } else {
                ff::NOPTS
            };
            let times = [packet.pts, packet.dts, length].map(|time| tracks::to_us(time, base));
            (packet.flags, times, trim(raw))
        };
        let said = |flag: c_int| flags & flag != 0;
        if said(ff::CORRUPT) && self.ctx.at_end() {
            return Err(self.truncated("it ends inside a packet"));
        }
        let data = self.packet.take_bytes().map_err(|_| error::container_memory("read"))?;
        let mut packet = Packet::new(data);
        [packet.timestamp_us, packet.decode_us, packet.duration_us] = times;
        packet.key = said(ff::KEY);
        packet.discard = said(ff::DISCARD);
        packet.track = index;
        packet.trim = trim;
        Ok(Some(packet))
    }

    fn seek_once(&mut self, track: usize, to: i64) -> Result<(), Error> {
        let index = track as c_int;
        // SAFETY: the context is open and the track is one of its streams.
        let code = unsafe {
            let ctx = self.ctx.ctx.as_ptr();
            let code = ff::avformat_seek_file(ctx, index, i64::MIN, to, to, 0);
            // Before the first key packet: that one.
            if code < 0 {
                ff::avformat_seek_file(ctx, index, i64::MIN, to, i64::MAX, 0)
            } else {
                code
            }
        };
        self.pending.clear();
        self.ended = false;
        if let Some(failure) = self.ctx.io.take_failure() {
            return Err(failure.into());
        }
        if code < 0 {
            return Err(Error::NotSupported {
                what: format!("seeking in '{}'", self.name),
                why: error::text(code),
            });
        }
        Ok(())
    }

    /// Reads up to the first packet of `track`, keeping all; gives its times.
    fn land(&mut self, track: usize) -> Result<Option<Landing>, Error> {
        for _ in 0..SEEK_PACKETS {
            let Some(packet) = self.read_one()? else { break };
            let found = (packet.track == track).then_some((packet.timestamp_us, packet.decode_us));
            self.pending.push_back(packet);
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Goes further back and walks forward to the last key packet at or before `to_us`: for demuxers that find nothing at the end of
    /// a file (Matroska's, in its last group of pictures, once it has seen the end).
    fn walk(&mut self, track: usize, to_us: i64, base: ff::AVRational) -> Result<(), Error> {
        for back in [2_000_000, 20_000_000, i64::MAX] {
            let from = tracks::from_us(to_us.saturating_sub(back).max(0), base);
            self.seek_once(track, from)?;
            let mut kept = VecDeque::new();
            let mut found = false;
            while let Some(packet) = self.read_one()? {
                let here = packet.track == track;
                if here && packet.key && packet.timestamp_us <= Some(to_us) {
                    kept.clear();
                    found = true;
                }
                let behind = here && packet.decode_us > Some(to_us);
                kept.push_back(packet);
                if behind || (!found && kept.len() > SEEK_PACKETS) {
                    break;
                }
            }
            if found {
                self.pending = kept;
                return Ok(());
            }
        }
        self.seek_once(track, 0)
    }
}

/// Samples to skip at the start and the end of a packet (`AV_PKT_DATA_SKIP_SAMPLES`).
///
/// # Safety
/// `packet` is valid.
unsafe fn trim(packet: *const ff::AVPacket) -> (u32, u32) {
    let mut size = 0;
    // SAFETY: the caller's promise; the data holds `size` bytes and lives as long as the packet.
    let bytes = unsafe {
        let data = ff::av_packet_get_side_data(
            packet,
            ff::AVPacketSideDataType::AV_PKT_DATA_SKIP_SAMPLES,
            &raw mut size,
        );
        if data.is_null() {
            return (0, 0);
        }
        std::slice::from_raw_parts(data, size)
    };
    let number = |at: usize| {
        bytes
            .get(at..at + 4)
            .and_then(|b| b.try_into().ok())
            .map_or(0, u32::from_le_bytes)
    };
    (number(0), number(4))
}

/// FFmpeg's list of names as one.
fn slug(names: &str) -> String {
    match names.split(',').next().unwrap_or_default() {
        "mov" => "mp4".into(),
        first => first.to_owned(),
    }
}

impl Format {
    fn streams(&self) -> &[*mut ff::AVStream] {
        // SAFETY: the context is open; the list has nb_streams entries and changes only inside calls that need `&mut`.
        unsafe {
            let ctx = self.ctx.as_ref();
            if ctx.streams.is_null() {
                &[]
            } else {
                std::slice::from_raw_parts(ctx.streams, ctx.nb_streams as usize)
            }
        }
    }

    /// Whether the bytes have come to their end.
    fn at_end(&self) -> bool {
        // SAFETY: the AVIO context is ours and valid.
        unsafe { (*self.io.ptr()).eof_reached != 0 }
    }
}

fn open(source: &Arc<dyn ByteSource>, name: &str, cancel: &Cancel) -> Result<Format, Error> {
    let mut io = Avio::reader(Arc::clone(source), cancel.clone()).ok_or_else(|| error::container_memory("open"))?;
    let mut options = raii::Dict::new()
        .with("format_whitelist", table::DEMUXERS)
        .with("codec_whitelist", table::PROBE_DECODERS)
        .with("protocol_whitelist", "none")
        .with("probesize", PROBE_BYTES)
        .with("max_streams", "64");
    let url = ff::c_string(name.rsplit('/').next().unwrap_or(name));
    // SAFETY: the context is new and ours; on failure avformat_open_input frees it. The AVIO and its state outlive it.
    let (mut ctx, code) = unsafe {
        let mut ctx = ff::avformat_alloc_context();
        if ctx.is_null() {
            return Err(error::container_memory("open"));
        }
        (*ctx).pb = io.ptr();
        (*ctx).flags |= ff::AVFMT_FLAG_CUSTOM_IO as c_int;
        (*ctx).io_open = Some(refuse);
        (*ctx).interrupt_callback = ff::AVIOInterruptCB {
            callback: Some(cancelled),
            opaque: io.state_ptr().cast(),
        };
        let code = ff::avformat_open_input(&raw mut ctx, url.as_ptr(), std::ptr::null(), &raw mut options.0);
        (NonNull::new(ctx), code)
    };
    if let Some(failure) = io.take_failure() {
        // SAFETY: still ours when it is not null; closed before its AVIO goes.
        unsafe { ff::avformat_close_input((&raw mut ctx).cast()) };
        return Err(failure.into());
    }
    match (ctx, code) {
        (Some(ctx), 0..) => Ok(Format { ctx, io }),
        _ if cancel.is_cancelled() => Err(beamline_io::Error::Cancelled.into()),
        _ => Err(crate::refusal::not_media(source.as_ref(), name, cancel, code)),
    }
}

/// Reads what the headers leave unsaid.
fn look_over(format: &mut Format, name: &str) -> Result<(), Error> {
    let most = ff::c_string(&MAX_PIXELS.to_string());
    let mut each = Vec::new();
    for _ in format.streams() {
        let mut options = raii::Dict::new();
        options.set("threads", "1");
        options.set("max_pixels", &most.to_string_lossy());
        each.push(options);
    }
    let mut raw: Vec<_> = each.iter().map(|dict| dict.0).collect();
    // SAFETY: the context is open; there is one dictionary per stream, and the list may be changed by FFmpeg, so that ownership is
    // taken back from it below.
    let code = unsafe { ff::avformat_find_stream_info(format.ctx.as_ptr(), raw.as_mut_ptr()) };
    for (dict, raw) in each.iter_mut().zip(raw) {
        dict.0 = raw;
    }
    if let Some(failure) = format.io.take_failure() {
        return Err(failure.into());
    }
    if code < 0 {
        return Err(Error::Data {
            name: name.to_owned(),
            detail: error::text(code),
        });
    }
    Ok(())
}

impl Demuxer for Input {
    fn format(&self) -> &str {
        &self.format
    }

    fn tracks(&self) -> &[TrackInfo] {
        &self.tracks
    }

    fn duration_us(&self) -> Option<i64> {
        self.duration_us
    }

    fn read(&mut self) -> Result<Option<Packet>, Error> {
        if let Some(packet) = self.pending.pop_front() {
            return Ok(Some(packet));
        }
        if self.ended {
            return Ok(None);
        }
        self.read_one()
    }

    fn select(&mut self, tracks: &[usize]) {
        for (index, stream) in self.ctx.streams().iter().enumerate() {
            let wanted = tracks.contains(&index);
            let discard = if wanted {
                ff::AVDiscard::AVDISCARD_DEFAULT
            } else {
                ff::AVDiscard::AVDISCARD_ALL
            };
            // SAFETY: the stream is valid and ours.
            unsafe { (**stream).discard = discard };
        }
        self.pending.retain(|packet| tracks.contains(&packet.track));
    }

    fn seek(&mut self, track: usize, to_us: i64) -> Result<(), Error> {
        if self.forward {
            return Err(Error::NotSupported {
                what: format!("seeking in '{}'", self.name),
                why: "it only goes forward".into(),
            });
        }
        let Some(stream) = self.ctx.streams().get(track).copied() else {
            return Err(Error::Config {
                expected: format!("a track below {}", self.tracks.len()),
                got: track.to_string(),
            });
        };
        // SAFETY: the stream is valid.
        let base = unsafe { (*stream).time_base };
        let mut to = tracks::from_us(to_us, base);
        // Indexes are by decoding time: with reordering they may land on a key packet that is shown too late.
        for _ in 0..4 {
            self.seek_once(track, to)?;
            match self.land(track)? {
                None => return self.walk(track, to_us, base),
                Some((Some(shown), Some(decoded))) if shown > to_us => {
                    let before = tracks::from_us(decoded, base).saturating_sub(1);
                    to = before.min(to.saturating_sub(1));
                }
                Some(_) => break,
            }
        }
        Ok(())
    }
}
