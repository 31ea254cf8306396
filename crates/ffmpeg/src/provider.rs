//! FFmpeg as a provider of codecs and containers.

use crate::{decode::Decoder, demux::Input, encode::Encoder, image, mux::Output, table, x264};
use beamline_codec::{
    CodecProvider, Error, Image, ImageKind, VideoDecoder, VideoDecoderConfig, VideoEncoder, VideoEncoderConfig,
};
use beamline_container::{ContainerProvider, Demuxer, Muxer, MuxerConfig};
use beamline_io::{ByteSink, ByteSource, Cancel};
use beamline_media::{EncodedKind, Frame, FramePool, PixelFormat};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// FFmpeg. Clones share the count of copies.
#[derive(Clone, Debug, Default)]
pub struct Ffmpeg {
    copies: Arc<AtomicU64>,
}

impl Ffmpeg {
    /// FFmpeg as it is linked.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Decoded pictures that had to be copied or converted into their slot, over all decoders: those of decoders that insist on
    /// memory of their own, and of pixel formats that we do not have (palettes). 0 for H.264 and JPEG.
    #[must_use]
    pub fn copies(&self) -> u64 {
        self.copies.load(Ordering::Relaxed)
    }
}

impl CodecProvider for Ffmpeg {
    fn name(&self) -> &'static str {
        "ffmpeg"
    }

    fn can_decode(&self, kind: EncodedKind) -> bool {
        table::decoder_row(kind).and_then(table::decoder_of).is_some()
    }

    fn encoder_name(&self, kind: EncodedKind) -> Option<&'static str> {
        table::encoder_of(kind).map(|(name, _)| name)
    }

    fn encoder_names(&self, kind: EncodedKind) -> &'static [&'static str] {
        table::encoder_names(kind)
    }

    fn encoder_formats(&self, kind: EncodedKind) -> Vec<PixelFormat> {
        table::encoder_of(kind).map_or_else(Vec::new, |(name, _)| x264::formats(name).to_vec())
    }

    fn open_decoder(&self, config: &VideoDecoderConfig, pool: Arc<FramePool>) -> Result<Box<dyn VideoDecoder>, Error> {
        Ok(Box::new(Decoder::open(config, pool, Arc::clone(&self.copies))?))
    }

    fn open_encoder(&self, config: &VideoEncoderConfig) -> Result<Box<dyn VideoEncoder>, Error> {
        Ok(Box::new(Encoder::open(config)?))
    }

    fn image_formats(&self, kind: ImageKind) -> Vec<PixelFormat> {
        image::formats(kind).to_vec()
    }

    fn encode_image(&self, frame: &Frame, kind: ImageKind) -> Result<Image, Error> {
        image::encode(frame, kind)
    }
}

impl ContainerProvider for Ffmpeg {
    fn open(
        &self,
        source: Arc<dyn ByteSource>,
        cancel: &Cancel,
    ) -> Result<Box<dyn Demuxer>, beamline_container::Error> {
        Ok(Box::new(Input::open(source, cancel)?))
    }

    fn create(
        &self,
        sink: Box<dyn ByteSink>,
        config: &MuxerConfig,
        cancel: &Cancel,
    ) -> Result<Box<dyn Muxer>, beamline_container::Error> {
        Ok(Box::new(Output::create(sink, config, cancel)?))
    }
}

/// FFmpeg as the two values that a composition root hands down.
#[must_use]
pub fn provider() -> (Arc<dyn CodecProvider>, Arc<dyn ContainerProvider>) {
    let ffmpeg = Ffmpeg::new();
    (Arc::new(ffmpeg.clone()), Arc::new(ffmpeg))
}
