//! Our own walk over the boxes of MP4 and MOV files (ISO/IEC 14496-12; QuickTime File Format): is the index whole, and is what it
//! promises there? FFmpeg tells neither: a file that is cut at a fragment's edge simply ends for it.
//!
//! [`examine`] reads the headers of the outermost boxes, the index (`moov`) and each fragment's head (`moof`), never the media.
//! What is damaged in itself, but all there, is left to whoever decodes it.

mod fragment;
mod header;
mod judge;
mod movie;
mod parse;
mod sample_table;
#[cfg(test)]
mod tests;
mod walk;
mod window;

use crate::Error;
use beamline_io::{ByteSource, Cancel};

/// Whether the index is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Index {
    /// It is whole.
    Whole,
    /// The file ends before it begins.
    Missing {
        /// A sentence: what is there, where the file ends.
        detail: String,
    },
    /// The file ends inside of it.
    Cut {
        /// A sentence: where it begins, what it announces, where the file ends.
        detail: String,
    },
}

/// What [`examine`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examination {
    /// Whether the index announces fragments.
    pub fragmented: bool,
    /// Whether the index is there.
    pub index: Index,
    /// Whether everything is there that the index, the fragments and the boxes announce. Never true without a whole index.
    pub complete: bool,
    /// A sentence about the first thing that is not; `None` when complete.
    pub missing: Option<String>,
    /// Fragments of which head and media are there.
    pub fragments_whole: u32,
}

/// Walks over the boxes of `source`. `None`: it is no ISO base media and no QuickTime movie (another format, a still picture in
/// the same boxes), or it can only be read once.
///
/// Cost: one read of at most 4 KiB per box of the outermost level, and the index once. Memory: the index, at most 256 MiB, as far
/// as it is there; one fragment's head, at most 16 MiB.
///
/// # Errors
/// [`Error::Data`]: a box smaller than its own header, an index beyond those bounds, more than 2^24 boxes or 4096 tracks.
/// [`Error::Io`]: from the source, cancellation included.
pub fn examine(source: &dyn ByteSource, cancel: &Cancel) -> Result<Option<Examination>, Error> {
    if source.one_pass() {
        return Ok(None);
    }
    walk::Walk::new(source, cancel).run()
}
