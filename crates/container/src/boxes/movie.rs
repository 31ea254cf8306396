//! The index (`moov`), as far as it says what must be in the file.

use super::{
    parse::{child, children, descend, u32_at, version_and_flags, versioned},
    sample_table,
};

/// The most tracks that are looked at; more are no file that anybody made.
pub(super) const MAX_TRACKS: usize = 4096;

/// What the index promises.
#[derive(Debug)]
pub(super) struct Movie {
    /// Whether fragments follow (`mvex`).
    pub(super) fragmented: bool,
    /// Whether Beamline wrote it.
    pub(super) ours: bool,
    /// Units of `duration` per second.
    pub(super) timescale: u32,
    /// Length of all fragments together as `mehd` says; 0: not said.
    pub(super) duration: u64,
    /// By rising number.
    pub(super) tracks: Vec<Track>,
}

/// A track.
#[derive(Debug, Default)]
pub(super) struct Track {
    pub(super) id: u32,
    /// Units of its times per second.
    pub(super) timescale: u32,
    /// Samples that the index itself has.
    pub(super) samples: u64,
    /// Where the last of them ends in the file; 0 when they lie elsewhere or there are none.
    pub(super) end: u64,
    /// Bytes of a sample of a fragment that does not say it (`trex`).
    pub(super) default_size: u32,
    /// Duration of a sample of a fragment that does not say it (`trex`).
    pub(super) default_duration: u32,
    /// Time of the index's samples and of all fragments so far.
    pub(super) time: u64,
}

impl Movie {
    /// Reads the content of a `moov`. `None`: more than [`MAX_TRACKS`] tracks.
    pub(super) fn read(moov: &[u8]) -> Option<Self> {
        let extends = child(moov, b"mvex");
        let mut movie = Movie {
            fragmented: extends.is_some(),
            ours: is_ours(moov),
            timescale: child(moov, b"mvhd").and_then(timescale).unwrap_or(0),
            duration: extends
                .and_then(|mvex| versioned(child(mvex, b"mehd")?, (4, 4)))
                .unwrap_or(0),
            tracks: Vec::new(),
        };
        for (kind, trak) in children(moov) {
            if kind.0 == *b"trak" {
                if movie.tracks.len() == MAX_TRACKS {
                    return None;
                }
                movie.tracks.extend(Track::read(trak));
            }
        }
        movie.tracks.sort_by_key(|t| t.id);
        for (kind, trex) in children(extends.unwrap_or_default()) {
            if kind.0 == *b"trex"
                && let Some(id) = u32_at(trex, 4)
                && let Some(track) = movie.track_mut(id)
            {
                track.default_duration = u32_at(trex, 12).unwrap_or(0);
                track.default_size = u32_at(trex, 16).unwrap_or(0);
            }
        }
        Some(movie)
    }

    pub(super) fn track_mut(&mut self, id: u32) -> Option<&mut Track> {
        let at = self.tracks.binary_search_by_key(&id, |t| t.id).ok()?;
        self.tracks.get_mut(at)
    }

    /// Seconds of the longest track so far.
    pub(super) fn seconds(&self) -> f64 {
        let seconds = |t: &Track| t.time as f64 / f64::from(t.timescale.max(1));
        self.tracks.iter().map(seconds).fold(0.0, f64::max)
    }

    /// Seconds that `mehd` announces; 0: none.
    pub(super) fn announced_seconds(&self) -> f64 {
        if self.timescale == 0 {
            0.0
        } else {
            self.duration as f64 / f64::from(self.timescale)
        }
    }
}

impl Track {
    fn read(trak: &[u8]) -> Option<Self> {
        let tkhd = child(trak, b"tkhd")?;
        let id = match version_and_flags(tkhd)?.0 {
            0 => u32_at(tkhd, 12)?,
            _ => u32_at(tkhd, 20)?,
        };
        let mdhd = descend(trak, &[b"mdia", b"mdhd"]).unwrap_or_default();
        let media = descend(trak, &[b"mdia", b"minf"]).unwrap_or_default();
        let table = child(media, b"stbl").unwrap_or_default();
        let (samples, end) = sample_table::reach(table).unwrap_or((0, 0));
        Some(Track {
            id,
            timescale: timescale(mdhd).unwrap_or(0),
            samples,
            end: if is_elsewhere(media) { 0 } else { end },
            time: if samples == 0 {
                0
            } else {
                versioned(mdhd, (16, 24)).unwrap_or(0)
            },
            ..Track::default()
        })
    }
}

/// Of `mvhd` and `mdhd`, which begin alike.
fn timescale(content: &[u8]) -> Option<u32> {
    match version_and_flags(content)?.0 {
        0 => u32_at(content, 12),
        _ => u32_at(content, 20),
    }
}

/// Whether the samples lie in another file: some data reference is not "here" (flag 1, §8.7.2).
fn is_elsewhere(media: &[u8]) -> bool {
    let references = descend(media, &[b"dinf", b"dref"]).and_then(|dref| dref.get(8..));
    references.is_some_and(|inside| {
        children(inside).any(|(_, content)| version_and_flags(content).is_some_and(|(_, flags)| flags & 1 == 0))
    })
}

/// Whether the writer's tag is ours: `©too` in MP4's `udta/meta/ilst`, `©swr` or `©too` in MOV's `udta`.
fn is_ours(moov: &[u8]) -> bool {
    let said = |list: &[u8]| {
        let is_tool = |kind: [u8; 4]| kind == *b"\xa9too" || kind == *b"\xa9swr";
        children(list).any(|(kind, tag)| is_tool(kind.0) && tag.windows(8).any(|w| w == b"Beamline"))
    };
    let Some(udta) = child(moov, b"udta") else {
        return false;
    };
    // `meta` is a full box in MP4, and a plain one in MOV.
    let meta = child(udta, b"meta").unwrap_or_default();
    let list = meta
        .get(4..)
        .and_then(|full| child(full, b"ilst"))
        .or_else(|| child(meta, b"ilst"));
    said(udta) || list.is_some_and(said)
}
