//! Seeking, by whatever index FFmpeg has.

use super::Input;
use crate::{error, sys as ff, tracks};
use beamline_container::Error;
use std::{collections::VecDeque, ffi::c_int};

/// Packets read ahead at most to see where a seek landed.
const SEEK_PACKETS: usize = 2000;

/// When the first packet behind a seek is shown and decoded.
type Landing = (Option<i64>, Option<i64>);

impl Input {
    pub(super) fn seek_to(&mut self, track: usize, to_us: i64) -> Result<(), Error> {
        if self.forward {
            return Err(Error::NotSupported {
                what: format!("seeking in '{}'", self.name),
                why: "it only goes forward".into(),
            });
        }
        let Some(stream) = self.ctx.streams().get(track).copied() else {
            return Err(Error::Config {
                expected: format!("a track below {}", self.tracks.len()),
                got: track.to_string(),
            });
        };
        // SAFETY: the stream is valid.
        let base = unsafe { (*stream).time_base };
        if self.times.counted(track) {
            return self.walk(track, to_us, base);
        }
        let mut to = tracks::from_us(to_us, base);
        // Indexes are by decoding time: with reordering they may land on a key packet that is shown too late.
        for _ in 0..4 {
            self.seek_once(track, to)?;
            match self.land(track)? {
                None => return self.walk(track, to_us, base),
                Some((Some(shown), Some(decoded))) if shown > to_us => {
                    let before = tracks::from_us(decoded, base).saturating_sub(1);
                    to = before.min(to.saturating_sub(1));
                }
                Some(_) => break,
            }
        }
        Ok(())
    }

    fn seek_once(&mut self, track: usize, to: i64) -> Result<(), Error> {
        let index = track as c_int;
        let counted = self.times.counted(track);
        // SAFETY: the context is open and the track is one of its streams.
        let code = unsafe {
            let ctx = self.ctx.ctx.as_ptr();
            // Where pictures are counted, they are counted from the beginning.
            let code = if counted {
                ff::av_seek_frame(ctx, -1, 0, ff::AVSEEK_FLAG_BYTE as c_int)
            } else {
                ff::avformat_seek_file(ctx, index, i64::MIN, to, to, 0)
            };
            // Before the first key packet: that one.
            if code < 0 && !counted {
                ff::avformat_seek_file(ctx, index, i64::MIN, to, i64::MAX, 0)
            } else {
                code
            }
        };
        self.pending.clear();
        self.times.reset();
        self.failed = None;
        self.ended = false;
        if let Some(failure) = self.ctx.io.take_failure() {
            return Err(failure.into());
        }
        if code < 0 {
            return Err(Error::NotSupported {
                what: format!("seeking in '{}'", self.name),
                why: error::text(code),
            });
        }
        Ok(())
    }

    /// Reads up to the first packet of `track`, keeping all; gives its times.
    fn land(&mut self, track: usize) -> Result<Option<Landing>, Error> {
        for _ in 0..SEEK_PACKETS {
            let Some(packet) = self.read_one()? else { break };
            let found = (packet.track == track).then_some((packet.timestamp_us, packet.decode_us));
            self.pending.push_back(packet);
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Goes further back and walks forward to the last key packet at or before `to_us`: for demuxers that find nothing at the end of
    /// a file (Matroska's, in its last group of pictures, once it has seen the end).
    fn walk(&mut self, track: usize, to_us: i64, base: ff::AVRational) -> Result<(), Error> {
        for back in [2_000_000, 20_000_000, i64::MAX] {
            let from = tracks::from_us(to_us.saturating_sub(back).max(0), base);
            self.seek_once(track, from)?;
            let mut kept = VecDeque::new();
            let mut found = false;
            while let Some(packet) = self.read_one()? {
                let here = packet.track == track;
                if here && packet.key && packet.timestamp_us <= Some(to_us) {
                    kept.clear();
                    found = true;
                }
                let behind = here && packet.decode_us > Some(to_us);
                kept.push_back(packet);
                if behind || (!found && kept.len() > SEEK_PACKETS) {
                    break;
                }
            }
            if found {
                self.pending = kept;
                return Ok(());
            }
        }
        self.seek_once(track, 0)
    }
}
