//! What FFmpeg says about itself, for `beamline doctor` and for the licence.

use crate::{sys as ff, table};

/// One library of FFmpeg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Library {
    /// `libavcodec`, …
    pub name: &'static str,
    /// Version of the library that runs, `59.37.100`.
    pub version: String,
}

/// What this FFmpeg is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Version of the whole (`5.1.9-0+deb12u1`).
    pub version: &'static str,
    /// Its libraries.
    pub libraries: Vec<Library>,
    /// How it was configured.
    pub configuration: &'static str,
    /// Its licence as it says itself, at run time (`GPL version 2 or later` with libx264).
    pub licence: &'static str,
    /// Encoders that are there and that we use, best first.
    pub encoders: Vec<&'static str>,
    /// Families that can be decoded.
    pub decoders: Vec<&'static str>,
}

/// Asks the libraries that run.
#[must_use]
pub fn info() -> Info {
    // SAFETY: these functions take nothing and give static strings and numbers.
    let (version, configuration, licence, numbers) = unsafe {
        (
            ff::static_str(ff::av_version_info()),
            ff::static_str(ff::avcodec_configuration()),
            ff::static_str(ff::avcodec_license()),
            [
                ("libavcodec", ff::avcodec_version()),
                ("libavformat", ff::avformat_version()),
                ("libavutil", ff::avutil_version()),
                ("libswscale", ff::swscale_version()),
            ],
        )
    };
    let libraries = numbers
        .into_iter()
        .map(|(name, n)| Library {
            name,
            version: format!("{}.{}.{}", n >> 16, n >> 8 & 0xff, n & 0xff),
        })
        .collect();
    let names = table::ENCODERS.iter().flat_map(|row| row.names.iter().copied());
    let kinds = table::DECODERS.iter().filter(|row| table::decoder_of(row).is_some());
    Info {
        version,
        libraries,
        configuration,
        licence,
        encoders: names.filter(|name| table::find_encoder(name).is_some()).collect(),
        decoders: kinds.map(|row| row.kind.0).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_licence_is_told_by_the_library() {
        let info = info();
        assert!(info.licence.contains("GPL"), "{}", info.licence);
        assert_eq!(info.libraries.len(), 4);
        assert_eq!(info.decoders, ["h264", "mjpeg", "png"]);
    }
}
