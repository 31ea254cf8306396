//! Demuxers: a source in, packets out.
//!
//! FFmpeg may open the source and nothing else: no protocol is allowed, `io_open` refuses, only demuxers and probing decoders of the
//! table are let in. Packets keep FFmpeg's memory; nothing is copied.
//!
//! Here is how packets come; `format.rs` opens, `headers.rs` spares the probing, `seek.rs` seeks, `times.rs` knows the times that a
//! container leaves out, `adts.rs` takes AAC out of its own headers.

mod adts;
mod format;
mod headers;
mod picture_order;
mod seek;
mod times;

use crate::{error, raii, sys as ff, tracks};
use beamline_container::{Demuxer, Error, TrackInfo};
use beamline_io::{ByteSource, Cancel};
use beamline_media::{EncodedKind, Packet};
use bytes::Bytes;
use format::Format;
use picture_order::PictureOrder;
use std::{collections::VecDeque, ffi::c_int, sync::Arc};
use times::{Times, TrackTimes};

/// The demuxer of H.264 without a container.
const RAW_H264: &str = "h264";
/// Packets that are read at most to find the description of sound that carries its own headers.
const DESCRIBE_PACKETS: usize = 500;

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
    /// Read ahead, not yet given out.
    pending: VecDeque<Packet>,
    times: Times,
    /// What went wrong behind the packets that still wait for their times.
    failed: Option<Error>,
    /// Tracks of AAC whose packets carry their own headers.
    adts: Vec<usize>,
}

impl Input {
    pub(crate) fn open(source: Arc<dyn ByteSource>, cancel: &Cancel) -> Result<Self, Error> {
        let name = source.name().to_owned();
        let forward = source.one_pass();
        let ctx = Format::open(&source, &name, cancel)?;
        // SAFETY: the context is open; its list of streams has nb_streams entries.
        let (tracks, format, duration, delays) = unsafe {
            let raw = ctx.ctx.as_ref();
            let streams = ctx.streams().iter();
            let delays: Vec<_> = streams
                .clone()
                .map(|stream| (*(**stream).codecpar).video_delay)
                .collect();
            let tracks = streams.map(|stream| tracks::read(*stream)).collect::<Vec<_>>();
            (tracks, ff::static_str((*raw.iformat).name), raw.duration, delays)
        };
        if tracks.is_empty() {
            return Err(Error::NotMedia {
                name,
                detail: format!("it looks like {format}, but there are no tracks in it"),
            });
        }
        let known = (duration > 0).then_some(duration);
        let longest = tracks.iter().filter_map(|track| track.duration_us).max();
        let track_times = |(info, delay): (&TrackInfo, c_int)| TrackTimes {
            delay: usize::try_from(delay).unwrap_or(0),
            counted: format == RAW_H264,
            order: (delay > 0 && info.encoded == EncodedKind::H264)
                .then(|| PictureOrder::new(info.description.as_deref().unwrap_or_default()))
                .flatten(),
        };
        let times = Times::new(&tracks, tracks.iter().zip(delays).map(track_times).collect());
        let mut input = Input {
            packet: raii::Packet::new().map_err(|_| error::container_memory("read"))?,
            ctx,
            name,
            format: slug(format),
            tracks,
            duration_us: longest.or(known),
            forward,
            ended: false,
            pending: VecDeque::new(),
            times,
            failed: None,
            adts: Vec::new(),
        };
        input.describe()?;
        Ok(input)
    }

    /// Finds the description of AAC that has none, in the header of its first packet.
    fn describe(&mut self) -> Result<(), Error> {
        let open = |track: &TrackInfo| track.encoded == EncodedKind::AAC && track.description.is_none();
        let mut open: Vec<usize> = (0..self.tracks.len()).filter(|i| open(&self.tracks[*i])).collect();
        for _ in 0..DESCRIBE_PACKETS {
            if open.is_empty() {
                break;
            }
            let Some(mut packet) = self.read_one()? else { break };
            if let Some(at) = open.iter().position(|index| *index == packet.track) {
                let index = open.swap_remove(at);
                if let Some(header) = adts::header(&packet.data) {
                    packet.data = adts::strip(&packet.data);
                    let track = &mut self.tracks[index];
                    track.codec = tracks::codec_string(track.encoded, &header.config);
                    track.description = Some(Bytes::copy_from_slice(&header.config));
                    self.adts.push(index);
                }
            }
            self.pending.push_back(packet);
        }
        Ok(())
    }

    /// The next packet of a track that we know, with its times.
    fn read_one(&mut self) -> Result<Option<Packet>, Error> {
        loop {
            if let Some(packet) = self.times.pop() {
                return Ok(Some(packet));
            }
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            match self.read_raw() {
                Ok(Some(packet)) => self.times.push(packet),
                ended => {
                    self.times.end();
                    match (self.times.pop(), ended) {
                        (None, ended) => return ended,
                        (packet, ended) => {
                            self.failed = ended.err();
                            return Ok(packet);
                        }
                    }
                }
            }
        }
    }

    /// The next packet of FFmpeg, of a track that we know.
    fn read_raw(&mut self) -> Result<Option<Packet>, Error> {
        while !self.ended {
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
        Ok(None)
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
        let mut data = self.packet.take_bytes().map_err(|_| error::container_memory("read"))?;
        if self.adts.contains(&index) {
            data = adts::strip(&data);
        }
        let mut packet = Packet::new(data);
        [packet.timestamp_us, packet.decode_us, packet.duration_us] = times;
        packet.key = said(ff::KEY);
        packet.discard = said(ff::DISCARD);
        packet.track = index;
        packet.trim = trim;
        Ok(Some(packet))
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
        self.times.select(tracks);
    }

    fn seek(&mut self, track: usize, to_us: i64) -> Result<(), Error> {
        self.seek_to(track, to_us)
    }
}
