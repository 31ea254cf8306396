//! Where a picture of H.264 stands in the order of those that are shown, read from its slice header by FFmpeg's parser.

use crate::{raii, sys as ff, table};
use beamline_codec::framing::{AvcConfig, Framing, Key, key_of};
use beamline_media::{EncodedKind, Packet};
use std::{ffi::c_int, ptr::NonNull};

/// FFmpeg's parser, and the context that tells it the description.
pub(super) struct PictureOrder {
    parser: NonNull<ff::AVCodecParserContext>,
    codec: raii::Codec,
    framing: Framing,
}

// SAFETY: a parser has no thread of its own; calls do not overlap, since they take `&mut`.
unsafe impl Send for PictureOrder {}

impl PictureOrder {
    /// `None` when this FFmpeg has no parser of H.264, or there is no memory.
    pub(super) fn new(description: &[u8]) -> Option<Self> {
        let decoder = table::decoder_row(EncodedKind::H264).and_then(table::decoder_of)?;
        let mut codec = raii::Codec::new(decoder).ok()?;
        if !description.is_empty() {
            codec.set_extradata(description).ok()?;
        }
        let id = ff::AVCodecID::AV_CODEC_ID_H264;
        // A number until FFmpeg 9.
        #[cfg(not(ffmpeg_9_0))]
        let id = id as c_int;
        // SAFETY: takes a number; null when there is none.
        let mut parser = NonNull::new(unsafe { ff::av_parser_init(id) })?;
        // SAFETY: the parser was made just now and is ours.
        unsafe { parser.as_mut().flags |= ff::PARSER_FLAG_COMPLETE_FRAMES as c_int };
        let framing = match AvcConfig::parse(description) {
            Ok(config) => Framing::LengthPrefixed(config.length_size),
            Err(_) => Framing::AnnexB,
        };
        Some(PictureOrder { parser, codec, framing })
    }

    /// Picture order count, and whether counting begins anew with this picture.
    pub(super) fn of(&mut self, packet: &Packet) -> Option<(i64, bool)> {
        let size = c_int::try_from(packet.data.len()).ok()?;
        let (mut out, mut out_size) = (std::ptr::null_mut(), 0);
        // SAFETY: parser and context are ours; packets of the demuxer are FFmpeg's own, with the padding that parsers read; the output
        // points into the input, or nowhere, and is not used.
        unsafe {
            ff::av_parser_parse2(
                self.parser.as_ptr(),
                self.codec.ptr(),
                &raw mut out,
                &raw mut out_size,
                packet.data.as_ptr(),
                size,
                ff::NOPTS,
                ff::NOPTS,
                0,
            );
            let count = self.parser.as_ref().output_picture_number;
            Some((i64::from(count), key_of(&packet.data, self.framing) == Key::Idr))
        }
    }
}

impl Drop for PictureOrder {
    fn drop(&mut self) {
        // SAFETY: ours and not used after this.
        unsafe { ff::av_parser_close(self.parser.as_ptr()) };
    }
}
