//! `AudioSpecificConfig`, the description of an AAC stream (ISO/IEC 14496-3 §1.6.2.1), as far as a player must know it.

use super::bits::Bits;
use crate::{Error, strings::CodecString};

/// `samplingFrequencyIndex` (table 1.18), in Hz.
const RATES: &[u32] = &[
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
];
/// Channels by `channelConfiguration` (table 1.19); 0: told elsewhere, or reserved.
const CHANNELS: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 24, 8, 0];

const SBR: u8 = 5;
const PS: u8 = 29;
/// Object types that are described by a GASpecificConfig (table 1.17).
const GENERAL: &[u8] = &[1, 2, 3, 4, 6, 7, 17, 19, 20, 21, 22, 23];

/// What an AudioSpecificConfig says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioConfig {
    /// Audio object type of the core (table 1.17): 2 is AAC LC.
    pub object_type: u8,
    /// Samples per second of the core.
    pub core_rate: u32,
    /// Channels of the core: as the configuration's number or its program config element says.
    pub core_channels: u8,
    /// Samples per second after spectral band replication, when it is signalled.
    pub sbr_rate: Option<u32>,
    /// Whether parametric stereo is signalled: one channel becomes two.
    pub parametric_stereo: bool,
    /// The object type that stands first: 5 or 29 for hierarchical signalling of SBR and PS, else the core's.
    pub signalled_type: u8,
    /// Samples of the core per packet: 1024 or 960 (512 or 480 in low delay types); `None` for types without such a field.
    pub frame_length: Option<u16>,
}

impl AudioConfig {
    /// Reads it.
    ///
    /// # Errors
    /// [`Error::Data`]: cut, a reserved sampling frequency, or no channels.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut bits = Bits::new(bytes);
        let config = read(&mut bits).ok_or_else(|| wrong("it ends too early, or has a reserved sampling frequency"))?;
        if config.core_channels == 0 {
            return Err(wrong("it has no channels, or a reserved channel configuration"));
        }
        Ok(config)
    }

    /// Samples per second that come out of a decoder.
    #[must_use]
    pub fn sample_rate(&self) -> u32 {
        self.sbr_rate.unwrap_or(self.core_rate)
    }

    /// Channels that come out of a decoder.
    #[must_use]
    pub fn channels(&self) -> u32 {
        if self.parametric_stereo && self.core_channels == 1 {
            2
        } else {
            u32::from(self.core_channels)
        }
    }

    /// `mp4a.40.N`, N being the object type that stands first.
    ///
    /// # Errors
    /// [`Error::Config`] for object type 0.
    pub fn codec_string(&self) -> Result<CodecString, Error> {
        CodecString::mp4a(self.signalled_type)
    }
}

fn wrong(detail: &str) -> Error {
    Error::Data {
        what: "an AudioSpecificConfig".to_owned(),
        detail: detail.to_owned(),
    }
}

fn read(bits: &mut Bits<'_>) -> Option<AudioConfig> {
    let signalled_type = object_type(bits)?;
    let core_rate = rate(bits)?;
    let configuration = bits.bits(4)? as usize;
    let mut config = AudioConfig {
        object_type: signalled_type,
        core_rate,
        core_channels: CHANNELS[configuration],
        sbr_rate: None,
        parametric_stereo: signalled_type == PS,
        signalled_type,
        frame_length: None,
    };
    if matches!(signalled_type, SBR | PS) {
        config.sbr_rate = Some(rate(bits)?);
        config.object_type = object_type(bits)?;
        if config.object_type == 22 {
            bits.bits(4)?; // extensionChannelConfiguration
        }
    }
    if GENERAL.contains(&config.object_type) {
        general(bits, configuration, &mut config)?;
    }
    if matches!(config.object_type, 17 | 19..=27 | 39) && matches!(bits.bits(2)?, 2 | 3) {
        // epConfig 2 and 3 go on with an ErrorProtectionSpecificConfig; what may follow it is not looked for.
        return Some(config);
    }
    if config.sbr_rate.is_none() {
        // What is cut here was never there: the extension is optional.
        let _ = extension(bits, &mut config);
    }
    Some(config)
}

/// Table 1.16: 5 bits, or 31 and 6 more.
fn object_type(bits: &mut Bits<'_>) -> Option<u8> {
    match bits.bits(5)? {
        31 => Some(32 + bits.bits(6)? as u8),
        short => Some(short as u8),
    }
}

/// An index, or 15 and 24 bits in Hz. Never 0.
fn rate(bits: &mut Bits<'_>) -> Option<u32> {
    match bits.bits(4)? as usize {
        15 => bits.bits(24).filter(|hz| *hz != 0),
        index => RATES.get(index).copied(),
    }
}

