//! Shared memory in slots: the floor that every frame stands on.
//!
//! An [`Arena`] accounts for memory; a [`Pool`] belongs to one source (a camera, a decoder) and keeps its bytes in sealed
//! memfd segments of page-aligned slots, so that any slot can later be shown to another process without a copy. A slot is
//! taken as a [`SlotMut`] (one writer), frozen into a [`Lease`] (many readers) and comes back by itself at the last drop.
//! A [`BoundPool`] hands the slot's index back to its driver instead.
//!
//! It is not a media library: bytes, offsets and generations only. It depends on nothing of ours.
//!
//! Nothing that decides anything (references, generations, free lists) lies in the shared memory itself: see [`ledger`].
//!
//! Slots are shown to other processes by [`grant`]s; theirs become leases here by a [`FarPool`]. [`peer`] asks the kernel who they are.
//!
//! Start reading at `pool.rs`, then `ledger.rs`, `grant.rs`.
#![cfg_attr(
    not(loom), // the models leave out all that is unsafe
    expect(
        unsafe_code,
        reason = "architecture.md §1: the arena maps memory and hands out slices of it"
    )
)]

pub mod grant;
pub mod ledger;
pub mod news;
pub mod sync;
pub mod wait;

#[cfg(not(loom))]
mod bound;
#[cfg(not(loom))]
mod class;
#[cfg(not(loom))]
mod error;
#[cfg(not(loom))]
mod far;
#[cfg(not(loom))]
mod inherited;
#[cfg(not(loom))]
mod lease;
#[cfg(not(loom))]
mod page;
#[cfg(not(loom))]
pub mod peer;
#[cfg(not(loom))]
mod pool;
#[cfg(not(loom))]
mod reserve;
#[cfg(not(loom))]
mod segment;
#[cfg(not(loom))]
mod shortage;
#[cfg(not(loom))]
mod stats;
#[cfg(not(loom))]
mod stray;

#[cfg(not(loom))]
pub use crate::{
    bound::BoundPool,
    class::SizeClass,
    error::Error,
    far::FarPool,
    inherited::duplicate_inherited,
    lease::{Lease, SegmentHold, SlotMut, SlotRef},
    page::{PageContents, SharedPage},
    pool::{Arena, Pool, PoolConfig, Wait},
    reserve::{LEFT_FOR_DRIVER, Reservation, Reserve},
    segment::{Access, Segment, page_size},
    shortage::Shortage,
    stats::Stats,
    stray::{PART_PAGES, TURNS},
};
