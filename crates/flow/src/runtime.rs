//! What everything in this crate is built with: passed down as a value by the composition root.

use crate::threads::Threads;
use beamline_arena::{Arena, PoolConfig};
use beamline_container::ContainerProvider;
use beamline_media::{Clock, FramePool};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The arena, the libraries, the backends, the clock. Clones are the same runtime.
#[derive(Clone, Debug)]
pub struct Runtime {
    /// All shared memory.
    pub arena: Arena,
    /// Codec libraries.
    pub codecs: beamline_codec::Registry,
    /// The container library.
    pub containers: Arc<dyn ContainerProvider>,
    /// Capture backends.
    pub backends: Arc<beamline_capture::Registry>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Passes over planes outside codec libraries, ever.
    pub copies: Copies,
    /// All threads that are started with this runtime.
    pub threads: Threads,
}

impl Runtime {
    /// Memory for the frames of one source.
    #[must_use]
    pub fn frame_pool(&self, label: &str) -> Arc<FramePool> {
        Arc::new(FramePool::new(&self.arena, PoolConfig::new(label)))
    }

    /// Memory for pictures of any origin: it is never shown to another process.
    #[must_use]
    pub fn mixed_pool(&self, label: &str) -> Arc<FramePool> {
        let config = PoolConfig {
            mixed: true,
            ..PoolConfig::new(label)
        };
        Arc::new(FramePool::new(&self.arena, config))
    }
}

/// A count of copied planes' pictures that only grows: one per frame and pass.
#[derive(Clone, Debug, Default)]
pub struct Copies(Arc<AtomicU64>);

impl Copies {
    /// One more picture was copied (or converted, scaled, turned).
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// How many so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
