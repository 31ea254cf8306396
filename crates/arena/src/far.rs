//! The client's side of a link: segments of another process, whose slots it grants.
//!
//! A granted slot becomes a [`Lease`] like any other. With its last release the grant goes back: a counter and a bit in the link's
//! [`ReturnPage`], and, only when the owner sleeps, a write to an eventfd.

use crate::{
    class::{Bank, ClassInner, Home, SizeClass},
    error::Error,
    grant::{ReturnPage, SEGMENTS, TellPage},
    lease::{Lease, SlotMut},
    ledger::{Ledger, MAX_SLOTS},
    page::SharedPage,
    pool::Pool,
    segment::{Access, Segment},
    stray::Shown,
    sync::{AtomicU64, Ordering, lock},
};
use std::{
    any::Any,
    fmt,
    os::fd::OwnedFd,
    sync::{Arc, Mutex},
};

/// Bytes of address space that one link may take, far beyond any source and far below what a process has.
const LINK_MAX: u64 = 1 << 40;

/// What every slot of a link needs to find its way back.
pub(crate) struct WayBack {
    pub(crate) tell: SharedPage<TellPage>,
    pub(crate) returns: SharedPage<ReturnPage>,
    wake: OwnedFd,
    /// The socket: its end would tell the owner that nothing is held any more.
    _alive: Arc<dyn Any + Send + Sync>,
}

impl fmt::Debug for WayBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WayBack").finish_non_exhaustive()
    }
}

impl WayBack {
    pub(crate) fn give_back(&self, segment: u32, slot: u32) {
        if self.returns.give_back(segment as usize, slot as usize, &self.tell) {
            self.wake();
        }
    }

    fn wake(&self) {
        // The owner's eventfd: a full counter means that the wake is under way, a closed one that nobody is there.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }
}

/// The memory of another process's source, as far as it was told to us.
#[derive(Debug)]
pub struct FarPool {
    pool: Pool,
    access: Access,
    way_back: Arc<WayBack>,
    segments: [Mutex<Option<SizeClass>>; SEGMENTS],
    mapped: AtomicU64,
}

impl FarPool {
    /// A link's memory. `alive` lives until the last slot has gone back. `wake` is the eventfd by which the owner is woken; `access` how its segments are mapped: [`Access::Read`], or
    /// [`Access::Private`] where JavaScript gets to see them.
    #[must_use]
    pub fn new(
        pool: &Pool,
        access: Access,
        tell: SharedPage<TellPage>,
        returns: SharedPage<ReturnPage>,
        wake: OwnedFd,
        alive: Arc<dyn Any + Send + Sync>,
    ) -> Self {
        FarPool {
            pool: pool.clone(),
            access,
            way_back: Arc::new(WayBack {
                tell,
                returns,
                wake,
                _alive: alive,
            }),
            segments: [const { Mutex::new(None) }; SEGMENTS],
            mapped: AtomicU64::new(0),
        }
    }

    /// What the owner tells.
    #[must_use]
    pub fn tell(&self) -> &TellPage {
        &self.way_back.tell
    }

    /// What we say to the owner.
    #[must_use]
    pub fn returns(&self) -> &ReturnPage {
        &self.way_back.returns
    }

    /// Wakes the owner, which says that it sleeps.
    pub fn wake_owner(&self) {
        self.way_back.wake();
    }

    /// Whether segment `number` was attached.
    #[must_use]
    pub fn knows(&self, number: u32) -> bool {
        self.segments.get(number as usize).is_some_and(|s| lock(s).is_some())
    }

