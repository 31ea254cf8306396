//! `avc1.PPCCLL` and `avc3.PPCCLL` (RFC 6381 §3.3; ISO/IEC 14496-15 §5.4): profile, constraint flags and level of an H.264
//! stream, the three bytes behind the NAL header of its SPS.

use super::Parameters;
use std::fmt;

/// What an H.264 codec string says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Avc {
    /// Whether parameter sets may stand in the packets (`avc3`), not only in the description (`avc1`).
    pub in_band: bool,
    /// `profile_idc` (Rec. H.264 Annex A).
    pub profile: u8,
    /// The `constraint_setN_flag`s, flag 0 in the highest bit.
    pub constraints: u8,
    /// `level_idc`: ten times the level.
    pub level: u8,
}

/// (`profile_idc`, flags that must be set, name), the stricter row first. Rec. H.264 Annex A.2.
const PROFILES: &[(u8, u8, &str)] = &[
    (66, 0x40, "Constrained Baseline"),
    (66, 0, "Baseline"),
    (77, 0, "Main"),
    (88, 0, "Extended"),
    (100, 0x0c, "Constrained High"),
    (100, 0x08, "Progressive High"),
    (100, 0, "High"),
    (110, 0x10, "High 10 Intra"),
    (110, 0, "High 10"),
    (122, 0x10, "High 4:2:2 Intra"),
    (122, 0, "High 4:2:2"),
    (244, 0x10, "High 4:4:4 Intra"),
    (244, 0, "High 4:4:4 Predictive"),
    (44, 0, "CAVLC 4:4:4 Intra"),
];

impl Avc {
    /// Name of the profile, when the standard has it.
    #[must_use]
    pub fn profile_name(&self) -> Option<&'static str> {
        let fits =
            |(profile, flags, _): &&(u8, u8, &str)| *profile == self.profile && self.constraints & flags == *flags;
        PROFILES.iter().find(fits).map(|(.., name)| *name)
    }

    /// Whether it says level 1b: in Baseline, Main and Extended that is level 1.1 with `constraint_set3_flag` (Annex A.3.1).
    #[must_use]
    pub fn is_1b(&self) -> bool {
        let flagged = matches!(self.profile, 66 | 77 | 88) && self.level == 11 && self.constraints & 0x10 != 0;
        flagged || self.level == 9
    }

    /// Name of the level (`3.1`, `1b`), when the standard has it.
    #[must_use]
    pub fn level_name(&self) -> Option<String> {
        let idc = self.limits()?.idc;
        Some(match (idc / 10, idc % 10) {
            _ if idc == 9 => "1b".to_owned(),
            (major, 0) => major.to_string(),
            (major, minor) => format!("{major}.{minor}"),
        })
    }
}

impl fmt::Display for Avc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.in_band { "avc3" } else { "avc1" };
        write!(
            f,
            "{prefix}.{:02x}{:02x}{:02x}",
            self.profile, self.constraints, self.level
        )
    }
}

pub(super) fn read(prefix: &'static str, rest: &str) -> Result<Parameters, String> {
    let digits = rest.len() == 6 && rest.bytes().all(|b| b.is_ascii_hexdigit());
    let value = digits.then(|| u32::from_str_radix(rest, 16).ok()).flatten();
    let [_, profile, constraints, level] = value
        .ok_or("six hexadecimal digits for profile, constraint flags and level behind the dot")?
        .to_be_bytes();
    Ok(Parameters::Avc(Avc {
        in_band: prefix == "avc3",
        profile,
        constraints,
        level,
    }))
}
