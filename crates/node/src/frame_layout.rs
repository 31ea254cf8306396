//! What frames of one stream have in common, told to JavaScript once and then by number.

use beamline_arena::Lease;
use beamline_media::{ColorSpace, Frame, PLANES_MAX, PixelFormat, Rational, Rect, Rotation, Size, display_size};
use serde_json::json;
use std::{collections::VecDeque, num::NonZeroU64};

/// Everything about a frame that is the same for the next one of its stream. Told once, then by number. Made and compared for every
/// frame, so it allocates nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LayoutKey {
    format: PixelFormat,
    coded: Size,
    visible: Rect,
    pixel_aspect: Rational,
    rotation: Rotation,
    flip: bool,
    color: ColorSpace,
    planes: [[usize; 4]; PLANES_MAX],
    buffers: [[usize; 3]; PLANES_MAX],
    buffer_count: usize,
    handed_by: Option<NonZeroU64>,
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
        let mut leases: [Option<&Lease>; PLANES_MAX] = [None; PLANES_MAX];
        let mut spans = [(usize::MAX, 0usize); PLANES_MAX];
        let mut planes = [[0; 4]; PLANES_MAX];
        let mut buffer_count = 0;
        for (i, to) in planes.iter_mut().enumerate().take(frame.plane_count()) {
            let (lease, offset, stride) = frame.plane(i);
            let bytes = frame.plane_bytes(i).0.len();
            let known = leases[..buffer_count].iter().flatten().position(|l| l.same_slot(lease));
            let buffer = known.unwrap_or_else(|| {
                leases[buffer_count] = Some(lease);
                buffer_count += 1;
                buffer_count - 1
            });
            let span = &mut spans[buffer];
            *span = (span.0.min(offset), span.1.max(offset + bytes));
            *to = [buffer, offset, stride, bytes];
        }
        for plane in &mut planes[..frame.plane_count()] {
            plane[1] -= spans[plane[0]].0;
        }
        let mut buffers = [[0; 3]; PLANES_MAX];
        for (to, (lease, (from, end))) in buffers.iter_mut().zip(leases.iter().flatten().zip(spans)) {
            *to = [from, end - from, lease.len()];
        }
        LayoutKey {
            format: info.format,
            coded: info.coded,
            visible: info.visible,
            pixel_aspect: info.pixel_aspect,
            rotation: info.rotation,
            flip: info.flip,
            color: info.color,
            planes,
            buffers,
            buffer_count,
            handed_by: info.handed_by,
        }
    }

    /// Per plane: which buffer, offset in it, stride, bytes.
    pub(crate) fn planes(&self) -> &[[usize; 4]] {
        &self.planes[..self.format.plane_count()]
    }

    /// Per buffer: offset in its slot, bytes, bytes of the slot.
    pub(crate) fn buffers(&self) -> &[[usize; 3]] {
        &self.buffers[..self.buffer_count]
    }

    /// As TypeScript reads it.
    pub(crate) fn json(&self) -> String {
        json!({
            "format": self.format.index(),
            "coded": self.coded,
            "visible": self.visible,
            "display": display_size(self.visible.size(), self.pixel_aspect, self.rotation),
            "rotation": self.rotation.degrees(),
            "flip": self.flip,
            "color": color_to(self.color),
            "planes": self.planes(),
            "buffers": self.buffers(),
            "handedBy": self.handed_by,
        })
        .to_string()
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

fn color_to(color: ColorSpace) -> [i32; 4] {
    let range = color.full_range.map_or(-1, i32::from);
    [
        color.primaries.into(),
        color.transfer.into(),
        color.matrix.into(),
        range,
    ]
}

/// Lease, offset and length of a frame's `index`th distinct slot, as far as its planes use it.
pub(crate) fn buffer_of(frame: &Frame, index: usize) -> Option<(Lease, usize, usize)> {
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
