//! FFmpeg's streams as tracks, and back.

use crate::{color, h264, raii, sys as ff, table};
use beamline_codec::framing::AudioConfig;
use beamline_container::{AudioInfo, Error, TrackInfo, TrackKind, VideoInfo};
use beamline_media::{EncodedKind, Rational, Rotation, Size};
use bytes::Bytes;
use std::ffi::{CStr, c_int};

/// A time of a stream in µs, rounded so that it comes back exactly when the stream's unit is not finer.
pub(crate) fn to_us(time: i64, base: ff::AVRational) -> Option<i64> {
    // SAFETY: plain arithmetic.
    (time != ff::NOPTS).then(|| unsafe { ff::av_rescale_q(time, base, ff::MICROS) })
}

/// µs in a stream's unit.
pub(crate) fn from_us(time: i64, base: ff::AVRational) -> i64 {
    // SAFETY: plain arithmetic.
    unsafe { ff::av_rescale_q(time, ff::MICROS, base) }
}

/// A fraction, when it is a positive one.
pub(crate) fn rational(r: ff::AVRational) -> Option<Rational> {
    let (num, den) = (u32::try_from(r.num).ok()?, u32::try_from(r.den).ok()?);
    Rational::new(num, den).filter(|_| num > 0)
}

/// A stream of an opened input as a track.
///
/// # Safety
/// `stream` is valid.
pub(crate) unsafe fn read(stream: *mut ff::AVStream) -> TrackInfo {
    // SAFETY: the caller's promise; a stream always has parameters.
    unsafe {
        let (st, par) = (&*stream, &*(*stream).codecpar);
        let name = ff::codec_name(ff::enum_get!(par.codec_id));
        let encoded = table::kind_of(name);
        let extradata = raii::extradata_of(par.extradata, par.extradata_size);
        let kind = match ff::enum_get!(par.codec_type) {
            0 => TrackKind::Video(video(stream)),
            1 => TrackKind::Audio(audio(stream)),
            _ => TrackKind::Other,
        };
        let length = if st.duration > 0 { st.duration } else { ff::NOPTS };
        TrackInfo {
            id: u64::try_from(st.id).unwrap_or(0),
            encoded,
            codec: codec_string(encoded, extradata),
            description: (!extradata.is_empty()).then(|| Bytes::copy_from_slice(extradata)),
            kind,
            time_base: rational(st.time_base).unwrap_or(Rational { num: 1, den: 1_000_000 }),
            start_us: to_us(st.start_time, st.time_base),
            duration_us: to_us(length, st.time_base),
            bitrate: u64::try_from(par.bit_rate).ok().filter(|rate| *rate > 0),
            packets: u64::try_from(st.nb_frames).ok().filter(|count| *count > 0),
            language: language(st.metadata),
        }
    }
}

unsafe fn video(stream: *mut ff::AVStream) -> VideoInfo {
    // SAFETY: as in `read`.
    unsafe {
        let (st, par) = (&*stream, &*(*stream).codecpar);
        let matrix = ff::stream_side_data(stream, ff::AVPacketSideDataType::AV_PKT_DATA_DISPLAYMATRIX);
        let turn = matrix.and_then(color::of_matrix);
        let aspect = rational(st.sample_aspect_ratio).or_else(|| rational(par.sample_aspect_ratio));
        VideoInfo {
            coded: Size::new(
                u32::try_from(par.width).unwrap_or(0),
                u32::try_from(par.height).unwrap_or(0),
            ),
            frame_rate: rational(st.avg_frame_rate).or_else(|| rational(st.r_frame_rate)),
            color: color::of_parameters(par),
            rotation: turn.map_or(Rotation::None, |(rotation, _)| rotation),
            pixel_aspect: aspect,
        }
    }
}

unsafe fn audio(stream: *mut ff::AVStream) -> AudioInfo {
    // SAFETY: as in `read`.
    unsafe {
        let par = &*(*stream).codecpar;
        let positive = |n: c_int| u32::try_from(n).ok().filter(|n| *n > 0);
        let frame_size =
            positive(par.frame_size).or_else(|| (ff::codec_name(ff::enum_get!(par.codec_id)) == "aac").then_some(1024));
        AudioInfo {
            sample_rate: positive(par.sample_rate).unwrap_or(0),
            channels: positive(par.ch_layout.nb_channels).unwrap_or(0),
            frame_size,
            priming: positive(par.initial_padding)
                .or_else(|| first_before_zero(stream, par))
                .unwrap_or(0),
        }
    }
}

/// Samples before time 0: how an edit list shows the encoder's delay.
unsafe fn first_before_zero(stream: *mut ff::AVStream, par: &ff::AVCodecParameters) -> Option<u32> {
    // SAFETY: as in `read`; an index entry is valid until the next read.
    unsafe {
        let first = ff::avformat_index_get_entry(stream, 0).as_ref()?.timestamp;
        let sample = ff::AVRational {
            num: 1,
            den: par.sample_rate.max(1),
        };
        let samples = ff::av_rescale_q(first, (*stream).time_base, sample).checked_neg()?;
        // More than a few packets is a cut, not a delay.
        u32::try_from(samples)
            .ok()
            .filter(|samples| *samples > 0 && *samples < 16_384)
    }
}

