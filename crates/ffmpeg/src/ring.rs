//! Times that ride beside what a codec reorders: numbered on the way in, found again by number on the way out.

use std::collections::VecDeque;

/// Entries kept: more than any codec holds back.
const KEPT: usize = 512;

/// When and how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) timestamp: Option<i64>,
    pub(crate) duration: Option<i64>,
}

/// The entries, in order of their keys.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    next: i64,
    entries: VecDeque<(i64, Times)>,
}

impl Ring {
    /// Remembers `times` under the next number.
    pub(crate) fn push(&mut self, times: Times) -> i64 {
        let number = self.next;
        self.put(number, times);
        number
    }

    /// Remembers `times` under a key larger than all before.
    pub(crate) fn put(&mut self, key: i64, times: Times) {
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back((key, times));
        self.next = key.saturating_add(1);
    }

    /// What was remembered under `key`; nothing, when it is unknown or too long ago.
    pub(crate) fn find(&self, key: i64) -> Times {
        match self.entries.binary_search_by_key(&key, |(k, _)| *k) {
            Ok(at) => self.entries[at].1,
            Err(_) => Times::default(),
        }
    }

    /// Forgets all; numbers go on.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_by_number_and_the_oldest_go() {
        let mut ring = Ring::default();
        let times = |n| Times {
            timestamp: Some(n),
            duration: None,
        };
        for n in 0..600 {
            assert_eq!(ring.push(times(n)), n);
        }
        assert_eq!(ring.find(599), times(599));
        assert_eq!(ring.find(87), Times::default());
        ring.clear();
        assert_eq!(ring.push(times(1)), 600);
    }
}
