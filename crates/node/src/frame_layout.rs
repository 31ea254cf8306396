//! What frames of one stream have in common, told to JavaScript once and then by number.

use beamline_media::{ColorSpace, Frame, Rect, Size};
use serde::Serialize;
use std::collections::VecDeque;

/// Everything about a frame that is the same for the next one of its stream. Told once, then by number.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LayoutKey {
    format: usize,
    coded: Size,
    visible: Rect,
    rotation: u32,
    flip: bool,
    color: [i32; 4],
    /// Per plane: which buffer, offset in it, stride, bytes.
    pub(crate) planes: Vec<[usize; 4]>,
    /// Per buffer: offset in its slot, bytes, bytes of the slot.
    pub(crate) buffers: Vec<[usize; 3]>,
}

/// Layouts that JavaScript may still ask for: it does so at once, so a few are enough, and a user who cuts another rectangle out of each
/// frame does not make them grow.
#[derive(Default)]
pub(crate) struct Layouts {
    newest: VecDeque<LayoutKey>,
    /// Number of the oldest that is still there.
    first: usize,
}

/// The most layouts that are kept.
const LAYOUTS_MAX: usize = 256;

impl Layouts {
    pub(crate) fn number_of(&mut self, key: LayoutKey) -> usize {
        // The newest first: a stream's frames mostly look like the one before.
        if let Some(at) = self.newest.iter().rposition(|l| *l == key) {
            return self.first + at;
        }
        if self.newest.len() == LAYOUTS_MAX {
            self.newest.pop_front();
            self.first += 1;
        }
        self.newest.push_back(key);
        self.first + self.newest.len() - 1
    }

    pub(crate) fn get(&self, number: usize) -> Option<&LayoutKey> {
        self.newest.get(number.checked_sub(self.first)?)
    }
}

impl LayoutKey {
    pub(crate) fn of(frame: &Frame) -> Self {
        let info = frame.info();
        let leases: Vec<_> = frame.leases().collect();
        let mut spans = vec![(usize::MAX, 0usize); leases.len()];
        let mut planes = Vec::with_capacity(frame.plane_count());
        for i in 0..frame.plane_count() {
            let (lease, offset, stride) = frame.plane(i);
            let (bytes, _) = frame.plane_bytes(i);
            let buffer = leases.iter().position(|l| l.same_slot(lease)).unwrap_or(0);
            let span = &mut spans[buffer];
            *span = (span.0.min(offset), span.1.max(offset + bytes.len()));
            planes.push([buffer, offset, stride, bytes.len()]);
        }
        for plane in &mut planes {
            plane[1] -= spans[plane[0]].0;
        }
        LayoutKey {
            format: info.format.index(),
            coded: info.coded,
            visible: info.visible,
            rotation: info.rotation.degrees(),
            flip: info.flip,
            color: color_to(info.color),
            planes,
            buffers: spans
                .iter()
                .zip(&leases)
                .map(|((a, b), l)| [*a, b - a, l.len()])
                .collect(),
        }
    }
}

pub(crate) fn color_from([primaries, transfer, matrix, range]: [i32; 4]) -> ColorSpace {
    let code = |n: i32| u8::try_from(n).unwrap_or(2);
    ColorSpace {
        primaries: code(primaries),
        transfer: code(transfer),
        matrix: code(matrix),
        full_range: (range >= 0).then_some(range == 1),
    }
}

pub(crate) fn color_to(color: ColorSpace) -> [i32; 4] {
    let range = color.full_range.map_or(-1, i32::from);
    [
        color.primaries.into(),
        color.transfer.into(),
        color.matrix.into(),
        range,
    ]
}

/// Lease, offset and length of a frame's `index`th distinct slot, as far as its planes use it.
pub(crate) fn buffer_of(frame: &Frame, index: usize) -> Option<(beamline_arena::Lease, usize, usize)> {
    let lease = frame.leases().nth(index)?.clone();
    let (mut from, mut to) = (usize::MAX, 0);
    for i in 0..frame.plane_count() {
        let (l, offset, _) = frame.plane(i);
        if l.same_slot(&lease) {
            from = from.min(offset);
            to = to.max(offset + frame.plane_bytes(i).0.len());
        }
    }
    (from < to).then_some((lease, from, to - from))
}
