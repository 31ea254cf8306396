//! Numbers about memory, as a plain snapshot.

/// Counters of an arena or of one size class. `high_water`, `waits` and `allocations` never fall, not with the end of a pool either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Slots that exist now.
    pub slots: u64,
    /// Slots in use now.
    pub live: u64,
    /// The most slots that were in use at once, ever (for an arena: an upper bound, the largest sum of the marks of size classes
    /// that lived at the same time).
    pub high_water: u64,
    /// How often somebody had to sleep for a slot.
    pub waits: u64,
    /// Bytes of all segments now.
    pub bytes: u64,
    /// How often a slot was taken, ever.
    pub allocations: u64,
    /// How often JavaScript was found to have stored into a slot of another process (an arena's alone; see [`crate::Lease::show`]).
    pub stray_writes: u64,
}

impl std::ops::AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        self.slots += other.slots;
        self.live += other.live;
        self.high_water += other.high_water;
        self.waits += other.waits;
        self.bytes += other.bytes;
        self.allocations += other.allocations;
        self.stray_writes += other.stray_writes;
    }
}
