//! `AVCDecoderConfigurationRecord`, the `avcC` box's content (ISO/IEC 14496-15 §5.3.3.1).

use super::{
    nal::{AnnexB, nal_type},
    sps::Sps,
};
use crate::{Error, strings::CodecString};

const WHAT: &str = "an AVCDecoderConfigurationRecord";

/// The record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AvcConfig {
    /// `AVCProfileIndication`.
    pub profile: u8,
    /// `profile_compatibility`: the constraint flags.
    pub constraints: u8,
    /// `AVCLevelIndication`.
    pub level: u8,
    /// Bytes of the lengths before NAL units: 1, 2 or 4.
    pub length_size: u8,
    /// Sequence parameter sets, NAL header included; at most 31.
    pub sps: Vec<Vec<u8>>,
    /// Picture parameter sets, NAL header included; at most 255.
    pub pps: Vec<Vec<u8>>,
    /// What High profiles add; old writers leave it out.
    pub chroma: Option<Chroma>,
}

/// The fields that a record has in High profiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chroma {
    /// `chroma_format`: 0 gray, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub format: u8,
    /// Bits of a luma sample, 8 to 15.
    pub luma_bits: u8,
    /// Bits of a chroma sample, 8 to 15.
    pub chroma_bits: u8,
    /// SPS extensions, at most 255.
    pub sps_extensions: Vec<Vec<u8>>,
}

impl AvcConfig {
    /// Reads a record.
    ///
    /// # Errors
    /// [`Error::Data`]: another version than 1, lengths of 3 bytes, or parameter sets that lead behind the end.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let &[version, profile, constraints, level, sizes, sps_count, ref rest @ ..] = bytes else {
            return Err(wrong(format!(
                "expected at least 7 bytes, but there are {}",
                bytes.len()
            )));
        };
        if version != 1 {
            return Err(wrong(format!("expected version 1, but it is {version}")));
        }
        let length_size = (sizes & 3) + 1;
        if length_size == 3 {
            return Err(wrong("expected lengths of 1, 2 or 4 bytes, but they have 3".to_owned()));
        }
        let mut rest = rest;
        let sps = take_sets(&mut rest, sps_count & 0x1f, "SPS")?;
        let pps_count = take(&mut rest, 1, "the number of PPS")?[0];
        let pps = take_sets(&mut rest, pps_count, "PPS")?;
        let chroma = match rest {
            &[format, luma, depth, count, ref behind @ ..] if has_chroma(profile) => {
                rest = behind;
                Some(Chroma {
                    format: format & 3,
                    luma_bits: (luma & 7) + 8,
                    chroma_bits: (depth & 7) + 8,
                    sps_extensions: take_sets(&mut rest, count, "SPS extension")?,
                })
            }
            _ => None,
        };
        Ok(AvcConfig {
            profile,
            constraints,
            level,
            length_size,
            sps,
            pps,
            chroma,
        })
    }

    /// A record with lengths of 4 bytes for these parameter sets; profile, level and chroma are those of the first SPS.
    ///
    /// # Errors
    /// [`Error::Data`]: no SPS or no PPS, one that cannot be read, too many, or longer than 65535 bytes.
    pub fn from_parameter_sets(sps: Vec<Vec<u8>>, pps: Vec<Vec<u8>>) -> Result<Self, Error> {
        let Some(first) = sps.first() else {
            return Err(wrong("expected at least one SPS".to_owned()));
        };
        let said = Sps::parse(first)?;
        let chroma = has_chroma(said.profile).then(|| Chroma {
            format: said.chroma_format,
            luma_bits: said.luma_bits,
            chroma_bits: said.chroma_bits,
            sps_extensions: Vec::new(),
        });
        let (profile, constraints, level) = (said.profile, said.constraints, said.level);
        let config = AvcConfig {
            profile,
            constraints,
            level,
            length_size: 4,
            sps,
            pps,
            chroma,
        };
        config.build().map(|_| config)
    }

    /// Writes the record.
    ///
    /// # Errors
    /// [`Error::Data`]: no SPS or PPS, more than 31 SPS or 255 of the others, one that is empty or longer than 65535 bytes, a
    /// length size or bit depth that cannot be.
    pub fn build(&self) -> Result<Vec<u8>, Error> {
        if !matches!(self.length_size, 1 | 2 | 4) || self.sps.is_empty() || self.pps.is_empty() {
            let counts = (self.sps.len(), self.pps.len());
            return Err(wrong(format!(
                "expected SPS, PPS and lengths of 1, 2 or 4 bytes, but there are {counts:?} and {}",
                self.length_size
            )));
        }
        let mut out = vec![
            1,
            self.profile,
            self.constraints,
            self.level,
            0xfc | (self.length_size - 1),
        ];
        put_sets(&mut out, &self.sps, 31, 0xe0)?;
        put_sets(&mut out, &self.pps, 255, 0)?;
        if let Some(chroma) = &self.chroma {
            let depths = [chroma.luma_bits, chroma.chroma_bits].map(|bits| bits.wrapping_sub(8));
            if depths.iter().any(|d| *d > 7) || chroma.format > 3 {
                return Err(wrong(format!("impossible chroma: {chroma:?}")));
            }
            out.extend([0xfc | chroma.format, 0xf8 | depths[0], 0xf8 | depths[1]]);
            put_sets(&mut out, &chroma.sps_extensions, 255, 0)?;
        }
        Ok(out)
    }

    /// `avc1.PPCCLL`.
    #[must_use]
    pub fn codec_string(&self) -> CodecString {
        CodecString::avc(self.profile, self.constraints, self.level)
    }
}

