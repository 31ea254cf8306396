//! A fragment's head (`moof`, ISO/IEC 14496-12 §8.8): how far its samples reach, and how long they last.

use super::{
    movie::{Movie, Track},
    parse::{children, u32_at, u64_at, version_and_flags},
};

/// What a track says of the runs in one fragment.
struct Defaults {
    base: u64,
    size: u32,
    duration: u32,
}

/// The file offset behind the last byte of the samples of the `moof` at `at`; 0 when it has none. Adds their time to the tracks.
pub(super) fn read(moof: &[u8], at: u64, movie: &mut Movie) -> u64 {
    let mut end = 0u64;
    // Where a track without a base of its own goes on: at the fragment, or behind the track before (§8.8.7).
    let mut behind = at;
    for (_, traf) in children(moof).filter(|(kind, _)| kind.0 == *b"traf") {
        let mut unknown = Track::default();
        let Some(tfhd) = super::parse::child(traf, b"tfhd") else {
            continue;
        };
        let track = u32_at(tfhd, 4)
            .and_then(|id| movie.track_mut(id))
            .unwrap_or(&mut unknown);
        let Some(defaults) = read_defaults(tfhd, track, at, behind) else {
            continue;
        };
        let mut next = defaults.base;
        for (_, trun) in children(traf).filter(|(kind, _)| kind.0 == *b"trun") {
            if let Some(run) = read_run(trun, &defaults) {
                let begin = run
                    .offset
                    .map_or(next, |by| defaults.base.saturating_add_signed(by.into()));
                next = begin.saturating_add(run.bytes);
                track.time = track.time.saturating_add(run.time);
                if run.bytes != 0 {
                    end = end.max(next);
                }
            }
        }
        behind = next;
    }
    end
}

/// `tfhd`: optional fields in the order of their flags.
fn read_defaults(tfhd: &[u8], track: &Track, moof: u64, behind: u64) -> Option<Defaults> {
    let (_, flags) = version_and_flags(tfhd)?;
    let mut at = 8;
    let mut defaults = Defaults {
        base: if flags & 0x02_0000 != 0 { moof } else { behind },
        size: track.default_size,
        duration: track.default_duration,
    };
    if flags & 0x01 != 0 {
        defaults.base = u64_at(tfhd, at)?;
        at += 8;
    }
    if flags & 0x02 != 0 {
        at += 4; // sample description
    }
    if flags & 0x08 != 0 {
        defaults.duration = u32_at(tfhd, at)?;
        at += 4;
    }
    if flags & 0x10 != 0 {
        defaults.size = u32_at(tfhd, at)?;
    }
    Some(defaults)
}

/// A run of samples.
struct Run {
    /// From the base, when it says so.
    offset: Option<i32>,
    bytes: u64,
    time: u64,
}

/// `trun`: optional fields in the order of their flags, then as many samples as the box really has.
fn read_run(trun: &[u8], defaults: &Defaults) -> Option<Run> {
    let (_, flags) = version_and_flags(trun)?;
    let count = u32_at(trun, 4)?;
    let mut at = 8;
    let offset = if flags & 0x01 != 0 {
        at += 4;
        Some(u32_at(trun, 8)? as i32)
    } else {
        None
    };
    if flags & 0x04 != 0 {
        at += 4; // flags of the first sample
    }
    // Duration, size, flags, composition offset: four bytes each, where its flag is set.
    let width = 4 * (flags & 0x0f00).count_ones() as usize;
    let duration_at = (flags & 0x0100 != 0).then_some(0);
    let size_at = (flags & 0x0200 != 0).then_some(if duration_at.is_some() { 4 } else { 0 });
    let every = |value: u32| u64::from(value) * u64::from(count);
    let samples = trun.get(at..)?;
    let sum = |field: usize| -> u64 {
        let each = samples.chunks_exact(width).take(count as usize);
        each.filter_map(|s| u32_at(s, field)).map(u64::from).sum()
    };
    Some(Run {
        offset,
        bytes: size_at.map_or_else(|| every(defaults.size), sum),
        time: duration_at.map_or_else(|| every(defaults.duration), sum),
    })
}
