//! The end of a client: its goodbye, or what is left without one.

use super::{Books, Client};
use crate::segments::Segments;

impl Client {
    /// It reads no more: what it was told and has not read is ours again. False when it lies about what it has read.
    pub(crate) fn leave(&self, read: u32) -> bool {
        let mut books = self.books();
        let unread = books.told.wrapping_sub(read) as usize;
        if books.leaving || unread > books.log.len() {
            return false;
        }
        books.leaving = true;
        books.queue.clear();
        let Books {
            granted, segments, log, ..
        } = &mut *books;
        for (slots, count) in log.drain(log.len() - unread..) {
            for at in &slots[..count] {
                let (segment, slot) = (usize::from(at.segment), usize::from(at.slot));
                if granted.revoke(segment, slot) {
                    segments.let_go(segment, slot, 1);
                }
            }
        }
        true
    }

    /// Whether it has said goodbye and given back everything.
    pub(crate) fn has_left(&self) -> bool {
        let books = self.books();
        books.leaving && books.granted.outstanding() == 0 && books.producing.is_none()
    }

    /// The reader is gone: all that it held is ours again, and nothing of its memory was looked at. Gives how many holds that were.
    pub(crate) fn sweep(&self) -> u32 {
        let mut books = self.books();
        if books.gone {
            return 0;
        }
        books.gone = true;
        books.reservation = None;
        books.queue.clear();
        let swept = books.granted.outstanding();
        let Books {
            granted,
            segments,
            producing,
            ..
        } = &mut *books;
        granted.sweep(|segment, slot, count| match producing {
            Some(producing) => producing.returned(segments, segment, slot, count),
            None => segments.let_go(segment, slot, count),
        });
        books.segments = Segments::default();
        books.producing = None;
        swept
    }
}
