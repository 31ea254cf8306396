//! `mp4a.40.N` (RFC 6381 §3.3) and `mp4a.67` (WebCodecs AAC registration: MPEG-2 AAC LC).

use super::Parameters;

pub(super) const EXPECTED: &str = "an audio object type of 1 to 95, not 31";

/// Whether an AudioSpecificConfig can say it: 31 is its escape value (ISO/IEC 14496-3 §1.6.2.1).
pub(super) fn possible(object_type: u8) -> bool {
    (1..=95).contains(&object_type) && object_type != 31
}

pub(super) fn read(prefix: &'static str, rest: &str) -> Result<Parameters, String> {
    if rest == "67" {
        return Ok(Parameters::Text(format!("{prefix}.{rest}")));
    }
    let expected = || format!("'40.' and {EXPECTED} behind the prefix, or 'mp4a.67'");
    let number = rest.strip_prefix("40.").ok_or_else(expected)?;
    // A leading zero is allowed (`mp4a.40.02`), a sign is not, so `parse::<u8>` alone would take too much.
    let plain = matches!(number.len(), 1 | 2) && number.bytes().all(|b| b.is_ascii_digit());
    let object_type = plain.then(|| number.parse().ok()).flatten().filter(|n| possible(*n));
    Ok(Parameters::Mp4a {
        object_type: object_type.ok_or_else(expected)?,
    })
}
