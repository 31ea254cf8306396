//! Who makes a source wait. With [`Policy::Block`](crate::Policy::Block) all loops go at the pace of the slowest: one that nobody reads
//! stops the others, and they must be able to say so.

use super::lock;
use crate::{channel::Gauge, held::Credits};
use beamline_media::Clock;
use serde::Serialize;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

/// Why a loop starves: another one over the same capture makes the source wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldUp {
    /// The label of the loop that it waits for ([`CaptureOptions::label`](crate::CaptureOptions)).
    pub label: Option<String>,
    /// Frames that wait in its queue.
    pub waiting: u64,
    /// Frames of it that are open.
    pub open: u64,
    /// Whether frames have to be closed; else they have to be taken.
    pub unclosed: bool,
    /// How long it has been so, in µs.
    pub for_us: i64,
}

/// A loop, as the others see it.
pub(super) struct Member {
    label: Option<String>,
    queue: Gauge,
    credits: Arc<Credits>,
    ended: AtomicBool,
}

impl Member {
    fn holds(&self) -> u64 {
        (self.queue)() as u64 + u64::from(self.credits.open())
    }
}

/// The loops over a capture, and what its source waits for.
pub(super) struct Neighbours {
    clock: Arc<dyn Clock>,
    /// Frames that the source's memory holds.
    slots: u32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Those that go on, and those that have ended but hold memory.
    members: Vec<Arc<Member>>,
    /// Since when, and for whom; without a name for memory, perhaps.
    wait: Option<(i64, Option<Arc<Member>>)>,
}

impl Neighbours {
    pub(super) fn new(clock: Arc<dyn Clock>, slots: u32) -> Arc<Self> {
        Arc::new(Neighbours {
            clock,
            slots,
            state: Mutex::default(),
        })
    }

    /// One more loop.
    pub(super) fn join(self: &Arc<Self>, label: Option<String>, queue: Gauge, credits: &Arc<Credits>) -> Seat {
        let me = Arc::new(Member {
            label,
            queue,
            credits: Arc::clone(credits),
            ended: AtomicBool::new(false),
        });
        let mut state = lock(&self.state);
        state
            .members
            .retain(|m| !m.ended.load(Ordering::Relaxed) || m.holds() > 0);
        state.members.push(Arc::clone(&me));
        drop(state);
        Seat {
            among: Arc::clone(self),
            me,
        }
    }

    /// The source waits from now on: for that loop, or, without one, for a picture or for memory to put it into.
    pub(super) fn waits_for(&self, whom: Option<&Arc<Member>>) {
        let now = self.clock.now_us();
        lock(&self.state).wait = Some((now, whom.cloned()));
    }

    /// It goes on.
    pub(super) fn goes_on(&self) {
        lock(&self.state).wait = None;
    }

    fn held_up(&self, me: &Arc<Member>) -> Option<HeldUp> {
        let state = lock(&self.state);
        let (since, whom) = state.wait.as_ref()?;
        let by = match whom {
            Some(member) => member,
            // As long as there is memory, the source is slow and nobody's fault.
            None if state.members.iter().map(|m| m.holds()).sum::<u64>() < self.slots.into() => return None,
            None => {
                let others = state.members.iter().filter(|m| !Arc::ptr_eq(m, me));
                others.max_by_key(|m| m.holds()).filter(|m| m.holds() > 0)?
            }
        };
        if Arc::ptr_eq(by, me) {
            return None;
        }
        let (waiting, open) = ((by.queue)() as u64, u64::from(by.credits.open()));
        Some(HeldUp {
            label: by.label.clone(),
            waiting,
            open,
            unclosed: by.credits.exhausted() || whom.is_none() && open > waiting,
            for_us: self.clock.now_us().saturating_sub(*since),
        })
    }
}

/// A stream's place among the loops; it leaves when it is dropped.
pub(crate) struct Seat {
    among: Arc<Neighbours>,
    me: Arc<Member>,
}

impl Seat {
    /// Whether another loop makes the source wait.
    pub(crate) fn held_up(&self) -> Option<HeldUp> {
        self.among.held_up(&self.me)
    }

    pub(super) fn member(&self) -> Arc<Member> {
        Arc::clone(&self.me)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.me.ended.store(true, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seat")
            .field("label", &self.me.label)
            .finish_non_exhaustive()
    }
}
