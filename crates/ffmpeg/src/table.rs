//! What of FFmpeg is used: the allow-list. Everything else of it is never opened, whatever a file asks for.
//!
//! A further codec is one row here, with a test; a further container one name.

use crate::sys as ff;
use beamline_media::EncodedKind;

/// A family that is decoded.
#[derive(Debug)]
pub(crate) struct DecoderRow {
    pub(crate) kind: EncodedKind,
    /// FFmpeg's decoders, best first.
    pub(crate) names: &'static [&'static str],
    /// Whether several pictures may be decoded at once.
    pub(crate) frame_threads: bool,
}

/// A family that is encoded.
#[derive(Debug)]
pub(crate) struct EncoderRow {
    pub(crate) kind: EncodedKind,
    /// FFmpeg's encoders, best first.
    pub(crate) names: &'static [&'static str],
}

/// Families that are decoded.
pub(crate) const DECODERS: &[DecoderRow] = &[
    DecoderRow {
        kind: EncodedKind::H264,
        names: &["h264"],
        frame_threads: true,
    },
    DecoderRow {
        kind: EncodedKind::MJPEG,
        names: &["mjpeg"],
        frame_threads: false,
    },
    DecoderRow {
        kind: EncodedKind::PNG,
        names: &["png"],
        frame_threads: true,
    },
];

/// Families that are encoded.
pub(crate) const ENCODERS: &[EncoderRow] = &[EncoderRow {
    kind: EncodedKind::H264,
    names: &["libx264", "libopenh264"],
}];

/// Demuxers that may open a file. None of them follows a reference to another file or address (no playlists, no `concat`), and
/// opening anything but the source itself is refused besides (`demux.rs`).
pub(crate) const DEMUXERS: &str =
    "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,ogg,wav,mp3,aac,flac,ivf,h264,mjpeg,png_pipe,jpeg_pipe";

/// Decoders that may be opened while a file is looked over, to learn what its headers leave unsaid.
pub(crate) const PROBE_DECODERS: &str = "h264,hevc,mjpeg,png,vp8,vp9,libdav1d,aac,mp3float,mp3,opus,vorbis,flac,ac3,eac3,pcm_s16le,pcm_s16be,pcm_s24le,pcm_f32le,pcm_u8";

/// The row of a family.
pub(crate) fn decoder_row(kind: EncodedKind) -> Option<&'static DecoderRow> {
    DECODERS.iter().find(|row| row.kind == kind)
}

/// The decoder of this FFmpeg for a row.
pub(crate) fn decoder_of(row: &DecoderRow) -> Option<&'static ff::AVCodec> {
    row.names.iter().find_map(|name| {
        // SAFETY: the name is NUL-terminated; codecs are static descriptions.
        unsafe { ff::avcodec_find_decoder_by_name(ff::c_string(name).as_ptr()).as_ref() }
    })
}

/// The encoder of this FFmpeg for a family, with its name.
pub(crate) fn encoder_of(kind: EncodedKind) -> Option<(&'static str, &'static ff::AVCodec)> {
    first_of(encoder_names(kind), find_encoder)
}

/// Encoders that are looked for, best first.
pub(crate) fn encoder_names(kind: EncodedKind) -> &'static [&'static str] {
    let row = ENCODERS.iter().find(|row| row.kind == kind);
    row.map_or(&[], |row| row.names)
}

/// The first of `names` that is found, and what was found.
fn first_of<T>(names: &[&'static str], find: impl Fn(&str) -> Option<T>) -> Option<(&'static str, T)> {
    names.iter().find_map(|name| Some((*name, find(name)?)))
}

/// The encoder of that name.
pub(crate) fn find_encoder(name: &str) -> Option<&'static ff::AVCodec> {
    // SAFETY: as in `decoder_of`.
    unsafe { ff::avcodec_find_encoder_by_name(ff::c_string(name).as_ptr()).as_ref() }
}

/// A family by FFmpeg's name for it; both agree for all that we name ourselves.
pub(crate) fn kind_of(name: &'static str) -> EncodedKind {
    EncodedKind(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_libx264_the_next_encoder_is_taken_and_without_any_none() {
        let names = encoder_names(EncodedKind::H264);
        let among = |there: &[&str]| first_of(names, |name| there.contains(&name).then_some(())).map(|(name, ())| name);
        assert_eq!(among(&["libopenh264", "libx264"]), Some("libx264"));
        assert_eq!(among(&["libopenh264"]), Some("libopenh264"));
        assert_eq!(among(&["h264_nvenc"]), None);
        assert!(encoder_names(EncodedKind("vp9")).is_empty());
    }
}
