//! AAC whose packets carry their own headers (ADTS, ISO/IEC 13818-7 §6.2) as raw frames with a description, without a copy.

use bytes::Bytes;

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Its own bytes.
    len: usize,
    /// The same as an AudioSpecificConfig.
    pub(super) config: [u8; 2],
}

/// The header at the start of a packet that holds one frame whose channels are told by number.
pub(super) fn header(packet: &[u8]) -> Option<Header> {
    let &[0xff, second, third, fourth, _, _, seventh, ..] = packet else {
        return None;
    };
    if second & 0xf6 != 0xf0 || seventh & 3 != 0 {
        return None;
    }
    let object_type = (third >> 6) + 1;
    let rate = third >> 2 & 15;
    let channels = (third & 1) << 2 | fourth >> 6;
    let len = if second & 1 == 1 { 7 } else { 9 };
    if rate > 12 || channels == 0 || packet.len() <= len {
        return None;
    }
    let config = [object_type << 3 | rate >> 1, (rate & 1) << 7 | channels << 3];
    Some(Header { len, config })
}

/// The packet without its header.
pub(super) fn strip(packet: &Bytes) -> Bytes {
    header(packet).map_or_else(|| packet.clone(), |header| packet.slice(header.len..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use beamline_codec::framing::AudioConfig;

    #[test]
    fn a_header_becomes_a_description() {
        let packet = Bytes::from_static(&[0xff, 0xf1, 0x50, 0x80, 0x01, 0x3f, 0xfc, 0x21, 0x10]);
        let config = AudioConfig::parse(&header(&packet).expect("a header").config).expect("a description");
        assert_eq!(
            (config.object_type, config.sample_rate(), config.channels()),
            (2, 44_100, 2)
        );
        assert_eq!(strip(&packet), [0x21, 0x10][..]);
        // With a checksum, two bytes more.
        let packet = Bytes::from_static(&[0xff, 0xf0, 0x50, 0x80, 0x01, 0x3f, 0xfc, 1, 2, 0x21]);
        assert_eq!(strip(&packet), [0x21][..]);
    }

    #[test]
    fn what_is_no_header_stays() {
        for bytes in [&[0x21_u8, 0x10, 0, 0, 0, 0, 0, 0][..], &[0xff, 0xf1, 0x50], &[]] {
            assert_eq!(header(bytes), None);
            assert_eq!(strip(&Bytes::copy_from_slice(bytes)), bytes);
        }
        // Channels in the stream, a reserved rate.
        assert_eq!(header(&[0xff, 0xf1, 0x50, 0x00, 1, 0x3f, 0xfc, 1]), None);
        assert_eq!(header(&[0xff, 0xf1, 0x7c, 0x80, 1, 0x3f, 0xfc, 1]), None);
    }
}
