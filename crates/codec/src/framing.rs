//! Bitstream framing: Annex B and length prefixes, avcC, AudioSpecificConfig.
