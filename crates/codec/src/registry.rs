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
                why: self.no_encoder(kind),
            })
    }

    /// Why nobody encodes that family: which encoders were looked for.
    fn no_encoder(&self, kind: EncodedKind) -> String {
        let names: Vec<_> = self.0.iter().flat_map(|p| p.encoder_names(kind)).copied().collect();
        if names.is_empty() {
            return "no codec library here encodes that family".into();
        }
        format!(
            "the codec library has none of the encoders for it ({})",
            names.join(", ")
        )
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

#[cfg(test)]
mod tests {
    use super::*;
    use beamline_media::ErrorCode;

    /// A library that was built without encoders.
    #[derive(Debug)]
    struct Bare;

    fn refused() -> Error {
        Error::NotSupported {
            what: "anything".into(),
            why: "the library is bare".into(),
        }
    }

    impl CodecProvider for Bare {
        fn name(&self) -> &'static str {
            "bare"
        }

        fn can_decode(&self, _kind: EncodedKind) -> bool {
            false
        }

        fn encoder_name(&self, _kind: EncodedKind) -> Option<&'static str> {
            None
        }

        fn encoder_names(&self, kind: EncodedKind) -> &'static [&'static str] {
            if kind == EncodedKind::H264 {
                &["libx264", "libopenh264"]
            } else {
                &[]
            }
        }

        fn encoder_formats(&self, _kind: EncodedKind) -> Vec<PixelFormat> {
            Vec::new()
        }

        fn open_decoder(&self, _: &VideoDecoderConfig, _: Arc<FramePool>) -> Result<Box<dyn VideoDecoder>, Error> {
            Err(refused())
        }

        fn open_encoder(&self, _: &VideoEncoderConfig) -> Result<Box<dyn VideoEncoder>, Error> {
            Err(refused())
        }

        fn image_formats(&self, _kind: ImageKind) -> Vec<PixelFormat> {
            Vec::new()
        }

        fn encode_image(&self, _: &Frame, _: ImageKind) -> Result<Image, Error> {
            Err(refused())
        }
    }

    #[test]
    fn where_no_encoder_is_there_the_ones_that_were_looked_for_are_named() {
        let registry = Registry::new(vec![Arc::new(Bare)]);
        assert_eq!(registry.encoder_name(EncodedKind::H264), None);
        let error = registry.encoder_formats(EncodedKind::H264).unwrap_err();
        assert_eq!(error.code(), ErrorCode::NotSupported);
        assert_eq!(
            error.to_string(),
            "encoding h264 is not supported here: the codec library has none of the encoders for it (libx264, libopenh264)"
        );
        let error = registry.encoder_formats(EncodedKind("vp9")).unwrap_err();
        assert!(error.to_string().contains("no codec library here encodes"), "{error}");
    }
}
