//! The buffers between pictures, and the two things that need them.

use crate::{Error, Source, Target, route, rows::Rows, scale::Scaler};
use beamline_media::Rotation;

/// How samples between samples are found when scaling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Filter {
    /// The nearest one: hard edges, cheapest.
    Nearest,
    /// Straight lines between neighbours; when scaling down, the mean over what a new sample covers.
    #[default]
    Bilinear,
    /// Three lobes: sharper, may overshoot at edges.
    Lanczos,
}

/// Converts pictures and keeps what it needs between them: with pictures of the same sizes and formats it takes memory only for
/// the first. One per thread.
#[derive(Debug, Default)]
pub struct Converter {
    rows: Rows,
    scaler: Scaler,
}

impl Converter {
    /// A converter without buffers yet; scales by [`Filter::Bilinear`].
    #[must_use]
    pub fn new() -> Self {
        Converter::default()
    }

    /// The same with another filter for [`Converter::scale`].
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.scaler.filter = filter;
        self
    }

    /// Writes `source` into `target`, which has the same size, in the target's format and colours. One pass over each plane of the
    /// source, one over each of the target; between them only rows that stay in the processor's cache. The same format and
    /// colours are copied row by row.
    ///
    /// Red, green and blue are full range. Luma and chroma that do not say their matrix have BT.709 from 720 rows on and BT.601
    /// below; without a range they have studio range, grey alone full range. Between two formats of luma and chroma matrix and range
    /// are changed only where both say them and they differ. A target without alpha drops it; a source without alpha is opaque.
    ///
    /// # Errors
    /// [`Error::TargetSize`], [`Error::Formats`], [`Error::Matrix`].
    pub fn convert(&mut self, source: &Source<'_>, target: &mut Target<'_>) -> Result<(), Error> {
        if source.size != target.size {
            return Err(Error::TargetSize {
                expected: source.size,
                got: target.size,
            });
        }
        route::run(&mut self.rows, source, target)
    }

    /// Writes `source` into `target` in the target's size, format and colours. Every plane is scaled by itself (two passes over it),
    /// before or after [`Converter::convert`]'s pass, whichever has the smaller picture between; packed 4:2:2 and more than 8 bits
    /// pass once more through planes of 8 bits. Without a change of size it is [`Converter::convert`].
    ///
    /// Alpha beside red, green and blue weighs them, so that the colour of invisible pixels does not bleed into visible ones; colours
    /// of pixels that are nearly invisible lose precision by that. A plane of alpha beside luma is scaled by itself.
    ///
    /// # Errors
    /// [`Error::Formats`], [`Error::Matrix`]; [`Error::Scaler`] is a fault of ours.
    pub fn scale(&mut self, source: &Source<'_>, target: &mut Target<'_>) -> Result<(), Error> {
        if source.size == target.size {
            return route::run(&mut self.rows, source, target);
        }
        self.scaler.run(&mut self.rows, source, target)
    }

    /// Writes `source` turned clockwise and then, with `flip`, mirrored left to right. The formats are the same; colours are not
    /// looked at. One pass over each plane, of which a quarter turn makes one side jump from row to row.
    ///
    /// # Errors
    /// [`Error::TargetSize`]; [`Error::Formats`] when they are not the same; [`Error::Turn`] for a format whose groups of pixels
    /// cannot be turned that way (4:2:2 by a quarter, packed 4:2:2 at all).
    pub fn rotate(
        &mut self,
        source: &Source<'_>,
        target: &mut Target<'_>,
        rotation: Rotation,
        flip: bool,
    ) -> Result<(), Error> {
        crate::rotate::run(source, target, rotation, flip)
    }
}