    /// Slots of all segments that are attached, and how many of them are held here. Cost: a look at each.
    #[must_use]
    pub fn slots(&self) -> (u32, u32) {
        let of = |place: &Mutex<Option<SizeClass>>| {
            let place = lock(place);
            place
                .as_ref()
                .map_or((0, 0), |class| (class.0.slots(), class.0.far_in_use()))
        };
        let all = self.segments.iter().map(of);
        all.fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1))
    }

    /// Maps segment `number` of the link.
    ///
    /// # Errors
    /// [`Error::Foreign`] when number, size or seals are not what they must be; [`Error::Os`].
    pub fn attach(&self, number: u32, fd: OwnedFd, slot_size: usize, slots: u32) -> Result<(), Error> {
        let place = self
            .segments
            .get(number as usize)
            .filter(|_| (1..=MAX_SLOTS).contains(&slots))
            .ok_or_else(|| Error::Foreign {
                what: format!("segment {number} of {slots} slots"),
            })?;
        let bytes = slot_size.saturating_mul(slots as usize) as u64;
        if self.mapped.load(Ordering::Relaxed).saturating_add(bytes) > LINK_MAX {
            return Err(Error::Foreign {
                what: format!(
                    "segment {number} of {slots} slots of {slot_size} bytes, beyond what one source can need"
                ),
            });
        }
        let mut place = lock(place);
        if place.is_some() {
            return Err(Error::Foreign {
                what: format!("segment {number} a second time"),
            });
        }
        let segment = Segment::attach(fd, slot_size, slots, self.access)?;
        self.mapped.fetch_add(bytes, Ordering::Relaxed);
        let home = Home::Far {
            way_back: Arc::clone(&self.way_back),
            segment: number,
            shown: (self.access == Access::Private).then(|| Shown::new(slots)),
            filling: AtomicU64::new(0),
        };
        let class = SizeClass::new(self.pool.inner().clone(), slot_size, home);
        class.0.adopt_bank(Bank {
            segment,
            ledger: Ledger::far(slots),
            // One of our own arena's: keys by segment and slot must not meet those of local sources, or of another link.
            id: self.pool.inner().arena.next_segment(),
        });
        *place = Some(class);
        Ok(())
    }

    /// Forgets segment `number`: what is still held of it lives on. True when there was one.
    pub fn detach(&self, number: u32) -> bool {
        let class = self.segments.get(number as usize).and_then(|s| lock(s).take());
        let Some(class) = class else { return false };
        let bytes = class.0.slot_size as u64 * u64::from(class.0.slots());
        self.mapped.fetch_sub(bytes, Ordering::Relaxed);
        true
    }

    /// A slot that was granted. `None` when there is no such slot.
    #[must_use]
    pub fn receive(&self, segment: u32, slot: u32, generation: u32) -> Option<Lease> {
        let place = lock(self.segments.get(segment as usize)?);
        let class = place.as_ref()?;
        let bank = class.0.bank(0);
        if slot >= bank.ledger.slots() {
            return None;
        }
        if !bank.ledger.receive(slot, generation) {
            self.way_back.give_back(segment, slot);
        }
        Some(Lease::new(Arc::clone(&class.0), 0, slot))
    }

    /// A slot that was granted to be written. `None` when there is no such slot, when it cannot be written ([`Access::Shared`] alone can),
    /// or when we hold it already: then the owner is mistaken, or lies.
    #[must_use]
    pub fn receive_mut(&self, segment: u32, slot: u32, generation: u32) -> Option<SlotMut> {
        if self.access != Access::Shared {
            return None;
        }
        let lease = self.receive(segment, slot, generation)?;
        lease.set_filling(true);
        lease.try_into_mut().ok()
    }

    /// A slot that we have filled is shown to others from now on: it is written no more.
    pub fn filled(&self, lease: &Lease) {
        lease.set_filling(false);
    }

    /// How the owner knows a slot of this link: segment, slot, generation. `None` for memory of anybody else.
    #[must_use]
    pub fn place_of(&self, lease: &Lease) -> Option<(u32, u32, u32)> {
        let (way_back, segment) = lease.far()?;
        let slot = lease.slot_ref();
        Arc::ptr_eq(way_back, &self.way_back).then_some((segment, slot.slot, slot.generation))
    }

    /// The same of one that is being written.
    #[must_use]
    pub fn place_of_mut(&self, slot: &SlotMut) -> Option<(u32, u32, u32)> {
        self.place_of(slot.as_lease())
    }

    /// Half of what the last release of a slot does, and the slot is lost: what a process leaves that is killed there. For tests alone.
    #[doc(hidden)]
    pub fn release_halfway(&self, lease: Lease) {
        if let Some((segment, slot, _)) = self.place_of(&lease) {
            self.way_back.returns.count_back(segment as usize, slot as usize);
        }
        std::mem::forget(lease);
    }
}

impl ClassInner {
    /// Slots of another process that are held here.
    pub(crate) fn far_in_use(&self) -> u32 {
        self.banks()
            .map(|b| (0..b.ledger.slots()).filter(|i| b.ledger.look(*i).0 != 0).count() as u32)
            .sum()
    }
}
