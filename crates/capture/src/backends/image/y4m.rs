//! YUV4MPEG2: the headers, without I/O. The form is that of mjpegtools' `yuv4mpeg(5)`, with FFmpeg's formats and `XCOLORRANGE`.
//!
//! A file is one header line, then per picture a line that begins with `FRAME`, then the planes without padding.

use beamline_media::{FrameError, FrameInfo, Layout, PixelFormat, Rational, Size};

/// The longest line that is read, in bytes; real ones have some 80.
pub const MAX_LINE: usize = 1024;
const MAGIC: &[u8] = b"YUV4MPEG2";
const FRAME: &[u8] = b"FRAME";

/// `C…` → format. Where chroma is sampled (jpeg, mpeg2, paldv) does not change the layout.
const FORMATS: &[(&str, PixelFormat)] = &[
    ("420", PixelFormat::I420),
    ("420jpeg", PixelFormat::I420),
    ("420mpeg2", PixelFormat::I420),
    ("420paldv", PixelFormat::I420),
    ("422", PixelFormat::I422),
    ("444", PixelFormat::I444),
    ("444alpha", PixelFormat::I444A),
    ("mono", PixelFormat::GRAY8),
    ("mono16", PixelFormat::GRAY16),
    ("420p10", PixelFormat::I420P10),
    ("422p10", PixelFormat::I422P10),
    ("444p10", PixelFormat::I444P10),
    ("420p12", PixelFormat::I420P12),
    ("422p12", PixelFormat::I422P12),
    ("444p12", PixelFormat::I444P12),
];

/// What the first line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Size of the pictures.
    pub size: Size,
    /// Pictures per second; `None` when the file does not know (`F0:0`).
    pub rate: Option<Rational>,
    /// How the planes lie.
    pub format: PixelFormat,
    /// Shape of a pixel, width to height; `None` when the file does not know (`A0:0`).
    pub pixel_aspect: Option<Rational>,
    /// From `XCOLORRANGE`.
    pub full_range: Option<bool>,
    /// Bytes of a picture, without its line.
    pub frame_len: usize,
}

/// Why a line is not understood.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Y4mError {
    /// Another file.
    #[error("expected it to begin with 'YUV4MPEG2'")]
    Magic,
    /// No picture where one must begin.
    #[error("expected 'FRAME' where a picture begins")]
    FrameMagic,
    /// A line without an end.
    #[error("expected a line of at most {MAX_LINE} bytes")]
    TooLong,
    /// A tag that cannot be.
    #[error("expected {expected}, but received '{got}'")]
    Tag {
        /// What the tag takes.
        expected: &'static str,
        /// The tag.
        got: String,
    },
    /// A tag that can be, but is not read here.
    #[error("expected {expected}, but received '{got}', which is not supported")]
    NotSupported {
        /// What is read.
        expected: &'static str,
        /// The tag.
        got: String,
    },
    /// No `W` or no `H`.
    #[error("expected a width and a height, as in 'W640 H360'")]
    NoSize,
    /// A size that no frame can have.
    #[error(transparent)]
    Size(#[from] FrameError),
}

/// Reads the first line. Gives the header and how many bytes it took, or `None` when `bytes` ends before the line does.
///
/// # Errors
/// [`Y4mError`]; the line is never longer than [`MAX_LINE`].
pub fn parse_header(bytes: &[u8]) -> Result<Option<(Header, usize)>, Y4mError> {
    let Some((line, len)) = line(bytes, MAGIC, || Y4mError::Magic)? else {
        return Ok(None);
    };
    let (mut width, mut height, mut rate, mut pixel_aspect, mut full_range) = (None, None, None, None, None);
    let mut format = PixelFormat::I420;
    for tag in line.split(|b| *b == b' ').filter(|tag| !tag.is_empty()) {
        // Tags that are not understood are to be left alone, in whatever bytes they are.
        let text = String::from_utf8_lossy(tag);
        let text = text.as_ref();
        let value = text.get(1..).unwrap_or_default();
        match tag[0] {
            b'W' => width = Some(side(text, value)?),
            b'H' => height = Some(side(text, value)?),
            b'F' => rate = parse_rate(text, value)?,
            b'A' => pixel_aspect = parse_aspect(text, value)?,
            b'I' => interlacing(text, value)?,
            b'C' => format = parse_format(text, value)?,
            b'X' => full_range = range(value).or(full_range),
            _ => {}
        }
    }
    let (Some(width), Some(height)) = (width, height) else {
        return Err(Y4mError::NoSize);
    };
    let size = Size::new(width, height);
    FrameInfo::new(format, size).check()?;
    let frame_len = Layout::packed(format, size)?.len;
    let header = Header {
        size,
        rate,
        format,
        pixel_aspect,
        full_range,
        frame_len,
    };
    Ok(Some((header, len)))
}

