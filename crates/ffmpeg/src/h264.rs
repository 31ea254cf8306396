//! What FFmpeg's H.264 encoders want and give, in the words of `beamline_codec`.

use beamline_codec::{
    Error,
    framing::{AvcConfig, LengthPrefixed, avc_config_from_annexb, is_annexb, nal_type},
    strings::{self, Avc},
};

/// What a codec string asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// x264's name of the profile.
    pub(crate) profile: &'static str,
    /// `level_idc`; 9 is level 1b.
    pub(crate) level: u8,
    /// The string itself.
    pub(crate) avc: Avc,
}

/// Profile and level of a codec string; `None` for an empty one or the bare family.
pub(crate) fn wanted(codec: &str) -> Result<Option<Wanted>, Error> {
    if codec.is_empty() {
        return Ok(None);
    }
    let Some(avc) = strings::parse(codec)?.as_avc() else {
        return Ok(None);
    };
    let profile = match avc.profile {
        0x42 => "baseline",
        0x4d => "main",
        0x64 => "high",
        0x6e => "high10",
        0x7a => "high422",
        0xf4 => "high444",
        other => {
            return Err(Error::NotSupported {
                what: format!("encoding H.264 profile {other:#04x}"),
                why: "the encoder has Baseline, Main, High, High 10, High 4:2:2 and High 4:4:4".into(),
            });
        }
    };
    let level = if avc.is_1b() { 9 } else { avc.level };
    Ok(Some(Wanted { profile, level, avc }))
}

/// The record in an encoder's out-of-band data, in whichever of three framings this version gives it: avcC, Annex B, or parameter
/// sets with lengths of four bytes (x264 with `annexb=0` under FFmpeg before 7).
pub(crate) fn record(extradata: &[u8]) -> Result<AvcConfig, Error> {
    if extradata.first() == Some(&1) {
        return AvcConfig::parse(extradata);
    }
    if is_annexb(extradata) {
        return avc_config_from_annexb(extradata);
    }
    let (mut sps, mut pps) = (Vec::new(), Vec::new());
    for nal in LengthPrefixed::new(extradata, 4) {
        let nal = nal?;
        match nal_type(nal) {
            7 => sps.push(nal.to_vec()),
            8 => pps.push(nal.to_vec()),
            _ => {}
        }
    }
    AvcConfig::from_parameter_sets(sps, pps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use beamline_codec::framing::annexb_to_length_prefixed;

    #[test]
    fn codec_strings_give_profile_and_level() {
        let high = wanted("avc1.640028").ok().flatten();
        assert_eq!(high.map(|w| (w.profile, w.level)), Some(("high", 40)));
        assert_eq!(wanted("avc1.42100b").ok().flatten().map(|w| w.level), Some(9));
        assert!(matches!(wanted(""), Ok(None)));
        assert!(matches!(wanted("h264"), Ok(None)));
        assert!(wanted("avc1.6400").is_err());
        assert!(wanted("avc1.58001e").is_err());
    }

    #[test]
    fn the_three_framings_of_parameter_sets_give_the_same() {
        // Parameter sets of the clip that ships.
        let sps = b"\x67\x4d\x40\x1f\xda\x01\x40\x16\xec\x04\x40\x00\x00\x03\x00\x40\x00\x00\x0c\x83\xc6\x0c\xa8";
        let annexb = [&[0, 0, 0, 1], &sps[..], &[0, 0, 1], &[0x68, 0xef, 0x3c, 0x80][..]].concat();
        let read = record(&annexb).expect("annexb");
        assert_eq!(read.codec_string().to_string(), "avc1.4d401f");
        assert_eq!(record(&annexb_to_length_prefixed(&annexb)).expect("lengths"), read);
        assert_eq!(record(&read.build().expect("avcC")).expect("avcC"), read);
        assert!(record(&[]).is_err());
    }
}
