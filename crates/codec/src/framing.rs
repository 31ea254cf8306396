//! How bitstreams are cut and described: H.264 NAL units in Annex B and with length prefixes, avcC, SPS; AudioSpecificConfig.
//!
//! Bytes in, values out; nothing here panics on foreign bytes, and no allocation is larger than the input that was given.

mod asc;
mod avcc;
mod bits;
mod key;
mod nal;
mod sps;
mod usability;

pub use self::{
    asc::AudioConfig,
    avcc::{AvcConfig, Chroma, avc_config_from_annexb},
    key::{Key, key_of},
    nal::{
        AnnexB, Framing, LengthPrefixed, annexb_to_length_prefixed, annexb_to_length_prefixed_in_place, is_annexb,
        length_prefixed_to_annexb, nal_type,
    },
    sps::Sps,
    usability::Usability,
};

#[cfg(test)]
mod tests {
    /// Bytes from hexadecimal digits.
    pub(super) fn hex(text: &str) -> Vec<u8> {
        let digits = |pair: &[u8]| {
            std::str::from_utf8(pair)
                .map(|p| u8::from_str_radix(p, 16).unwrap())
                .unwrap()
        };
        text.as_bytes().chunks(2).map(digits).collect()
    }
}
