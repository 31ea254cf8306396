//! What a level of H.264 allows (Rec. H.264, table A-1): how large, how fast, at how many bits. A decoder of a level need not do more, so a
//! stream that claims less than it needs is a lie to it.

use super::avc::Avc;
use beamline_media::{Rational, Size};
use std::fmt;

/// Pixels of a macroblock's side.
const MACROBLOCK: u32 = 16;

/// One level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// `level_idc`; 9 is 1b.
    pub idc: u8,
    /// Macroblocks of a picture, at most (`MaxFS`).
    pub picture: u32,
    /// Macroblocks of a second, at most (`MaxMBPS`).
    pub per_second: u32,
    /// Macroblocks of all reference pictures together, at most (`MaxDpbMbs`).
    pub references: u32,
    /// Units of bits of a second, at most (`MaxBR`): see [`Level::bitrate`].
    bitrate: u32,
    /// Units of bits of the decoder's buffer, at most (`MaxCPB`).
    buffer: u32,
}

const fn row(idc: u8, per_second: u32, picture: u32, references: u32, bitrate: u32, buffer: u32) -> Level {
    Level {
        idc,
        picture,
        per_second,
        references,
        bitrate,
        buffer,
    }
}

/// The table, lowest first.
pub(super) const LEVELS: &[Level] = &[
    row(10, 1_485, 99, 396, 64, 175),
    row(9, 1_485, 99, 396, 128, 350),
    row(11, 3_000, 396, 900, 192, 500),
    row(12, 6_000, 396, 2_376, 384, 1_000),
    row(13, 11_880, 396, 2_376, 768, 2_000),
    row(20, 11_880, 396, 2_376, 2_000, 2_000),
    row(21, 19_800, 792, 4_752, 4_000, 4_000),
    row(22, 20_250, 1_620, 8_100, 4_000, 4_000),
    row(30, 40_500, 1_620, 8_100, 10_000, 10_000),
    row(31, 108_000, 3_600, 18_000, 14_000, 14_000),
    row(32, 216_000, 5_120, 20_480, 20_000, 20_000),
    row(40, 245_760, 8_192, 32_768, 20_000, 25_000),
    row(41, 245_760, 8_192, 32_768, 50_000, 62_500),
    row(42, 522_240, 8_704, 34_816, 50_000, 62_500),
    row(50, 589_824, 22_080, 110_400, 135_000, 135_000),
    row(51, 983_040, 36_864, 184_320, 240_000, 240_000),
    row(52, 2_073_600, 36_864, 184_320, 240_000, 240_000),
    row(60, 4_177_920, 139_264, 696_320, 240_000, 240_000),
    row(61, 8_355_840, 139_264, 696_320, 480_000, 480_000),
    row(62, 16_711_680, 139_264, 696_320, 800_000, 800_000),
];

/// Macroblocks of a picture: across, down.
fn macroblocks(size: Size) -> (u64, u64) {
    (
        u64::from(size.width.div_ceil(MACROBLOCK)),
        u64::from(size.height.div_ceil(MACROBLOCK)),
    )
}

/// Bits of a unit of the table (`cpbBrVclFactor`).
fn unit(profile: u8) -> u64 {
    match profile {
        100 => 1_250,
        110 => 3_000,
        122 | 244 | 44 => 4_000,
        _ => 1_000,
    }
}

impl Level {
    /// Bits of a second, at most, in that profile.
    #[must_use]
    pub fn bitrate(&self, profile: u8) -> u64 {
        u64::from(self.bitrate) * unit(profile)
    }

    /// Bits of the decoder's buffer, at most, in that profile.
    #[must_use]
    pub fn buffer(&self, profile: u8) -> u64 {
        u64::from(self.buffer) * unit(profile)
    }

    /// Reference pictures of that size, at most: 16 or less.
    #[must_use]
    pub fn reference_pictures(&self, size: Size) -> u32 {
        let (across, down) = macroblocks(size);
        u32::try_from(u64::from(self.references) / (across * down).max(1)).map_or(16, |count| count.min(16))
    }

    /// What goes beyond it, in words; `None` when all fits.
    fn exceeded(&self, profile: u8, size: Size, rate: Option<Rational>, bitrate: Option<u64>) -> Option<String> {
        let (across, down) = macroblocks(size);
        let (blocks, side) = (across * down, across.max(down));
        if blocks > u64::from(self.picture) || side * side > 8 * u64::from(self.picture) {
            return Some(format!("pictures of {size}"));
        }
        if let Some(rate) = rate
            && u128::from(blocks) * u128::from(rate.num) > u128::from(self.per_second) * u128::from(rate.den)
        {
            return Some(format!("{size} at {rate} pictures per second"));
        }
        bitrate
            .filter(|bits| *bits > self.bitrate(profile))
            .map(|bits| format!("{bits} bits per second"))
    }
}

/// What a stream needs beyond what its codec string says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelExceeded {
    what: String,
    asked: Avc,
    /// The least string that holds it; `None` when no level does.
    pub needed: Option<Avc>,
}