/// `GASpecificConfig` (§4.4.1).
fn general(bits: &mut Bits<'_>, configuration: usize, config: &mut AudioConfig) -> Option<()> {
    let short = bits.flag()?;
    config.frame_length = Some(match (config.object_type, short) {
        (23, false) => 512,
        (23, true) => 480,
        (_, false) => 1024,
        (_, true) => 960,
    });
    if bits.flag()? {
        bits.bits(14)?; // coreCoderDelay
    }
    let extended = bits.flag()?;
    if configuration == 0 {
        config.core_channels = program_config(bits)?;
    }
    if matches!(config.object_type, 6 | 20) {
        bits.bits(3)?; // layerNr
    }
    if extended {
        match config.object_type {
            22 => bits.skip(16)?,               // numOfSubFrame, layer_length
            17 | 19 | 20 | 23 => bits.skip(3)?, // resilience flags
            _ => {}
        }
        bits.flag()?; // extensionFlag3
    }
    Some(())
}

/// Channels of a `program_config_element` (§4.4.1.1).
fn program_config(bits: &mut Bits<'_>) -> Option<u8> {
    bits.skip(4 + 2 + 4)?; // tag, object type, sampling frequency
    let pairs_or_singles = bits.bits(4)? + bits.bits(4)? + bits.bits(4)?;
    let [lfe, data, coupling] = [bits.bits(2)?, bits.bits(3)?, bits.bits(4)?];
    for more in [4, 4, 3] {
        if bits.flag()? {
            bits.skip(more)?; // mono, stereo and matrix mix-down
        }
    }
    let mut channels = lfe;
    for _ in 0..pairs_or_singles {
        channels += 1 + u32::from(bits.flag()?);
        bits.skip(4)?;
    }
    bits.skip(4 * (lfe + data) as usize + 5 * coupling as usize)?;
    bits.align();
    let comment = bits.bits(8)? as usize;
    bits.skip(8 * comment)?;
    u8::try_from(channels).ok()
}

/// The backward compatible way to signal SBR and PS (§1.6.6): behind everything else, found by its sync words.
fn extension(bits: &mut Bits<'_>, config: &mut AudioConfig) -> Option<()> {
    if bits.left() < 16 || bits.bits(11)? != 0x2b7 || object_type(bits)? != SBR || !bits.flag()? {
        return Some(());
    }
    config.sbr_rate = Some(rate(bits)?);
    if bits.left() >= 12 && bits.bits(11)? == 0x548 {
        config.parametric_stereo = bits.flag()?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> (u8, u32, u32, u8) {
        let config = AudioConfig::parse(bytes).unwrap();
        (
            config.object_type,
            config.sample_rate(),
            config.channels(),
            config.signalled_type,
        )
    }

    #[test]
    fn what_ffmpeg_writes_for_stereo_and_surround() {
        assert_eq!(of(&[0x12, 0x10, 0x56, 0xe5, 0x00]), (2, 44_100, 2, 2));
        assert_eq!(of(&[0x11, 0xb0, 0x56, 0xe5, 0x00]), (2, 48_000, 6, 2));
        // Eight channels in a row of its own making: a program config element with a comment.
        let octagonal = [
            0x11, 0x80, 0x04, 0xc8, 0x48, 0x00, 0x20, 0x08, 0xc8, 0x20, 0x0d, 0x4c, 0x61, 0x76, 0x63, 0x35, 0x39, 0x2e,
            0x33, 0x37, 0x2e, 0x31, 0x30, 0x30, 0x56, 0xe5, 0x00,
        ];
        assert_eq!(of(&octagonal), (2, 48_000, 8, 2));
        assert_eq!(AudioConfig::parse(&[0x12, 0x10]).unwrap().frame_length, Some(1024));
        assert_eq!(AudioConfig::parse(&[0x12, 0x14]).unwrap().frame_length, Some(960));
    }

    #[test]
    fn sbr_and_ps_are_read_in_both_ways_of_signalling() {
        assert_eq!(of(&[0x2b, 0x92, 0x08, 0x00]), (2, 44_100, 2, 5));
        assert_eq!(of(&[0xeb, 0x8a, 0x08, 0x00]), (2, 44_100, 2, 29));
        assert_eq!(of(&[0x13, 0x90, 0x56, 0xe5, 0xa0]), (2, 44_100, 2, 2));
        assert_eq!(of(&[0x13, 0x88, 0x56, 0xe5, 0xa5, 0x48, 0x80]), (2, 44_100, 2, 2));
        let mono_core = AudioConfig::parse(&[0xeb, 0x8a, 0x08, 0x00]).unwrap();
        assert_eq!((mono_core.core_channels, mono_core.core_rate), (1, 22_050));
        assert_eq!(mono_core.codec_string().unwrap().to_string(), "mp4a.40.29");
    }

    #[test]
    fn escapes_give_other_types_and_rates() {
        assert_eq!(of(&[0x17, 0x80, 0x56, 0x22, 0x10]), (2, 44_100, 2, 2));
        assert_eq!(of(&[0xf9, 0x46, 0x40]), (42, 48_000, 2, 42));
    }

    #[test]
    fn what_is_cut_or_reserved_is_refused() {
        for bad in [
            &[][..],
            &[0x12],
            &[0x16, 0x90],
            &[0x17, 0x80, 0, 0, 0x10],
            &[0x12, 0x48],
            &[0x11, 0x80, 0x04],
        ] {
            assert!(AudioConfig::parse(bad).is_err(), "{bad:x?}");
        }
    }
}
