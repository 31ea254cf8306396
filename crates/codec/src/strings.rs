//! Codec strings: one row per family.
//!
//! Grammar: RFC 6381 §3.3 and the strings of the WebCodecs codec registry. A family's own slug (`h264`) is a string too, with
//! nothing said about profile and level. Prefixes are case-sensitive, hexadecimal digits are not (they are written small).
//!
//! A further family is one row in [`FAMILIES`]; one with parameters of its own brings a module beside `avc.rs`.

mod avc;
mod level;
mod mp4a;
#[cfg(test)]
mod tests;

pub use self::{
    avc::Avc,
    level::{Level, LevelExceeded},
};
use crate::Error;
use beamline_media::EncodedKind;
use std::fmt;

/// The longest string that is looked at, in bytes; the longest of the registry (`av01…`, `vp09…`) have some 40.
const LONGEST: usize = 128;

/// A family of codec strings.
#[derive(Debug)]
pub struct Family {
    /// Its slug.
    pub kind: EncodedKind,
    /// Strings that stand for it as they are, its slug first.
    pub words: &'static [&'static str],
    /// What stands before the first dot of its longer strings.
    pub prefixes: &'static [&'static str],
    /// A string as an example for messages.
    pub example: &'static str,
    /// Reads what comes behind the prefix and its dot; `Err` is what was expected.
    read: fn(&'static str, &str) -> Result<Parameters, String>,
}

/// The table.
pub const FAMILIES: &[Family] = &[
    row(
        EncodedKind::H264,
        &["h264"],
        &["avc1", "avc3"],
        "avc1.640028",
        avc::read,
    ),
    row(EncodedKind::AAC, &["aac"], &["mp4a"], "mp4a.40.2", mp4a::read),
    row(
        EncodedKind("hevc"),
        &["hevc"],
        &["hvc1", "hev1"],
        "hvc1.1.6.L93.B0",
        keep,
    ),
    row(EncodedKind("vp8"), &["vp8"], &["vp08"], "vp8", keep),
    row(EncodedKind("vp9"), &["vp9"], &["vp09"], "vp09.00.10.08", keep),
    row(EncodedKind("av1"), &["av1"], &["av01"], "av01.0.04M.08", keep),
    row(EncodedKind::MJPEG, &["mjpeg"], &[], "mjpeg", keep),
    row(EncodedKind::PNG, &["png"], &[], "png", keep),
    row(EncodedKind("opus"), &["opus"], &[], "opus", keep),
    row(EncodedKind("flac"), &["flac"], &[], "flac", keep),
    row(
        EncodedKind("mp3"),
        &["mp3", "mp4a.69", "mp4a.6B", "mp4a.6b"],
        &[],
        "mp3",
        keep,
    ),
    row(EncodedKind("vorbis"), &["vorbis"], &[], "vorbis", keep),
    row(EncodedKind("ulaw"), &["ulaw"], &[], "ulaw", keep),
    row(EncodedKind("alaw"), &["alaw"], &[], "alaw", keep),
    row(
        EncodedKind("pcm"),
        &["pcm", "pcm-u8", "pcm-s16", "pcm-s24", "pcm-s32", "pcm-f32"],
        &[],
        "pcm-s16",
        keep,
    ),
];

const fn row(
    kind: EncodedKind,
    words: &'static [&'static str],
    prefixes: &'static [&'static str],
    example: &'static str,
    read: fn(&'static str, &str) -> Result<Parameters, String>,
) -> Family {
    Family {
        kind,
        words,
        prefixes,
        example,
        read,
    }
}

/// What a string says besides its family.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Parameters {
    /// Nothing: the string is the family's slug.
    None,
    /// `avc1.PPCCLL`.
    Avc(Avc),
    /// `mp4a.40.N`: the audio object type N of ISO/IEC 14496-3, table 1.17 (2: AAC LC, 5: HE-AAC, 29: HE-AAC v2).
    Mp4a {
        /// 1 to 95, without 31.
        object_type: u8,
    },
    /// A string of a family whose parameters are not read yet, whole, as it came.
    Text(String),
}

/// A codec string that names a known family.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CodecString {
    kind: EncodedKind,
    parameters: Parameters,
}