impl fmt::Display for LevelExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |avc: &Avc| avc.level_name().unwrap_or_else(|| avc.level.to_string());
        write!(f, "H.264 level {} does not hold {}", name(&self.asked), self.what)?;
        match &self.needed {
            Some(needed) => write!(f, "; level {} does: '{needed}'", name(needed)),
            None => write!(f, ", and no other does"),
        }
    }
}

impl Avc {
    /// The level's row; `None` for a number that the standard does not have.
    #[must_use]
    pub fn limits(&self) -> Option<&'static Level> {
        let idc = if self.is_1b() { 9 } else { self.level };
        LEVELS.iter().find(|level| level.idc == idc)
    }

    /// Whether its level holds pictures of that size, at that rate and bitrate where those are known.
    ///
    /// # Errors
    /// What does not fit, and the level that would.
    pub fn holds(&self, size: Size, rate: Option<Rational>, bitrate: Option<u64>) -> Result<(), LevelExceeded> {
        let exceeded = |level: &Level| level.exceeded(self.profile, size, rate, bitrate);
        let what = match self.limits() {
            Some(level) => match exceeded(level) {
                None => return Ok(()),
                Some(what) => what,
            },
            None => "anything: there is no such level".to_owned(),
        };
        // 1b is skipped: the older profiles write it as 1.1 with a flag, and 1.1 holds more.
        let needed = LEVELS.iter().find(|level| level.idc != 9 && exceeded(level).is_none());
        Err(LevelExceeded {
            what,
            asked: *self,
            needed: needed.map(|level| Avc {
                level: level.idc,
                constraints: if self.is_1b() {
                    self.constraints & !0x10
                } else {
                    self.constraints
                },
                ..*self
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn avc(profile: u8, constraints: u8, level: u8) -> Avc {
        Avc {
            in_band: false,
            profile,
            constraints,
            level,
        }
    }

    fn rate(num: u32, den: u32) -> Option<Rational> {
        Rational::new(num, den)
    }

    #[test]
    fn a_level_holds_what_the_standards_examples_say_and_not_more() {
        // The highest whole rates of well-known sizes.
        for (level, size, most) in [
            (10, Size::new(176, 144), rate(15, 1)),
            (30, Size::new(720, 480), rate(30, 1)),
            (30, Size::new(720, 576), rate(25, 1)),
            (31, Size::new(1280, 720), rate(30, 1)),
            (40, Size::new(1920, 1080), rate(30, 1)),
            (42, Size::new(1920, 1080), rate(64, 1)),
            (51, Size::new(4096, 2160), rate(28, 1)),
            (52, Size::new(4096, 2160), rate(60, 1)),
        ] {
            let avc = avc(100, 0, level);
            assert_eq!(avc.holds(size, most, None), Ok(()), "{level}");
            let faster = most.map(|r| Rational { num: r.num + 1, ..r });
            let refused = avc.holds(size, faster, None).unwrap_err();
            assert!(refused.needed.unwrap().limits().is_some(), "{refused}");
            // Of a rate that nobody has said nothing is assumed.
            assert_eq!(avc.holds(size, None, None), Ok(()));
        }
    }

    #[test]
    fn what_does_not_fit_is_told_with_the_level_that_does() {
        let (hd, bits) = (Size::new(1280, 720), Some(14_000_001));
        let said = |avc: Avc, size, rate, bits| avc.holds(size, rate, bits).unwrap_err().to_string();
        assert_eq!(
            said(avc(66, 0xc0, 30), hd, None, None),
            "H.264 level 3 does not hold pictures of 1280×720; level 3.1 does: 'avc1.42c01f'"
        );
        assert_eq!(
            said(avc(77, 0, 31), hd, None, bits),
            "H.264 level 3.1 does not hold 14000001 bits per second; level 3.2 does: 'avc1.4d0020'"
        );
        // High may have a quarter more.
        assert_eq!(avc(100, 0, 31).holds(hd, None, bits), Ok(()));
        // A long side alone is too much, too.
        assert!(said(avc(100, 0, 10), Size::new(16_000, 16), None, None).contains("level"));
        assert!(said(avc(100, 0, 99), hd, None, None).contains("there is no such level"));
        assert!(said(avc(100, 0, 62), Size::new(16_384, 16_384), None, None).ends_with("no other does"));
        // 1b in both its forms.
        assert_eq!(avc(66, 0x10, 11).limits().map(|l| l.idc), Some(9));
        assert_eq!(avc(100, 0x10, 11).limits().map(|l| l.idc), Some(11));
        assert_eq!(
            said(avc(66, 0x10, 11), Size::new(352, 288), None, None),
            "H.264 level 1b does not hold pictures of 352×288; level 1.1 does: 'avc1.42000b'"
        );
    }

    #[test]
    fn fewer_large_pictures_fit_into_a_decoder_than_small_ones() {
        let level = avc(100, 0, 40).limits().unwrap();
        assert_eq!(level.reference_pictures(Size::new(1920, 1080)), 4);
        assert_eq!(level.reference_pictures(Size::new(1280, 720)), 9);
        assert_eq!(level.reference_pictures(Size::new(64, 64)), 16);
        assert_eq!((level.bitrate(100), level.buffer(66)), (25_000_000, 25_000_000));
    }
}
