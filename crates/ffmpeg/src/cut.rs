//! Where fragments end: arithmetic without FFmpeg.
//!
//! Before every key picture; without one, once pictures or sound have gone on for too long. The first fragment waits until every
//! track has a packet, so that the index can say where each begins.

/// The longest fragment of sound alone, in µs.
const SOUND_US: i64 = 1_000_000;
/// The longest stretch without a key picture: one second, and some more for a key picture that is a little late.
const PICTURES_US: i64 = 1_200_000;
/// The longest wait for a track that gives nothing.
const FIRST_US: i64 = 5_000_000;

/// The state of the present fragment.
#[derive(Debug, Default)]
pub(crate) struct Cutter {
    tracks: Vec<Track>,
    /// The track whose key pictures cut.
    lead: Option<usize>,
    begun: bool,
}

#[derive(Clone, Debug, Default)]
struct Track {
    /// Time of its first packet in this fragment.
    first: Option<i64>,
    /// Whether it ever gave one.
    seen: bool,
}

impl Cutter {
    /// For tracks of which those marked are pictures.
    pub(crate) fn new(videos: &[bool]) -> Self {
        Cutter {
            tracks: vec![Track::default(); videos.len()],
            lead: videos.iter().position(|video| *video),
            begun: false,
        }
    }

    /// Whether to cut before a packet of `track` that is decoded at `at`.
    pub(crate) fn before(&self, track: usize, at: i64, key: bool) -> bool {
        let Some(first) = self.tracks.get(track).and_then(|track| track.first) else {
            return false;
        };
        let span = at.saturating_sub(first);
        if !self.begun && !self.tracks.iter().all(|track| track.seen) {
            return span >= FIRST_US;
        }
        match self.lead {
            Some(lead) if lead == track => key || span >= PICTURES_US,
            // Pictures have stopped coming: sound goes on being cut, later, so that it never cuts before a picture would.
            Some(_) => span >= 2 * PICTURES_US,
            None => span >= SOUND_US,
        }
    }

    /// A packet went into the present fragment.
    pub(crate) fn took(&mut self, track: usize, at: i64) {
        if let Some(track) = self.tracks.get_mut(track) {
            track.first.get_or_insert(at);
            track.seen = true;
        }
    }

    /// The fragment ends; true when it was the first.
    pub(crate) fn cut(&mut self) -> bool {
        for track in &mut self.tracks {
            track.first = None;
        }
        !std::mem::replace(&mut self.begun, true)
    }

    /// Whether there is anything in the present fragment.
    pub(crate) fn pending(&self) -> bool {
        self.tracks.iter().any(|track| track.first.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times at which cuts happen, for packets (track, time, key).
    fn cuts(videos: &[bool], packets: impl IntoIterator<Item = (usize, i64, bool)>) -> Vec<i64> {
        let mut cutter = Cutter::new(videos);
        let mut out = Vec::new();
        for (track, at, key) in packets {
            if cutter.before(track, at, key) {
                cutter.cut();
                out.push(at);
            }
            cutter.took(track, at);
        }
        out
    }

    #[test]
    fn fragments_begin_at_key_pictures_even_when_sound_passes_the_second_first() {
        let packets = (0..250).flat_map(|n| [(1, n * 20_000 - 21_333, true), (0, n * 20_000, n % 50 == 0)]);
        assert_eq!(
            cuts(&[true, false], packets),
            [1_000_000, 2_000_000, 3_000_000, 4_000_000]
        );
    }

    #[test]
    fn sound_alone_and_long_groups_are_cut_by_time() {
        let sound = (0..150).map(|n| (0, n * 20_000, true));
        assert_eq!(cuts(&[false], sound), [1_000_000, 2_000_000]);
        let pictures = (0..100).map(|n| (0, n * 40_000, n == 0));
        assert_eq!(cuts(&[true], pictures), [1_200_000, 2_400_000, 3_600_000]);
    }

    #[test]
    fn the_first_fragment_waits_for_every_track_but_not_for_good() {
        let late = (0..100)
            .map(|n| (0, n * 40_000, n % 25 == 0))
            .chain([(1, 0, true), (0, 4_000_000, true)]);
        assert_eq!(cuts(&[true, false], late), [4_000_000]);
        let never = (0..200).map(|n| (0, n * 40_000, n % 25 == 0));
        assert_eq!(cuts(&[true, false], never), [5_000_000, 6_000_000, 7_000_000]);
    }
}
