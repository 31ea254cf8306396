//! The little of H.264's framing that an encoder's output needs.

use beamline_codec::Error;
use bytes::Bytes;

const SPS: u8 = 7;
const PPS: u8 = 8;

/// Profile and level of a codec string `avc1.PPCCLL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// x264's name of the profile.
    pub(crate) profile: &'static str,
    /// `level_idc`; 9 is level 1b.
    pub(crate) level: u8,
}

/// What a codec string asks for; `None` for an empty one or the bare family.
pub(crate) fn wanted(codec: &str) -> Result<Option<Wanted>, Error> {
    let Some((_, hex)) = codec.split_once('.') else {
        return Ok(None);
    };
    let bad = || Error::Config {
        expected: "an H.264 codec string such as 'avc1.640028'".into(),
        got: format!("'{codec}'"),
    };
    if hex.len() != 6 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(bad());
    }
    let numbers = u32::from_str_radix(hex, 16).map_err(|_| bad())?;
    let [_, profile, constraints, level] = numbers.to_be_bytes();
    let profile = match profile {
        0x42 => "baseline",
        0x4d => "main",
        0x64 => "high",
        0x6e => "high10",
        0x7a => "high422",
        0xf4 => "high444",
        _ => {
            return Err(Error::NotSupported {
                what: format!("encoding H.264 profile {profile:#04x}"),
                why: "the encoder has Baseline, Main, High, High 10, High 4:2:2 and High 4:4:4".into(),
            });
        }
    };
    // Level 1b of the older profiles is 1.1 with constraint_set3.
    let level = if level == 11 && constraints & 0x10 != 0 && matches!(profile, "baseline" | "main") {
        9
    } else {
        level
    };
    Ok(Some(Wanted { profile, level }))
}

/// The NAL units of an Annex B stream, without their start codes.
pub(crate) fn annexb_units(bytes: &[u8]) -> Vec<&[u8]> {
    let mut units = Vec::new();
    let mut begin = None;
    let mut at = 0;
    while at + 3 <= bytes.len() {
        if bytes[at..at + 3] == [0, 0, 1] {
            if let Some(begin) = begin {
                units.push(trim(&bytes[begin..at]));
            }
            begin = Some(at + 3);
            at += 3;
        } else {
            at += 1;
        }
    }
    if let Some(begin) = begin {
        units.push(trim(&bytes[begin..]));
    }
    units.retain(|unit| !unit.is_empty());
    units
}

/// Without the zeros that belong to the next start code.
fn trim(unit: &[u8]) -> &[u8] {
    let end = unit.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
    &unit[..end]
}

/// The NAL units of a stream with lengths of four bytes; those that do not fit end it.
pub(crate) fn length_units(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut units = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let Some((unit, rest)) = rest.split_at_checked(length) else {
            break;
        };
        units.push(unit);
        bytes = rest;
    }
    units
}

/// Annex B as NAL units with lengths of four bytes.
pub(crate) fn to_lengths(bytes: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(bytes.len() + 16);
    for unit in annexb_units(bytes) {
        out.extend((unit.len() as u32).to_be_bytes());
        out.extend_from_slice(unit);
    }
    out.into()
}

/// The parameter sets in an encoder's out-of-band data, in whichever of the three framings this version gives them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ParameterSets {
    sps: Vec<Vec<u8>>,
    pps: Vec<Vec<u8>>,
    /// As it came, when it came as avcC.
    avcc: Option<Bytes>,
}

impl ParameterSets {
    /// `None` when there is no SPS in it.
    pub(crate) fn read(extradata: &[u8]) -> Option<Self> {
        let avcc = (extradata.first() == Some(&1)).then(|| Bytes::copy_from_slice(extradata));
        let units = match extradata {
            [1, ..] => avcc_units(extradata)?,
            [0, 0, 1, ..] | [0, 0, 0, 1, ..] => annexb_units(extradata),
            _ => length_units(extradata),
        };
        let of = |kind| {
            let matching = units.iter().filter(|unit| unit.first().is_some_and(|b| b & 31 == kind));
            matching.map(|unit| unit.to_vec()).collect::<Vec<_>>()
        };
        let (sps, pps) = (of(SPS), of(PPS));
        (sps.first()?.len() >= 4).then_some(ParameterSets { sps, pps, avcc })
    }

