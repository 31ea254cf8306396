//! What a codec library must be able to do for us. Everything here runs on a thread that the caller owns; nothing here waits for
//! another thread of ours.

use crate::{Error, VideoDecoderConfig, VideoEncoderConfig};
use beamline_media::{EncodedKind, Frame, FramePool, Packet, PixelFormat};
use bytes::Bytes;
use std::{fmt::Debug, sync::Arc};

/// Packets in, pictures out, in the order in which they are shown.
pub trait VideoDecoder: Send {
    /// Gives one packet, or `None` for the end: then [`VideoDecoder::receive`] gives what is left.
    ///
    /// Call [`VideoDecoder::receive`] until it gives `None` before the next `send`.
    ///
    /// # Errors
    /// [`Error::Data`] when the packet cannot be decoded; the decoder goes on with the next one.
    fn send(&mut self, packet: Option<&Packet>) -> Result<(), Error>;

    /// The next picture, in a slot of the pool that the decoder was opened with; `None` when it needs more (or all is out).
    ///
    /// # Errors
    /// [`Error::Data`], [`Error::Memory`] (budget reached), [`Error::Library`].
    fn receive(&mut self) -> Result<Option<Frame>, Error>;

    /// Forgets all packets that were given, for a new start at a key packet.
    fn reset(&mut self);
}

/// Pictures in, packets out, in the order in which they are decoded.
pub trait VideoEncoder: Send {
    /// Gives one picture (its format, size as configured), or `None` for the end. `key` asks for a key packet.
    ///
    /// The encoder takes its own reference and lets it go as soon as it can; it makes no copy of the planes outside the library.
    ///
    /// # Errors
    /// [`Error::Config`] for a picture of another format or size; [`Error::Library`].
    fn send(&mut self, frame: Option<&Frame>, key: bool) -> Result<(), Error>;

    /// The next packet; `None` when it needs more (or all is out).
    ///
    /// # Errors
    /// [`Error::Library`].
    fn receive(&mut self) -> Result<Option<Packet>, Error>;

    /// What the packets are: known from the start.
    fn format(&self) -> &EncodedFormat;
}

/// What an encoder's packets are, for a container or a decoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedFormat {
    /// Family.
    pub kind: EncodedKind,
    /// Full codec string of what really comes (`avc1.64001f`).
    pub codec: String,
    /// Out-of-band description (avcC for H.264 when packets are length-prefixed). `None`: in-band.
    pub description: Option<Bytes>,
    /// The library's name of the encoder (`libx264`), for people.
    pub encoder: String,
}

/// Kinds of still pictures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ImageKind {
    /// Lossless.
    Png,
    /// Quality 0.0 to 1.0.
    Jpeg {
        /// 1.0 is best.
        quality: f32,
    },
}

/// One encoded still.
#[derive(Clone, Debug)]
pub struct Image {
    /// The file's bytes.
    pub bytes: Bytes,
    /// `image/png`, `image/jpeg`.
    pub media_type: &'static str,
}

/// A codec library.
pub trait CodecProvider: Send + Sync + Debug {
    /// Short name (`ffmpeg`).
    fn name(&self) -> &'static str;

    /// Whether packets of that family can be decoded here.
    fn can_decode(&self, kind: EncodedKind) -> bool;

    /// The library's name of the encoder that would be taken for that family, if there is one.
    fn encoder_name(&self, kind: EncodedKind) -> Option<&'static str>;

    /// The library's names of all encoders that could be taken for that family, whether they are there or not, best first.
    fn encoder_names(&self, kind: EncodedKind) -> &'static [&'static str];

    /// Formats that the encoder reads as they are, best first. Anything else must be converted before.
    fn encoder_formats(&self, kind: EncodedKind) -> Vec<PixelFormat>;

    /// Opens a decoder whose pictures lie in slots of `pool`.
    ///
    /// # Errors
    /// [`Error::NotSupported`], [`Error::Config`], [`Error::Library`].
    fn open_decoder(&self, config: &VideoDecoderConfig, pool: Arc<FramePool>) -> Result<Box<dyn VideoDecoder>, Error>;

    /// Opens an encoder.
    ///
    /// # Errors
    /// [`Error::NotSupported`], [`Error::Config`], [`Error::Library`].
    fn open_encoder(&self, config: &VideoEncoderConfig) -> Result<Box<dyn VideoEncoder>, Error>;

    /// Formats that stills of that kind are made from, best first.
    fn image_formats(&self, kind: ImageKind) -> Vec<PixelFormat>;

    /// Encodes one still from a frame of one of [`CodecProvider::image_formats`]. Only the visible part is encoded.
    ///
    /// # Errors
    /// [`Error::NotSupported`], [`Error::Library`].
    fn encode_image(&self, frame: &Frame, kind: ImageKind) -> Result<Image, Error>;
}
