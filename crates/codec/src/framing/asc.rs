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
