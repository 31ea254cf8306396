//! How pictures are meant to be shown: the beginning of the usability information in a sequence parameter set (Rec. H.264 §E.1.1).

use super::bits::Bits;
use beamline_media::{ColorSpace, Rational};

/// Width to height of a pixel by `aspect_ratio_idc` 1 to 16 (table E-1).
const ASPECTS: [(u32, u32); 16] = [
    (1, 1),
    (12, 11),
    (10, 11),
    (16, 11),
    (40, 33),
    (24, 11),
    (20, 11),
    (32, 11),
    (80, 33),
    (18, 11),
    (15, 11),
    (64, 33),
    (160, 99),
    (4, 3),
    (3, 2),
    (2, 1),
];
/// `aspect_ratio_idc` of an aspect that is spelled out.
const EXTENDED: u32 = 255;

/// The usability information, as far as it is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usability {
    /// Width to height of a pixel.
    pub pixel_aspect: Option<Rational>,
    /// Whether samples use their full range.
    pub full_range: Option<bool>,
    /// Primaries, transfer and matrix, the range included.
    pub color: Option<ColorSpace>,
}

impl Usability {
    /// `None`: the bits ended.
    pub(super) fn read(bits: &mut Bits<'_>) -> Option<Self> {
        let mut said = Usability::default();
        if bits.flag()? {
            let ratio = match bits.bits(8)? {
                EXTENDED => (bits.bits(16)?, bits.bits(16)?),
                known => (1..)
                    .zip(ASPECTS)
                    .find(|(idc, _)| *idc == known)
                    .map_or((0, 0), |(_, ratio)| ratio),
            };
            said.pixel_aspect = Rational::new(ratio.0, ratio.1).filter(|_| ratio.0 > 0);
        }
        if bits.flag()? {
            bits.flag()?; // overscan_appropriate_flag
        }
        if bits.flag()? {
            bits.bits(3)?; // video_format
            let full_range = Some(bits.flag()?);
            said.full_range = full_range;
            if bits.flag()? {
                let mut code = || bits.bits(8).map(|code| code as u8);
                said.color = Some(ColorSpace {
                    primaries: code()?,
                    transfer: code()?,
                    matrix: code()?,
                    full_range,
                });
            }
        }
        Some(said)
    }
}

#[cfg(test)]
mod tests {
    use crate::framing::{Sps, tests::hex};
    use beamline_media::{ColorSpace, Rational};

    const FULL_709: &str = "6764000cacd941419f9f0e6e020202800000030080000019078a14cb";
    const ODD_ASPECT: &str = "6764000cacd941419f9fff000500071000000300100000030320f1429960";

    #[test]
    fn what_x264_was_asked_for_is_read() {
        // setsar=4/3, -x264-params fullrange=on:colorprim=bt709:transfer=bt709:colormatrix=bt709, 320×180.
        let said = Sps::parse(&hex(FULL_709)).unwrap().usability.unwrap();
        assert_eq!(said.pixel_aspect, Rational::new(4, 3));
        assert_eq!(
            said.color,
            Some(ColorSpace {
                primaries: 1,
                transfer: 1,
                matrix: 1,
                full_range: Some(true)
            })
        );
        // setsar=5/7 has no number of its own; nothing is said of colours.
        let odd = Sps::parse(&hex(ODD_ASPECT)).unwrap().usability.unwrap();
        assert_eq!(
            (odd.pixel_aspect, odd.full_range, odd.color),
            (Rational::new(5, 7), None, None)
        );
    }

    #[test]
    fn information_that_is_cut_is_as_if_it_were_not_there() {
        let whole = hex(FULL_709);
        let size = Sps::parse(&whole).unwrap().visible;
        let cut = Sps::parse(&whole[..14]).unwrap();
        assert_eq!((cut.visible, cut.usability), (size, None));
    }
}