/// The record for parameter sets in Annex B, as encoders give them (`extradata`, or a key packet with them in front).
///
/// # Errors
/// As [`AvcConfig::from_parameter_sets`].
pub fn avc_config_from_annexb(extradata: &[u8]) -> Result<AvcConfig, Error> {
    let (mut sps, mut pps) = (Vec::<Vec<u8>>::new(), Vec::<Vec<u8>>::new());
    for nal in AnnexB::new(extradata) {
        let sets = match nal_type(nal) {
            7 => &mut sps,
            8 => &mut pps,
            _ => continue,
        };
        // A stream repeats its sets; the record has each once. Both counts are bounded by `build`.
        if sets.len() < 256 && !sets.iter().any(|set| set == nal) {
            sets.push(nal.to_vec());
        }
    }
    AvcConfig::from_parameter_sets(sps, pps)
}

/// Profiles with the chroma fields: all but Baseline, Main and Extended.
fn has_chroma(profile: u8) -> bool {
    !matches!(profile, 66 | 77 | 88)
}

fn wrong(detail: String) -> Error {
    Error::Data {
        what: WHAT.to_owned(),
        detail,
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize, what: &str) -> Result<&'a [u8], Error> {
    let (taken, behind) = rest.split_at_checked(count).ok_or_else(|| {
        wrong(format!(
            "expected {count} bytes for {what}, but only {} are left",
            rest.len()
        ))
    })?;
    *rest = behind;
    Ok(taken)
}

fn take_sets(rest: &mut &[u8], count: u8, what: &str) -> Result<Vec<Vec<u8>>, Error> {
    (0..count)
        .map(|_| {
            let len = take(rest, 2, what)?;
            let len = usize::from(u16::from_be_bytes([len[0], len[1]]));
            take(rest, len, what).map(<[u8]>::to_vec)
        })
        .collect()
}

/// Count (with `mark` in its unused bits) and sets.
fn put_sets(out: &mut Vec<u8>, sets: &[Vec<u8>], most: usize, mark: u8) -> Result<(), Error> {
    if sets.len() > most {
        return Err(wrong(format!(
            "expected at most {most} parameter sets, but there are {}",
            sets.len()
        )));
    }
    out.push(mark | sets.len() as u8);
    for set in sets {
        let len = u16::try_from(set.len()).ok().filter(|len| *len != 0);
        let len = len.ok_or_else(|| {
            wrong(format!(
                "expected a parameter set of 1 to 65535 bytes, but it has {}",
                set.len()
            ))
        })?;
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(set);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::tests::hex;

    fn annexb() -> Vec<u8> {
        hex("00000001677a000cb6cd941419f8dc0440000003004000000c83c50a6580000000000168ebe3cb22c0000001068001")
    }

    #[test]
    fn the_record_of_annexb_extradata_is_read_back() {
        let config = avc_config_from_annexb(&annexb()).unwrap();
        assert_eq!((config.sps.len(), config.pps.len(), config.length_size), (1, 1, 4));
        let chroma = config.chroma.clone().unwrap();
        assert_eq!((chroma.format, chroma.luma_bits, chroma.chroma_bits), (2, 10, 10));
        assert_eq!(config.codec_string().to_string(), "avc1.7a000c");
        assert_eq!(AvcConfig::parse(&config.build().unwrap()).unwrap(), config);
    }

    #[test]
    fn sets_that_are_repeated_stand_once() {
        let twice = [annexb(), annexb()].concat();
        assert_eq!(
            avc_config_from_annexb(&twice).unwrap(),
            avc_config_from_annexb(&annexb()).unwrap()
        );
    }

    #[test]
    fn a_record_without_the_chroma_fields_is_read() {
        let mut bytes = avc_config_from_annexb(&annexb()).unwrap().build().unwrap();
        bytes.truncate(bytes.len() - 4);
        assert_eq!(AvcConfig::parse(&bytes).unwrap().chroma, None);
    }

    #[test]
    fn every_cut_is_told() {
        let bytes = avc_config_from_annexb(&annexb()).unwrap().build().unwrap();
        for len in 0..bytes.len() - 4 {
            let error = AvcConfig::parse(&bytes[..len]).unwrap_err().to_string();
            assert!(error.contains("expected"), "{len}: {error}");
        }
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        let good = avc_config_from_annexb(&annexb()).unwrap();
        let change = |change: &dyn Fn(&mut AvcConfig)| {
            let mut config = good.clone();
            change(&mut config);
            config.build().is_err()
        };
        assert!(change(&|c| c.length_size = 3));
        assert!(change(&|c| c.sps.clear()));
        assert!(change(&|c| c.sps = vec![vec![0x67]; 32]));
        assert!(change(&|c| c.pps = vec![vec![0x68]; 256]));
        assert!(change(&|c| c.pps = vec![vec![0; 65_536]]));
        assert!(change(&|c| c.pps = vec![vec![]]));
        assert!(change(&|c| c.chroma.as_mut().unwrap().luma_bits = 16));
        assert!(avc_config_from_annexb(&[0, 0, 1, 0x68, 1]).is_err());
        assert!(AvcConfig::parse(&[2, 0, 0, 0, 0xff, 0xe0, 0]).is_err());
        assert!(AvcConfig::parse(&[1, 0, 0, 0, 0xfe, 0xe0, 0]).is_err());
    }
}