unsafe fn language(metadata: *const ff::AVDictionary) -> Option<String> {
    // SAFETY: the dictionary is the stream's (or null); the entry's value is a NUL-terminated string in it.
    unsafe {
        let entry = ff::av_dict_get(metadata, c"language".as_ptr(), std::ptr::null(), 0).as_ref()?;
        let value = CStr::from_ptr(entry.value).to_str().ok()?;
        (value.len() == 3 && value != "und").then(|| value.to_owned())
    }
}

/// The full codec string, as far as the description tells it.
pub(crate) fn codec_string(kind: EncodedKind, description: &[u8]) -> String {
    let string = match kind {
        EncodedKind::H264 => h264::record(description).ok().map(|record| record.codec_string()),
        EncodedKind::AAC => AudioConfig::parse(description)
            .and_then(|config| config.codec_string())
            .ok(),
        _ => None,
    };
    string.map_or_else(|| kind.0.to_owned(), |string| string.to_string())
}

/// Fills the parameters of an output stream.
///
/// # Safety
/// `stream` is a new stream, used by nobody else.
pub(crate) unsafe fn write(stream: *mut ff::AVStream, info: &TrackInfo) -> Result<(), Error> {
    let config = |expected: &str, got: String| Error::Config {
        expected: expected.into(),
        got,
    };
    // SAFETY: the caller's promise; the description's copy replaces a null pointer.
    unsafe {
        let par = &mut *(*stream).codecpar;
        let descriptor = ff::avcodec_descriptor_get_by_name(ff::c_string(info.encoded.0).as_ptr()).as_ref();
        let descriptor = descriptor.ok_or_else(|| config("a known family of packets", info.encoded.0.into()))?;
        ff::enum_set!(par.codec_id, ff::enum_get!(descriptor.id));
        ff::enum_set!(par.codec_type, ff::enum_get!(descriptor.type_));
        par.bit_rate = info.bitrate.and_then(|rate| i64::try_from(rate).ok()).unwrap_or(0);
        let description = info.description.as_deref().unwrap_or_default();
        if raii::put_extradata(&mut par.extradata, &mut par.extradata_size, description) < 0 {
            return Err(crate::error::container_memory("take the description"));
        }
        match &info.kind {
            TrackKind::Video(video) => write_video(stream, video),
            TrackKind::Audio(audio) => write_audio(par, audio),
            TrackKind::Other => Err(config("a track of pictures or sound", "another".into())),
        }
    }
}

unsafe fn write_video(stream: *mut ff::AVStream, video: &VideoInfo) -> Result<(), Error> {
    let side = |n: u32| c_int::try_from(n).ok().filter(|n| (1..=65_535).contains(n));
    let (Some(width), Some(height)) = (side(video.coded.width), side(video.coded.height)) else {
        return Err(Error::Config {
            expected: "a size of 1×1 to 65535×65535 pixels".into(),
            got: video.coded.to_string(),
        });
    };
    // SAFETY: as in `write`.
    unsafe {
        let par = &mut *(*stream).codecpar;
        (par.width, par.height) = (width, height);
        color::to_parameters(par, &video.color);
        let small = |r: Rational| ff::AVRational {
            num: c_int::try_from(r.num).unwrap_or(0),
            den: c_int::try_from(r.den).unwrap_or(1),
        };
        // Not said: then nothing is written, and what the bitstream says counts.
        par.sample_aspect_ratio = video.pixel_aspect.map_or(ff::AVRational { num: 0, den: 1 }, small);
        (*stream).sample_aspect_ratio = par.sample_aspect_ratio;
        if let Some(rate) = video.frame_rate {
            (*stream).avg_frame_rate = small(rate);
        }
        if video.rotation != Rotation::None {
            let matrix = color::to_matrix(video.rotation, video.coded.width, video.coded.height);
            let kind = ff::AVPacketSideDataType::AV_PKT_DATA_DISPLAYMATRIX;
            if !ff::add_stream_side_data(stream, kind, &matrix) {
                return Err(crate::error::container_memory("write the rotation"));
            }
        }
    }
    Ok(())
}

unsafe fn write_audio(par: &mut ff::AVCodecParameters, audio: &AudioInfo) -> Result<(), Error> {
    let number = |n: u32, what: &str, most: u32| {
        c_int::try_from(n)
            .ok()
            .filter(|_| (1..=most).contains(&n))
            .ok_or_else(|| Error::Config {
                expected: format!("{what} of 1 to {most}"),
                got: n.to_string(),
            })
    };
    par.sample_rate = number(audio.sample_rate, "a sample rate", 768_000)?;
    let channels = number(audio.channels, "a number of channels", 64)?;
    par.frame_size = audio.frame_size.and_then(|n| c_int::try_from(n).ok()).unwrap_or(0);
    par.initial_padding = c_int::try_from(audio.priming).unwrap_or(0);
    // SAFETY: the layout is the parameters' own, still empty.
    unsafe { ff::av_channel_layout_default(&raw mut par.ch_layout, channels) };
    Ok(())
}