/// Reads the line before a picture. Gives how many bytes it took, or `None` when `bytes` ends before the line does.
///
/// # Errors
/// [`Y4mError::FrameMagic`], [`Y4mError::TooLong`], [`Y4mError::NotSupported`] for an interlaced picture.
pub fn parse_frame_header(bytes: &[u8]) -> Result<Option<usize>, Y4mError> {
    let Some((line, len)) = line(bytes, FRAME, || Y4mError::FrameMagic)? else {
        return Ok(None);
    };
    // `I` of a picture begins with its presentation: t, T, b or B are two fields, 1, 2 or 3 are whole pictures.
    for tag in line.split(|b| *b == b' ').filter(|tag| tag.first() == Some(&b'I')) {
        if matches!(tag.get(1), Some(b't' | b'T' | b'b' | b'B')) {
            return Err(Y4mError::NotSupported {
                expected: "progressive pictures",
                got: String::from_utf8_lossy(tag).into_owned(),
            });
        }
    }
    Ok(Some(len))
}

/// What stands between `magic` and the end of the line, and the length of the whole.
fn line<'a>(
    bytes: &'a [u8],
    magic: &[u8],
    wrong: impl Fn() -> Y4mError,
) -> Result<Option<(&'a [u8], usize)>, Y4mError> {
    let known = bytes.len().min(magic.len());
    if bytes[..known] != magic[..known] {
        return Err(wrong());
    }
    let window = &bytes[..bytes.len().min(MAX_LINE)];
    let Some(end) = window.iter().position(|b| *b == b'\n') else {
        return if window.len() == MAX_LINE {
            Err(Y4mError::TooLong)
        } else {
            Ok(None)
        };
    };
    let rest = window.get(magic.len()..end).ok_or_else(&wrong)?;
    if rest.first().is_some_and(|b| *b != b' ') {
        return Err(wrong());
    }
    Ok(Some((rest, end + 1)))
}

fn tag_error(expected: &'static str, got: &str) -> Y4mError {
    Y4mError::Tag {
        expected,
        got: got.into(),
    }
}

fn side(tag: &str, value: &str) -> Result<u32, Y4mError> {
    let side = value.parse().ok().filter(|n| *n > 0);
    side.ok_or_else(|| tag_error("a side of at least 1 pixel", tag))
}

fn ratio(tag: &str, value: &str, expected: &'static str) -> Result<(u32, u32), Y4mError> {
    let parts = value
        .split_once(':')
        .and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    parts.ok_or_else(|| tag_error(expected, tag))
}

fn parse_rate(tag: &str, value: &str) -> Result<Option<Rational>, Y4mError> {
    const EXPECTED: &str = "a rate as in 'F30000:1001'";
    match ratio(tag, value, EXPECTED)? {
        (0, 0) => Ok(None),
        (0, _) | (_, 0) => Err(tag_error(EXPECTED, tag)),
        (num, den) => Ok(Rational::new(num, den)),
    }
}

/// Anything with a 0 is taken for not known, as FFmpeg does.
fn parse_aspect(tag: &str, value: &str) -> Result<Option<Rational>, Y4mError> {
    let (num, den) = ratio(tag, value, "a pixel aspect as in 'A1:1'")?;
    Ok(Rational::new(num, den).filter(|_| num > 0))
}

fn interlacing(tag: &str, value: &str) -> Result<(), Y4mError> {
    match value {
        "p" | "?" => Ok(()),
        "t" | "b" | "m" => Err(Y4mError::NotSupported {
            expected: "progressive pictures ('Ip')",
            got: tag.into(),
        }),
        _ => Err(tag_error("interlacing of p, t, b, m or ?", tag)),
    }
}

fn parse_format(tag: &str, value: &str) -> Result<PixelFormat, Y4mError> {
    let format = FORMATS
        .iter()
        .find(|(name, _)| *name == value)
        .map(|(_, format)| *format);
    format.ok_or_else(|| Y4mError::NotSupported {
        expected: "C420, C422, C444 or Cmono, of 8, 10 or 12 bits",
        got: tag.into(),
    })
}

