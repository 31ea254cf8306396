//! Pixel formats: one row per format in one table.
//!
//! Adding a format is one `const` and one row in [`PixelFormat::ALL`]. Its identity is the slug; FFmpeg's names, V4L2's fourcc
//! and the like are mapped where those systems are, not here.

use std::fmt;

/// The most planes of any format.
pub const PLANES_MAX: usize = 4;

/// What the samples mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// Luma and two chroma differences, by the matrix of the frame's colour space.
    Yuv,
    /// Red, green, blue.
    Rgb,
    /// Luma alone.
    Gray,
}

/// One plane: `ceil(width / sub_x) * bytes` per row, `ceil(height / sub_y)` rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaneInfo {
    /// Pixels of the picture that one group of this plane covers in x.
    pub sub_x: u8,
    /// Rows of the picture that one row of this plane covers.
    pub sub_y: u8,
    /// Bytes of a group.
    pub bytes: u8,
}

/// A row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct FormatInfo {
    /// Our name: kebab-case, the same everywhere.
    pub slug: &'static str,
    /// The name in WebCodecs' `VideoPixelFormat`, where it has one.
    pub w3c: Option<&'static str>,
    /// What samples mean.
    pub model: Model,
    /// Significant bits per sample; above 8, samples are two bytes, little endian.
    pub bits: u8,
    /// Whether there is alpha.
    pub alpha: bool,
    /// The planes in memory order.
    pub planes: &'static [PlaneInfo],
    /// Place in [`PixelFormat::ALL`].
    index: u8,
}

/// A pixel format: a reference to its row. Compared by its place in the table: the compiler may make two of one row.
#[derive(Clone, Copy)]
pub struct PixelFormat(&'static FormatInfo);

const fn plane(sub_x: u8, sub_y: u8, bytes: u8) -> PlaneInfo {
    PlaneInfo { sub_x, sub_y, bytes }
}

macro_rules! formats {
    ($($name:ident: $slug:literal, $w3c:expr, $model:ident, $bits:literal, $alpha:literal, [$($plane:expr),+];)+) => {
        impl PixelFormat {
            $(
                #[doc = concat!("`", $slug, "`")]
                pub const $name: PixelFormat = PixelFormat(&FormatInfo {
                    slug: $slug, w3c: $w3c, model: Model::$model, bits: $bits, alpha: $alpha, planes: &[$($plane),+],
                    index: index_of($slug),
                });
            )+
            /// Every format, in the order of the table.
            pub const ALL: &'static [PixelFormat] = &[$(PixelFormat::$name),+];
        }

        const SLUGS: &[&str] = &[$($slug),+];
    };
}

/// Place of a slug among all, found when this is compiled.
const fn index_of(slug: &str) -> u8 {
    let slug = slug.as_bytes();
    let mut index = 0;
    loop {
        let other = SLUGS[index].as_bytes();
        let mut same = 0;
        while same < slug.len() && same < other.len() && slug[same] == other[same] {
            same += 1;
        }
        if same == slug.len() && same == other.len() {
            return index as u8;
        }
        index += 1;
    }
}

formats! {
    I420: "i420", Some("I420"), Yuv, 8, false, [plane(1, 1, 1), plane(2, 2, 1), plane(2, 2, 1)];
    I420P10: "i420p10", Some("I420P10"), Yuv, 10, false, [plane(1, 1, 2), plane(2, 2, 2), plane(2, 2, 2)];
    I420P12: "i420p12", Some("I420P12"), Yuv, 12, false, [plane(1, 1, 2), plane(2, 2, 2), plane(2, 2, 2)];
    I420A: "i420a", Some("I420A"), Yuv, 8, true, [plane(1, 1, 1), plane(2, 2, 1), plane(2, 2, 1), plane(1, 1, 1)];
    I420AP10: "i420ap10", Some("I420AP10"), Yuv, 10, true, [plane(1, 1, 2), plane(2, 2, 2), plane(2, 2, 2), plane(1, 1, 2)];
    I420AP12: "i420ap12", Some("I420AP12"), Yuv, 12, true, [plane(1, 1, 2), plane(2, 2, 2), plane(2, 2, 2), plane(1, 1, 2)];
    I422: "i422", Some("I422"), Yuv, 8, false, [plane(1, 1, 1), plane(2, 1, 1), plane(2, 1, 1)];
    I422P10: "i422p10", Some("I422P10"), Yuv, 10, false, [plane(1, 1, 2), plane(2, 1, 2), plane(2, 1, 2)];
    I422P12: "i422p12", Some("I422P12"), Yuv, 12, false, [plane(1, 1, 2), plane(2, 1, 2), plane(2, 1, 2)];
    I422A: "i422a", Some("I422A"), Yuv, 8, true, [plane(1, 1, 1), plane(2, 1, 1), plane(2, 1, 1), plane(1, 1, 1)];
    I422AP10: "i422ap10", Some("I422AP10"), Yuv, 10, true, [plane(1, 1, 2), plane(2, 1, 2), plane(2, 1, 2), plane(1, 1, 2)];
    I422AP12: "i422ap12", Some("I422AP12"), Yuv, 12, true, [plane(1, 1, 2), plane(2, 1, 2), plane(2, 1, 2), plane(1, 1, 2)];
    I444: "i444", Some("I444"), Yuv, 8, false, [plane(1, 1, 1), plane(1, 1, 1), plane(1, 1, 1)];
    I444P10: "i444p10", Some("I444P10"), Yuv, 10, false, [plane(1, 1, 2), plane(1, 1, 2), plane(1, 1, 2)];
    I444P12: "i444p12", Some("I444P12"), Yuv, 12, false, [plane(1, 1, 2), plane(1, 1, 2), plane(1, 1, 2)];
    I444A: "i444a", Some("I444A"), Yuv, 8, true, [plane(1, 1, 1), plane(1, 1, 1), plane(1, 1, 1), plane(1, 1, 1)];
    I444AP10: "i444ap10", Some("I444AP10"), Yuv, 10, true, [plane(1, 1, 2), plane(1, 1, 2), plane(1, 1, 2), plane(1, 1, 2)];
    I444AP12: "i444ap12", Some("I444AP12"), Yuv, 12, true, [plane(1, 1, 2), plane(1, 1, 2), plane(1, 1, 2), plane(1, 1, 2)];
    NV12: "nv12", Some("NV12"), Yuv, 8, false, [plane(1, 1, 1), plane(2, 2, 2)];
    RGBA: "rgba", Some("RGBA"), Rgb, 8, true, [plane(1, 1, 4)];
    RGBX: "rgbx", Some("RGBX"), Rgb, 8, false, [plane(1, 1, 4)];
    BGRA: "bgra", Some("BGRA"), Rgb, 8, true, [plane(1, 1, 4)];
    BGRX: "bgrx", Some("BGRX"), Rgb, 8, false, [plane(1, 1, 4)];
    NV21: "nv21", None, Yuv, 8, false, [plane(1, 1, 1), plane(2, 2, 2)];
    YUYV: "yuyv", None, Yuv, 8, false, [plane(2, 1, 4)];
    UYVY: "uyvy", None, Yuv, 8, false, [plane(2, 1, 4)];
    RGB24: "rgb24", None, Rgb, 8, false, [plane(1, 1, 3)];
    BGR24: "bgr24", None, Rgb, 8, false, [plane(1, 1, 3)];
    GRAY8: "gray8", None, Gray, 8, false, [plane(1, 1, 1)];
    GRAY16: "gray16", None, Gray, 16, false, [plane(1, 1, 2)];
    P010: "p010", None, Yuv, 10, false, [plane(1, 1, 2), plane(2, 2, 4)];
}

impl PixelFormat {
    /// The format of that slug or W3C name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|f| f.0.slug == name || f.0.w3c == Some(name))
    }

    /// Its row.
    #[must_use]
    pub fn info(self) -> &'static FormatInfo {
        self.0
    }

    /// Our name.
    #[must_use]
    pub fn slug(self) -> &'static str {
        self.0.slug
    }

    /// The format at that place in [`PixelFormat::ALL`].
    #[must_use]
    pub fn from_index(index: usize) -> Option<Self> {
        Self::ALL.get(index).copied()
    }

    /// Place in [`PixelFormat::ALL`]; the same in one build, not between builds.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0.index)
    }

    /// How many planes.
    #[must_use]
    pub fn plane_count(self) -> usize {
        self.0.planes.len()
    }

    /// Bytes of a row of plane `plane` for a picture `width` pixels wide.
    #[must_use]
    pub fn row_bytes(self, plane: usize, width: u32) -> usize {
        let p = self.0.planes[plane];
        (width as usize).div_ceil(usize::from(p.sub_x)) * usize::from(p.bytes)
    }

    /// Rows of plane `plane` for a picture of that height.
    #[must_use]
    pub fn rows(self, plane: usize, height: u32) -> usize {
        (height as usize).div_ceil(usize::from(self.0.planes[plane].sub_y))
    }
}