/// Reads a codec string.
///
/// # Errors
/// [`Error::Config`] with what was expected: an unknown family, or parameters that do not fit its grammar. Whether anybody can
/// decode it is another question (see [`crate::Registry`]).
pub fn parse(text: &str) -> Result<CodecString, Error> {
    let wrong = |expected: String| Error::Config {
        expected,
        got: shown(text),
    };
    let family = family_of(text).ok_or_else(|| wrong(known_families()))?;
    if text == family.kind.0 {
        return Ok(CodecString {
            kind: family.kind,
            parameters: Parameters::None,
        });
    }
    let prefix = text.split_once('.').and_then(|(head, rest)| {
        let prefix = family.prefixes.iter().find(|p| **p == head)?;
        Some((*prefix, rest))
    });
    let parameters = match prefix {
        Some((prefix, rest)) => (family.read)(prefix, rest),
        // One of the family's words, or a prefix without its parameters.
        None if family.words.contains(&text) => Ok(Parameters::Text(text.to_owned())),
        None => Err("more behind the prefix".to_owned()),
    };
    let parameters = parameters.map_err(|what| {
        wrong(format!(
            "a {} codec string like '{}': {what}",
            family.kind.0, family.example
        ))
    })?;
    Ok(CodecString {
        kind: family.kind,
        parameters,
    })
}

/// The family that a string belongs to by its beginning, whether or not the rest of it is right.
#[must_use]
pub fn kind_of(text: &str) -> Option<EncodedKind> {
    family_of(text).map(|family| family.kind)
}

fn family_of(text: &str) -> Option<&'static Family> {
    if text.len() > LONGEST {
        return None;
    }
    let head = text.split('.').next().unwrap_or_default();
    // Words first: `mp4a.69` is MP3, though the prefix is AAC's.
    let by_word = FAMILIES.iter().find(|f| f.words.contains(&text));
    by_word.or_else(|| FAMILIES.iter().find(|f| f.prefixes.contains(&head)))
}

fn known_families() -> String {
    let names: Vec<_> = FAMILIES.iter().map(|f| f.example).collect();
    format!("a codec string of a known family (such as {})", names.join(", "))
}

/// `text` for a message: quoted, escaped and cut to a bearable length.
fn shown(text: &str) -> String {
    let end = text.char_indices().nth(40).map_or(text.len(), |(at, _)| at);
    format!("{:?}{}", &text[..end], if end < text.len() { "…" } else { "" })
}

/// Parameters of families that have no reader yet: printable ASCII, not empty.
fn keep(prefix: &'static str, rest: &str) -> Result<Parameters, String> {
    if rest.is_empty() || !rest.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("printable characters behind the prefix".to_owned());
    }
    Ok(Parameters::Text(format!("{prefix}.{rest}")))
}

impl CodecString {
    /// `avc1.PPCCLL` from the three bytes of an SPS.
    #[must_use]
    pub fn avc(profile: u8, constraints: u8, level: u8) -> Self {
        let avc = Avc {
            in_band: false,
            profile,
            constraints,
            level,
        };
        CodecString {
            kind: EncodedKind::H264,
            parameters: Parameters::Avc(avc),
        }
    }

    /// `mp4a.40.N` for an audio object type of ISO/IEC 14496-3.
    ///
    /// # Errors
    /// [`Error::Config`] for 0, 31 (the escape) and more than 95.
    pub fn mp4a(object_type: u8) -> Result<Self, Error> {
        if !mp4a::possible(object_type) {
            return Err(Error::Config {
                expected: mp4a::EXPECTED.to_owned(),
                got: object_type.to_string(),
            });
        }
        Ok(CodecString {
            kind: EncodedKind::AAC,
            parameters: Parameters::Mp4a { object_type },
        })
    }

    /// The family.
    #[must_use]
    pub fn kind(&self) -> EncodedKind {
        self.kind
    }

    /// What else it says.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Profile, constraints and level, when it is an H.264 string that says them.
    #[must_use]
    pub fn as_avc(&self) -> Option<Avc> {
        match self.parameters {
            Parameters::Avc(avc) => Some(avc),
            _ => None,
        }
    }
}

impl fmt::Display for CodecString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.parameters {
            Parameters::None => f.write_str(self.kind.0),
            Parameters::Avc(avc) => avc.fmt(f),
            Parameters::Mp4a { object_type } => write!(f, "mp4a.40.{object_type}"),
            Parameters::Text(text) => f.write_str(text),
        }
    }
}

impl std::str::FromStr for CodecString {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text)
    }
}