fn range(value: &str) -> Option<bool> {
    match value {
        "COLORRANGE=FULL" => Some(true),
        "COLORRANGE=LIMITED" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(line: &str) -> Result<Header, Y4mError> {
        parse_header(line.as_bytes()).map(|found| found.unwrap().0)
    }

    #[test]
    fn ffmpegs_header_is_understood() {
        let line = "YUV4MPEG2 W322 H182 F30000:1001 Ip A1:1 C420mpeg2 XYSCSS=420MPEG2 XCOLORRANGE=LIMITED\n";
        let (header, len) = parse_header(line.as_bytes()).unwrap().unwrap();
        assert_eq!((header.size, header.format), (Size::new(322, 182), PixelFormat::I420));
        assert_eq!(
            (header.rate, header.full_range),
            (Rational::new(30000, 1001), Some(false))
        );
        assert_eq!(header.pixel_aspect, Some(Rational::ONE));
        assert_eq!((header.frame_len, len), (322 * 182 + 2 * 161 * 91, line.len()));
    }

    #[test]
    fn what_is_missing_has_the_documented_meaning() {
        let header = header("YUV4MPEG2 H2 W2 F0:0\n").unwrap();
        assert_eq!(
            (header.format, header.rate, header.full_range),
            (PixelFormat::I420, None, None)
        );
        let shape = |tags: &str| self::header(&format!("YUV4MPEG2 W2 H2 {tags}\n")).unwrap().pixel_aspect;
        assert_eq!([shape("A0:0"), shape("A5:0"), shape("")], [None; 3]);
        assert_eq!(shape("A16:11"), Rational::new(16, 11));
    }

    #[test]
    fn what_cannot_be_read_is_told_apart_from_what_cannot_be() {
        for (tags, supported) in [
            ("W2 H2 It", true),
            ("W2 H2 C411", true),
            ("W2 H2 C420p9", true),
            ("W0 H2", false),
            ("W2", false),
            ("W20000 H2", false),
            ("W2 H2 F30", false),
            ("W2 H2 F30:0", false),
            ("W2 H2 Iq", false),
            ("W2 H2 A", false),
        ] {
            let error = header(&format!("YUV4MPEG2 {tags}\n")).unwrap_err();
            assert_eq!(
                matches!(error, Y4mError::NotSupported { .. }),
                supported,
                "{tags}: {error}"
            );
        }
    }

    #[test]
    fn lines_are_bounded_and_may_come_in_pieces() {
        assert!(matches!(parse_header(b"YUV4"), Ok(None)));
        assert!(matches!(parse_header(b"YUV5"), Err(Y4mError::Magic)));
        assert!(matches!(parse_header(b"YUV4MPEG2W2 H2\n"), Err(Y4mError::Magic)));
        let long = [b"YUV4MPEG2 ".to_vec(), vec![b'X'; MAX_LINE]].concat();
        assert!(matches!(parse_header(&long), Err(Y4mError::TooLong)));
        assert!(matches!(parse_frame_header(b"FRAME\nFRAME\n"), Ok(Some(6))));
        assert!(parse_frame_header(b"FRAME Ttp\n").is_ok());
        assert!(matches!(
            parse_frame_header(b"FRAME Ittp\n"),
            Err(Y4mError::NotSupported { .. })
        ));
        assert!(matches!(parse_frame_header(b"FRAM\n"), Err(Y4mError::FrameMagic)));
        assert!(matches!(parse_frame_header(b""), Ok(None)));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), tags in "[WHFIACX0-9a-z:= ]{0,60}") {
            let _ = parse_header(&bytes);
            let _ = parse_frame_header(&bytes);
            let _ = parse_header(format!("YUV4MPEG2 {tags}\n").as_bytes());
            let _ = parse_frame_header(format!("FRAME {tags}\n").as_bytes());
        }

        #[test]
        fn an_accepted_header_names_a_frame_that_can_be(width in 0u32..40_000, height in 0u32..40_000) {
            if let Ok(header) = header(&format!("YUV4MPEG2 W{width} H{height}\n")) {
                prop_assert_eq!(header.size, Size::new(width, height));
                prop_assert!(header.frame_len as u64 <= 2 * beamline_media::MAX_PIXELS);
            }
        }
    }
}