impl PartialEq for PixelFormat {
    fn eq(&self, other: &Self) -> bool {
        self.0.index == other.0.index
    }
}

impl Eq for PixelFormat {}

impl std::hash::Hash for PixelFormat {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.index.hash(state);
    }
}

impl fmt::Debug for PixelFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.slug)
    }
}

impl fmt::Display for PixelFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.slug)
    }
}

impl serde::Serialize for PixelFormat {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.slug)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_unique_and_kebab_case() {
        for (i, f) in PixelFormat::ALL.iter().enumerate() {
            assert!(
                f.slug()
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
                "{f}"
            );
            assert_eq!(f.index(), i, "{f} stands twice");
            assert!((1..=PLANES_MAX).contains(&f.plane_count()));
        }
    }

    #[test]
    fn odd_sizes_round_up_to_whole_groups() {
        assert_eq!(PixelFormat::I420.row_bytes(1, 321), 161);
        assert_eq!(PixelFormat::NV12.row_bytes(1, 321), 322);
        assert_eq!(PixelFormat::YUYV.row_bytes(0, 321), 644);
        assert_eq!(PixelFormat::P010.row_bytes(1, 321), 644);
        assert_eq!(PixelFormat::I420.rows(2, 181), 91);
    }

    #[test]
    fn every_format_of_webcodecs_is_there() {
        let w3c = "I420 I420P10 I420P12 I420A I420AP10 I420AP12 I422 I422P10 I422P12 I422A I422AP10 I422AP12 \
                   I444 I444P10 I444P12 I444A I444AP10 I444AP12 NV12 RGBA RGBX BGRA BGRX";
        for name in w3c.split_whitespace() {
            assert_eq!(PixelFormat::from_name(name).and_then(|f| f.info().w3c), Some(name));
        }
    }
}
