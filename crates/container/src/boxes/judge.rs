//! What was seen on the walk, held against what was promised.

use super::{Examination, Index, movie::Movie, walk::Walk};
use crate::Error;

/// Seconds by which fragments may be shorter than announced (edit lists, priming, rounding).
const TOLERANCE_S: f64 = 0.5;

impl Walk<'_> {
    /// All boxes were seen; the last one ends at `at`.
    pub(super) fn judge(mut self, at: u64) -> Result<Option<Examination>, Error> {
        if let Some(open) = &mut self.open
            && open.covered == u64::MAX
        {
            // An `mdat` without a size reaches as far as the file does.
            open.covered = if self.window.reaches(open.need)? {
                open.need
            } else {
                open.need - 1
            };
        }
        self.close_fragment();
        if let Some(movie) = self.movie.take() {
            self.hold_against(&movie)?;
            return Ok(Some(Examination {
                fragmented: movie.fragmented,
                index: Index::Whole,
                complete: self.missing.is_none(),
                missing: self.missing,
                fragments_whole: self.fragments_whole,
            }));
        }
        let index = match self.index_cut {
            Some(detail) => Index::Cut { detail },
            None => {
                let end = self.window.end_words();
                let why = self
                    .missing
                    .clone()
                    .unwrap_or_else(|| format!("the last box ends at {at}, and {end}"));
                Index::Missing {
                    detail: format!("the index (the box 'moov') is missing: {why}"),
                }
            }
        };
        let (Index::Cut { detail } | Index::Missing { detail }) = &index else {
            return Ok(None);
        };
        let missing = Some(detail.clone());
        Ok(Some(Examination {
            fragmented: false,
            index,
            complete: false,
            missing,
            fragments_whole: 0,
        }))
    }

    /// What the index promises against what was seen.
    fn hold_against(&mut self, movie: &Movie) -> Result<(), Error> {
        for track in &movie.tracks {
            if self.missing.is_none() && !self.window.reaches(track.end)? {
                self.miss(|end| format!("track {} reaches up to byte {}, but {end}", track.id, track.end));
            }
        }
        if !movie.fragmented {
            return Ok(());
        }
        let whole = self.fragments_whole;
        if movie.ours && !self.trailer {
            self.miss(|end| {
                format!("the box 'mfra' that ends Beamline's files is missing: {end}, behind {whole} fragments")
            });
        } else if whole == 0 && movie.tracks.iter().all(|t| t.samples == 0) {
            self.miss(|end| format!("the index announces fragments, but {end} without any"));
        }
        let (announced, there) = (movie.announced_seconds(), movie.seconds());
        if announced - there > TOLERANCE_S {
            self.miss(|end| {
                format!("the index announces {announced:.3} s, but the fragments have {there:.3} s; {end}")
            });
        }
        Ok(())
    }
}
