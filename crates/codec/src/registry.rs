//! Which codec libraries there are: a value, filled by the composition root.

use crate::{
    CodecProvider, Error, Image, ImageKind, VideoDecoder, VideoDecoderConfig, VideoEncoder, VideoEncoderConfig,
};
use beamline_media::{EncodedKind, Frame, FramePool, PixelFormat};
use std::sync::Arc;

/// Providers in the order in which they are asked. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Registry(Vec<Arc<dyn CodecProvider>>);

impl Registry {
    /// With these providers, the first that can do a thing does it.
    #[must_use]
    pub fn new(providers: Vec<Arc<dyn CodecProvider>>) -> Self {
        Registry(providers)
    }

    fn decoder_of(&self, kind: EncodedKind) -> Option<&Arc<dyn CodecProvider>> {
        self.0.iter().find(|p| p.can_decode(kind))
    }

    fn encoder_of(&self, kind: EncodedKind) -> Result<&Arc<dyn CodecProvider>, Error> {
        self.0
            .iter()
            .find(|p| p.encoder_name(kind).is_some())
            .ok_or_else(|| Error::NotSupported {
                what: format!("encoding {}", kind.0),
                why: "no codec library here has an encoder for it".into(),
            })
    }

    /// Whether some provider decodes that family.
    #[must_use]
    pub fn can_decode(&self, kind: EncodedKind) -> bool {
        self.decoder_of(kind).is_some()
    }

    /// The encoder that would be taken for that family.
    #[must_use]
    pub fn encoder_name(&self, kind: EncodedKind) -> Option<&'static str> {
        self.0.iter().find_map(|p| p.encoder_name(kind))
    }

    /// Formats that the encoder of that family reads as they are.
    ///
    /// # Errors
    /// [`Error::NotSupported`].
    pub fn encoder_formats(&self, kind: EncodedKind) -> Result<Vec<PixelFormat>, Error> {
        Ok(self.encoder_of(kind)?.encoder_formats(kind))
    }

    /// Opens a decoder.
    ///
    /// # Errors
    /// As [`CodecProvider::open_decoder`].
    pub fn open_decoder(
        &self,
        config: &VideoDecoderConfig,
        pool: Arc<FramePool>,
    ) -> Result<Box<dyn VideoDecoder>, Error> {
        let provider = self.decoder_of(config.kind).ok_or_else(|| Error::NotSupported {
            what: format!("decoding {}", config.kind.0),
            why: "no codec library here has a decoder for it, or it is not on the allow-list".into(),
        })?;
        provider.open_decoder(config, pool)
    }

    /// Opens an encoder.
    ///
    /// # Errors
    /// As [`CodecProvider::open_encoder`].
    pub fn open_encoder(&self, config: &VideoEncoderConfig) -> Result<Box<dyn VideoEncoder>, Error> {
        self.encoder_of(config.kind)?.open_encoder(config)
    }

    /// Formats that stills of that kind are made from.
    #[must_use]
    pub fn image_formats(&self, kind: ImageKind) -> Vec<PixelFormat> {
        self.0.first().map(|p| p.image_formats(kind)).unwrap_or_default()
    }

    /// Encodes one still.
    ///
    /// # Errors
    /// As [`CodecProvider::encode_image`].
    pub fn encode_image(&self, frame: &Frame, kind: ImageKind) -> Result<Image, Error> {
        match self.0.first() {
            Some(provider) => provider.encode_image(frame, kind),
            None => Err(Error::NotSupported {
                what: "encoding stills".into(),
                why: "there is no codec library".into(),
            }),
        }
    }
}
