//! Colour spaces by the code points of ITU-T H.273, which FFmpeg and the W3C names both stand for.

use serde::Serialize;

/// The code point for "not said".
const UNSPECIFIED: u8 = 2;

/// How numbers become light. Each part may be unsaid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ColorSpace {
    /// H.273 ColourPrimaries; 2 is unspecified.
    pub primaries: u8,
    /// H.273 TransferCharacteristics; 2 is unspecified.
    pub transfer: u8,
    /// H.273 MatrixCoefficients; 2 is unspecified, 0 is RGB.
    pub matrix: u8,
    /// Whether samples use all their values (`true`) or the studio range, 16–235 of 8 bits (`false`).
    pub full_range: Option<bool>,
}

impl Default for ColorSpace {
    fn default() -> Self {
        ColorSpace::UNSPECIFIED
    }
}

/// (code point, W3C name) of `VideoColorPrimaries`.
const PRIMARIES: &[(u8, &str)] = &[
    (1, "bt709"),
    (5, "bt470bg"),
    (6, "smpte170m"),
    (9, "bt2020"),
    (12, "smpte432"),
];
/// (code point, W3C name) of `VideoTransferCharacteristics`.
const TRANSFERS: &[(u8, &str)] = &[
    (1, "bt709"),
    (6, "smpte170m"),
    (13, "iec61966-2-1"),
    (8, "linear"),
    (16, "pq"),
    (18, "hlg"),
];
/// (code point, W3C name) of `VideoMatrixCoefficients`.
const MATRICES: &[(u8, &str)] = &[
    (0, "rgb"),
    (1, "bt709"),
    (5, "bt470bg"),
    (6, "smpte170m"),
    (9, "bt2020-ncl"),
];

fn name_of(table: &'static [(u8, &'static str)], code: u8) -> Option<&'static str> {
    table.iter().find(|(c, _)| *c == code).map(|(_, name)| *name)
}

fn code_of(table: &[(u8, &str)], name: &str) -> Option<u8> {
    table.iter().find(|(_, n)| *n == name).map(|(c, _)| *c)
}

impl ColorSpace {
    /// Nothing said.
    pub const UNSPECIFIED: ColorSpace = ColorSpace {
        primaries: UNSPECIFIED,
        transfer: UNSPECIFIED,
        matrix: UNSPECIFIED,
        full_range: None,
    };
    /// HD video: BT.709 throughout, studio range.
    pub const REC709: ColorSpace = ColorSpace {
        primaries: 1,
        transfer: 1,
        matrix: 1,
        full_range: Some(false),
    };
    /// SD video: SMPTE 170M throughout, studio range.
    pub const REC601: ColorSpace = ColorSpace {
        primaries: 6,
        transfer: 6,
        matrix: 6,
        full_range: Some(false),
    };
    /// Computer pictures: BT.709 primaries, sRGB transfer, RGB, full range.
    pub const SRGB: ColorSpace = ColorSpace {
        primaries: 1,
        transfer: 13,
        matrix: 0,
        full_range: Some(true),
    };

    /// W3C name of the primaries, if said and known to W3C.
    #[must_use]
    pub fn primaries_name(&self) -> Option<&'static str> {
        name_of(PRIMARIES, self.primaries)
    }

    /// W3C name of the transfer function, if said and known to W3C.
    #[must_use]
    pub fn transfer_name(&self) -> Option<&'static str> {
        name_of(TRANSFERS, self.transfer)
    }

    /// W3C name of the matrix, if said and known to W3C.
    #[must_use]
    pub fn matrix_name(&self) -> Option<&'static str> {
        name_of(MATRICES, self.matrix)
    }

    /// From W3C names; a name that W3C does not have gives `None`.
    #[must_use]
    pub fn from_names(
        primaries: Option<&str>,
        transfer: Option<&str>,
        matrix: Option<&str>,
        full_range: Option<bool>,
    ) -> Option<Self> {
        let code = |table, name: Option<&str>| name.map_or(Some(UNSPECIFIED), |n| code_of(table, n));
        Some(ColorSpace {
            primaries: code(PRIMARIES, primaries)?,
            transfer: code(TRANSFERS, transfer)?,
            matrix: code(MATRICES, matrix)?,
            full_range,
        })
    }

    /// The matrix to compute with: the one that is said, else BT.709 for HD heights (720 and more), BT.601 below.
    #[must_use]
    pub fn matrix_or_guess(&self, height: u32) -> u8 {
        match self.matrix {
            UNSPECIFIED | 0 => {
                if height >= 720 {
                    1
                } else {
                    6
                }
            }
            said => said,
        }
    }

    /// Whether luma 255 (not 235) is white; unsaid means studio range.
    #[must_use]
    pub fn is_full_range(&self) -> bool {
        self.full_range.unwrap_or(false)
    }

    /// This space, with what is unsaid taken from `other`.
    #[must_use]
    pub fn or(self, other: ColorSpace) -> Self {
        let pick = |a: u8, b: u8| if a == UNSPECIFIED { b } else { a };
        ColorSpace {
            primaries: pick(self.primaries, other.primaries),
            transfer: pick(self.transfer, other.transfer),
            matrix: pick(self.matrix, other.matrix),
            full_range: self.full_range.or(other.full_range),
        }
    }
}
