//! The containers that can be written, one row each.

/// A row.
#[derive(Debug, PartialEq, Eq)]
pub struct ContainerInfo {
    /// Our name.
    pub slug: &'static str,
    /// FFmpeg's muxer.
    pub ffmpeg_muxer: &'static str,
    /// Endings of file names, the usual one first.
    pub extensions: &'static [&'static str],
    /// Media type of a file with pictures.
    pub media_type: &'static str,
    /// Whether it can be written in fragments.
    pub fragments: bool,
    /// Families that it can hold.
    pub codecs: &'static [&'static str],
}

/// The table. Matroska, WebM, TS and the rest come with the container issue.
pub const CONTAINERS: &[ContainerInfo] = &[
    ContainerInfo {
        slug: "mp4",
        ffmpeg_muxer: "mp4",
        extensions: &["mp4", "m4v"],
        media_type: "video/mp4",
        fragments: true,
        codecs: &["h264", "aac", "mp3", "mjpeg"],
    },
    ContainerInfo {
        slug: "mov",
        ffmpeg_muxer: "mov",
        extensions: &["mov", "qt"],
        media_type: "video/quicktime",
        fragments: true,
        codecs: &["h264", "aac", "mjpeg", "png"],
    },
];

/// The container for a file name, by its ending.
#[must_use]
pub fn container_for_name(name: &str) -> Option<&'static ContainerInfo> {
    let ending = name.rsplit_once('.')?.1.to_ascii_lowercase();
    CONTAINERS.iter().find(|c| c.extensions.contains(&ending.as_str()))
}

/// The container of that slug.
#[must_use]
pub fn container_for_slug(slug: &str) -> Option<&'static ContainerInfo> {
    CONTAINERS.iter().find(|c| c.slug == slug)
}