    /// `avc1.PPCCLL`.
    pub(crate) fn codec(&self) -> String {
        let sps = &self.sps[0];
        format!("avc1.{:02x}{:02x}{:02x}", sps[1], sps[2], sps[3])
    }

    /// AVCDecoderConfigurationRecord (ISO/IEC 14496-15), lengths of four bytes. `chroma` and `bits` are those of the pictures.
    pub(crate) fn avcc(&self, chroma: u8, bits: u8) -> Bytes {
        if let Some(avcc) = &self.avcc {
            return avcc.clone();
        }
        let sps = &self.sps[0];
        let mut out = vec![1, sps[1], sps[2], sps[3], 0xff, 0xe0 | self.sps.len() as u8];
        let put = |out: &mut Vec<u8>, sets: &[Vec<u8>]| {
            for set in sets {
                out.extend((set.len() as u16).to_be_bytes());
                out.extend(set);
            }
        };
        put(&mut out, &self.sps);
        out.push(self.pps.len() as u8);
        put(&mut out, &self.pps);
        if matches!(sps[1], 100 | 110 | 122 | 244) {
            out.extend([0xfc | chroma, 0xf8 | (bits - 8), 0xf8 | (bits - 8), 0]);
        }
        out.into()
    }
}

/// The parameter sets inside an avcC.
fn avcc_units(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut units = Vec::new();
    let mut rest = bytes.get(5..)?;
    for mask in [31, 255] {
        let (count, after) = rest.split_first()?;
        rest = after;
        for _ in 0..count & mask {
            let (length, after) = rest.split_first_chunk::<2>()?;
            let (unit, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            units.push(unit);
            rest = after;
        }
    }
    Some(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETS: [&[u8]; 2] = [&[0x67, 0x64, 0, 0x1f, 0xac], &[0x68, 0xeb]];

    #[test]
    fn codec_strings_give_profile_and_level() {
        let high = wanted("avc1.640028").ok().flatten();
        assert_eq!(high.map(|w| (w.profile, w.level)), Some(("high", 40)));
        assert_eq!(wanted("avc1.42100b").ok().flatten().map(|w| w.level), Some(9));
        assert!(matches!(wanted(""), Ok(None)));
        assert!(wanted("avc1.6400").is_err());
        assert!(wanted("avc1.58001e").is_err());
        assert!(wanted("avc1.+40028").is_err());
    }

    #[test]
    fn the_three_framings_of_parameter_sets_give_the_same() {
        let mut annexb = vec![0, 0, 0, 1];
        annexb.extend(SETS[0]);
        annexb.extend([0, 0, 1]);
        annexb.extend(SETS[1]);
        let read = ParameterSets::read(&annexb).expect("annexb");
        assert_eq!(read.codec(), "avc1.64001f");
        assert_eq!(ParameterSets::read(&to_lengths(&annexb)).as_ref(), Some(&read));
        let avcc = read.avcc(1, 8);
        let again = ParameterSets::read(&avcc).expect("avcc");
        assert_eq!((again.sps, again.pps), (read.sps, read.pps));
        assert_eq!(again.avcc, Some(avcc));
    }

    #[test]
    fn cut_input_is_no_panic() {
        let whole = ParameterSets::read(&to_lengths(&[0, 0, 1, 0x67, 1, 2, 3, 0, 0, 1, 0x68, 1]))
            .expect("sets")
            .avcc(1, 8);
        for end in 0..whole.len() {
            ParameterSets::read(&whole[..end]);
            annexb_units(&whole[..end]);
        }
    }
}
